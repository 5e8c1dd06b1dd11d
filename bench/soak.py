"""Hours of conversation: does a turn get lost, do clocks drift apart, does memory grow? JSON.

    python bench/soak.py [--minutes 60] [--sessions 20]

Callers speak recorded words and sentences over WebRTC, hear the reply out, or interrupt it (every third turn). Counted:

``lost``: an utterance without a turn, or a turn without audio, within ``PATIENCE_S``. ``not_interrupted``: the caller
spoke over a reply and it went on.

``input_drift_ppm``: the server counts time in received samples; its count in each event against the caller's clock, as
the slope over the run. ``output_drift_ppm``: samples that the caller heard against its clock. ``offset_ms``: how far
apart clocks were at most, from where they began.

``memory_mb_per_hour``: slope of the server's resident memory after the first fifth of the run; the C library gives back
what is free (``malloc_trim``) before each sample.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import random
import sys
import time
from typing import Any

import numpy as np
import psutil
from _crowd import Crowd, Member, clips, load, post, serving

REPLY_S = 2.5
PATIENCE_S = 12.0
SAMPLE_S = 5.0


def serve(port: int) -> None:
    """The server: replies with a tone."""
    import uvicorn
    from fastapi import FastAPI

    from fastrtc import ReplyOnPause, Stream

    tone = (6000 * np.sin(np.arange(2400) * 2 * np.pi * 440 / 24_000)).astype(np.int16).reshape(1, -1)

    def reply(_audio: Any) -> Any:
        for _ in range(int(REPLY_S * 10)):
            yield 24_000, tone

    app = FastAPI()
    stream = Stream(ReplyOnPause(reply), modality="audio", concurrency_limit=1000, verbose=False)
    stream.mount(app)

    @app.post("/trim")
    async def trim(body: dict[str, Any]) -> dict[str, Any]:
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
        return body

    uvicorn.Server(uvicorn.Config(app, port=port, log_level="error")).run()


async def converse(member: Member, said: list[Any], until_s: float, seed: int, counts: dict[str, int]) -> None:
    """One caller's hour."""
    rng = random.Random(seed)
    await asyncio.sleep(rng.uniform(0.0, 4.0))
    place, turn = 0, 0
    while time.monotonic() < until_s and not member.lost:
        turn += 1
        place = len(member.events)
        member.say(said[rng.randrange(len(said))])
        await member.said()
        if (place := await answered(member, place, counts)) < 0:
            continue
        if turn % 3 == 0:
            await asyncio.sleep(rng.uniform(0.3, 0.9))
            place = len(member.events)
            member.say(said[rng.randrange(len(said))])
            counts["interruptions"] += 1
            if await member.wait_for("reply_interrupted", place, 5.0) is None:
                counts["not_interrupted"] += 1
            await member.said()
            if (place := await answered(member, place, counts)) < 0:
                continue
        if await member.wait_for("playback_finished", place, PATIENCE_S) is None:
            counts["unfinished"] += 1
        await asyncio.sleep(rng.uniform(0.5, 2.0))
    counts["gone"] += member.lost


async def answered(member: Member, place: int, counts: dict[str, int]) -> int:
    """Wait for the first audio of the turn that was just spoken; where to look on, or -1."""
    counts["utterances"] += 1
    found = await member.wait_for("first_audio", place, PATIENCE_S)
    # A pause inside an utterance may have been taken for its end: what was said later is a turn of its own then.
    while found is not None:
        later = await member.wait_for("user_started_speaking", found[0], 0.35)
        if later is None:
            return found[0]
        found = await member.wait_for("first_audio", later[0], PATIENCE_S)
    counts["lost"] += 1
    return -1


async def call(port: int, sessions: int, minutes: float, process: psutil.Process) -> dict[str, Any]:
    """Everybody's conversation, and what the server is like meanwhile."""
    crowd = Crowd(port)
    said = clips(60, "word") + clips(40, "sentence")
    counts = dict.fromkeys(("utterances", "lost", "interruptions", "not_interrupted", "unfinished", "gone"), 0)
    members = [await crowd.join(f"soak-{number}") for number in range(sessions)]
    began_s = time.monotonic()
    until_s = began_s + 60 * minutes
    heard_at_start = {member: (time.monotonic(), member.heard_samples) for member in members}
    talking = [
        asyncio.create_task(converse(member, said, until_s, seed, counts)) for seed, member in enumerate(members)
    ]
    memory: list[tuple[float, float]] = []
    heard: dict[Member, list[tuple[float, float]]] = {member: [] for member in members}
    before, cpu_start_s = process.cpu_times(), time.monotonic()
    while not all(task.done() for task in talking):
        await asyncio.sleep(SAMPLE_S)
        now_s = time.monotonic()
        await asyncio.to_thread(post, port, "/trim", {})
        memory.append((now_s - began_s, process.memory_info().rss / 2**20))
        for member in members:
            start_s, start_samples = heard_at_start[member]
            heard[member].append((now_s - start_s, (member.heard_samples - start_samples) / 48_000))
        sys.stderr.write(f"{now_s - began_s:6.0f} s  {counts}  {memory[-1][1]:.1f} MB\n")
    await asyncio.gather(*talking)
    after = process.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    threads, descriptors = process.num_threads(), process.num_fds()
    for member in members:
        await crowd.leave(member)
    crowd.stop()
    inputs = [
        [(at_s - member.events[0][0], event["at_s"]) for at_s, event in member.events if "at_s" in event]
        for member in members
    ]
    outputs = list(heard.values())
    settled = memory[len(memory) // 5 :]
    return {
        **counts,
        "seconds": round(time.monotonic() - began_s),
        "cpu_percent": round(100 * used_s / (time.monotonic() - cpu_start_s), 1),
        "input_drift_ppm": drift(inputs),
        "output_drift_ppm": drift(outputs),
        "input_offset_ms": offset(inputs),
        "output_offset_ms": offset(outputs),
        "memory_mb": {"start": round(memory[0][1], 1), "end": round(memory[-1][1], 1)},
        "memory_mb_per_hour": round(float(np.polyfit(*np.array(settled).T, 1)[0]) * 3600, 1),
        "threads": threads,
        "descriptors": descriptors,
        "load": load(),
    }


def drift(clocks: list[list[tuple[float, float]]]) -> dict[str, float]:
    """Slope of one clock over the other, less one, in millionths: the median and the worst of all sessions."""
    slopes = [1e6 * (float(np.polyfit(*np.array(pairs).T, 1)[0]) - 1) for pairs in clocks if len(pairs) > 2]
    return {"median": round(float(np.median(slopes)), 1), "worst": round(max(slopes, key=abs), 1)}


def offset(clocks: list[list[tuple[float, float]]]) -> dict[str, float]:
    """How far the clocks of a session went apart, between the first tenth of the run and the last, in ms."""
    moved = []
    for pairs in clocks:
        apart = np.array([theirs - ours for ours, theirs in pairs])
        tenth = max(1, len(apart) // 10)
        moved.append(1000 * (float(np.median(apart[-tenth:])) - float(np.median(apart[:tenth]))))
    return {"median": round(float(np.median(moved)), 1), "worst": round(max(moved, key=abs), 1)}


def main() -> int:
    """Run server and callers."""
    if sys.argv[1:2] == ["server"]:
        serve(int(sys.argv[2]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--sessions", type=int, default=20)
    options = parser.parse_args()
    with serving(__file__) as (port, process):
        figures = asyncio.run(call(port, options.sessions, options.minutes, process))
    print(json.dumps({"sessions": options.sessions, "minutes": options.minutes, **figures}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

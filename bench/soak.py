"""Hours of conversation: does a turn get lost, do clocks drift apart, does memory grow? JSON.

    python bench/soak.py [--minutes 60] [--sessions 20]

Callers speak recorded words and sentences over WebRTC, hear the reply out, or interrupt it (every third turn).

``lost``: an utterance without a turn, or a turn without audio, within ``PATIENCE_S``. ``not_interrupted``: the caller
spoke over a reply and it was not cut short. Each has its reason (``why_lost``, ``why_not_interrupted``), and its
timeline on standard error and in ``misses``: what the caller did and every event of its session, in seconds of the run.
``let_pass`` beside them: a reply came before the end of an utterance, whose rest was too little to stop it.

``input_drift_ppm``: the server counts time in received samples; its count in each event against the caller's clock,
as the slope over the run, for each session. ``output_drift_ppm``: samples that the caller heard against its clock.
``between_ppm``: one less the other. ``delay_ms``: from saying to the onset of the event (``up``), and from the event of
a reply's first audio to hearing it (``down``), in the first and in the last fifth of the run.

``late_ms``: how much later than its rhythm of 20 ms each tick of a reply was handed to its connection.

``memory_mb_per_hour``: slope of the server's resident memory after the first fifth of the run; the C library gives back
what is free (``malloc_trim``) before each sample.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import logging
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
from _crowd import Crowd, Member, clips, get, load, post, serving

REPLY_S = 2.5
PATIENCE_S = 12.0
SAMPLE_S = 5.0
MEMORY_EVERY_S = 60.0
HEARD_BY = ("user_started_speaking", "reply_held", "reply_interrupted")


def serve(port: int) -> None:
    """The server: replies with a tone."""
    import uvicorn
    from _late_audio import LateAudio
    from fastapi import FastAPI

    from fastrtc import ReplyOnPause, Stream

    tone = (6000 * np.sin(np.arange(2400) * 2 * np.pi * 440 / 24_000)).astype(np.int16).reshape(1, -1)

    def reply(_audio: Any) -> Any:
        for _ in range(int(REPLY_S * 10)):
            yield 24_000, tone

    late = LateAudio()
    app = FastAPI()
    stream = Stream(ReplyOnPause(reply), modality="audio", concurrency_limit=1000, verbose=False, observers=[late])
    stream.mount(app)

    @app.post("/trim")
    async def trim(body: dict[str, Any]) -> dict[str, Any]:
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
        return body

    @app.get("/late")
    async def late_ms() -> dict[str, Any]:
        return {"counts": late.counts}

    logging.basicConfig(format="%(asctime)s %(message)s")
    uvicorn.Server(uvicorn.Config(app, port=port, log_level="error")).run()


@dataclass(slots=True)
class Run:
    """What everybody's hour comes to."""

    said: list[Any]
    crowd: Crowd
    began_s: float
    until_s: float
    counts: Counter[str] = field(default_factory=Counter)
    why: dict[str, Counter[str]] = field(default_factory=lambda: {"lost": Counter(), "not_interrupted": Counter()})
    misses: list[dict[str, Any]] = field(default_factory=list)
    up_ms: list[tuple[float, float]] = field(default_factory=list)
    down_ms: list[tuple[float, float]] = field(default_factory=list)

    def missed(self, caller: Caller, what: str, since: int, reason: str) -> None:
        """Count a miss and show what led to it."""
        now_s = time.monotonic()
        from_s = caller.did[since][0] - 4.0
        lines = [(at_s, f"caller: {text}") for at_s, text in caller.did if at_s >= from_s]
        for at_s, event in caller.member.events:
            if at_s >= from_s:
                facts = {name: value for name, value in event.items() if name not in ("name", "latency_ms")}
                lines.append((at_s, f"{event['name']} {facts}"))
        lines += [(at_s, "the callers' clock was late") for at_s in self.crowd.stalls_s if from_s <= at_s]
        self.counts[what] += 1
        self.why[what][reason] += 1
        timeline = [f"{at_s - self.began_s:9.3f}  {text}" for at_s, text in sorted(lines)]
        miss = {"session": caller.member.session_id, "what": what, "reason": reason, "timeline": timeline}
        self.misses.append(miss)
        sys.stderr.write(
            f"{now_s - self.began_s:9.3f}  {miss['session']}: {what} ({reason})\n  " + "\n  ".join(timeline) + "\n"
        )


class Caller:
    """One conversation."""

    def __init__(self, run: Run, member: Member, seed: int) -> None:
        self.run = run
        self.member = member
        self.did: list[tuple[float, str]] = []
        self._random = random.Random(seed)

    async def converse(self) -> None:
        """The whole hour."""
        run, rng, turn = self.run, self._random, 0
        await asyncio.sleep(rng.uniform(0.0, 4.0))
        while time.monotonic() < run.until_s and not self.member.lost:
            turn += 1
            self.member.loud_s = None
            place = self.say("says")
            began = len(self.did) - 1
            await self.end_of_saying()
            if (place := await self.answered(place, began)) < 0:
                continue
            self.note_delays(began)
            if turn % 3 == 0 and (place := await self.interrupt(place)) < 0:
                continue
            if await self.member.wait_for("playback_finished", place, PATIENCE_S) is None:
                run.counts["unfinished"] += 1
            await asyncio.sleep(rng.uniform(0.5, 2.0))
        run.counts["gone"] += self.member.lost

    def say(self, how: str) -> int:
        """Speak an utterance; the place from which events come after it began."""
        number = self._random.randrange(len(self.run.said))
        clip = self.run.said[number]
        place = len(self.member.events)
        self.did.append((time.monotonic(), f"{how} clip {number} of {len(clip) / 48_000:.2f} s"))
        self.member.say(clip)
        return place

    async def end_of_saying(self) -> None:
        """Wait until everything was said."""
        self.did.append((await self.member.said(), "is silent"))

    async def interrupt(self, place: int) -> int:
        """Speak over the reply; as :meth:`answered`."""
        run = self.run
        await asyncio.sleep(self._random.uniform(0.3, 0.9))
        if any(event["name"] == "playback_finished" for _, event in self.member.events[place:]):
            return place  # the machine was busy, and there is nothing left to interrupt
        place = self.say("interrupts with")
        began = len(self.did) - 1
        run.counts["interruptions"] += 1
        cut = await self.member.wait_for("reply_interrupted", place, 5.0)
        await self.end_of_saying()
        if cut is not None:
            return await self.answered(cut[0], began)
        names = [event["name"] for _, event in self.member.events[place:]]
        run.missed(self, "not_interrupted", began, why_not_interrupted(names))
        return place if "turn_committed" not in names else await self.answered(place, began)

    async def answered(self, place: int, began: int) -> int:
        """Wait for the first audio of the turn that was just spoken; where to look on, or -1."""
        run, member = self.run, self.member
        first = place
        run.counts["utterances"] += 1
        found = await member.wait_for("first_audio", place, PATIENCE_S)
        # A pause inside an utterance may have been taken for its end: what was said later is a turn of its own then.
        while found is not None:
            later = await member.wait_for("user_started_speaking", found[0], 0.35)
            if later is None:
                return found[0]
            place = found[0]
            found = await self.first_of(("first_audio", "reply_resumed"), later[0])
            if found is not None and found[1]["name"] == "reply_resumed":
                run.counts["let_pass"] += 1
                return place
        names = [event["name"] for _, event in member.events[first:]]
        run.missed(self, "lost", began, why_lost(names))
        return -1

    async def first_of(self, names: tuple[str, ...], place: int) -> tuple[int, dict[str, Any]] | None:
        """The first event that has one of the names; as ``Member.wait_for``."""
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s and not self.member.lost:
            for number, (_, event) in enumerate(self.member.events[place:], place):
                if event["name"] in names:
                    return number + 1, event
            await asyncio.sleep(0.02)
        return None

    def note_delays(self, began: int) -> None:
        """How long sound took both ways, where the utterance led to one reply."""
        said_s = self.did[began][0]
        mine = [(at_s, event) for at_s, event in self.member.events if at_s >= said_s]
        onsets = [(at_s, event) for at_s, event in mine if event["name"] == "user_started_speaking"]
        starts = [at_s for at_s, event in mine if event["name"] == "first_audio"]
        if len(onsets) == 1:
            at_s, event = onsets[0]
            onset_s = at_s - (event["at_s"] - event["onset_s"])
            self.run.up_ms.append((said_s, 1000 * (onset_s - said_s)))
        if len(starts) == 1 and self.member.loud_s is not None:
            self.run.down_ms.append((said_s, 1000 * (self.member.loud_s - starts[0])))


def why_not_interrupted(names: list[str]) -> str:
    """What became of speech over a reply, by the names of the events since it began."""
    heard = next((names.index(name) for name in HEARD_BY if name in names), None)
    if "playback_finished" in names[:heard]:
        return "the reply was over before speech was detected"
    if heard is None:
        return "no speech was detected"
    if "reply_resumed" in names:
        return "taken for a backchannel"
    return "the reply ended while it was not yet clear"


def why_lost(names: list[str]) -> str:
    """What became of an utterance, by the names of the events since it began."""
    if "user_started_speaking" not in names:
        return "no speech was detected"
    if "turn_committed" not in names:
        return "its end was not found"
    return "no audio came" if "first_audio" not in names else "a later part of it was not answered"


async def call(port: int, sessions: int, minutes: float, process: psutil.Process) -> dict[str, Any]:
    """Everybody's conversation, and what the server is like meanwhile."""
    crowd = Crowd(port)
    said = clips(60, "word") + clips(40, "sentence")
    members = [await crowd.join(f"soak-{number}") for number in range(sessions)]
    began_s = time.monotonic()
    run = Run(said, crowd, began_s, began_s + 60 * minutes)
    heard_at_start = {member: (time.monotonic(), member.heard_samples) for member in members}
    talking = [asyncio.create_task(Caller(run, member, seed).converse()) for seed, member in enumerate(members)]
    memory: list[tuple[float, float]] = []
    heard: dict[Member, list[tuple[float, float]]] = {member: [] for member in members}
    before, cpu_start_s = process.cpu_times(), time.monotonic()
    states = [{"minute": 0.0, "threads": process.num_threads(), "descriptors": process.num_fds()}]
    late_before = (await asyncio.to_thread(get, port, "/late"))["counts"]
    every_s = min(MEMORY_EVERY_S, 3 * minutes)
    while not all(task.done() for task in talking):
        await asyncio.sleep(min(SAMPLE_S, minutes))
        now_s = time.monotonic()
        for member in members:
            start_s, start_samples = heard_at_start[member]
            heard[member].append((now_s - start_s, (member.heard_samples - start_samples) / 48_000))
        if not memory or now_s - began_s - memory[-1][0] >= every_s:
            await asyncio.to_thread(post, port, "/trim", {})
            memory.append((now_s - began_s, process.memory_info().rss / 2**20))
            states.append(state_of(process, now_s - began_s, memory[-1][1]))
            late = (await asyncio.to_thread(get, port, "/late"))["counts"]
            fresh = [now - then for now, then in zip(late, late_before, strict=True)]
            states[-1]["late_ms_p99"] = percentile(fresh, 99)
            late_before = late
            sys.stderr.write(json.dumps({**states[-1], **run.counts}) + "\n")
    failed = [repr(error) for error in await asyncio.gather(*talking, return_exceptions=True) if error]
    after = process.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    late = (await asyncio.to_thread(get, port, "/late"))["counts"]
    states.append(state_of(process, time.monotonic() - began_s, process.memory_info().rss / 2**20))
    for member in members:
        await crowd.leave(member)
    crowd.stop()
    return {
        **dict.fromkeys(("utterances", "lost", "interruptions", "not_interrupted", "unfinished", "gone"), 0),
        **run.counts,
        **{f"why_{what}": dict(reasons) for what, reasons in run.why.items()},
        "failed": failed,
        "seconds": round(time.monotonic() - began_s),
        "cpu_percent": round(100 * used_s / (time.monotonic() - cpu_start_s), 1),
        **clocks(members, list(heard.values())),
        "delay_ms": {"up": first_and_last(run.up_ms), "down": first_and_last(run.down_ms)},
        "late_ms": {f"p{percent}": percentile(late, percent) for percent in (50, 99, 99.9, 100)},
        "callers_late_ms_p99": round(float(np.percentile(crowd.clock.late_ms, 99)), 1),
        "memory_mb_per_hour": round(slope(memory[len(memory) // 5 :]) * 3600, 2),
        "states": states if len(states) < 8 else [states[0], *states[1:-1:5], states[-1]],
        "load": load(),
        "misses": run.misses,
    }


def state_of(process: psutil.Process, at_s: float, memory_mb: float) -> dict[str, float]:
    """What the server holds."""
    return {
        "minute": round(at_s / 60, 1),
        "memory_mb": round(memory_mb, 1),
        "threads": process.num_threads(),
        "descriptors": process.num_fds(),
        "load": load()[0],
    }


def clocks(members: list[Member], heard: list[list[tuple[float, float]]]) -> dict[str, Any]:
    """Drift of input and output of every session, and between them."""
    inputs = [
        1e6 * (slope([(at_s - member.events[0][0], event["at_s"]) for at_s, event in member.events]) - 1)
        for member in members
    ]
    outputs = [1e6 * (slope(pairs) - 1) for pairs in heard]
    between = [one - other for one, other in zip(inputs, outputs, strict=True)]
    named = {"input_drift_ppm": inputs, "output_drift_ppm": outputs, "between_ppm": between}
    return {
        name: {
            "median": round(float(np.median(values)), 1),
            "worst": round(max(values, key=abs), 1),
            "all": [round(value, 1) for value in values],
        }
        for name, values in named.items()
    }


def slope(pairs: list[tuple[float, float]]) -> float:
    """Of the straight line through the points; NaN for fewer than three."""
    return float(np.polyfit(*np.array(pairs).T, 1)[0]) if len(pairs) > 2 else float("nan")


def first_and_last(delays: list[tuple[float, float]]) -> dict[str, float]:
    """Medians and 99th percentiles of the first and of the last fifth of the run."""
    ordered = [ms for _, ms in sorted(delays)]
    fifth = max(1, len(ordered) // 5)
    figures = {}
    for name, part in (("first", ordered[:fifth]), ("last", ordered[-fifth:])):
        for percent in (50, 99):
            figures[f"{name}_p{percent}"] = round(float(np.percentile(part or [np.nan], percent)), 1)
    return figures


def percentile(counts: list[int], percent: float) -> int:
    """Of a histogram whose bins are milliseconds."""
    reached = np.cumsum(counts)
    return int(np.searchsorted(reached, max(1, reached[-1] * percent / 100)))


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

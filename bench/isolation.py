"""One bad handler among good ones: how much later is everybody else's audio? JSON.

    python bench/isolation.py [--seconds 20] [--listeners 3]

Callers hear an endless tone over WebRTC. Beside them one session's reply function does one of: ``nothing`` (waits; what
the rest is compared with), ``spins`` (a loop of pure Python), ``blocks`` (sleeps, holding nothing), ``leaks`` (keeps
what it allocates), ``garbage`` (yields what cannot be played), ``raises``, ``collects`` (has Python's garbage collected
twice a second, in a process that had loaded half a million objects before its first session), ``collects_all`` (the
same, without what the library does against it).

``delay_ms``: by how much a listener's 20 ms of audio were handed to its connection later than their rhythm asks for. It
is measured in the server: a caller's jitter buffer would hide it. Moments in which the callers, who are a process of
their own, were more than 10 ms late themselves are left out: then it was the machine (``calm_share`` is the rest).
``silent_reads`` counts what callers heard as gaps. ``p99_above_nothing_ms`` is what the bad handler adds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import time
from typing import Any

import numpy as np
from _crowd import Crowd, Member, get, load, serving

from fastrtc.observe import SessionObserver
from fastrtc.observe.recorder import RecordingLink
from fastrtc.wire.messages import TriggerResponse, encode_client_message

KINDS = ("nothing", "spins", "blocks", "leaks", "garbage", "raises", "collects", "collects_all")
SETTLE_S = 3.0
WINDOW = 50
AWAY_S = 1.5
LOADED = 500_000


class TimedLink(RecordingLink):
    """Notes when audio is written; reads, messages and all else pass."""

    def __init__(self, inner: Any, written_s: list[float]) -> None:
        super().__init__(inner, None)  # type: ignore[arg-type]
        self._written_s = written_s

    def read(self) -> Any:
        return self.inner.read()

    def write(self, pcm: Any) -> None:
        self._written_s.append(time.monotonic())
        self.inner.write(pcm)

    def flush(self) -> bool:
        return self.inner.flush()


class Stopwatch(SessionObserver):
    """Times the audio of all sessions that are not bad."""

    def __init__(self) -> None:
        self._written_s: list[list[float]] = []

    def wrap_link(self, link: Any, context: Any) -> Any:
        if context.webrtc_id.startswith("bad"):
            return link
        self._written_s.append([])
        return TimedLink(link, self._written_s[-1])

    def take(self) -> list[tuple[float, float]]:
        """What came since the last call."""
        delays: list[tuple[float, float]] = []
        for written_s in self._written_s:
            count = len(written_s)
            delays += delays_ms(written_s[:count])
            del written_s[:count]
        return delays


def serve(port: int, kind: str) -> None:
    """The server: sessions called ``bad`` misbehave as ``kind`` says, the others play a tone."""
    import uvicorn
    from fastapi import FastAPI

    from fastrtc import ReplyOnPause, Stream, get_current_context

    tone = (6000 * np.sin(np.arange(2400) * 2 * np.pi * 440 / 24_000)).astype(np.int16).reshape(1, -1)
    kept: list[Any] = []
    collections_ms: list[float] = []
    if kind.startswith("collects"):
        kept.extend({"a": (number, [number])} for number in range(LOADED // 3))

    def reply(_audio: Any) -> Any:
        if not get_current_context().webrtc_id.startswith("bad"):
            while True:
                yield 24_000, tone
        yield 24_000, tone
        until_s = time.monotonic() + 3600
        while time.monotonic() < until_s:
            if kind in ("nothing", "blocks"):
                time.sleep(5.0)
            elif kind == "leaks":
                kept.append(np.ones(100_000))
                time.sleep(0.01)
            elif kind == "garbage":
                yield from (object(), "text", (24_000, [1, 2]), (24_000, np.ones((3, 3, 3))))
            elif kind == "raises":
                raise RuntimeError("on purpose")
            elif kind.startswith("collects"):
                if kind == "collects_all":
                    gc.unfreeze()
                began_s = time.perf_counter()
                gc.collect()
                collections_ms.append(1000 * (time.perf_counter() - began_s))
                time.sleep(0.5)

    watch = Stopwatch()
    app = FastAPI()
    handler = ReplyOnPause(reply, can_interrupt=False)
    stream = Stream(handler, modality="audio", concurrency_limit=100, verbose=False, observers=[watch])
    stream.mount(app)

    @app.get("/collections")
    async def collections() -> dict[str, float]:
        return {"objects": len(gc.get_objects()) + gc.get_freeze_count(), "median_ms": float(np.median(collections_ms))}

    @app.get("/delays")
    async def delays() -> dict[str, list[tuple[float, float]]]:
        return {"delays": watch.take()}

    uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical")).run()


async def listen(port: int, kind: str, seconds: float, listeners: int) -> dict[str, Any]:
    """Hear the tone while the bad one works."""
    crowd = Crowd(port)
    members = [await crowd.join(f"good-{number}") for number in range(listeners)]
    bad = await crowd.join("bad")
    for member in [*members, bad]:
        if await member.wait_for("session_started", 0, 20) is None:
            raise RuntimeError("a session did not start")
        member.peer.send(encode_client_message(TriggerResponse()))
    again = asyncio.create_task(_ask_again(bad)) if kind in ("garbage", "raises") else None
    await asyncio.sleep(SETTLE_S)
    await asyncio.to_thread(get, port, "/delays")
    for member in members:
        member.arrivals = []
    await asyncio.sleep(seconds)
    all_delays = (await asyncio.to_thread(get, port, "/delays"))["delays"]
    delays = in_calm(all_delays, crowd.stalls_s)
    gaps = sum(peak < 500 for member in members for _, peak in member.arrivals or [])
    collected = await asyncio.to_thread(get, port, "/collections") if kind.startswith("collects") else {}
    if again is not None:
        again.cancel()
    for member in [*members, bad]:
        await crowd.leave(member)
    late = crowd.clock.late_ms
    crowd.stop()
    return {
        "handler": kind,
        "calm_share": round(len(delays) / len(all_delays), 2),
        "delay_ms": {
            f"p{percent}": round(float(np.percentile(delays or [np.nan], percent)), 1) for percent in (50, 99, 99.9)
        },
        "silent_reads": gaps,
        "callers_late_ms_p99": round(float(np.percentile(late, 99)), 1),
        **({"collections": collected} if collected else {}),
    }


async def _ask_again(member: Member) -> None:
    while True:
        await asyncio.sleep(0.05)
        member.peer.send(encode_client_message(TriggerResponse()))


def delays_ms(written_s: list[float]) -> list[tuple[float, float]]:
    """When writes came, and how much later than their rhythm of 20 ms."""
    if not written_s:
        return []
    times = np.array(written_s)
    late = 1000 * (times - np.arange(len(times)) * 0.02)
    # The rhythm is that of the soonest ones around, so that a tick that was left out does not count for ever.
    floor = np.array([late[max(0, n - WINDOW) : n + WINDOW + 1].min() for n in range(len(late))])
    return [(float(at_s), round(float(value), 2)) for at_s, value in zip(times, late - floor, strict=True)]


def in_calm(delays: list[tuple[float, float]], stalls_s: list[float]) -> list[float]:
    """The delays of those moments in which the callers, who are no part of the server, were not late either."""
    stalled = np.array(stalls_s or [-1e9])
    return [ms for at_s, ms in delays if np.abs(stalled - at_s).min() > AWAY_S]


def main() -> int:
    """Every kind of handler in turn, each with a server of its own."""
    if sys.argv[1:2] == ["server"]:
        serve(int(sys.argv[2]), sys.argv[3])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--listeners", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    options = parser.parse_args()
    os.environ["PYTHONWARNINGS"] = "ignore"
    runs = []
    for kind in options.kinds:
        with serving(__file__, kind) as (port, _):
            runs.append(asyncio.run(listen(port, kind, options.seconds, options.listeners)))
            sys.stderr.write(json.dumps(runs[-1]) + "\n")
    base = next((run for run in runs if run["handler"] == "nothing"), None)
    for run in runs:
        if base is not None:
            run["p99_above_nothing_ms"] = round(run["delay_ms"]["p99"] - base["delay_ms"]["p99"], 1)
    print(json.dumps({"runs": runs, "load": load()}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

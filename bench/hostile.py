"""What hostile clients cost the others: how they are ended, memory, and the audio of callers beside them, as JSON.

    python bench/hostile.py [--seconds 8] [--only messages,audio] [--server fastrtc|uvicorn]

A server in a process of its own plays a steady tone to everybody, as ``fastrtc serve`` does or under plain uvicorn.
Two good callers listen, one over a WebSocket, one over WebRTC; beside them come, one kind after the other, clients that
flood messages, send huge or endless ones, ping, send audio as fast as they can, never read, never start, flood offers,
or flood a data channel (``_attacks.py``). They are processes of low priority: what they cost others is to be the
server's time, not the machine's. Who is thrown out comes again at once.

``late_ms``: by how much every 20 ms of audio came later than their rhythm, for the WebSocket at the client (the server
collects up to 40 ms by design), for WebRTC where the server hands it to the engine (a caller's jitter buffer hides the
rest). Moments in which the clock of the callers' process was more than 10 ms late itself are left out: then it was the
machine (``calm_share`` is the rest). ``p99_above_nobody_ms`` is what the attack adds. ``grown_mb``: of the server's
resident memory at its height.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from _attacks import ATTACKS
from _crowd import Crowd, free_port, get, load, wait_for
from isolation import Stopwatch, TimedLink, in_calm
from websockets.asyncio.client import connect as open_socket

RATE = 24_000
BLOCK = RATE // 50
BLOCK_S = 0.02
WINDOW = 50
SILENT = 500
HERE = Path(__file__).resolve().parent


class Written(Stopwatch):
    """Notes when the audio of the two good callers is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written_s: dict[str, list[float]] = {}

    def wrap_link(self, link: Any, context: Any) -> Any:
        if not context.webrtc_id.startswith("good"):
            return link
        return _Audible(link, self.written_s.setdefault(context.webrtc_id, []))


class _Audible(TimedLink):
    """Notes blocks of audio only: the client counts those."""

    def write(self, pcm: Any) -> None:
        if pcm is None:
            self.inner.write(None)
        else:
            super().write(pcm)


def serve(port: int, how: str) -> None:
    """The server: a tone for everybody."""
    import uvicorn
    from fastapi import FastAPI

    from fastrtc import AsyncStreamHandler, Stream
    from fastrtc.serving import ServeSettings, uvicorn_config

    class Tone(AsyncStreamHandler):
        def __init__(self) -> None:
            super().__init__(input_sample_rate=RATE, output_sample_rate=RATE)
            self._second = (4000 * np.sin(np.arange(RATE) * 0.1)).astype(np.int16).reshape(1, -1)

        def copy(self) -> Tone:
            return Tone()

        async def receive(self, frame: Any) -> None: ...

        async def emit(self) -> Any:
            await asyncio.sleep(0.9)
            return RATE, self._second

        async def shutdown(self) -> None: ...

    written = Written()
    app = FastAPI()
    stream = Stream(Tone(), modality="audio", concurrency_limit=20, verbose=False, observers=[written])
    stream.mount(app)

    @app.get("/sessions")
    def sessions() -> list[str]:
        return list(stream.connections)

    @app.get("/written")
    def times() -> dict[str, list[float]]:
        return written.written_s

    if how == "uvicorn":
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error")
    else:
        config = uvicorn_config(app, ServeSettings())
        config.port = port
    uvicorn.Server(config).run()


async def listen(port: int) -> None:
    """The two good callers, in a process of their own; a line on stdin ends them and prints what they heard."""
    crowd = Crowd(port)
    caller = await crowd.join("good-webrtc")
    while caller.loud_s is None:  # noqa: ASYNC110 - the crowd's clock sets it
        await asyncio.sleep(0.01)
    caller.arrivals = []
    arrivals_s: list[float] = []
    heard = 0
    over = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    async with open_socket(f"ws://127.0.0.1:{port}/websocket/offer", max_size=None) as line:
        await line.send(json.dumps({"event": "start", "websocket_id": "good-websocket"}))
        print("ready", flush=True)
        while not over.done():
            message = json.loads(await line.recv())
            if message.get("event") == "media":
                now_s = time.monotonic()
                heard += len(base64.b64decode(message["media"]["payload"]))
                arrivals_s += [now_s] * (heard // BLOCK - len(arrivals_s))
    gaps_s = [at_s for at_s, peak in caller.arrivals if peak < SILENT]
    crowd.stop()
    print(json.dumps({"arrivals_s": arrivals_s, "gaps_s": gaps_s, "stalls_s": crowd.stalls_s}), flush=True)


def rhythm_s(written_s: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """When each block of audio was due: every 20 ms, in the rhythm of the soonest ones around it."""
    offset = written_s - np.arange(len(written_s)) * BLOCK_S
    floor = [offset[max(0, n - WINDOW) : n + WINDOW + 1].min() for n in range(len(offset))]
    return np.array(floor) + np.arange(len(written_s)) * BLOCK_S


def lateness(due_s: Any, came_s: Any, span_s: tuple[float, float], stalls_s: list[float]) -> dict[str, float]:
    """Percentiles of what was due in a time, without the moments in which the machine stalled."""
    inside = (due_s >= span_s[0]) & (due_s < span_s[1])
    late = list(zip(came_s[inside], 1000 * (came_s - due_s)[inside], strict=True))
    calm = in_calm(late, stalls_s)
    ranks = (("p50", 50), ("p99", 99), ("max", 100))
    found = {name: round(float(np.percentile(calm or [np.nan], rank)), 1) for name, rank in ranks}
    return {**found, "calm_share": round(len(calm) / max(1, len(late)), 2)}


class Memory(threading.Thread):
    """Watches the resident memory of a process."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._statm = Path(f"/proc/{pid}/statm")
        self.most_mb = 0.0
        self.start()

    def now_mb(self) -> float:
        return int(self._statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def run(self) -> None:
        with suppress(OSError, ValueError):  # the process has ended, or the system does not tell
            while True:
                self.most_mb = max(self.most_mb, self.now_mb())
                time.sleep(0.1)


def attack(name: str, port: int, seconds: float) -> dict[str, Any]:
    """Run one kind of hostile clients in a process of its own."""
    command = [sys.executable, str(HERE / "_attacks.py"), name, f"ws://127.0.0.1:{port}"]
    done = subprocess.run(
        [*command, str(seconds)], capture_output=True, text=True, check=False, timeout=10 * seconds + 60
    )
    if done.returncode:
        return {"error": done.stderr[-300:]}
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def measure(port: int, pid: int, names: list[str], seconds: float) -> dict[str, Any]:
    """Attack while two callers listen."""
    command = [sys.executable, __file__, "--listen", str(port)]
    good = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert good.stdin is not None
    assert good.stdout is not None
    assert good.stdout.readline().strip() == "ready"
    memory = Memory(pid)
    time.sleep(2.0)
    report: dict[str, Any] = {}
    times = {}
    for name in names:
        before_mb = memory.most_mb = memory.now_mb()
        begin_s = time.monotonic()
        outcome = attack(name, port, seconds)
        times[name] = (begin_s, time.monotonic())
        time.sleep(1.0)
        report[name] = {**outcome, "grown_mb": round(memory.most_mb - before_mb, 1)}
    good.stdin.write("\n")
    good.stdin.flush()
    heard = json.loads(good.stdout.readline())
    good.wait(10)
    written = {name: np.array(times_s) for name, times_s in get(port, "/written").items()}
    came_s, stalls_s = np.array(heard["arrivals_s"]), heard["stalls_s"]
    due_s = rhythm_s(written["good-websocket"])[: len(came_s)]
    came_s = came_s[: len(due_s)]
    engine_due_s = rhythm_s(written["good-webrtc"])
    for name, (begin_s, end_s) in times.items():
        report[name]["websocket_late_ms"] = lateness(due_s, came_s, (begin_s, end_s), stalls_s)
        report[name]["webrtc_late_ms"] = lateness(engine_due_s, written["good-webrtc"], (begin_s, end_s), stalls_s)
        report[name]["webrtc_gaps"] = sum(begin_s <= at_s < end_s for at_s in heard["gaps_s"])
        if "nobody" in report:
            report[name]["p99_above_nobody_ms"] = {
                kind: round(report[name][f"{kind}_late_ms"]["p99"] - report["nobody"][f"{kind}_late_ms"]["p99"], 1)
                for kind in ("websocket", "webrtc")
            }
        print(name, json.dumps(report[name]), file=sys.stderr)
    return report


def main() -> None:
    """Run a server and everybody who calls it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each attack")
    parser.add_argument("--only", help="some of the attacks, separated by commas")
    parser.add_argument("--server", choices=("fastrtc", "uvicorn"), default="fastrtc")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--listen", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.listen is not None:
        with suppress(KeyboardInterrupt):
            asyncio.run(listen(options.listen))
        return
    if options.serve is not None:
        serve(options.serve, options.server)
        return
    port = free_port()
    server = subprocess.Popen([sys.executable, __file__, "--serve", str(port), "--server", options.server])
    try:
        wait_for(port, server)
        names = options.only.split(",") if options.only else list(ATTACKS)
        before = load()
        report = measure(port, server.pid, names, options.seconds)
        print(json.dumps({"server": options.server, "load": [before[0], load()[0]], "attacks": report}, indent=1))
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()

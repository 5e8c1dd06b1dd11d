"""What a second worker brings: sessions served in time by one and by two processes on the same port, JSON.

    python bench/workers.py [--workers 1 2] [--n 10 20 30 40] [--seconds 10]

Everybody speaks all the time and hears an echo, the voice activity detector listens (the worst case of
``sessions.py``). ``late_ms``: how much later than its rhythm of 20 ms audio was handed to connections, over all
workers; a server keeps up while its 99th percentile is below a tick. ``skipped_ticks``: those that were given up.

The callers run in processes of their own on the same machine: on two cores, they and two workers share them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from _crowd import Crowd, clips, free_port, get, load, wait_for

SETTLE_S = 3.0
CALLERS = 2
APP = """
import sys, time, threading
sys.path.insert(0, {bench!r})
import numpy as np
from fastapi import FastAPI
from _servers import live_echo
from isolation import Stopwatch
from fastrtc import Stream
from fastrtc.clock import the_clock
import os

watch = Stopwatch()
stream = Stream(live_echo(), modality="audio", concurrency_limit=1000, verbose=False, observers=[watch])
app = FastAPI()
stream.mount(app)

@app.get("/delays")
async def delays():
    ms = [late for _, late in watch.take()]
    return {{"pid": os.getpid(), "ms": ms, "skipped": the_clock.skipped_ticks, "sessions": len(stream.connections)}}
"""


def main() -> int:
    """Measure each number of workers at each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--n", type=int, nargs="+", default=[10, 20, 30, 40])
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    runs = []
    for n in options.n:
        for workers in options.workers:
            runs.append(measure(workers, n, options.seconds))
            sys.stderr.write(json.dumps(runs[-1]) + "\n")
    print(json.dumps({"cores": os.cpu_count(), "runs": runs}, indent=2))
    return 0


def measure(workers: int, n: int, seconds: float) -> dict[str, Any]:
    """One server with its callers."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        app = APP.format(bench=str(Path(__file__).resolve().parent))
        Path(folder, "bench_app.py").write_text(app, encoding="utf-8")
        command = [sys.executable, "-m", "fastrtc.cli", "serve", "bench_app:app", "--port", str(port), "--drain", "0"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command += ["--workers", str(workers), "--log-level", "error"]
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        try:
            wait_for(port, server)
            return {"workers": workers, "sessions": n, **_measure(server.pid, port, workers, n, seconds)}
        finally:
            server.terminate()
            server.wait(30)


def _measure(pid: int, port: int, workers: int, n: int, seconds: float) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    crowds = []
    for index in range(CALLERS):
        here, there = context.Pipe()
        count = n // CALLERS + (index < n % CALLERS)
        process = context.Process(target=_call, args=(port, index, count, seconds, there))
        process.start()
        crowds.append((process, here))
    for _, here in crowds:
        here.recv()
    _ask_all(port, workers)
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    used_s, began_s = _cpu_s(processes), time.perf_counter()
    time.sleep(seconds)
    used_s, elapsed_s = _cpu_s(processes) - used_s, time.perf_counter() - began_s
    answers = _ask_all(port, workers)
    for process, _ in crowds:
        process.join(30)
    late = [ms for answer in answers for ms in answer["ms"]]
    return {
        "sessions_of_workers": sorted(answer["sessions"] for answer in answers),
        "late_ms": {f"p{percent}": round(float(np.percentile(late, percent)), 1) for percent in (50, 99)},
        "ticks_per_session_and_s": round(len(late) / elapsed_s / n, 1),
        "skipped_ticks": sum(answer["skipped"] for answer in answers),
        "cpu_percent": round(100 * used_s / elapsed_s, 1),
        "load": load(),
    }


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _ask_all(port: int, workers: int) -> list[dict[str, Any]]:
    """Every worker's figures since it was asked last; requests without a session go to the least loaded in turn."""
    answers: dict[int, dict[str, Any]] = {}
    deadline_s = time.monotonic() + 20
    while len(answers) < workers and time.monotonic() < deadline_s:
        answer = get(port, "/delays")
        known = answers.setdefault(answer["pid"], answer)
        if known is not answer:
            known["ms"] += answer["ms"]
    return list(answers.values())


def _call(port: int, index: int, count: int, seconds: float, wire: Any) -> None:
    asyncio.run(_talk(port, index, count, seconds, wire))


async def _talk(port: int, index: int, count: int, seconds: float, wire: Any) -> None:
    crowd = Crowd(port)
    said = np.concatenate(clips(30, "sentence"))
    while len(said) < (seconds + SETTLE_S + 60) * 48_000:
        said = np.concatenate([said, said])
    members = [await crowd.join(f"caller-{index}-{number}") for number in range(count)]
    for number, member in enumerate(members):
        member.say(np.roll(said, -number * 48_000))
    await asyncio.sleep(SETTLE_S)
    wire.send("ready")
    await asyncio.sleep(seconds + 2.0)
    for member in members:
        await crowd.leave(member)
    crowd.stop()


if __name__ == "__main__":
    raise SystemExit(main())

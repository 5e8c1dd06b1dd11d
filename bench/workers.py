"""What a second worker brings: sessions served in time by one and by two processes on the same port, JSON.

    python bench/workers.py [--handler work] [--workers 1 2] [--n 1 2 3 4 5 6] [--seconds 10] [--work-ms 30]
    python bench/workers.py --handler echo [--n 10 20 30 40]

``work``: everybody's ``StreamHandler`` computes in Python for ``--work-ms`` of CPU time per 100 ms of audio, then says
what it heard: the case that one process cannot serve with more than one core. ``echo``: the server says at once what it
hears and the voice activity detector listens (the worst case of ``sessions.py``); Python does little there.

``lag_ms`` (``work``): how far the handler is behind its audio; audio that was dropped because it could not keep up
counts. ``late_ms``: how much later than its rhythm of 20 ms audio was handed to connections, over all workers.
``keeps_up``: the 99th percentile of the former is below 100 ms, of the latter below a tick, and nobody was lost.

The callers run in processes of their own on the same machine. The server is nicer than they are (``nice 5``), so that
it is the server that saturates; ``callers_late_ms_p99`` says whether that worked.
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
SERVER_NICE = 5
IN_TIME_MS = {"lag_ms": 100, "late_ms": 20}
SIZES = {"work": [1, 2, 3, 4, 5, 6], "echo": [10, 20, 30, 40]}
APP = """
import os, sys
sys.path.insert(0, {bench!r})
from fastapi import FastAPI
from _late_audio import LateAudio
from _servers import live_echo
from workers import Work
from fastrtc import Stream
from fastrtc.clock import the_clock

late = LateAudio()
handler = Work({work_ms}) if {kind!r} == "work" else live_echo()
stream = Stream(handler, modality="audio", concurrency_limit=1000, verbose=False, observers=[late])
app = FastAPI()
stream.mount(app)

@app.get("/figures")
async def figures():
    counts, late.counts[:] = list(late.counts), [0] * len(late.counts)
    lag_ms, Work.lag_ms[:] = list(Work.lag_ms), []
    return {{
        "pid": os.getpid(), "late": counts, "lag_ms": lag_ms, "skipped": the_clock.skipped_ticks,
        "sessions": len(stream.connections),
    }}
"""


def __getattr__(name: str) -> Any:
    """``Work`` is made when a server asks for it: the callers need no handlers."""
    if name == "Work":
        globals()[name] = _make_work()
        return globals()[name]
    raise AttributeError(name)


def _make_work() -> Any:
    from fastrtc import StreamHandler

    class Work(StreamHandler):
        """Computes, then says what it heard."""

        lag_ms: list[float] = []  # noqa: RUF012 - of all sessions of the process

        def __init__(self, work_ms: float) -> None:
            super().__init__(output_sample_rate=24_000)
            self._work_ms = work_ms
            self._heard: list[Any] = []
            self._done_s = 0.0
            self._start_s = float("inf")

        def receive(self, frame: Any) -> None:
            rate_hz, pcm = frame
            length_s = pcm.shape[1] / rate_hz
            until_s = time.thread_time() + length_s * self._work_ms / 100
            while time.thread_time() < until_s:
                pass
            self._done_s += length_s
            behind_s = time.monotonic() - self._done_s
            self._start_s = min(self._start_s, behind_s)
            Work.lag_ms.append(round(1000 * (behind_s - self._start_s), 1))
            self._heard.append(frame)

        def emit(self) -> Any:
            return self._heard.pop(0) if self._heard else None

        def copy(self) -> Any:
            return Work(self._work_ms)

    return Work


def main() -> int:
    """Measure each number of workers at each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--handler", choices=SIZES, default="work")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--n", type=int, nargs="+")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--work-ms", type=float, default=30.0)
    options = parser.parse_args()
    runs = []
    for n in options.n or SIZES[options.handler]:
        for workers in options.workers:
            runs.append(measure(options, workers, n))
            sys.stderr.write(json.dumps(runs[-1]) + "\n")
    knees = {
        workers: max((run["sessions"] for run in runs if run["workers"] == workers and run["keeps_up"]), default=0)
        for workers in options.workers
    }
    print(
        json.dumps({"cores": os.cpu_count(), "handler": options.handler, "kept_up_with": knees, "runs": runs}, indent=2)
    )
    return 0


def measure(options: Any, workers: int, n: int) -> dict[str, Any]:
    """One server with its callers."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        bench = str(Path(__file__).resolve().parent)
        app = APP.format(bench=bench, kind=options.handler, work_ms=options.work_ms)
        Path(folder, "bench_app.py").write_text(app, encoding="utf-8")
        command = [sys.executable, "-m", "fastrtc.cli", "serve", "bench_app:app", "--port", str(port), "--drain", "0"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command += ["--workers", str(workers), "--log-level", "error"]
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        stand_back(server.pid)
        try:
            wait_for(port, server)
            return {"workers": workers, "sessions": n, **_measure(server.pid, port, n, options.seconds)}
        finally:
            server.terminate()
            server.wait(30)


def stand_back(pid: int) -> None:
    """Let the callers have the processor first, also where all of this runs with real-time priority (``chrt -r``)."""
    psutil.Process(pid).nice(SERVER_NICE)
    policy = os.sched_getscheduler(pid) if hasattr(os, "sched_getscheduler") else 0
    if policy:
        priority = os.sched_getparam(pid).sched_priority
        os.sched_setscheduler(pid, policy, os.sched_param(max(1, priority - 1)))


def _measure(pid: int, port: int, n: int, seconds: float) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    crowds = []
    counts = [n // CALLERS + (index < n % CALLERS) for index in range(min(CALLERS, n))]
    for index, count in enumerate(counts):
        here, there = context.Pipe()
        process = context.Process(target=_call, args=(port, index, count, seconds, there))
        process.start()
        crowds.append((process, here))
    for _, here in crowds:
        here.recv()
    names = [f"caller-{index}-{number}" for index, count in enumerate(counts) for number in range(count)]
    _ask_all(port, names)
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    used_s, began_s = _cpu_s(processes), time.perf_counter()
    time.sleep(seconds)
    used_s, elapsed_s = _cpu_s(processes) - used_s, time.perf_counter() - began_s
    answers = _ask_all(port, names)
    callers_late_ms = [here.recv() for _, here in crowds]
    for process, _ in crowds:
        process.join(30)
    late_counts = np.sum([answer["late"] for answer in answers], axis=0)
    figures: dict[str, Any] = {"sessions_of_workers": sorted(answer["sessions"] for answer in answers)}
    for name, values in (
        ("lag_ms", [ms for answer in answers for ms in answer["lag_ms"]]),
        ("late_ms", np.repeat(np.arange(len(late_counts)), late_counts)),
    ):
        if len(values):
            figures[name] = {f"p{percent}": round(float(np.percentile(values, percent)), 1) for percent in (50, 99)}
    present = sum(figures["sessions_of_workers"]) == n
    return {
        **figures,
        "keeps_up": present
        and all(figures[name]["p99"] < most for name, most in IN_TIME_MS.items() if name in figures),
        "ticks_per_session_and_s": round(int(late_counts.sum()) / elapsed_s / n, 1),
        "skipped_ticks": sum(answer["skipped"] for answer in answers),
        "cpu_percent": round(100 * used_s / elapsed_s, 1),
        "callers_late_ms_p99": max(callers_late_ms),
        "load": load(),
    }


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _ask_all(port: int, names: list[str]) -> list[dict[str, Any]]:
    """Every worker's figures since it was asked last; a request that names a session gets to its worker."""
    answers: dict[int, dict[str, Any]] = {}
    for name in names:
        answer = get(port, f"/figures?webrtc_id={name}")
        known = answers.setdefault(answer["pid"], answer)
        if known is not answer:
            known["lag_ms"] += answer["lag_ms"]
            known["late"] = [one + other for one, other in zip(known["late"], answer["late"], strict=True)]
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
    crowd.clock.late_ms.clear()
    await asyncio.sleep(seconds + 2.0)
    wire.send(round(float(np.percentile(crowd.clock.late_ms, 99)), 1))
    for member in members:
        await crowd.leave(member)
    crowd.stop()


if __name__ == "__main__":
    raise SystemExit(main())

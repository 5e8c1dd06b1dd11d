"""Cost per session beside the bare engine and FastRTC 0.0.34, in one run, as JSON.

    python bench/sessions.py idle [--n 1 10 50] [--original PYTHON --vad FILE]
    python bench/sessions.py echo [--n 1 10 20 30 40] ...

``idle``: open microphones, nobody speaks, DTX negotiated. ``echo``: everybody speaks all the time, the server says at
once what it hears and its voice activity detector listens; the latency is from a caller's microphone to its ear.

Every server runs alone in a process, its callers in another; CPU is the server's, all threads, user and system.
``--original`` names the Python of an environment with ``fastrtc[vad]==0.0.34``, and ``--vad`` the Silero v4 ONNX file
that it would download (the wheel of ``faster-whisper`` 1.0.2 has it; later ones have v5, with which it hears nothing).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from engine_bare import (
    LATENCY_CALLERS,
    SETTLE_S,
    _Clock,
    _latencies_ms,
    _Voice,
    _Watcher,
    machine,
)

from fastrtc.transports.webrtc.engine import TICK_SAMPLES, PeerOptions, load_engine

SERVERS = Path(__file__).with_name("_servers.py")
START_S = 60


def main() -> int:
    """Measure every server at every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("idle", "echo"), nargs="?", default="idle")
    parser.add_argument("--n", type=int, nargs="+", default=None)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--kinds", nargs="+", default=["bare", "ours"])
    parser.add_argument("--original", help="Python of an environment with fastrtc[vad]==0.0.34")
    parser.add_argument("--vad", help="Silero v4 ONNX file for it")
    options = parser.parse_args()
    counts = options.n or ([1, 10, 50] if options.mode == "idle" else [1, 10, 20, 30])
    kinds = options.kinds + (["original"] if options.original else [])
    runs = []
    for n in counts:
        for kind in kinds:
            runs.append(measure(kind, options.mode, n, options.seconds, options.original, options.vad))
            sys.stderr.write(json.dumps(runs[-1]) + "\n")
    print(json.dumps({"machine": machine(), "runs": runs, "summary": summary(runs)}, indent=2))
    return 0


def start_server(kind: str, mode: str, port: int, original: str | None, vad: str | None) -> subprocess.Popen[bytes]:
    """One of the servers of ``_servers.py``: ``bare``, ``ours``, or ``original``, which runs on another Python."""
    python = original if kind == "original" and original else sys.executable
    command = [python, str(SERVERS), "fastrtc" if kind == "ours" else kind, mode, str(port), vad or ""]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if python != sys.executable:
        environment.pop("PYTHONPATH", None)  # another environment, with packages of its own
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def measure(kind: str, mode: str, n: int, seconds: float, original: str | None, vad: str | None) -> dict[str, Any]:
    """One server at one size."""
    port = _free_port()
    server = start_server(kind, mode, port, original, vad)
    try:
        _wait_for(port, server)
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        callers = context.Process(target=_callers, args=(port, n, seconds, mode, there))
        callers.start()
        there.close()
        here.recv()
        process = psutil.Process(server.pid)
        before, start = process.cpu_times(), time.perf_counter()
        time.sleep(seconds)
        after, elapsed = process.cpu_times(), time.perf_counter() - start
        used = after.user + after.system - before.user - before.system
        resident_mb = process.memory_info().rss / 2**20
        figures = here.recv()
        callers.join(20)
    finally:
        server.terminate()
        server.wait(20)
    return {
        "server": kind,
        "mode": mode,
        "sessions": n,
        "cpu_percent": round(100 * used / elapsed, 2),
        "cpu_percent_per_session": round(100 * used / elapsed / n, 3),
        "resident_mb": round(resident_mb, 1),
        **figures,
    }


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What stands above the bare engine, per session, at each size."""
    rows = []
    for run in runs:
        bare = next((b for b in runs if b["server"] == "bare" and b["sessions"] == run["sessions"]), None)
        if bare is None or run is bare:
            continue
        rows.append(
            {
                "server": run["server"],
                "sessions": run["sessions"],
                "above_bare_percent_per_session": round(
                    run["cpu_percent_per_session"] - bare["cpu_percent_per_session"], 3
                ),
                "ratio_to_bare": round(run["cpu_percent"] / bare["cpu_percent"], 2) if bare["cpu_percent"] else None,
            }
        )
    return rows


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the server did not start")


def _callers(port: int, n: int, seconds: float, mode: str, wire: Any) -> None:
    asyncio.run(_call(port, n, seconds, mode, wire))


async def _call(port: int, n: int, seconds: float, mode: str, wire: Any) -> None:
    engine = load_engine()
    count = min(n, LATENCY_CALLERS) if mode == "echo" else 0
    voices = [_Voice(seed, seconds + SETTLE_S + 5) for seed in range(count)]
    silence = np.zeros(TICK_SAMPLES, np.int16)
    peers: list[Any] = []
    heard: list[list[tuple[int, Any]]] = [[] for _ in range(n)]
    state = {"tick": 0, "speaking": False}

    def tick() -> None:
        number = state["tick"]
        state["tick"] += 1
        for index, peer in enumerate(list(peers)):
            pcm = peer.read()
            if pcm is not None and index < LATENCY_CALLERS and state["speaking"]:
                heard[index].append((number, pcm))
            peer.write(voices[index % len(voices)].tick(number) if state["speaking"] and voices else silence)

    clock = _Clock(tick)
    clock.start()
    answer_ms, connect_ms = [], []
    for index in range(n):
        watcher = _Watcher()
        start = time.perf_counter()
        peer = await engine.offer(PeerOptions(), watcher)
        offered = time.perf_counter()
        answer = await asyncio.to_thread(_post, port, peer.offer_sdp, f"caller-{index}")
        answer_ms.append(1000 * (time.perf_counter() - offered))
        peers.append(peer)
        await peer.set_answer(answer)
        await asyncio.wait_for(watcher.connected.wait(), 30)
        peer.send("handshake")
        connect_ms.append(1000 * (time.perf_counter() - start))
    state["speaking"] = mode == "echo"
    await asyncio.sleep(SETTLE_S)
    wire.send("ready")
    await asyncio.sleep(seconds)
    clock.stop.set()
    clock.join()
    figures: dict[str, Any] = {
        "answer_ms_median": round(float(np.median(answer_ms)), 1),
        "connect_ms_median": round(float(np.median(connect_ms)), 1),
        "callers_late_ms_p99": round(float(np.percentile(clock.late_ms, 99)), 1),
    }
    if mode == "echo":
        latencies = [ms for index, voice in enumerate(voices) for ms in _latencies_ms(voice, heard[index])]
        figures["echo_windows"] = len(latencies)
        for percent in (50, 99):
            figures[f"echo_ms_p{percent}"] = round(float(np.percentile(latencies, percent)), 1) if latencies else None
    wire.send(figures)
    for peer in peers:
        await peer.close()


def _post(port: int, sdp: str, webrtc_id: str) -> str:
    body = json.dumps({"sdp": sdp, "type": "offer", "webrtc_id": webrtc_id}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/webrtc/offer", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = json.load(response)
    if "sdp" not in answer:
        raise RuntimeError(f"the server refused: {answer}")
    sdp_answer: str = answer["sdp"]
    return sdp_answer


if __name__ == "__main__":
    raise SystemExit(main())

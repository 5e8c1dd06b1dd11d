"""Cost of idle WebSocket sessions beside a bare WebSocket server that only reads, in one run, as JSON.

    python bench/websocket_idle.py [--n 1 10 50] [--seconds 10] [--original PYTHON --vad FILE]

Nobody speaks: every client sends faint noise, either 20 ms fifty times a second ("frames"), or as this package's own
clients do ("packets": 200 ms at a time while it is quiet). CPU is the server's, all threads, user and system, after
ten seconds (voice activity detectors settle).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
import time
from typing import Any

import numpy as np
import psutil
import websockets
from engine_bare import machine
from sessions import _free_port, _wait_for, start_server, summary

from fastrtc.client.packetizer import Packetizer
from fastrtc.media.g711 import encode_ulaw

SETTLE_S = 10.0


def main() -> int:
    """Measure every server at every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--original", help="Python of an environment with fastrtc[vad]==0.0.34")
    parser.add_argument("--vad", default="", help="Silero v4 ONNX file for it")
    options = parser.parse_args()
    runs = []
    for n in options.n:
        for kind in ("bare", "ours", *(["original"] if options.original else [])):
            for sent in ("frames", "packets"):
                runs.append(measure(kind, sent, n, options.seconds, options.original, options.vad))
                sys.stderr.write(json.dumps(runs[-1]) + "\n")
    by_sent = {sent: summary([run for run in runs if run["sent"] == sent]) for sent in ("frames", "packets")}
    print(json.dumps({"machine": machine(), "runs": runs, "summary": by_sent}, indent=2))
    return 0


def measure(kind: str, sent: str, n: int, seconds: float, original: str | None, vad: str) -> dict[str, Any]:
    """One server with ``n`` clients."""
    port = _free_port()
    server = start_server(kind, "websocket", port, original, vad)
    try:
        _wait_for(port, server)
        return {
            "server": kind,
            "sent": sent,
            "sessions": n,
            **asyncio.run(_load(port, psutil.Process(server.pid), sent, n, seconds)),
        }
    finally:
        server.terminate()
        server.wait(20)


async def _load(port: int, server: psutil.Process, sent: str, n: int, seconds: float) -> dict[str, Any]:
    clients = [await websockets.connect(f"ws://127.0.0.1:{port}/websocket/offer") for _ in range(n)]
    for index, client in enumerate(clients):
        await client.send(json.dumps({"event": "start", "websocket_id": f"client-{index}"}))
    packetizer = Packetizer() if sent == "packets" else None
    await _send_all(clients, SETTLE_S, packetizer)
    before, start = server.cpu_times(), time.perf_counter()
    await _send_all(clients, seconds, packetizer)
    after, elapsed = server.cpu_times(), time.perf_counter() - start
    resident_mb = server.memory_info().rss / 2**20
    for client in clients:
        await client.close()
    used = after.user + after.system - before.user - before.system
    return {
        "cpu_percent": round(100 * used / elapsed, 2),
        "cpu_percent_per_session": round(100 * used / elapsed / n, 3),
        "resident_mb": round(resident_mb, 1),
    }


async def _send_all(clients: list[Any], seconds: float, packetizer: Packetizer | None) -> None:
    noise = (30 * np.random.default_rng(0).standard_normal((50, 960))).astype(np.int16)
    due = time.perf_counter()
    for number in range(round(seconds * 50)):
        tick = noise[number % 50]
        packet = tick if packetizer is None else packetizer.push(tick)
        if packet is not None:
            payload = base64.b64encode(encode_ulaw(packet)).decode()
            frame = json.dumps({"event": "media", "media": {"payload": payload}})
            for client in clients:
                await client.send(frame)
        due += 0.02
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


if __name__ == "__main__":
    raise SystemExit(main())

"""Cost and delay of video sessions: 640x480 at 30 images a second through a Python function and back, as JSON.

    python bench/video.py [--n 1 2 4] [--seconds 10] [--engine wrtc]

The server runs alone in a process and its callers in another. Its CPU is that of all its threads, as a share of one
core: decoding, both conversions of colours, the function (``numpy.flip``), encoding. The delay is from handing an image
to the caller's encoder until it comes back decoded. ``conversion_ms`` is one image alone, in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import psutil
from engine_bare import machine
from numpy.typing import NDArray

from fastrtc import Stream
from fastrtc.transports.webrtc.engine import PeerOptions, PeerState, load_engine

WIDTH, HEIGHT, FPS = 640, 480, 30
SETTLE_S = 6.0  # the encoders find their bit rate
BITS = 10
OPTIONS = PeerOptions(has_audio_in=False, has_audio_out=False, has_video_in=True, has_video_out=True)


def main() -> int:
    """Measure every number of sessions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--engine", default="wrtc")
    options = parser.parse_args()
    runs = []
    for n in options.n:
        runs.append(measure(n, options.seconds, options.engine))
        sys.stderr.write(json.dumps(runs[-1]) + "\n")
    report = {"machine": machine(), "picture": f"{WIDTH}x{HEIGHT}@{FPS}", "conversion_ms": conversions(), "runs": runs}
    print(json.dumps(report, indent=2))
    return 0


def measure(n: int, seconds: float, engine: str) -> dict[str, Any]:
    """One number of sessions."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(engine, theirs))
    server.start()
    try:
        return asyncio.run(_call(n, seconds, ours, psutil.Process(server.pid))) | {"engine": engine}
    finally:
        ours.send(None)
        server.join(20)


def conversions() -> dict[str, float]:
    """Milliseconds for one image, best of many."""
    from fastrtc.transports.webrtc.wrtc_video import WrtcFrame, native_buffer

    image = scenery(0)
    buffer = native_buffer(image)
    return {
        "to_picture_from_bgrx": _best_ms(lambda: WrtcFrame(buffer, 0).to_picture()),
        "to_native": _best_ms(lambda: native_buffer(image)),
    }


def _best_ms(code: Any) -> float:
    times = []
    for _ in range(100):
        start_s = time.perf_counter()
        code()
        times.append(time.perf_counter() - start_s)
    return round(1000 * min(times), 3)


def scenery(number: int) -> NDArray[np.uint8]:
    """A moving picture whose lowest rows carry a number."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    for channel in range(3):
        picture[..., channel] = 127 + 90 * np.sin((columns + 3 * number) / (31 + channel)) * np.cos(rows / 23)
    width = WIDTH // BITS
    for bit in range(BITS):
        picture[-32:, bit * width : (bit + 1) * width] = 235 if number >> bit & 1 else 20
    return picture


def _number_in(picture: NDArray[np.uint8]) -> int:
    width = picture.shape[1] // BITS
    row = picture[: picture.shape[0] // 20].mean(axis=(0, 2))  # the function has turned it upside down
    return sum(
        int(row[bit * width + width // 4 : (bit + 1) * width - width // 4].mean() > 127) << bit for bit in range(BITS)
    )


def _flip(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.flip(image, axis=0)


def _serve(engine: str, pipe: Connection) -> None:
    async def serve() -> None:
        stream = Stream(_flip, modality="video", concurrency_limit=100, engine=engine, verbose=False)
        while (offer := await asyncio.to_thread(pipe.recv)) is not None:
            pipe.send(await stream.offer(offer))
        await stream.close()

    os.environ["OMP_NUM_THREADS"] = "1"
    asyncio.run(serve())


class _Caller:
    """A client that writes one picture after another and notes when each comes back."""

    def __init__(self) -> None:
        self.peer: Any = None
        self.sent_s: dict[int, float] = {}
        self.delays_ms: list[float] = []
        self.back = 0
        self.sizes: set[tuple[int, ...]] = set()

    def on_state(self, state: PeerState) -> None:
        """The bench counts pictures, not states."""

    def on_channel_open(self) -> None:
        """Nothing is said on it."""

    def on_message(self, text: str) -> None:
        """Nothing is expected."""

    def on_candidate(self, candidate: Any) -> None:
        """All are in the offer."""

    def look(self) -> None:
        while (frame := self.peer.read_video()) is not None:
            picture = frame.to_picture()
            self.back += 1
            self.sizes.add(picture.shape[:2])
            sent_s = self.sent_s.pop(_number_in(picture), None)
            if sent_s is not None:
                self.delays_ms.append(1000 * (time.monotonic() - sent_s))


async def _call(n: int, seconds: float, pipe: Connection, server: psutil.Process) -> dict[str, Any]:
    engine = load_engine("wrtc")
    film = [scenery(number) for number in range(1, 91)]
    callers = [_Caller() for _ in range(n)]
    for number, caller in enumerate(callers):
        caller.peer = await engine.offer(OPTIONS, caller)
        pipe.send({"type": "offer", "webrtc_id": str(number), "sdp": caller.peer.offer_sdp})
        answer = await asyncio.to_thread(pipe.recv)
        await caller.peer.set_answer(answer["sdp"])
    await _film(callers, film, SETTLE_S)
    for caller in callers:
        caller.back, caller.delays_ms = 0, []
    before, start_s = server.cpu_times(), time.monotonic()
    await _film(callers, film, seconds)
    after, took_s = server.cpu_times(), time.monotonic() - start_s
    for caller in callers:
        await caller.peer.close()
    cpu_s = after.user + after.system - before.user - before.system
    delays = sorted(delay for caller in callers for delay in caller.delays_ms)
    return {
        "sessions": n,
        "cpu_share_per_session": round(cpu_s / took_s / n, 3),
        "images_back_per_s": round(sum(caller.back for caller in callers) / took_s / n, 1),
        "delay_ms_p50": round(statistics.median(delays), 1) if delays else None,
        "delay_ms_p95": round(delays[int(0.95 * len(delays))], 1) if delays else None,
        "sizes": sorted({f"{size[1]}x{size[0]}" for caller in callers for size in caller.sizes}),
    }


async def _film(callers: list[_Caller], film: list[NDArray[np.uint8]], seconds: float) -> None:
    start_s = time.monotonic()
    for count in range(int(seconds * FPS)):
        for caller in callers:
            number = count % len(film)
            caller.sent_s[number + 1] = time.monotonic()
            caller.peer.write_video(film[number])
        due_s = start_s + (count + 1) / FPS
        while (left_s := due_s - time.monotonic()) > 0:
            for caller in callers:
                caller.look()
            await asyncio.sleep(min(0.005, left_s))


if __name__ == "__main__":
    sys.exit(main())

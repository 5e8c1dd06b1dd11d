"""What resampling costs: microseconds a 20 ms frame and stream, as JSON.

    python bench/resample.py [--ticks 300] [--streams 1 8 32 64]

`live` is the FIR for received audio, alone and with all streams of a tick in one call; `output` is soxr's stream for
replies, which are not batched. `wall_us` is the median over the ticks, `wall_p99_us` the 99th percentile, `cpu_us` the
process's CPU time; all divided by the number of streams. `core_percent` is the CPU time of one stream without a break.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable

import numpy as np

from fastrtc.media.resample import LiveResampler, OutputResampler, process_many

FRAME_US = 20_000
LIVE_HZ = [(48_000, 16_000), (48_000, 24_000), (44_100, 16_000), (8_000, 16_000), (44_101, 16_000)]
OUTPUT_HZ = [(24_000, 48_000), (16_000, 48_000), (44_100, 48_000), (24_000, 8_000), (48_000, 48_000)]


def timed(tick: Callable[[], object], ticks: int, count: int) -> dict[str, float]:
    """Call `tick`, which serves `count` streams, `ticks` times."""
    for _ in range(20):
        tick()
    walls = []
    cpu = time.process_time()
    for _ in range(ticks):
        begin = time.perf_counter()
        tick()
        walls.append(time.perf_counter() - begin)
    cpu_us = (time.process_time() - cpu) * 1e6 / ticks / count
    return {
        "wall_us": round(float(np.median(walls)) * 1e6 / count, 1),
        "wall_p99_us": round(float(np.percentile(walls, 99)) * 1e6 / count, 1),
        "cpu_us": round(cpu_us, 1),
        "core_percent": round(100 * cpu_us / FRAME_US, 3),
    }


def noise(rate_hz: int) -> np.ndarray:
    """One frame."""
    return (np.random.default_rng(0).standard_normal(rate_hz // 50) * 3_000).astype(np.int16)


def live(from_hz: int, to_hz: int, count: int, ticks: int) -> dict[str, float]:
    """`count` streams in one call."""
    resamplers = [LiveResampler(from_hz, to_hz) for _ in range(count)]
    frames = [noise(from_hz)] * count
    return timed(lambda: process_many(resamplers, frames), ticks, count)


def output(from_hz: int, to_hz: int, ticks: int) -> dict[str, float]:
    """One stream of soxr."""
    resampler, frame = OutputResampler(from_hz, to_hz), noise(from_hz)
    return timed(lambda: resampler.process(frame), ticks, 1)


def main() -> None:
    """Print the cost of each pair of rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=300)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 32, 64])
    options = parser.parse_args()
    report = {
        "bench": "resample",
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "ticks": options.ticks,
        "delay_ms": {
            f"{pair[0]}-{pair[1]}": round(1000 * LiveResampler(*pair).delay_samples / pair[0], 2) for pair in LIVE_HZ
        },
        "live": {
            f"{pair[0]}-{pair[1]}": {str(count): live(*pair, count, options.ticks) for count in options.streams}
            for pair in LIVE_HZ
        },
        "output": {f"{pair[0]}-{pair[1]}": output(*pair, options.ticks) for pair in OUTPUT_HZ},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

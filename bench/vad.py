"""What judging speech costs: microseconds a 32 ms window and stream, alone and batched, as JSON.

    python bench/vad.py [--ticks 300] [--streams 1 8 32 64]

`wall_us` is the median over the ticks, `wall_p99_us` the 99th percentile, `cpu_us` the process's CPU time; all divided
by the number of streams. `core_percent` is the CPU time of one stream without a break. `streams` hear noise, so every
window is judged; `silent_streams` have been below -60 dBFS for four seconds.
"""

from __future__ import annotations

import argparse
import json
import platform
import time

import numpy as np

from fastrtc.vad.silero import SETTLING_WINDOWS, WINDOW_SAMPLES, SileroVADModel, get_silero_model

WINDOW_US = 32_000


def measure(model: SileroVADModel, count: int, ticks: int, loudness: float) -> dict[str, float]:
    """Judge noise on `count` streams, `ticks` times."""
    random = np.random.default_rng(0)
    streams = [model.new_stream() for _ in range(count)]
    windows = (random.standard_normal((count, WINDOW_SAMPLES)) * loudness).astype(np.float32)
    for _ in range(SETTLING_WINDOWS + 1):
        model.judge(streams, windows)
    walls = []
    cpu = time.process_time()
    for _ in range(ticks):
        begin = time.perf_counter()
        model.judge(streams, windows)
        walls.append(time.perf_counter() - begin)
    cpu_us = (time.process_time() - cpu) * 1e6 / ticks / count
    return {
        "wall_us": round(float(np.median(walls)) * 1e6 / count, 1),
        "wall_p99_us": round(float(np.percentile(walls, 99)) * 1e6 / count, 1),
        "cpu_us": round(cpu_us, 1),
        "core_percent": round(100 * cpu_us / WINDOW_US, 3),
    }


def main() -> None:
    """Print the cost for each number of streams, and of the first use in a process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=300)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 32, 64])
    options = parser.parse_args()
    begin = time.perf_counter()
    model = get_silero_model()
    load_s = time.perf_counter() - begin
    report = {
        "bench": "vad",
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "ticks": options.ticks,
        "load_s": round(load_s, 3),
        "streams": {str(count): measure(model, count, options.ticks, 0.1) for count in options.streams},
        "silent_streams": {str(count): measure(model, count, options.ticks, 0.0) for count in options.streams},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

"""CPU of turn-taking per session-second, as JSON: with the built-in detector, with silence alone, with Smart Turn.

    python bench/turn_taking_cpu.py [--n 1 10 50 100] [--seconds 20] [--smart-turn ONNX]

Whole sessions in virtual time on one thread, without a network: resampling, voice activity detection for all sessions
at once, gate, end-of-turn detector, turn machine, replies of one second. Every session hears another stretch of the
same recorded commands, a pause of 1.5 s between two. CPU is the process's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from engine_bare import machine

from fastrtc import AlgoOptions, ReplyOnPause
from fastrtc.clock import Ticker
from fastrtc.media.resample import resample_clip
from fastrtc.testing import Rehearsal

RATE_HZ = 48_000
TICK = RATE_HZ // 50
SPEECH = Path(__file__).parents[2] / "shared" / "speech" / "picovoice-speech-to-intent"


def main() -> int:
    """Measure every detector at every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[1, 10, 50, 100])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--smart-turn", help="path of smart-turn-v3.2-cpu.onnx")
    options = parser.parse_args()
    if not SPEECH.is_dir():
        sys.stderr.write(f"no recorded speech at {SPEECH}\n")
        return 2
    detectors: dict[str, Any] = {"silence": "silence", "sound": "sound"}
    if options.smart_turn:
        from fastrtc.speech.smart_turn import SmartTurn

        detectors["smart_turn"] = SmartTurn(options.smart_turn)
    talk = recording()
    rows = []
    for name, detector in detectors.items():
        for n in options.n:
            rows.append({"detector": name, **measure(n, options.seconds, detector, talk)})
            sys.stderr.write(json.dumps(rows[-1]) + "\n")
    print(json.dumps({"machine": machine(), "rows": rows}, indent=2))
    return 0


def recording() -> Any:
    """Spoken commands with pauses, ``int16`` at 48 kHz."""
    parts = []
    rng = np.random.default_rng(0)
    for path in sorted(SPEECH.rglob("*.flac"))[:12]:
        samples, rate_hz = soundfile.read(path, dtype="float32")
        clip = resample_clip(samples if samples.ndim == 1 else samples.mean(axis=1), rate_hz, RATE_HZ)
        parts += [clip, 0.001 * rng.standard_normal(RATE_HZ * 3 // 2).astype(np.float32)]
    return np.clip(np.concatenate(parts) * 32767, -32768, 32767).astype(np.int16)


def measure(n: int, seconds: float, detector: Any, talk: Any) -> dict[str, Any]:
    """``n`` sessions for ``seconds`` of their time."""
    options = AlgoOptions(turn_detector=detector)
    sessions = [Rehearsal(ReplyOnPause(reply, algo_options=options), RATE_HZ) for _ in range(n)]
    ticker = Ticker()
    for session in sessions:
        ticker.add(session)
    offsets = [index * 7_919 * TICK % (talk.size - TICK) for index in range(n)]
    start = time.process_time()
    ticks = round(50 * seconds)
    for number in range(ticks):
        for session, offset in zip(sessions, offsets, strict=True):
            at = (offset + number * TICK) % (talk.size - TICK)
            session.link.push(talk[at : at + TICK])
        ticker.tick()
    used = time.process_time() - start
    for session in sessions:
        session.close()
    return {
        "sessions": n,
        "turns": sum(len(session.calls) for session in sessions),
        "cpu_percent_per_session": round(100 * used / seconds / n, 3),
    }


def reply(_audio: Any) -> Iterator[Any]:
    """A second of sound."""
    yield (24_000, np.full((1, 24_000), 1000, np.int16))


if __name__ == "__main__":
    raise SystemExit(main())

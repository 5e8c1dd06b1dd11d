"""How fast the jitter buffer comes down after a bad moment, with our setting and with libwebrtc's own, as JSON.

    python bench/jitter_buffer.py [--only jitter-100 stall-8] [--runs 1] [--trial STRING]

A caller says recorded speech, without long pauses, to a peer of the engine through a UDP relay that impairs both
directions for 20 s (``_udp_relay.py``). ``delay_ms`` is from saying to reading it, in the bad time without its first
five seconds; ``after_ms`` four to eight seconds after the network has become good again, ``later_ms`` eight to twelve;
``concealed_ms`` is how much sound was made up. Each run is a process of its own, because libwebrtc fixes its field
trials at the first connection; with several the medians are printed. ``--trial`` adds another setting.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
from _recovered import Heard, pieces_of
from _udp_relay import CLEAN, Impairment, Relay
from engine_bare import _Clock, _Watcher, machine
from impairments import speech

from fastrtc.transports.webrtc.engine import PeerOptions, load_engine

OWN = (
    "WebRTC-Audio-NetEqDelayManagerConfig/"
    "quantile:0.95,forget_factor:0.983,start_forget_weight:2,resample_interval_ms:500/"
)
SETTINGS = {"libwebrtc": {"WRTC_FIELD_TRIALS": OWN}, "ours": {}}
CASES = {
    "clean": CLEAN,
    "jitter-30": Impairment(jitter_ms=30),
    "jitter-100": Impairment(jitter_ms=100),
    "stall-3": Impairment(stall_every_s=3.0),
    "stall-8": Impairment(stall_every_s=8.0),
}
CLEAN_S, BAD_S, AFTER_S = 3.0, 20.0, 13.0


def main() -> int:
    """Run every case with both settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--trial", help="field trials, as in WRTC_FIELD_TRIALS")
    parser.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(asyncio.run(measure(CASES[options.one]))))
        return 0
    settings = SETTINGS | ({options.trial: {"WRTC_FIELD_TRIALS": options.trial}} if options.trial else {})
    rows = []
    for case in options.only:
        for name, trials in settings.items():
            command = [sys.executable, __file__, "--one", case]
            runs = []
            for _ in range(options.runs):
                done = subprocess.run(command, env={**os.environ, **trials}, capture_output=True, text=True, check=True)
                runs.append(json.loads(done.stdout))
            figures = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
            rows.append({"case": case, "setting": name, **figures})
            sys.stderr.write(json.dumps(rows[-1]) + "\n")
    print(json.dumps({"machine": machine(), "rows": rows}, indent=2))
    return 0


async def measure(impairment: Impairment) -> dict[str, Any]:
    """One call."""
    engine = load_engine("wrtc")
    said = speech(CLEAN_S + BAD_S + AFTER_S)
    heard: list[tuple[float, Any]] = []
    state = {"at": 0, "start_s": 0.0}
    with Relay(seed=5) as relay:
        watchers = _Watcher(), _Watcher()
        caller = await engine.offer(PeerOptions(), watchers[0])
        listener = await engine.answer(relay.offer(caller.offer_sdp), PeerOptions(), watchers[1])
        await caller.set_answer(relay.answer(listener.answer_sdp))
        await asyncio.gather(*(asyncio.wait_for(watcher.connected.wait(), 20) for watcher in watchers))

        def tick() -> None:
            pcm = listener.read()
            if pcm is not None:
                heard.append((time.monotonic(), pcm))
            listener.write(None)
            state["start_s"] = state["start_s"] or time.monotonic()
            piece = said[state["at"] : state["at"] + 960]
            state["at"] += 960
            caller.write(piece if len(piece) == 960 else None)

        clock = _Clock(tick)
        clock.start()
        await asyncio.sleep(CLEAN_S)
        relay.impair(impairment)
        await asyncio.sleep(BAD_S)
        relay.impair(CLEAN)
        await asyncio.sleep(AFTER_S)
        stats = await listener.stats()
        clock.stop.set()
        clock.join()
        await caller.close()
        await listener.close()
    lengths = np.cumsum([len(pcm) for _, pcm in heard])
    recording = Heard(np.concatenate([pcm for _, pcm in heard]), lengths, np.array([at for at, _ in heard]))
    pieces = pieces_of(said, state["start_s"], recording)
    bad_s = state["start_s"] + CLEAN_S

    def delays_ms(first_s: float, last_s: float) -> list[float]:
        return [1000 * p.delay_s for p in pieces if p.delay_s is not None and first_s <= p.said_s - bad_s < last_s]

    bad = delays_ms(5.0, BAD_S)
    return {
        "delay_ms": round(float(np.median(bad)), 1),
        "delay_ms_p95": round(float(np.quantile(bad, 0.95)), 1),
        "after_ms": round(float(np.median(delays_ms(BAD_S + 4.0, BAD_S + 8.0))), 1),
        "later_ms": round(float(np.median(delays_ms(BAD_S + 8.0, BAD_S + 12.0))), 1),
        "concealed_ms": round(stats.concealed_samples / 48),
    }


if __name__ == "__main__":
    raise SystemExit(main())

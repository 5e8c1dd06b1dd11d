"""What a simulated dialogue costs: CPU milliseconds to replay 30 s, without models, as JSON.

    python bench/dialogue_replay.py [--runs 20]

`session_16k` and `session_48k` replay a whole session (audio in 20 ms frames, resampling, gate, turns, replies,
playout) whose detector follows a script, and whose turns end by silence; `turns_only` feeds the pure turn machine the
same speech. Lowest and median of the runs.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable

from fastrtc.testing import Script, ScriptedVad
from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.machine import StartReply, TurnMachine
from fastrtc.turns.options import AlgoOptions, turn_settings
from fastrtc.turns.patience import FixedPatience

SECONDS = 30.0
WINDOW = 512
SCRIPT = Script.parse(
    """
    set turn_detector silence
    reply * after=0.2 lasts=2.5
    0.5 speech 1.5
    5.0 speech 1.5
    7.6 speech 0.13
    11.0 speech 1
    13.5 speech 1
    17.5 speech 1.5
    19.0 speech 3
    26.0 speech 1
    30.0 end
    """
)


def replay_session(rate_hz: int) -> int:
    """Replay the session; the number of replies."""
    return len(SCRIPT.play(rate_hz).calls)


def replay_turns() -> int:
    """Replay the speech through the turn machine, with replies that last 2.5 s; the number of replies."""
    settings = turn_settings(
        AlgoOptions(), rate_hz=16_000, threshold=0.5, min_speech_ms=64, speech_pad_ms=400, can_interrupt=True
    )
    machine, vad = TurnMachine(settings, FixedPatience(300.0)), ScriptedVad(SCRIPT.speech)
    replies, ends = 0, 0
    for start in range(0, int(SECONDS * 16_000), WINDOW):
        end = start + WINDOW
        window = SpeechWindow(start, end, vad.probability_at((start + WINDOW / 2) / 16_000))
        for decision in machine.hear(window, end):
            if isinstance(decision, StartReply):
                replies += 1
                ends = end + 40_000
                machine.reply_audible(decision.turn)
        if ends and end >= ends:
            ends = 0
            machine.reply_finished(machine.turn)
    return replies


def measure(replay: Callable[[], int], runs: int) -> dict[str, float]:
    """CPU time of the replay."""
    replies = replay()
    spent = []
    for _ in range(runs):
        before = time.process_time()
        replay()
        spent.append((time.process_time() - before) * 1000)
    return {
        "replies": replies,
        "cpu_ms_min": round(min(spent), 2),
        "cpu_ms_median": round(statistics.median(spent), 2),
        "times_real_time": round(SECONDS * 1000 / statistics.median(spent)),
    }


def main() -> None:
    """Print the cost of each replay."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    report = {
        "bench": "dialogue_replay",
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "seconds": SECONDS,
        "turns_only": measure(replay_turns, options.runs),
        "session_16k": measure(lambda: replay_session(16_000), options.runs),
        "session_48k": measure(lambda: replay_session(48_000), options.runs),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

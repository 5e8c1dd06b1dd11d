"""How soon the end of a turn is found, and how often too soon: the whole frontier, per corpus, as JSON and a plot.

    python bench/endpointing.py [--out bench/out/endpointing] [--smart-turn ONNX] [--folds DIR] [--corpora NAME ...]

Every clip goes through the product's own turn-taking (`UserTurn`, the policy, the detector) window by window, with
packets of 20 ms. `cut`: a reply began more than 50 ms before the labelled end; latency is from that end to the first
reply after it. With `--folds` (see `_train_end_of_turn.py --folds`) each clip that the shipped weights have learnt from
is judged by weights that have not; without it those corpora are marked `heard in training`. `elsewhere` holds points of
others on the phone corpus: FastRTC 0.0.34 with its defaults, and an earlier sketch, by silence alone and by Smart Turn
with a wait of 0.3 + 1.2 (1 - p) s.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _endpointing_corpora import (
    BOOKS,
    COMMANDS,
    DATA,
    FOLDERS,
    HESITATIONS,
    MEETINGS,
    PHONE_SENTENCES,
    PHONE_WORDS,
    RATE_HZ,
    READ,
    Clip,
    MeetingPause,
    corpus_clips,
    hesitations,
    meeting_pauses,
    noise_clips,
    phone_clips,
)

from fastrtc.handlers.endpoint import Endpoint
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.speech.end_of_turn import EndOfTurnModel
from fastrtc.speech.second_opinion import SecondOpinion
from fastrtc.speech.smart_turn import SmartTurn
from fastrtc.turns.detector import TurnDetector
from fastrtc.turns.endpointing import AdaptivePatience
from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.patience import EndpointPolicy, FixedPatience, Pause
from fastrtc.turns.user_turn import AskDetector, Ended, UserTurn

WINDOW, FRAME, RESAMPLER_DELAY = 512, 320, 32
NEVER_HEARD = {PHONE_WORDS, PHONE_SENTENCES, "prompts", "digits"}
ELSEWHERE = {
    PHONE_WORDS: {"FastRTC 0.0.34": {"mean_s": 0.63, "cut_percent": 0.0, "missed_percent": 8.9}},
    PHONE_SENTENCES: {
        "FastRTC 0.0.34": {"mean_s": 0.64, "cut_percent": 71.8, "missed_percent": 7.1},
        "sketch: silence 0.5 s": {"mean_s": 0.68, "cut_percent": 49.0},
        "sketch: silence 1.0 s": {"mean_s": 1.21, "cut_percent": 8.0},
        "sketch: Smart Turn": {"mean_s": 0.58, "cut_percent": 42.0},
    },
}
MARKERS = "X+x1"
SILENCES_MS = (128, 200, 300, 400, 500, 600, 700, 800, 1000, 1200)
SHIFTS = (-3.0, -2.0, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class SketchPatience:
    """The sketch's rule: 0.3 s, and up to 1.2 s more the less likely the end is."""

    asks_ms: tuple[float, ...] = tuple(192.0 + 96.0 * number for number in range(14))

    def required_silence_ms(self, pause: Pause) -> float:
        """0.3 + 1.2 (1 - mean p) seconds."""
        if not pause.answers:
            return 1500.0
        return 300.0 + 1200.0 * (1.0 - float(np.mean([p for _, p in pause.answers])))


class Asked:
    """A detector that remembers its answers, so that many policies cost one run of it.

    Args:
        choose: The detector for a clip.
    """

    def __init__(self, choose: Callable[[Clip], TurnDetector]) -> None:
        self._choose = choose
        self._answers: dict[tuple[str, int, int], float] = {}

    def of(self, clip: Clip) -> TurnDetector:
        """The detector for this clip."""
        return self._choose(clip)

    def __call__(self, clip: Clip, ask: AskDetector) -> float:
        """The probability for what the turn machine asks."""
        key = (clip.name, ask.start, ask.end)
        if key not in self._answers:
            count = min(round((ask.end - ask.start) / WINDOW), 8 * RATE_HZ // WINDOW)
            end = (ask.end - RESAMPLER_DELAY) // WINDOW * WINDOW  # the detector gets whole windows, as in a session
            heard = clip.samples[max(0, end - count * WINDOW) : end]
            self._answers[key] = self._choose(clip).probability(heard, ask.silence_ms)
        return self._answers[key]


SETTINGS = Endpoint.of(ReplyOnPause(lambda _: None, input_sample_rate=RATE_HZ)).settings


def replies_s(clip: Clip, policy: EndpointPolicy, ask: Asked | None) -> list[float]:
    """When replies would begin, in seconds from the clip's start."""
    turn, found = UserTurn(SETTINGS, policy), []
    for number, probability in enumerate(clip.probabilities.tolist()):
        end = (number + 1) * WINDOW
        at = -(-(end + RESAMPLER_DELAY) // FRAME) * FRAME
        outputs = turn.step(SpeechWindow(end - WINDOW, end, probability), at)
        for output in outputs:
            if isinstance(output, AskDetector) and ask is not None:
                turn.answered(output, ask(clip, output))
                outputs = [*outputs, ended] if (ended := turn.decide(at)) else outputs
        found += [output.at / RATE_HZ for output in outputs if isinstance(output, Ended)]
    return found


def judge(clips: list[Clip], policy: EndpointPolicy, ask: Asked | None) -> dict[str, Any]:
    """The figures of one policy on some clips."""
    cut = missed = 0
    late = []
    for clip in clips:
        times = replies_s(clip, policy, ask)
        cut += any(time < clip.true_end_s - 0.05 for time in times)
        after = [time for time in times if time >= clip.true_end_s - 0.05]
        missed += not after
        late += [after[0] - clip.true_end_s] if after else []
    quantiles = np.percentile(late, [50, 90]) if late else [math.nan, math.nan]
    return {
        "clips": len(clips),
        "cut_percent": round(100 * cut / len(clips), 1),
        "mean_s": round(float(np.mean(late)), 3) if late else None,
        "p50_s": round(float(quantiles[0]), 3),
        "p90_s": round(float(quantiles[1]), 3),
        "missed": missed,
    }


def false_turns(clips: Iterable[Clip], policy: EndpointPolicy, ask: Asked | None) -> Any:
    """Replies to nobody."""
    chosen = list(clips)
    seconds = sum(clip.length_s for clip in chosen)
    count = sum(len(replies_s(clip, policy, ask)) for clip in chosen)
    return {"seconds": round(seconds, 1), "false_turns": count, "per_hour": round(3600 * count / seconds, 1)}


def meetings(pauses: list[MeetingPause], policy: EndpointPolicy, ask: Asked | None) -> dict[str, Any]:
    """How a policy takes the silences of meetings: replies while the same speaker pauses, and at other silences."""
    replies = {pause.clip.name: replies_s(pause.clip, policy, ask) for pause in pauses}
    taken: dict[bool, list[float | None]] = {True: [], False: []}
    for pause in pauses:
        inside = [time for time in replies[pause.clip.name] if pause.start_s < time < pause.end_s]
        taken[pause.same].append(inside[0] - pause.start_s if inside else None)
    waits = [wait for wait in taken[False] if wait is not None]
    return {
        "same speaker goes on": len(taken[True]),
        "replied to": sum(wait is not None for wait in taken[True]),
        "other silences": len(taken[False]),
        "answered": len(waits),
        "mean_s after the detector's end": round(float(np.mean(waits)), 3) if waits else None,
    }


def frontier(patience: AdaptivePatience) -> dict[str, AdaptivePatience]:
    """The default policy asked to be surer or less sure of an end."""
    return {
        f"{shift:+.2f}": replace(
            patience,
            sure_short=patience.sure_short + shift,
            sure_completion=patience.sure_completion + shift,
            sure_long=patience.sure_long + shift,
        )
        for shift in SHIFTS
    }


def load_clips(names: list[str], data: Path) -> dict[str, list[Clip]]:
    """The corpora that are asked for."""
    makers: dict[str, Callable[[], list[Clip]]] = {
        PHONE_WORDS: partial(phone_clips, "word", data),
        PHONE_SENTENCES: partial(phone_clips, "sentence", data),
        **{corpus: partial(corpus_clips, corpus, data) for corpus in FOLDERS if corpus not in (MEETINGS, BOOKS)},
    }
    clips = {name: make() for name, make in makers.items() if name in names}
    if HESITATIONS in names:
        fluent = (corpus_clips(corpus, data) for corpus in (COMMANDS, READ, BOOKS))
        clips[HESITATIONS] = [clip for corpus in fluent for clip in hesitations(corpus, 4)]
    return clips


def small_model(folds: Path | None) -> Asked:
    """The built-in detector; for clips that it learnt from, the one that did not hear them."""
    shipped = EndOfTurnModel()
    others = [EndOfTurnModel(path) for path in sorted(folds.glob("fold*.npz"))] if folds else []
    if not others:
        return Asked(lambda _: shipped)
    return Asked(lambda clip: shipped if clip.corpus in NEVER_HEARD else others[clip.number % len(others)])


def measure(clips: dict[str, list[Clip]], small: Asked, smart: Asked | None) -> dict[str, dict[str, Any]]:
    """Every family of policies on every corpus."""
    report: dict[str, dict[str, Any]] = {}
    patience = AdaptivePatience()
    plain = replace(
        patience,
        sure_paused=0.0,
        sure_completion=patience.sure_short,
        shortest_paused_ms=patience.shortest_ms,
        long_phrase_ms=math.inf,
    )
    for corpus, chosen in clips.items():
        families: dict[str, Any] = {
            "silence": {f"{ms} ms": judge(chosen, FixedPatience(ms), None) for ms in SILENCES_MS},
            "default": judge(chosen, patience, small),
            "default, shifted": {name: judge(chosen, policy, small) for name, policy in frontier(patience).items()},
            "without phrase length and pauses": {
                name: judge(chosen, policy, small) for name, policy in frontier(plain).items()
            },
        }
        if smart is not None:
            families["Smart Turn, sketch's rule"] = judge(chosen, SketchPatience(), smart)
            surer = replace(patience, sure_short=patience.sure_short + 1.0, sure_long=3.9)
            families["Smart Turn, shifted"] = {
                name: judge(chosen, policy, smart) for name, policy in frontier(surer).items()
            }
            both = Asked(lambda clip: SecondOpinion(smart.of(clip), first=small.of(clip)))
            families["default, Smart Turn where in doubt"] = {
                name: judge(chosen, policy, both) for name, policy in frontier(patience).items()
            }
        report[corpus] = families
    return report


def in_meetings(data: Path, small: Asked, smart: Asked | None) -> dict[str, Any]:
    """The silences of meetings under a few policies."""
    pauses = meeting_pauses(data)
    found = {f"silence {ms} ms": meetings(pauses, FixedPatience(ms), None) for ms in (300, 500, 700, 1000)}
    found["default"] = meetings(pauses, AdaptivePatience(), small)
    if smart is not None:
        found["Smart Turn, sketch's rule"] = meetings(pauses, SketchPatience(), smart)
    return found


def plot(report: dict[str, dict[str, Any]], path: Path) -> None:
    """Cut against mean latency, one panel a corpus."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(3, len(report))
    rows = -(-len(report) // columns)
    figure, panels = pyplot.subplots(rows, columns, figsize=(5.2 * columns, 4.2 * rows), squeeze=False)
    for axes, (corpus, families) in zip(panels.flat, report.items(), strict=False):
        for name, points in families.items():
            chosen = [points] if "clips" in points else list(points.values())
            chosen = sorted((p["mean_s"], p["cut_percent"]) for p in chosen if p["mean_s"] is not None)
            single = len(chosen) == 1
            axes.plot(*zip(*chosen, strict=True), "*" if single else ".-", markersize=14 if single else 6, label=name)
        for marker, (name, point) in zip(MARKERS, ELSEWHERE.get(corpus, {}).items(), strict=False):
            axes.plot(point["mean_s"], point["cut_percent"], f"k{marker}", markersize=9, label=name)
        axes.set(title=corpus, xlabel="mean latency, s", ylabel="cut off, %", xlim=(0, 1.5), ylim=(-3, 103))
        axes.grid(alpha=0.3)
    for axes in panels.flat[len(report) :]:
        axes.set_axis_off()
    named = {text: line for axes in panels.flat for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.tight_layout(rect=(0, 0.2 / rows, 1, 1))
    figure.legend(named.values(), named.keys(), loc="lower center", ncols=4, fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the figures and write the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out" / "endpointing")
    parser.add_argument("--smart-turn", type=Path)
    parser.add_argument("--folds", type=Path)
    names = [PHONE_WORDS, PHONE_SENTENCES, *FOLDERS, HESITATIONS]
    parser.add_argument("--corpora", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    model = SmartTurn(options.smart_turn) if options.smart_turn else None
    smart = Asked(lambda _: model) if model else None
    small = small_model(options.folds)
    corpora = measure(load_clips(options.corpora, options.data), small, smart)
    report = {
        "bench": "endpointing",
        "elsewhere": ELSEWHERE,
        "heard in training": [] if options.folds else sorted(set(corpora) - NEVER_HEARD),
        "noise and music": false_turns(noise_clips(options.data), AdaptivePatience(), small),
        "meetings": in_meetings(options.data, small, smart),
        "corpora": corpora,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(report, indent=1))
    plot(corpora, options.out.with_suffix(".png"))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

"""The picture of a call: who spoke when, what happened, how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastrtc.client.record import CallRecord, Sound
from fastrtc.client.turns import TurnTimes, measure_turns
from fastrtc.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

USER, REPLY, INK, MUTED, GRID, WAIT = "#2563eb", "#0d9488", "#111827", "#6b7280", "#e5e7eb", "#d97706"
LANE_Y = {"user": 1.0, "reply": -1.0}
LANE_HALF = 0.62
COLUMNS = 2_400
MIN_WIDTH_IN, MAX_WIDTH_IN, IN_PER_S = 11.0, 26.0, 0.8

# Which events are drawn, how they are called and in whose colour.
EVENTS = {
    "user_started_speaking": ("speech detected", USER),
    "user_stopped_speaking": ("speech ended", USER),
    "turn_committed": ("turn over", WAIT),
    "turn_discarded": ("turn discarded", WAIT),
    "first_audio": ("first audio", REPLY),
    "playback_started": ("reply heard", REPLY),
    "reply_held": ("reply held", WAIT),
    "reply_resumed": ("reply resumed", REPLY),
    "reply_interrupted": ("interrupted", "#dc2626"),
    "playback_finished": ("reply finished", REPLY),
    "handler_failed": ("error", "#dc2626"),
}


def check_can_draw() -> None:
    """Before a call is made for a picture of it.

    Raises:
        MissingExtraError: matplotlib is not installed (extra ``plot``).
    """
    try:
        import_module("matplotlib.figure")
    except ImportError as error:
        raise MissingExtraError("drawing a timeline", "plot") from error


def draw_timeline(path: str | Path, record: CallRecord, title: str) -> None:
    """Draw a call as PNG (or what the file's ending says).

    Args:
        path: Where to.
        record: The call.
        title: For the head of the picture.

    Raises:
        MissingExtraError: matplotlib is not installed (extra ``plot``).
    """
    check_can_draw()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    turns = measure_turns(record)
    end_s = _end_s(record)
    width = min(MAX_WIDTH_IN, max(MIN_WIDTH_IN, 2.5 + IN_PER_S * end_s))
    labels = _place_labels(record, end_s, seconds_per_inch=end_s / (width - 1.5))
    rows = 1 + max((label.row for label in labels), default=0)
    height = 4.3 + 0.26 * rows
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((1.1 / width, 0.55 / height, 1 - 1.5 / width, 1 - 1.45 / height))
    _draw_lanes(axes, record, end_s)
    _draw_waits(axes, turns)
    top = _draw_events(axes, labels)
    _finish_axes(axes, end_s, top)
    _draw_head(figure, title, turns, width, height)
    figure.savefig(path, dpi=140)


def describe(turns: list[TurnTimes]) -> str:
    """The turns in words, one line."""
    waits = [turn.wait_ms for turn in turns if turn.wait_ms is not None]
    if not turns:
        return "no reply was heard"
    words = f"{len(turns)} {'turn' if len(turns) == 1 else 'turns'}"
    if waits:
        words += f", reply heard {np.median(waits):.0f} ms after the end of speech"
        words += " (median)" if len(waits) > 1 else ""
    return words


def _end_s(record: CallRecord) -> float:
    return max(record.said.duration_s, record.heard.duration_s, 1.0)


def _draw_lanes(axes: Axes, record: CallRecord, end_s: float) -> None:
    for name, sound, colour, label in (
        ("user", record.said, USER, "You"),
        ("reply", record.heard, REPLY, "Reply"),
    ):
        y = LANE_Y[name]
        axes.axhspan(y - LANE_HALF - 0.1, y + LANE_HALF + 0.1, color=colour, alpha=0.05, linewidth=0)
        times, low, high = _envelope(sound, end_s)
        axes.fill_between(times, y + low * LANE_HALF, y + high * LANE_HALF, color=colour, linewidth=0)
        axes.axhline(y, color=colour, linewidth=0.6, alpha=0.5)
        axes.text(
            -0.012, y, label, transform=axes.get_yaxis_transform(), ha="right", va="center", color=colour, fontsize=12,
            fontweight="bold",
        )  # fmt: skip


def _envelope(sound: Sound, end_s: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Lowest and highest sample of each column, scaled so that the loudest reaches 1."""
    size = max(1, round(end_s * sound.rate_hz / COLUMNS))
    count = len(sound.pcm) // size
    columns = sound.pcm[: count * size].reshape(count, size) if count else np.zeros((1, 1), np.int16)
    low, high = columns.min(axis=1).astype(float), columns.max(axis=1).astype(float)
    peak = max(1_000.0, -low.min(), high.max())
    return (np.arange(len(low)) + 0.5) * size / sound.rate_hz, low / peak, high / peak


def _draw_waits(axes: Axes, turns: list[TurnTimes]) -> None:
    for turn in turns:
        if turn.user_end_s is None or turn.wait_ms is None:
            continue
        start, end = turn.user_end_s, turn.reply_start_s
        low, high = LANE_Y["reply"] - LANE_HALF - 0.1, LANE_Y["user"] + LANE_HALF + 0.1
        axes.fill_between([start, end], low, high, color=WAIT, alpha=0.10, linewidth=0)
        arrow = {"arrowstyle": "<->", "color": WAIT, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (start, 0.0), (end, 0.0), arrowprops=arrow)
        server = turn.latency_ms.get("total")
        words = f"heard after {turn.wait_ms:.0f} ms" + (f" (server: {server:.0f} ms)" if server else "")
        axes.text(
            end + 0.04, 0.0, words, ha="left", va="center", fontsize=10, fontweight="bold", color=WAIT,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.85},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Label:
    at_s: float
    text: str
    colour: str
    row: int
    is_left: bool  # of its line, because it would not fit on the right


def _place_labels(record: CallRecord, end_s: float, seconds_per_inch: float) -> list[_Label]:
    """Every event with its row: the lowest whose last label it does not touch."""
    placed: list[_Label] = []
    row_ends: list[float] = []
    for message in record.messages:
        if message.event not in EVENTS:
            continue
        name, colour = EVENTS[message.event]
        text = f"{name}  {message.at_s:.2f} s"
        length_s = (0.072 * len(text) + 0.2) * seconds_per_inch
        is_left = message.at_s + length_s > end_s
        start = message.at_s - length_s if is_left else message.at_s
        row = next((n for n, taken in enumerate(row_ends) if taken <= start), len(row_ends))
        if row == len(row_ends):
            row_ends.append(0.0)
        row_ends[row] = start + length_s
        placed.append(_Label(message.at_s, text, colour, row, is_left))
    return placed


def _draw_events(axes: Axes, labels: list[_Label]) -> float:
    base, step = LANE_Y["user"] + LANE_HALF + 0.35, 0.27
    bottom = LANE_Y["reply"] - LANE_HALF - 0.1
    top = base
    for label in labels:
        y = base + label.row * step
        top = max(top, y)
        axes.plot([label.at_s, label.at_s], [bottom, y], color=label.colour, linewidth=0.9, alpha=0.5, zorder=3)
        axes.plot([label.at_s], [y], marker="o", markersize=4.5, color=label.colour, zorder=6)
        axes.annotate(
            label.text, (label.at_s, y), xytext=(-8 if label.is_left else 8, 0), textcoords="offset points",
            ha="right" if label.is_left else "left", va="center", fontsize=9, color=label.colour, zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )  # fmt: skip
    return top + step


def _finish_axes(axes: Axes, end_s: float, top: float) -> None:
    axes.set_xlim(0, end_s)
    axes.set_ylim(LANE_Y["reply"] - LANE_HALF - 0.1, top)
    axes.set_yticks([])
    axes.set_xlabel("seconds of the call", color=MUTED, fontsize=9)
    axes.tick_params(axis="x", colors=MUTED, labelsize=9, length=3)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)


def _draw_head(figure: Any, title: str, turns: list[TurnTimes], width: float, height: float) -> None:
    x = 1.1 / width
    figure.text(x, 1 - 0.42 / height, title, fontsize=14, fontweight="bold", color=INK, va="center")
    figure.text(x, 1 - 0.70 / height, describe(turns), fontsize=10.5, color=MUTED, va="center")

"""How much of what was said was heard, and how late: pieces of 100 ms, each looked for in what was heard. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 48_000
PIECE = RATE_HZ // 10
SEARCH_S = 2.5
LIKE = 0.6  # correlation from which a piece counts as heard; unrelated speech reaches it in 1 of 150 pieces
NEIGHBOURS = 8  # on each side, by whose delay a piece is judged
STEADY_S = 0.35  # a jitter buffer changes its delay by less in that time
LOUD = 0.25  # of the whole's level: quieter pieces are pauses, whose noise no codec keeps


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording whose frames have the time at which they came.

    Attributes:
        pcm: 48 kHz, mono.
        ends: Index of the end of each frame in ``pcm``.
        at_s: When each frame came: the time of its end.
    """

    pcm: NDArray[np.int16]
    ends: NDArray[np.int64]
    at_s: NDArray[np.float64]

    def time_of(self, index: int) -> float:
        """When a sample came, on a clock without jumps: that of the frame's end less what follows in the frame."""
        frame = min(int(np.searchsorted(self.ends, index, side="right")), len(self.ends) - 1)
        return float(self.at_s[frame]) - (int(self.ends[frame]) - index) / RATE_HZ

    def index_at(self, time_s: float) -> int:
        """The first sample that came after a time."""
        frame = int(np.searchsorted(self.at_s, time_s))
        return int(self.ends[frame - 1]) if frame > 0 else 0


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of what was said.

    Attributes:
        said_s: When it was said.
        score: Correlation with the most similar place of what was heard; 0 to 1.
        delay_s: From saying to hearing it; None: it was not heard.
    """

    said_s: float
    score: float
    delay_s: float | None


def pieces_of(said: NDArray[np.int16], start_s: float, heard: Heard) -> list[Piece]:
    """Look for each piece.

    Args:
        said: 48 kHz, said in real time.
        start_s: When its first sample was said, on the clock of ``heard``.
        heard: What came.
    """
    level = float(np.sqrt(np.mean(said.astype(np.float64) ** 2)))
    found = []
    for start in range(0, len(said) - PIECE + 1, PIECE):
        piece = said[start : start + PIECE].astype(np.float64)
        if np.sqrt(np.mean(piece**2)) < LOUD * level:
            continue
        said_s = start_s + start / RATE_HZ
        first = max(0, heard.index_at(said_s) - PIECE)
        window = heard.pcm[first : heard.index_at(said_s + SEARCH_S) + PIECE].astype(np.float64)
        score, at = _best(piece, window)
        delay_s = heard.time_of(first + at) - said_s if score >= LIKE else None
        found.append(Piece(said_s, score, delay_s))
    return _steady(found)


def _steady(pieces: list[Piece]) -> list[Piece]:
    """Take back what is only alike: a voice resembles itself, but not at the delay of what was said around."""
    kept = []
    for number, piece in enumerate(pieces):
        around = pieces[max(0, number - NEIGHBOURS) : number + NEIGHBOURS + 1]
        usual_s = np.median([one.delay_s for one in around if one.delay_s is not None] or [0.0])
        is_odd = piece.delay_s is not None and abs(piece.delay_s - usual_s) > STEADY_S
        kept.append(replace(piece, delay_s=None) if is_odd else piece)
    return kept


def _best(piece: NDArray[np.float64], window: NDArray[np.float64]) -> tuple[float, int]:
    if len(window) < len(piece):
        return 0.0, 0
    size = 1 << (len(window) + len(piece)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(piece, size)), size)
    cross = cross[: len(window) - len(piece) + 1]
    power = np.concatenate([[0.0], np.cumsum(window**2)])
    energy = power[len(piece) :] - power[: -len(piece)]
    score = cross / (np.sqrt(np.maximum(energy, 0.0) * (piece**2).sum()) + 1.0)
    at = int(np.argmax(score))
    return float(score[at]), at


def summary(pieces: list[Piece], clean_end_s: float, bad_end_s: float, last_s: float) -> dict[str, float | None]:
    """The figures of one direction.

    Args:
        pieces: Of the whole call.
        clean_end_s: When the network became bad.
        bad_end_s: When it became good again.
        last_s: From when on what is left of the delay is looked at.

    Returns:
        Percent heard while the network was bad and in the end, and milliseconds of delay beside the clean beginning.
    """
    clean = [p for p in pieces if p.said_s < clean_end_s]
    bad = [p for p in pieces if clean_end_s <= p.said_s < bad_end_s]
    last = [p for p in pieces if p.said_s >= last_s]
    base = _median_ms(clean)
    return {
        "clean_percent": _percent(clean),
        "bad_percent": _percent(bad),
        "after_percent": _percent(last),
        "clean_delay_ms": base,
        "bad_delay_ms": _less(_median_ms(bad), base),
        "bad_delay_ms_p95": _less(_quantile_ms(bad, 0.95), base),
        "after_delay_ms": _less(_median_ms(last), base),
    }


def _percent(pieces: list[Piece]) -> float | None:
    return round(100 * sum(p.delay_s is not None for p in pieces) / len(pieces), 1) if pieces else None


def _quantile_ms(pieces: list[Piece], quantile: float) -> float | None:
    delays = [1000 * p.delay_s for p in pieces if p.delay_s is not None]
    return round(float(np.quantile(delays, quantile)), 1) if delays else None


def _median_ms(pieces: list[Piece]) -> float | None:
    return _quantile_ms(pieces, 0.5)


def _less(value: float | None, base: float | None) -> float | None:
    return round(value - base, 1) if value is not None and base is not None else None

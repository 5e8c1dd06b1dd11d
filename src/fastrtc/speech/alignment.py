"""Where words lie in a piece of audio, by what Moonshine's decoder attended to while it wrote them.

A few heads of the decoder look at the place in the audio that the next token is written from (as those of Whisper do:
Radford et al., 2022; openai/whisper, ``timing.py``). Where a word begins they agree to some hundredths of a second, and
the weakest place of the sound nearby says the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastrtc.speech.moonshine_net import RATE_HZ

Float: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

STEP_MS = 5  # between the places that are compared
STEP = RATE_HZ * STEP_MS // 1000

# Of the tiny model: layer, head, and how many seconds behind the beginning of the word it looks. Chosen on "jarvis",
# "alexa", "athena" and eight other words with a sentence joined to them; "computer" was not among them.
HEADS = ((4, 0, -0.048), (4, 6, 0.006), (3, 2, -0.013), (3, 0, -0.006), (3, 1, -0.065))
SMOOTH_STEPS = 17
LEAST = 1e-3  # so that heads that all look elsewhere do not forbid a place
DIP_DB = 0.04  # of a logarithm for each decibel that a place is weaker than its surroundings
AROUND_STEPS = 30
STEEPEST_DB = 25.0
SILENT_DB = 25.0  # below the loudest of a word


def loudness(samples: Float, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    """The level of each 5 ms, over 20 ms, in dB; high sounds count more."""
    hop = rate_hz * STEP_MS // 1000
    sharp = np.diff(samples, prepend=samples[:1]).astype(np.float64) ** 2
    level: NDArray[np.float64] = 10 * np.log10(np.convolve(sharp, np.ones(4 * hop) / (4 * hop), "same")[::hop] + 1e-10)
    return level


def beginnings(attention: Float, samples: Float, lead_s: float, tail_s: float) -> NDArray[np.float64]:
    """How much speaks for each place as the one where what a token begins, in logarithms.

    Args:
        attention: Of :meth:`fastrtc.speech.moonshine_net.Writing.attention`, shape ``(layers, heads, tokens, states)``.
        samples: The audio, shape ``(n,)``.
        lead_s: What the encoder was given before it, in seconds, and ...
        tail_s: ... behind it.

    Returns:
        Shape ``(tokens, places)``, a place for each ``STEP`` samples.
    """
    count = attention.shape[-1]
    seconds = samples.size / RATE_HZ + lead_s + tail_s
    states_s = (np.arange(count) + 0.5) * seconds / count - lead_s
    level = loudness(samples)
    places_s = np.arange(level.size) * STEP_MS / 1000
    looked = np.array(
        [
            np.mean(
                [np.interp(places_s, states_s - behind_s, attention[a, b, row]) for a, b, behind_s in HEADS], axis=0
            )
            for row in range(attention.shape[2])
        ]
    )
    bell = np.hanning(SMOOTH_STEPS)
    smooth = np.array([_same(row, bell / bell.sum()) for row in looked])
    dip = np.clip(
        level - _same(level, np.ones(2 * AROUND_STEPS + 1) / (2 * AROUND_STEPS + 1)), -STEEPEST_DB, STEEPEST_DB
    )
    found: NDArray[np.float64] = np.log(smooth + LEAST) - DIP_DB * dip
    return found


def in_order(scores: NDArray[np.float64]) -> list[int]:
    """The best place for each row that does not lie before the place of the row above (dynamic programming)."""
    total = scores[0]
    below: list[NDArray[np.int64]] = []
    for row in scores[1:]:
        best = np.maximum.accumulate(total)
        # The last place so far that reached the best.
        below.append(np.maximum.accumulate(np.where(total >= best, np.arange(total.size), 0)))
        total = row + best
    place = int(total.argmax())
    places = [place]
    for reached in reversed(below):
        place = int(reached[place])
        places.append(place)
    return places[::-1]


def spans(scores: NDArray[np.float64], samples: Float) -> list[tuple[float, float]]:
    """Where words begin and end, in seconds; silence between two of them belongs to neither.

    Args:
        scores: The rows of :func:`beginnings` of the first token of each word, and of what follows the last one.
        samples: The audio.
    """
    level = loudness(samples)
    places = in_order(scores)
    return [_sounding(level, first, last) for first, last in pairwise(places)]


def _sounding(level: NDArray[np.float64], first: int, last: int) -> tuple[float, float]:
    last = max(first + 1, last)
    loud = np.flatnonzero(level[first:last] > level[first:last].max() - SILENT_DB)
    return (first + int(loud[0])) * STEP_MS / 1000, (first + int(loud[-1]) + 1) * STEP_MS / 1000


def _same(values: Sequence[float] | Float, kernel: Float) -> NDArray[np.float64]:
    """A convolution of the same length, the values at both ends going on without end."""
    around = len(kernel) // 2
    found: NDArray[np.float64] = np.convolve(np.pad(np.asarray(values), around, mode="edge"), kernel, "valid")
    return found

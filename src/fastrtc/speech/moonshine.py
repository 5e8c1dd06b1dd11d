"""Moonshine, the default recogniser: English, on ONNX Runtime, with weights from a wheel.

The wheel ``moonshine-voice==0.1.0`` carries the ``tiny`` model (MIT, 44 MB). It is read as files; that package's own
code, which brings a second ONNX Runtime, is never imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import AnyPCM
from fastrtc.errors import AudioFormatError, ConfigurationError
from fastrtc.media.resample import resample_clip
from fastrtc.speech import alignment
from fastrtc.speech.moonshine_net import RATE_HZ, TOKENS_PER_S, MoonshineNet, Writing
from fastrtc.speech.moonshine_weights import find_weights
from fastrtc.speech.protocol import Transcriber, Transcript, Word

Float = NDArray[np.float32]

TINY = "moonshine/tiny"
LONGEST_S = 20.0  # the model was trained on up to thirty seconds at a time
QUIET_S = 0.1  # precision with which a quiet place to cut is looked for
CUT_FROM_S = 12.0
LEAD_S, TAIL_S = 0.1, 0.2  # of silence around each piece: short words need it
FEWEST_TOKENS = 8
LEAST_REPEATED = 4  # tokens, before a repetition counts as one


class MoonshineSTT(Transcriber):
    """Recognises English speech.

    Any thread may call it, several at once; all instances of one model share its networks. A second of speech costs
    some 10-20 ms of one core (``bench/stt.py``).

    Args:
        model: ``"moonshine/tiny"`` (27 million weights) or ``"moonshine/base"`` (61 million).

    Raises:
        MissingExtraError: The weights of the tiny model are not installed.
        ModelDownloadError: Those of the base model are not on this machine and cannot be downloaded.
        ConfigurationError: There is no such model.
    """

    def __init__(self, model: str = TINY) -> None:
        self.model = model
        self.net = shared_net(find_weights(model))

    def transcribe(self, audio: tuple[int, AnyPCM], *, words: bool = False) -> Transcript:
        """The words of one piece of audio, with the model's confidence.

        Args:
            audio: As of ``stt``.
            words: Whether the times of the words are wanted too, which costs some 10 ms more.

        Raises:
            AudioFormatError: Another shape, dtype or rate.
            ConfigurationError: Times are wanted of a model of which it is not known where they are found.
        """
        if words and not self.tells_times:
            raise ConfigurationError(f"{self.model} has no times of words: use {TINY!r}, or a Whisper model")
        texts: list[str] = []
        logs: list[float] = []
        times: list[Word] = []
        at = 0
        for piece in _pieces(samples_of(audio)):
            writing = self.write(piece)
            tokens = writing.tokens if writing.ended else without_loop(writing.tokens)
            texts.append(self.net.vocabulary.text(tokens))
            logs.extend(writing.logs)
            if words:
                times.extend(self._words(piece, writing, tokens, at / RATE_HZ))
            at += piece.size
        text = " ".join(text for text in texts if text)
        return Transcript(text, tuple(times), confidence=float(np.exp(np.mean(logs))) if logs and text else None)

    def write(self, samples: Float) -> Writing:
        """What the decoder makes of a piece of up to ``LONGEST_S``: ``float32``, 16 kHz, shape ``(n,)``."""
        padded = np.concatenate([_silence(LEAD_S), samples, _silence(TAIL_S)])
        longest = max(FEWEST_TOKENS, round(TOKENS_PER_S * samples.size / RATE_HZ))
        return self.net.write(self.net.encode(padded), longest)

    @property
    def tells_times(self) -> bool:
        """Whether it is known of this model which heads of its decoder tell where words are."""
        return self.model == TINY

    def beginnings(self, samples: Float, writing: Writing, tokens: Sequence[int]) -> NDArray[np.float64]:
        """How much speaks for each place as the one where each of some tokens begins, and what follows them.

        Args:
            samples: What :meth:`write` was given.
            writing: What it gave.
            tokens: What the decoder is made to write, in place of what it has written.

        Returns:
            As of :func:`fastrtc.speech.alignment.beginnings`.
        """
        return alignment.beginnings(writing.attention(tokens), samples, LEAD_S, TAIL_S)

    def _words(self, samples: Float, writing: Writing, tokens: list[int], at_s: float) -> list[Word]:
        known = self.net.vocabulary
        firsts = [place for place, token in enumerate(tokens) if place == 0 or known.starts_word(token)]
        texts = [known.text(tokens[first:end]) for first, end in pairwise([*firsts, len(tokens)])]
        if not firsts:
            return []
        spans = alignment.spans(self.beginnings(samples, writing, tokens)[[*firsts, len(tokens)]], samples)
        return [
            Word(text, at_s + begin_s, at_s + end_s)
            for text, (begin_s, end_s) in zip(texts, spans, strict=True)
            if text
        ]


def without_loop(tokens: list[int]) -> list[int]:
    """What a decoder wrote that was stopped for writing too much, without the repetitions in which it was caught.

    Of what is written three times or more at the end, the first time stays. It is not asked of a text that came to its
    end by itself: people do say a word nine times.
    """
    for period in range(1, len(tokens) // 3 + 1):
        repeated = 0
        while repeated < len(tokens) - period and tokens[-1 - repeated] == tokens[-1 - repeated - period]:
            repeated += 1
        if repeated >= max(2 * period, LEAST_REPEATED):
            return tokens[: len(tokens) - repeated]
    return tokens


def samples_of(audio: tuple[int, AnyPCM]) -> Float:
    """What the model hears of ``(rate, array)``: 16 kHz, shape ``(n,)``.

    Raises:
        AudioFormatError: Another shape, dtype or rate than :meth:`MoonshineSTT.stt` takes.
    """
    rate_hz, samples = audio
    if samples.ndim == 2 and samples.shape[0] == 1:
        samples = samples[0]
    if samples.ndim != 1:
        raise AudioFormatError(f"the recogniser takes mono audio of shape (n,) or (1, n), got {samples.shape}")
    return resample_clip(samples, int(rate_hz), RATE_HZ)


def _pieces(samples: Float) -> list[Float]:
    """Pieces of at most ``LONGEST_S``, cut where it is quiet."""
    pieces = []
    while samples.size > LONGEST_S * RATE_HZ:
        cut = _quietest(samples[: round(LONGEST_S * RATE_HZ)])
        pieces.append(samples[:cut])
        samples = samples[cut:]
    return [*pieces, samples] if samples.size else pieces


def _quietest(samples: Float) -> int:
    step, start = round(QUIET_S * RATE_HZ), round(CUT_FROM_S * RATE_HZ)
    count = (samples.size - start) // step
    blocks = samples[start : start + count * step].reshape(count, step)
    return start + step * int(np.square(blocks).sum(axis=1).argmin()) + step // 2


def _silence(seconds: float) -> Float:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


@lru_cache
def shared_net(folder: Path) -> MoonshineNet:
    """The process's networks of the weights in a folder."""
    return MoonshineNet(folder)

"""What a voice activity detector must offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, TypedDict, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import AnyPCM

ModelOptions: TypeAlias = Any
"""Options of a :class:`PauseDetectionModel`; each model has its own class."""


class AudioChunk(TypedDict):
    """A stretch of speech, in samples of the rate that the model works at; ``end`` is exclusive."""

    start: int
    end: int


class PauseDetectionModel(Protocol):
    """Finds speech in a piece of audio. Write one to use a detector of your own."""

    def vad(self, audio: tuple[int, AnyPCM], options: ModelOptions) -> tuple[float, list[AudioChunk]]:
        """Find the speech in one piece of audio; nothing is remembered between calls.

        Args:
            audio: ``(sample_rate, array)``; ``int16`` or ``float32``, shape ``(n,)`` or ``(1, n)``.
            options: The model's options, or None for its defaults.

        Returns:
            Seconds of speech in all, and where it is.
        """
        ...

    def warmup(self) -> None:
        """Do now what would make the first call slow."""
        ...


@runtime_checkable
class StreamingModel(Protocol):
    """A detector that remembers each call and judges a window of every session at once.

    Attributes:
        rate_hz: Sample rate of the windows.
        window_samples: Length of a window.
    """

    rate_hz: int
    window_samples: int

    def new_stream(self) -> Any:
        """State for one session."""
        ...

    def judge(self, streams: Sequence[Any], windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of speech in the next window of each stream.

        Args:
            streams: Distinct streams, each from :meth:`new_stream`.
            windows: ``float32`` in [-1, 1], shape ``(len(streams), window_samples)``.

        Returns:
            ``float32``, shape ``(len(streams),)``.
        """
        ...

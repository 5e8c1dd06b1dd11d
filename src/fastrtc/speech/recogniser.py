"""The recognisers that come with the package."""

from __future__ import annotations

from collections.abc import Iterable

from fastrtc.audio import AnyPCM
from fastrtc.speech.moonshine import MoonshineSTT
from fastrtc.speech.protocol import SpeechToText
from fastrtc.vad.protocol import AudioChunk

DEFAULT_MODEL = "moonshine/tiny"


def get_stt_model(model: str = DEFAULT_MODEL) -> MoonshineSTT:
    """The recogniser of this name, ready to be called; all of one name share their networks.

    Args:
        model: ``"moonshine/tiny"``: English, its weights come with ``pip install "fastrtc[stt]"``, no network needed.

    Raises:
        MissingExtraError: The package that carries the weights is not installed.
        ConfigurationError: There is no such model.
    """
    return MoonshineSTT(model)


def stt_for_chunks(stt_model: SpeechToText, audio: tuple[int, AnyPCM], chunks: Iterable[AudioChunk]) -> str:
    """The words of some stretches of one clip, with spaces between them.

    Args:
        stt_model: Recognises them.
        audio: ``(sample_rate, array)``; the array has one dimension, or is ``(1, n)``.
        chunks: Where the stretches are, in samples of ``audio``: ``{"start": ..., "end": ...}``.
    """
    rate_hz, samples = audio
    return " ".join(stt_model.stt((rate_hz, samples[..., chunk["start"] : chunk["end"]])) for chunk in chunks)

"""The recognisers that come with the package."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastrtc.audio import AnyPCM
from fastrtc.speech.moonshine import MoonshineSTT
from fastrtc.speech.protocol import SpeechToText
from fastrtc.speech.whisper import PREFIX, WhisperSTT

if TYPE_CHECKING:
    from fastrtc.vad.protocol import AudioChunk

DEFAULT_MODEL = "moonshine/tiny"


def get_stt_model(model: str = DEFAULT_MODEL) -> MoonshineSTT | WhisperSTT:
    """The recogniser of this name, ready to be called; all of one name share their weights.

    ===================  ==========================================  =========================================
    name                 what it hears                               where its weights come from
    ===================  ==========================================  =========================================
    ``moonshine/tiny``   English                                     the extra ``stt``: a wheel, no network
    ``moonshine/base``   English, fewer errors, twice the time       141 MB from download.moonshine.ai, once
    ``whisper/base.en``  English; also ``tiny.en``, ``small.en``..   145 MB from huggingface.co, once; the extra
                                                                     ``whisper``
    ``whisper/base``     99 languages; also ``small``, ``large-v3``  the same
    ===================  ==========================================  =========================================

    A download is announced on standard error, shown as it goes on, resumed if it was interrupted, and checked.

    Raises:
        MissingExtraError: A package that it needs is not installed.
        ModelDownloadError: Its weights are not here and cannot be downloaded; the message says what to do.
        ConfigurationError: There is no such model.
    """
    return WhisperSTT(model) if model.startswith(PREFIX) else MoonshineSTT(model)


def stt_for_chunks(stt_model: SpeechToText, audio: tuple[int, AnyPCM], chunks: Iterable[AudioChunk]) -> str:
    """The words of some stretches of one clip, with spaces between them.

    Args:
        stt_model: Recognises them.
        audio: ``(sample_rate, array)``; the array has one dimension, or is ``(1, n)``.
        chunks: Where the stretches are, in samples of ``audio``: ``{"start": ..., "end": ...}``.
    """
    rate_hz, samples = audio
    return " ".join(stt_model.stt((rate_hz, samples[..., chunk["start"] : chunk["end"]])) for chunk in chunks)

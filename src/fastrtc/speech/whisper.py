"""Whisper (Radford et al., 2022) on CTranslate2, by the package ``faster-whisper``: many languages, larger, slower."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import numpy as np

from fastrtc.audio import AnyPCM
from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.speech.hub import fetched_repository
from fastrtc.speech.moonshine import samples_of
from fastrtc.speech.protocol import Transcriber, Transcript, Word

PREFIX = "whisper/"
SIZES = ("tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en", "large-v2", "large-v3")
FILES = ("config.json", "model.bin", "preprocessor_config.json", "tokenizer.json")
MOST_THREADS = 4


class WhisperSTT(Transcriber):
    """Recognises speech in the language that is spoken, or in English with the models whose name ends in ``.en``.

    At first use its weights are downloaded from the Hugging Face Hub (``tiny`` 76 MB, ``base`` 145 MB, ``small``
    484 MB, ``medium`` 1.5 GB, ``large`` 3.1 GB) into the user's cache. Any thread may call it; all instances of one
    model share its weights.

    Args:
        model: ``"whisper/base.en"``, for example.
        language: The language that is spoken, ``"de"`` for example; None: found out, each time.

    Raises:
        MissingExtraError: ``faster-whisper`` is not installed.
        ModelDownloadError: The weights are not here and cannot be downloaded; the message says what to do.
        ConfigurationError: There is no such model.
    """

    def __init__(self, model: str, language: str | None = None) -> None:
        size = model.removeprefix(PREFIX)
        if not model.startswith(PREFIX) or size not in SIZES:
            names = ", ".join(repr(PREFIX + one) for one in SIZES)
            raise ConfigurationError(f"there is no recogniser {model!r}; of Whisper there are {names}")
        self.model = model
        self._language = "en" if size.endswith(".en") else language
        self._network = _network(size)

    def transcribe(self, audio: tuple[int, AnyPCM], *, words: bool = False) -> Transcript:
        """The words of one piece of audio, with the model's confidence.

        Args:
            audio: As of ``stt``.
            words: Whether the times of the words are wanted too.
        """
        samples = samples_of(audio)
        if not samples.size:
            return Transcript("")
        segments, _ = self._network.transcribe(
            samples,
            language=self._language,
            beam_size=1,
            condition_on_previous_text=False,
            word_timestamps=words,
        )
        parts = list(segments)  # Recognised as they are taken.
        text = " ".join(text for part in parts if (text := part.text.strip()))
        times = tuple(
            Word(word.word.strip(), float(word.start), float(word.end)) for part in parts for word in part.words or ()
        )
        confidence = float(np.exp(np.mean([part.avg_logprob for part in parts]))) if text else None
        return Transcript(text, times, confidence=confidence)


@lru_cache
def _network(size: str) -> Any:
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise MissingExtraError(f"the recogniser {PREFIX}{size}", "whisper") from error
    folder = fetched_repository(
        f"Systran/faster-whisper-{size}",
        lambda path: path in FILES or path.startswith("vocabulary."),
        f"whisper-{size}",
        f"the recogniser {PREFIX}{size}",
    )
    threads = max(1, min(MOST_THREADS, os.cpu_count() or 1))
    return WhisperModel(str(folder), device="auto", compute_type="default", cpu_threads=1, num_workers=threads)

"""What voices that run on this machine have in common: sentences one after the other, on threads that can be left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastrtc.errors import ConfigurationError
from fastrtc.speech.sentences import async_sentences_of, sentences_of
from fastrtc.speech.text_to_speech import AsyncText, Text, TTSOptions

THREADS = 2
NICENESS = 5  # A sentence waits for the media clock, never the other way round.
PAUSE_S = 0.25  # between two sentences
LEAD_S, TAIL_S = 0.03, 0.08  # of what is left around the speech, so that no sound is cut
QUIET = 0.02  # of the loudest frame; below it there is no speech
FRAME_S = 0.01

OptionsT = TypeVar("OptionsT", bound=TTSOptions)
Wave = NDArray[np.float32]


class SentenceVoice(ABC, Generic[OptionsT]):
    """A ``TextToSpeech`` made of :meth:`speak`, which speaks one sentence."""

    rate_hz: int

    @abstractmethod
    def speak(self, sentence: str, options: OptionsT) -> Wave:
        """The sentence without silence around it, float32 of shape ``(n,)``; on one of a few threads."""

    @abstractmethod
    def options_of(self, options: TTSOptions | None) -> OptionsT:
        """The options that count; the defaults where None.

        Raises:
            ConfigurationError: They are those of another voice, or cannot work.
        """

    def tts(self, text: str, options: Any = None) -> tuple[int, Wave]:
        """The whole text."""
        pieces = [wave for _, wave in self.stream_tts_sync(text, options)]
        return self.rate_hz, np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def stream_tts_sync(self, text: Text, options: Any = None) -> Generator[tuple[int, Wave], None, None]:
        """The text, sentence by sentence; while one is heard the next is made."""
        check_text(text)
        return self._stream(sentences_of(text), self.options_of(options), ahead=isinstance(text, str))

    def stream_tts(self, text: AsyncText, options: Any = None) -> AsyncGenerator[tuple[int, Wave], None]:
        """The same for the event loop."""
        check_text(text)
        return self._astream(text, self.options_of(options))

    def _stream(
        self, sentences: Iterator[str], options: OptionsT, *, ahead: bool
    ) -> Generator[tuple[int, Wave], None, None]:
        # Text that comes in parts may keep us waiting: what is ready is given before more of it is asked for.
        made = 0
        coming = self._begin(next(sentences, None), options, made)
        try:
            while coming is not None:
                wave = coming.result()
                made += 1
                if ahead:
                    coming = self._begin(next(sentences, None), options, made)
                yield self.rate_hz, wave
                if not ahead:
                    coming = self._begin(next(sentences, None), options, made)
        finally:
            if coming is not None:
                coming.cancel()

    async def _astream(self, text: AsyncText, options: OptionsT) -> AsyncGenerator[tuple[int, Wave], None]:
        sentences = async_sentences_of(text)
        ahead = isinstance(text, str)
        made = 0
        coming = self._begin(await anext(sentences, None), options, made)
        try:
            while coming is not None:
                wave = await asyncio.wrap_future(coming)
                made += 1
                if ahead:
                    coming = self._begin(await anext(sentences, None), options, made)
                yield self.rate_hz, wave
                if not ahead:
                    coming = self._begin(await anext(sentences, None), options, made)
        finally:
            if coming is not None:
                coming.cancel()

    def _begin(self, sentence: str | None, options: OptionsT, made: int) -> Future[Wave] | None:
        if sentence is None:
            return None
        return voice_threads().submit(self._paused, sentence, options, made > 0)

    def _paused(self, sentence: str, options: OptionsT, pause: bool) -> Wave:
        wave = self.speak(sentence, options)
        if not pause or not wave.size:
            return wave
        return np.concatenate([np.zeros(round(PAUSE_S * self.rate_hz), np.float32), wave])


@lru_cache
def voice_threads() -> ThreadPoolExecutor:
    """The threads on which all voices of this process speak."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="fastrtc-voice", initializer=_step_back)


def _step_back() -> None:
    with contextlib.suppress(AttributeError, OSError):  # Linux gives each thread its own; others have none.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def trimmed(wave: Wave, rate_hz: int) -> Wave:
    """The part of a sentence that is speech; empty where all of it is silence."""
    size = round(FRAME_S * rate_hz)
    whole = wave.size // size
    if not whole:
        return wave[:0]
    loudness = np.abs(wave[: whole * size].reshape(whole, size)).max(axis=1)
    speech = np.flatnonzero(loudness > max(QUIET * float(loudness.max()), 1e-4))
    if not speech.size:
        return wave[:0]
    start = max(0, int(speech[0]) * size - round(LEAD_S * rate_hz))
    return wave[start : (int(speech[-1]) + 1) * size + round(TAIL_S * rate_hz)]


def check_speed(speed: float) -> float:
    """A voice's speed.

    Raises:
        ConfigurationError: It is not from 0.5 to 2.
    """
    if not 0.5 <= speed <= 2.0:
        raise ConfigurationError(f"speed must be from 0.5 to 2, got {speed}")
    return speed


def check_text(text: object) -> None:
    """Refuse what nobody can read aloud.

    Raises:
        ConfigurationError: It is neither text nor an iterator of texts.
    """
    if isinstance(text, bytes) or not isinstance(text, Iterable | AsyncIterable):
        raise ConfigurationError(f"a voice speaks text: a str, or an iterator of them; got {type(text).__name__}")

"""What a speech recogniser must offer, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fastrtc.audio import AnyPCM


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word.

    Attributes:
        text: As the recogniser writes it, with its punctuation.
        start_s: Where it starts, in seconds from the start of the audio.
        end_s: Where it ends.
    """

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said in one piece of audio.

    Attributes:
        text: The words; empty where there are none.
        words: The same with their times; empty where the recogniser has none, or was not asked for them.
        final: Whether it will not change any more; a partial transcript may.
        confidence: The geometric mean of the probabilities that the model gave to what it wrote, in [0, 1]; None where
            it does not say.
    """

    text: str
    words: tuple[Word, ...] = ()
    final: bool = True
    confidence: float | None = None


@runtime_checkable
class SpeechToText(Protocol):
    """Turns a piece of speech into text. Write one to use a recogniser of your own."""

    def stt(self, audio: tuple[int, AnyPCM]) -> str:
        """Recognise the words of one piece of audio; nothing is remembered between calls.

        Args:
            audio: ``(sample_rate, array)``; ``int16`` or ``float32``, shape ``(n,)`` or ``(1, n)``.

        Returns:
            The words, in any case and with or without punctuation; empty where there are none.
        """
        ...


STTModel = SpeechToText
"""FastRTC's name for it."""


@runtime_checkable
class Transcriber(SpeechToText, Protocol):
    """A recogniser that also says when each word was spoken, and how sure it is; a base class gives it ``stt``."""

    def transcribe(self, audio: tuple[int, AnyPCM], *, words: bool = False) -> Transcript:
        """Recognise one piece of audio; nothing is remembered between calls.

        Args:
            audio: As of :meth:`SpeechToText.stt`.
            words: Whether the times of the words are wanted too, which may cost more.
        """
        ...

    def stt(self, audio: tuple[int, AnyPCM]) -> str:
        """The words of one piece of audio, of any length and rate.

        Args:
            audio: ``(sample_rate, array)``; ``int16`` or ``float32``, shape ``(n,)`` or ``(1, n)``.

        Raises:
            AudioFormatError: Another shape, dtype or rate.
        """
        return self.transcribe(audio).text

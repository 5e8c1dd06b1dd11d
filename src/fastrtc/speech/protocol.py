"""What a speech recogniser must offer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from fastrtc.audio import AnyPCM


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

"""From what user code yields to audio in the session's queue: checked, mono, at the rate of the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrtc.audio import PCM, mono_int16
from fastrtc.errors import AudioFormatError
from fastrtc.handlers.ports import Speaker
from fastrtc.media.resample import OutputResampler
from fastrtc.outputs import AdditionalOutputs, CloseStream, Spoken, split_output
from fastrtc.replies import Reply

_EMPTY: PCM = np.zeros(0, np.int16)


class Voice:
    """Takes the values that one run of user code yields.

    Args:
        speaker: Where the audio goes.
        turn: The turn that the values belong to.
        reply: Keeps account of what was said, for a reply function.
        origin: Says whose values they are, for what is said about one that cannot be played.
    """

    def __init__(
        self, speaker: Speaker, turn: int, reply: Reply | None = None, *, origin: Callable[[], str] = str
    ) -> None:
        self._speaker = speaker
        self.turn = turn
        self._reply = reply
        self.origin = origin
        self.spoke = False
        self.beside: AdditionalOutputs | None = None
        self._resampler: OutputResampler | None = None
        self._rate_hz = 0

    def take(self, value: Any) -> bool:
        """Pass one value on.

        Returns:
            False once the turn is over and nothing more is wanted.

        Raises:
            AudioFormatError: The value cannot be played; the message says what would.
        """
        wanted = True
        try:
            media, beside = split_output(value)
            if media is not None:
                wanted = self._say(media)
        except AudioFormatError as error:
            error.origin = self.origin()
            raise
        if isinstance(beside, AdditionalOutputs):
            self.beside = beside
            self._speaker.give(beside)
        elif isinstance(beside, CloseStream):
            self.drain()
            self._speaker.hang_up(beside.msg)
            return False
        return wanted

    def drain(self) -> None:
        """Play what the resampler still holds; the next audio starts afresh."""
        if self._resampler is not None:
            rest = self._resampler.process(_EMPTY, last=True)
            self._resampler = None
            self._rate_hz = 0
            if rest.size:
                self._speaker.say(self.turn, rest)

    def _say(self, media: Any) -> bool:
        text = media.text if isinstance(media, Spoken) else None
        rate_hz, pcm = mono_int16(media.audio if isinstance(media, Spoken) else media)
        if self._reply is not None:
            self._reply.add(pcm.size / rate_hz, text)
        if not pcm.size:
            return True
        self.spoke = True
        if rate_hz == self._speaker.rate_hz:
            if self._resampler is not None:
                self.drain()
            return self._speaker.say(self.turn, pcm)
        if rate_hz != self._rate_hz:
            self.drain()
            self._resampler = OutputResampler(rate_hz, self._speaker.rate_hz)
            self._rate_hz = rate_hz
        assert self._resampler is not None
        ready = self._resampler.process(pcm)
        return self._speaker.say(self.turn, ready) if ready.size else True

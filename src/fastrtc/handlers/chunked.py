"""``ReplyOnPause`` for subclasses that decide themselves where a turn ends, as FastRTC lets them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrtc.audio import PCM
from fastrtc.handlers.standalone import StandaloneTurns
from fastrtc.turns.machine import Floor

if TYPE_CHECKING:
    from fastrtc.handlers.base import AudioFrame
    from fastrtc.handlers.reply_on_pause import ReplyOnPause


@dataclass
class AppState:
    """Where a turn stands; what ``determine_pause`` reads and changes.

    Attributes:
        stream: The user's turn so far, ``int16`` of shape ``(n,)``; the reply function gets it.
        sampling_rate: Of ``stream`` and ``buffer``, in Hz.
        pause_detected: What ``determine_pause`` said last.
        started_talking: Whether the user has begun.
        responding: Whether a reply is being made or played.
        stopped: Kept from FastRTC, which never uses it.
        buffer: What was received since ``determine_pause`` last set this to None.
        responded_audio: Whether the reply has given audio.
        interrupted: Kept from FastRTC, which never uses it.
    """

    stream: PCM | None = None
    sampling_rate: int = 0
    pause_detected: bool = False
    started_talking: bool = False
    responding: bool = False
    stopped: bool = False
    buffer: PCM | None = None
    responded_audio: bool = False
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    def new(self) -> AppState:
        """The state before the next turn."""
        return AppState()


class ChunkedTurns(StandaloneTurns):
    """Asks ``process_audio`` of the handler about every frame, and calls its function when that has found a pause.

    Args:
        handler: Whose ``process_audio`` and function are called.
    """

    def __init__(self, handler: ReplyOnPause) -> None:
        super().__init__(handler)
        self.state = AppState()

    def receive(self, frame: AudioFrame) -> None:
        with self._lock:
            busy = self._machine.floor is not Floor.FREE
            if busy and not self._handler.can_interrupt:
                return
            self.state.responding = busy
            self._handler.process_audio(frame, self.state)
            if self.state.pause_detected:
                self.trigger()

    def emit(self) -> Any:
        value = super().emit()
        if value is not None:
            self.state.responded_audio = True
        return value

    def _call_with(self, audio: PCM) -> Callable[[], Any]:
        heard, self.state = self.state.stream, self.state.new()
        return super()._call_with(audio if heard is None else heard)


def add_to_buffer(frame: AudioFrame, state: AppState) -> PCM:
    """Append a frame to the state's buffer; the buffer."""
    rate_hz, array = frame
    pcm = np.squeeze(array)
    state.sampling_rate = state.sampling_rate or rate_hz
    state.buffer = pcm if state.buffer is None else np.concatenate((state.buffer, pcm))
    return state.buffer

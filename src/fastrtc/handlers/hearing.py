"""Gives a handler's voice activity detector the ear that suits it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import PCM
from fastrtc.handlers.listening import ChunkListener, Listener, OnError, OnWindow
from fastrtc.handlers.ports import Computer
from fastrtc.handlers.screen import Screen
from fastrtc.turns.user_turn import UserState
from fastrtc.vad.protocol import StreamingModel
from fastrtc.vad.silero import get_silero_model

if TYPE_CHECKING:
    from fastrtc.handlers.reply_on_pause import ReplyOnPause


class Ear:
    """Hears with a streaming detector where the handler's model is one, else piece by piece.

    Args:
        handler: Its ``model``, ``model_options`` and ``algo_options`` count.
        home: Where a detector that judges pieces runs.
        on_window: Gets every judged window.
        on_error: Told when the detector raises.
        state: Where the user's turn stands.
        played_rate_hz: Rate of what :meth:`played` takes; None where nobody knows what is played.
        memory_s: How much of what was heard :meth:`recent` remembers.
    """

    def __init__(
        self,
        handler: ReplyOnPause,
        home: Computer,
        on_window: OnWindow,
        on_error: OnError,
        state: Callable[[], UserState],
        played_rate_hz: int | None = None,
        memory_s: float = 0.0,
    ) -> None:
        rate_hz = handler.input_sample_rate
        self.listener: Listener | None = None
        self._chunks: ChunkListener | None = None
        self._screen: Screen | None = None
        self._rate_hz = rate_hz
        self._heard_samples = 0
        model = handler.model if handler.model is not None else get_silero_model()
        if isinstance(model, StreamingModel):
            self._screen = Screen(handler.algo_options, model.rate_hz, model.window_samples, played_rate_hz)
            self.listener = Listener(model, rate_hz, on_window, on_error, self._screen, memory_s)
            return
        options, model_options = handler.algo_options, handler.model_options

        def is_speech(seconds: float) -> bool:
            if state() is UserState.SILENT:
                return seconds > options.started_talking_threshold
            return seconds >= options.speech_threshold

        def compute(work: Callable[[], float], then: Callable[[float], None]) -> None:
            home.compute(work, then, failed)

        def failed(error: BaseException) -> None:
            chunks.failed()
            on_error(error)

        chunks = ChunkListener(
            lambda audio: model.vad(audio, model_options)[0],
            compute,
            rate_hz,
            round(options.audio_chunk_duration * rate_hz),
            is_speech,
            on_window,
        )
        self._chunks = chunks

    def played(self, pcm: PCM | None) -> None:
        """Take what the session plays; None: what was given last and is still on its way will not be heard."""
        if self._screen is not None:
            self._screen.played(pcm, self._heard_samples / self._rate_hz)

    def recent(self, seconds: float) -> NDArray[np.float32]:
        """The newest ``seconds`` of what was heard, at 16 kHz; nothing with a detector that judges pieces."""
        return self.listener.recent(seconds) if self.listener is not None else np.zeros(0, np.float32)

    def hear(self, pcm: PCM) -> None:
        """Take what was received."""
        self._heard_samples += pcm.size
        if self.listener is not None:
            self.listener.hear(pcm)
        elif self._chunks is not None:
            self._chunks.hear(pcm)

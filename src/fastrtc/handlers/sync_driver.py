"""Runs a ``StreamHandler``: ``receive`` on one thread of the session, ``emit`` on another, so that both may block."""

from __future__ import annotations

import threading
from contextvars import Context as VarContext
from typing import Any

import numpy as np

from fastrtc.audio import PCM
from fastrtc.handlers.base import StreamHandler
from fastrtc.handlers.driver import Driver
from fastrtc.handlers.frames import FrameQueue
from fastrtc.handlers.ports import Speaker
from fastrtc.handlers.supervisor import run_supervised
from fastrtc.handlers.voice import Voice
from fastrtc.handlers.worker import Worker, wake_waiting

TURN = 0
JOIN_S = 0.2


class SyncDriver(Driver):
    """Two threads, and a third while ``start_up`` runs.

    ``emit`` is asked again as soon as it gave something; after None it is asked when ``receive`` has taken a frame or a
    tick has passed, so it is never polled hot.

    Args:
        handler: The session's own copy.
        speaker: The session's mouth.
        variables: Context variables for the threads.
        name: Of the session, for the threads' names.
    """

    def __init__(self, handler: StreamHandler, speaker: Speaker, variables: VarContext, name: str) -> None:
        self._handler = handler
        self._speaker = speaker
        self._frames = FrameQueue(handler.input_sample_rate, handler.expected_layout)
        self._voice = Voice(speaker, TURN, origin=lambda: f"{type(handler).__name__}.emit")
        self._starter = Worker(f"fastrtc-{name}-start", variables)
        self._ear = Worker(f"fastrtc-{name}-receive", variables)
        self._mouth = Worker(f"fastrtc-{name}-emit", variables)
        self._wake = threading.Event()
        self._emit_waits = False
        self._closed = False
        self._said_all = False

    def start(self) -> None:
        if type(self._handler).start_up is not StreamHandler.start_up:
            self._starter.submit(lambda: self._supervised(self._handler.start_up))
        self._mouth.submit(self._emit_all)

    def hear(self, pcm: PCM) -> None:
        if self._frames.add(pcm) and not self._ear.busy and not self._closed:
            self._ear.submit(self._receive_all)

    def tick(self) -> None:
        if self._emit_waits:
            self._wake.set()

    def trigger(self) -> None:
        respond = getattr(self._handler, "trigger_response", None)
        if respond is not None:
            self._ear.submit(lambda: self._supervised(respond))

    def close(self) -> None:
        """Let the threads end; one that blocks in user code is woken by what usually wakes it.

        ``return self.queue.get()`` never returns once no more audio comes: a last frame of silence is given to
        ``receive``, then None is put into the handler's queues, and what still runs Python code is interrupted.
        """
        self._closed = True
        self._wake.set()
        for worker in (self._starter, self._ear, self._mouth):
            worker.stop()

    def release(self) -> None:
        """Wake user code that still blocks after :meth:`close`; may take up to a second, on no important thread."""
        if not self._mouth.join(JOIN_S):
            self._knock()
        for worker in (self._mouth, self._ear, self._starter):
            if not worker.join(JOIN_S):
                worker.interrupt()

    def _knock(self) -> None:
        silence = np.zeros((1, self._handler.input_sample_rate // 50), np.int16)
        knock = Worker("fastrtc-release", VarContext())
        knock.submit(lambda: self._quietly(lambda: self._handler.receive((self._handler.input_sample_rate, silence))))
        knock.stop()
        if not self._mouth.join(JOIN_S):
            wake_waiting(self._handler)

    def _receive_all(self) -> None:
        while not self._closed and (frame := self._frames.take()) is not None:
            self._supervised(lambda heard=frame: self._handler.receive(heard))
        self._wake.set()

    def _emit_all(self) -> None:
        while not self._closed and not self._said_all:
            if not self._supervised(self._emit_one):
                self._wait()

    def _emit_one(self) -> None:
        value = self._handler.emit()
        if self._closed:
            return
        if value is None:
            self._wait()
        elif self._voice.take(value):
            self._speaker.wait_for_room(TURN)
        else:
            self._said_all = True

    def _wait(self) -> None:
        self._emit_waits = True
        self._wake.wait()
        self._emit_waits = False
        self._wake.clear()

    def _supervised(self, code: Any) -> bool:
        return run_supervised(code, lambda error: self._speaker.report(error, None))

    def _quietly(self, code: Any) -> None:
        run_supervised(code, _ignore)


def _ignore(error: BaseException) -> None:
    """The session is over; what its handler raises now concerns nobody."""

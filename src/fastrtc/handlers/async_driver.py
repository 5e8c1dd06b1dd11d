"""Runs an ``AsyncStreamHandler`` as tasks of the app's event loop."""

from __future__ import annotations

import asyncio
from contextvars import Context as VarContext

from fastrtc.audio import PCM
from fastrtc.handlers.base import FRAMES_PER_SECOND, AsyncStreamHandler
from fastrtc.handlers.driver import Driver
from fastrtc.handlers.frames import FrameQueue
from fastrtc.handlers.ports import Home, Speaker
from fastrtc.handlers.supervisor import await_supervised
from fastrtc.handlers.voice import Voice

TURN = 0
TICK_S = 1.0 / FRAMES_PER_SECOND


class AsyncDriver(Driver):
    """Three tasks: ``start_up``, ``receive``, ``emit``.

    ``emit`` is awaited again as soon as it gave something. An ``emit`` that gives None without having waited for
    anything is asked once a tick.

    Args:
        handler: The session's own copy.
        speaker: The session's mouth.
        home: Where user code runs.
        loop: The app's event loop.
        variables: Context variables for the tasks.
    """

    def __init__(
        self,
        handler: AsyncStreamHandler,
        speaker: Speaker,
        home: Home,
        loop: asyncio.AbstractEventLoop,
        variables: VarContext,
    ) -> None:
        self._handler = handler
        self._speaker = speaker
        self._home = home
        self._loop = loop
        self._variables = variables
        self._frames = FrameQueue(handler.input_sample_rate, handler.expected_layout)
        self._arrived = asyncio.Event()
        self._voice = Voice(speaker, TURN, origin=lambda: f"{type(handler).__name__}.emit")
        self._tasks: list[asyncio.Task[None]] = []
        self._said_all = False

    def start(self) -> None:
        for code in (self._start_up(), self._receive_all(), self._emit_all()):
            self._tasks.append(self._loop.create_task(code, context=self._variables.copy()))

    def hear(self, pcm: PCM) -> None:
        if self._frames.add(pcm):
            self._home.on_loop(self._arrived.set)

    def trigger(self) -> None:
        respond = getattr(self._handler, "trigger_response", None)
        if respond is not None:
            self._home.on_loop(respond)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _start_up(self) -> None:
        await await_supervised(self._handler.start_up(), self._report)

    async def _receive_all(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while (frame := self._frames.take()) is not None:
                await await_supervised(self._handler.receive(frame), self._report)

    async def _emit_all(self) -> None:
        while not self._said_all:
            asked_s = self._loop.time()
            if not await await_supervised(self._emit_one(), self._report) or (
                not self._gave and self._loop.time() - asked_s < TICK_S / 4
            ):
                await asyncio.sleep(TICK_S)

    async def _emit_one(self) -> None:
        self._gave = False
        value = await self._handler.emit()
        if value is None:
            return
        self._gave = True
        if not self._voice.take(value):
            self._said_all = True
            return
        room = asyncio.Event()
        self._speaker.when_room(TURN, lambda: self._home.on_loop(room.set))
        await room.wait()

    def _report(self, error: BaseException) -> None:
        self._speaker.report(error, None)

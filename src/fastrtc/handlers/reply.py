"""One run of a reply function, wherever it runs, and its end in every case."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import Context as VarContext
from functools import partial
from pathlib import Path
from typing import Any

from fastrtc.errors import AudioFormatError
from fastrtc.handlers.ports import Speaker
from fastrtc.handlers.supervisor import await_supervised, run_supervised
from fastrtc.handlers.voice import Voice
from fastrtc.handlers.worker import Worker


def values_of(result: Any) -> Iterator[Any]:
    """What a plain function gave, as an iterator of values.

    Raises:
        AudioFormatError: The function returned something that is neither a generator nor one value to play.
    """
    if isinstance(result, Iterator):
        return result
    if result is None:
        return iter(())
    if inspect.isawaitable(result) or isinstance(result, AsyncIterator):
        raise AudioFormatError(
            "the reply function returned a coroutine or an async generator although it is a plain function; "
            "declare it with `async def` so that it runs on the event loop"
        )
    return iter((result,))


def _place(values: object) -> str:
    """Where a generator stands."""
    code = getattr(values, "gi_code", None) or getattr(values, "ag_code", None)
    frame = getattr(values, "gi_frame", None) or getattr(values, "ag_frame", None)
    if code is None or frame is None:
        return "the reply function"
    return f"{code.co_name} ({Path(code.co_filename).name}, line {frame.f_lineno})"


class SyncReply:
    """A reply function that runs on a worker thread.

    Args:
        call: Calls the function with its arguments.
        voice: Takes what it yields.
        speaker: The session's mouth.
        finished: Called on the worker's thread when the function is over, with its voice.
    """

    def __init__(self, call: Callable[[], Any], voice: Voice, speaker: Speaker, finished: Callable[[], None]) -> None:
        self._call = call
        self._voice = voice
        self._speaker = speaker
        self._finished = finished
        self._cancelled = False

    def start(self, worker: Worker) -> None:
        """Run on ``worker``."""
        worker.submit(self._run)

    def cancel(self) -> None:
        self._cancelled = True

    def _run(self) -> None:
        run_supervised(self._speak, lambda error: self._speaker.report(error, self._voice.turn))
        run_supervised(self._voice.drain, lambda error: self._speaker.report(error, self._voice.turn))
        self._finished()
        self._speaker.done(self._voice.turn)

    def _speak(self) -> None:
        if self._cancelled:
            return
        values = values_of(self._call())
        self._voice.origin = partial(_place, values)
        try:
            for value in values:
                if self._cancelled or not self._voice.take(value):
                    break
                if not self._speaker.wait_for_room(self._voice.turn):
                    break
        finally:
            close = getattr(values, "close", None)
            if close is not None:
                close()


class AsyncReply:
    """A reply function declared with ``async def``, run as a task of the app's event loop.

    Cancelling cancels the task, so a generator that awaits something sees ``CancelledError`` there and one that
    stands at a ``yield`` sees ``GeneratorExit``.
    """

    def __init__(
        self,
        call: Callable[[], Any],
        voice: Voice,
        speaker: Speaker,
        finished: Callable[[], None],
        before: Callable[[], Any] | None = None,
    ) -> None:
        self._call = call
        self._voice = voice
        self._speaker = speaker
        self._finished = finished
        self._before = before
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop, variables: VarContext) -> None:
        """Run as a task of ``loop``; any thread."""
        self._loop = loop
        loop.call_soon_threadsafe(self._begin, loop, variables.copy())

    def cancel(self) -> None:
        self._cancelled = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel_task)

    def _begin(self, loop: asyncio.AbstractEventLoop, variables: VarContext) -> None:
        self._task = loop.create_task(self._run(), context=variables)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            await await_supervised(self._speak(), lambda error: self._speaker.report(error, self._voice.turn))
            run_supervised(self._voice.drain, lambda error: self._speaker.report(error, self._voice.turn))
        finally:
            self._finished()
            self._speaker.done(self._voice.turn)

    async def _speak(self) -> None:
        if self._cancelled:
            return
        if self._before is not None:
            await self._before()
        result = self._call()
        if inspect.isawaitable(result):
            result = await result
        if not isinstance(result, AsyncIterator):
            await self._speak_values(values_of(result))
            return
        self._voice.origin = partial(_place, result)
        try:
            async for value in result:
                if not await self._take(value):
                    break
        finally:
            close = getattr(result, "aclose", None)
            if close is not None:
                await close()

    async def _speak_values(self, values: Iterator[Any]) -> None:
        self._voice.origin = partial(_place, values)
        for value in values:
            if not await self._take(value):
                break

    async def _take(self, value: Any) -> bool:
        if self._cancelled or not self._voice.take(value):
            return False
        loop = asyncio.get_running_loop()
        room = asyncio.Event()
        self._speaker.when_room(self._voice.turn, lambda: _set_soon(loop, room))
        await room.wait()
        return not self._cancelled


def _set_soon(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)

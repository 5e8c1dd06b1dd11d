"""Generator functions as handlers of audio that only goes to the client (``mode="receive"``)."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

from fastrtc.handlers.base import AsyncStreamHandler, AudioFrame, EmitType, StreamHandler
from fastrtc.handlers.reply import values_of
from fastrtc.handlers.reply_on_pause import is_async_function
from fastrtc.outputs import CloseStream

END = CloseStream("The stream is over")


class GeneratorHandler(StreamHandler):
    """Calls a function once, with the client's inputs, plays what it yields, and ends the session.

    Args:
        fn: A generator function. If it has parameters it is called when the client's inputs are there.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__()
        self._fn = fn
        self._values: Iterator[Any] | None = None
        self._over = False

    def copy(self) -> GeneratorHandler:
        return GeneratorHandler(self._fn)

    def receive(self, frame: AudioFrame) -> None:
        """Nothing that the client says is of interest."""

    def emit(self) -> EmitType:
        if self._values is None:
            if has_parameters(self._fn):
                self.wait_for_args_sync()
            self._values = values_of(self._fn(*self.latest_args[1:]))
        value: EmitType = next(self._values, END)
        if self._over:
            self._close(self._values)
        return value

    def shutdown(self) -> None:
        self._over = True
        with suppress(ValueError):  # It is in the middle of a step on the thread of emit, which closes it then.
            self._close(self._values)

    def _close(self, values: Iterator[Any] | None) -> None:
        close = getattr(values, "close", None)
        if close is not None:
            close()


class AsyncGeneratorHandler(AsyncStreamHandler):
    """The same for an async generator function.

    Args:
        fn: If it has parameters it is called when the client's inputs are there.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__()
        self._fn = fn
        self._values: AsyncIterator[Any] | None = None

    def copy(self) -> AsyncGeneratorHandler:
        return AsyncGeneratorHandler(self._fn)

    async def receive(self, frame: AudioFrame) -> None:
        """Nothing that the client says is of interest."""

    async def emit(self) -> EmitType:
        if self._values is None:
            if has_parameters(self._fn):
                await self.wait_for_args()
            self._values = aiter(self._fn(*self.latest_args[1:]))
        value: EmitType = await anext(self._values, END)
        return value

    async def shutdown(self) -> None:
        close = getattr(self._values, "aclose", None)
        if close is not None:
            with suppress(RuntimeError):  # It is in the middle of a step, which is being cancelled.
                await close()


def generator_handler(fn: Callable[..., Any]) -> StreamHandler | AsyncStreamHandler:
    """The handler that plays what a function yields."""
    return AsyncGeneratorHandler(fn) if is_async_function(fn) else GeneratorHandler(fn)


def has_parameters(fn: Callable[..., Any]) -> bool:
    """Whether a function takes arguments, so that the client's inputs are wanted."""
    try:
        return bool(inspect.signature(fn).parameters)
    except (TypeError, ValueError):
        return False

"""Tells a handler which keys of a telephone were pressed."""

from __future__ import annotations

import inspect
from contextvars import Context as VarContext
from typing import Any

from fastrtc.handlers.base import StreamHandler, StreamHandlerBase
from fastrtc.handlers.ports import Home
from fastrtc.handlers.supervisor import OnError, run_supervised
from fastrtc.handlers.worker import Worker


class Keypad:
    """Calls a handler's ``on_dtmf``: a plain one on a thread of its own, in the order of the keys; else on the loop.

    Args:
        handler: The session's.
        home: Where coroutines run.
        variables: Context variables of the session.
        name: For the thread.
        on_error: Told what ``on_dtmf`` raised.
    """

    def __init__(
        self, handler: StreamHandlerBase, home: Home, variables: VarContext, name: str, on_error: OnError
    ) -> None:
        self._handler = handler
        self._home = home
        self._on_error = on_error
        self._blocks = isinstance(handler, StreamHandler) and not inspect.iscoroutinefunction(handler.on_dtmf)
        self._worker = Worker(f"fastrtc-{name}-keys", variables)

    def press(self, digit: str) -> None:
        """A key was pressed; app loop."""
        if self._blocks:
            self._worker.submit(lambda: run_supervised(lambda: self._call(digit), self._on_error))
        else:
            self._home.run_callback(lambda: self._await(digit), is_async=True)

    def close(self) -> None:
        """No key will be pressed any more."""
        self._worker.stop()

    def _call(self, digit: str) -> None:
        result = self._handler.on_dtmf(digit)
        if inspect.isawaitable(result):
            self._home.run_callback(lambda: result, is_async=True)

    async def _await(self, digit: str) -> Any:
        result = self._handler.on_dtmf(digit)
        return await result if inspect.isawaitable(result) else result

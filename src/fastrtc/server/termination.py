"""SIGTERM as a request to finish: first the sessions end by themselves, then the server that was asked to stop does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

Drain = Callable[[], Awaitable[None]]


class Termination:
    """Stands between SIGTERM and whoever handled it before (uvicorn, say), who is told when all drains are over.

    A second SIGTERM is passed on at once; SIGINT (Ctrl-C) never comes here.

    Attributes:
        timeout_s: For streams that say nothing: how long their sessions may go on; None: not at all.
    """

    def __init__(self) -> None:
        self.timeout_s: float | None = None
        self._drains: dict[Drain, asyncio.AbstractEventLoop] = {}
        self._before: Any = None
        self._installed = False
        self._draining: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def draining(self, drain: Drain) -> AsyncIterator[None]:
        """Have ``drain`` run on this loop when SIGTERM comes, as long as the context lasts."""
        if threading.current_thread() is not threading.main_thread():
            logger.debug("not in the main thread: SIGTERM is not ours to handle")
            yield
            return
        if not self._installed:
            self._before = signal.signal(signal.SIGTERM, self._handle)
            self._installed = True
        self._drains[drain] = asyncio.get_running_loop()
        try:
            yield
        finally:
            del self._drains[drain]
            if not self._drains:
                self._give_back()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        loops = set(self._drains.values())
        if self._draining or not loops:
            self._pass_on(number, frame)
            return
        for loop in loops:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._begin, loop, number)

    def _begin(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        task = loop.create_task(self._drain_all(number), name="fastrtc-drain")
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def _drain_all(self, number: int) -> None:
        logger.info("SIGTERM: no new sessions; waiting for those that run")
        try:
            await asyncio.gather(*(drain() for drain in list(self._drains)))
        finally:
            self._pass_on(number, None)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        before = self._before
        if callable(before):
            before(number, frame)
        elif before == signal.SIG_DFL:
            self._give_back()
            os.kill(os.getpid(), number)

    def _give_back(self) -> None:
        if self._installed and signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL if self._before is None else self._before)
        self._installed = False


the_termination = Termination()
"""The process's."""

"""An ``asyncio.Event`` that any thread may set and any thread may wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from fastrtc.errors import SessionEndedError


class ThreadSafeEvent(asyncio.Event):
    """``set()`` and ``clear()`` from any thread; ``await wait()`` on the bound loop; ``wait_sync()`` elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self._twin = threading.Event()
        self._aborted = False
        self._home: asyncio.AbstractEventLoop | None = None

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the loop whose tasks wait for this event."""
        self._home = loop

    def is_set(self) -> bool:
        return self._twin.is_set()

    def set(self) -> None:
        self._twin.set()
        self._on_home_loop(super().set)

    def clear(self) -> None:
        self._twin.clear()
        self._on_home_loop(super().clear)

    def wait_sync(self, timeout_s: float | None = None) -> bool:
        """Block the calling thread until the event is set; False after the time-out."""
        arrived = self._twin.wait(timeout_s)
        if self._aborted:
            raise SessionEndedError("the session ended while its code waited for the client")
        return arrived

    def abort(self) -> None:
        """Wake every waiting thread with ``SessionEndedError``: nothing will come any more."""
        self._aborted = True
        self._twin.set()

    def _on_home_loop(self, change: Callable[[], None]) -> None:
        if self._home is None or self._home.is_closed():
            change()
            return
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._home:
            change()
        else:
            self._home.call_soon_threadsafe(change)

"""One event loop for all runs of a target."""

from __future__ import annotations

import asyncio
from typing import Any

STUCK_S = 30.0


class Loop:
    """Runs one coroutine after the other."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Any) -> Any:
        """Run it; raises ``TimeoutError`` if it hangs."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(asyncio.wait_for(coroutine, STUCK_S))

    def close(self) -> None:
        """The next run has another loop."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None


LOOP = Loop()

"""What a mounted stream does from when its app starts until it stops."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

logger = logging.getLogger(__name__)


@asynccontextmanager
async def while_serving(warm_up: Callable[[], None], close: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Load what the first session needs on a thread, and end all sessions when the app stops."""
    warming = asyncio.create_task(asyncio.to_thread(warm_up), name="fastrtc-warm-up")
    try:
        yield
    finally:
        await close()
        await warming


def say_hello(path: str) -> None:
    """Say where the endpoints are."""
    sys.stderr.write(f"fastrtc: voice sessions at {path}/webrtc/offer and {path}/websocket/offer\n")


def warn_without_turn() -> None:
    """Say so where browsers reach this machine only through a TURN server and none was given."""
    if os.getenv("SPACE_ID") or "google.colab" in sys.modules:
        logger.warning(
            "this place reaches browsers only through a TURN server: give Stream an rtc_configuration "
            "(without one, clients fall back to the WebSocket)"
        )

"""What a mounted stream does from when its app starts until it stops."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fastrtc.errors import SignalingError
from fastrtc.options import GRADIO_PREFIX
from fastrtc.server.termination import the_termination

if TYPE_CHECKING:
    from fastrtc.server.health import Health

logger = logging.getLogger(__name__)


@asynccontextmanager
async def while_serving(
    warm_up: Callable[[], Awaitable[None]],
    close: Callable[[], Awaitable[None]],
    health: Health,
    drain: Callable[[float], Awaitable[None]],
    drain_timeout_s: float | None,
) -> AsyncIterator[None]:
    """Load what the first session needs, and end all sessions when the app stops.

    Args:
        warm_up: Loads.
        close: Ends all sessions.
        health: Told when the stream is ready.
        drain: Lets sessions end by themselves when SIGTERM comes, before the server stops.
        drain_timeout_s: How long; None: as long as the process says, or not at all.
    """

    async def warm() -> None:
        with suppress(SignalingError):  # it has been logged, and the server is not ready
            await warm_up()
            health.warm = True

    warming = asyncio.create_task(warm(), name="fastrtc-warm-up")
    try:
        timeout_s = the_termination.timeout_s if drain_timeout_s is None else drain_timeout_s
        if timeout_s is None:
            yield
        else:
            async with the_termination.draining(lambda: drain(timeout_s)):
                yield
    finally:
        health.warm = False
        await close()
        await warming


def say_hello(path: str) -> None:
    """Say where the endpoints are; of a page that Gradio serves, Gradio says it."""
    if path.startswith(GRADIO_PREFIX):
        return
    sys.stderr.write(f"fastrtc: voice sessions at {path}/webrtc/offer and {path}/websocket/offer\n")


def warn_without_turn() -> None:
    """Say so where browsers reach this machine only through a TURN server and none was given."""
    if os.getenv("SPACE_ID") or "google.colab" in sys.modules:
        logger.warning(
            "this place reaches browsers only through a TURN server: give Stream an rtc_configuration "
            "(without one, clients fall back to the WebSocket)"
        )

"""The driver that suits a handler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context as VarContext

from fastrtc.audio import PCM
from fastrtc.errors import ConfigurationError
from fastrtc.handlers.async_driver import AsyncDriver
from fastrtc.handlers.base import AsyncStreamHandler, StreamHandler, StreamHandlerBase
from fastrtc.handlers.driver import Driver
from fastrtc.handlers.ports import Floorkeeper, Home, Speaker
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords
from fastrtc.handlers.stop_word_driver import StopWordDriver
from fastrtc.handlers.sync_driver import SyncDriver
from fastrtc.handlers.turn_driver import TurnDriver
from fastrtc.handlers.video import VideoFunction


def takes_turns(handler: StreamHandlerBase) -> bool:
    """Whether a session drives the handler's turns itself, instead of calling ``receive`` and ``emit``."""
    return isinstance(handler, ReplyOnPause) and handler.runs_natively


def turn_driver_for(
    handler: ReplyOnPause,
    speaker: Speaker,
    floor: Floorkeeper,
    home: Home,
    watch: Callable[[PCM], None] | None = None,
) -> TurnDriver:
    """Make the driver for a handler that :func:`takes_turns`; the arguments are those of ``TurnDriver``."""
    if isinstance(handler, ReplyOnStopWords):
        return StopWordDriver(handler, speaker, floor, home, watch)
    return TurnDriver(handler, speaker, floor, home, watch)


def driver_for(
    handler: StreamHandlerBase,
    speaker: Speaker,
    floor: Floorkeeper,
    home: Home,
    loop: asyncio.AbstractEventLoop,
    variables: VarContext,
    name: str,
) -> Driver:
    """Make the driver for a session's handler.

    Raises:
        ConfigurationError: No kind of handler that this package knows.
    """
    if isinstance(handler, ReplyOnPause) and handler.runs_natively:
        return turn_driver_for(handler, speaker, floor, home)
    if isinstance(handler, VideoFunction):
        return Driver()  # it has no sound
    if isinstance(handler, StreamHandler):
        return SyncDriver(handler, speaker, variables, name)
    if isinstance(handler, AsyncStreamHandler):
        return AsyncDriver(handler, speaker, home, loop, variables)
    raise ConfigurationError(
        f"a handler must be a StreamHandler, an AsyncStreamHandler or a ReplyOnPause, got {type(handler).__name__}"
    )

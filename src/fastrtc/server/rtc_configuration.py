"""The browser's ``RTCConfiguration``, which an app gives as a value or as a function that makes one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def resolve_rtc_configuration(source: Any) -> dict[str, Any] | None:
    """The configuration, from wherever it comes; plain functions run on a thread."""
    if callable(source):
        source = source() if is_coroutine_function(source) else await asyncio.to_thread(source)
    configuration: dict[str, Any] | None = await source if inspect.isawaitable(source) else source
    return configuration


def is_coroutine_function(source: Callable[..., Any]) -> bool:
    """Whether calling this makes a coroutine; objects with an async ``__call__`` count."""
    return inspect.iscoroutinefunction(source) or inspect.iscoroutinefunction(getattr(source, "__call__", None))  # noqa: B004

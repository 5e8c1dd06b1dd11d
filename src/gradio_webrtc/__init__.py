"""The name that FastRTC had before; everything here is ``fastrtc``'s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastrtc

if TYPE_CHECKING:
    from fastrtc import *  # noqa: F403

__all__ = fastrtc.__all__


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(fastrtc, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

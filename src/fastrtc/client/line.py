"""What a call goes over, and whom it tells what happens."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fastrtc.audio import PCM


@dataclass(frozen=True, slots=True)
class LineEvents:
    """Whom a line tells what happens; all are called on the loop."""

    on_message: Callable[[str], None]
    on_closed: Callable[[str], None]


class Line(Protocol):
    """A connection to a server; :meth:`read` and :meth:`write` are called by the call's clock, every 20 ms."""

    rate_in_hz: int
    rate_out_hz: int

    def read(self) -> PCM | None:
        """What is to be heard in this tick, at ``rate_in_hz``."""
        ...

    def write(self, pcm: PCM | None) -> None:
        """Say one tick, at ``rate_out_hz``; None is silence."""
        ...

    def send(self, text: str) -> None:
        """Send a message. Any thread."""
        ...

    async def restart_ice(self) -> None:
        """Look for another path to the server."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


def new_session_id() -> str:
    """A random id."""
    return uuid.uuid4().hex[:12]

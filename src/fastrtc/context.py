"""Which session the running user code belongs to, and messages from it to that session's client."""

from __future__ import annotations

import json
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from starlette.websockets import WebSocket


class DataChannel(Protocol):
    """Anything that carries text messages to one client; ``send`` may be called from any thread."""

    def send(self, message: str) -> None: ...


@dataclass
class Context:
    """The session that the current call serves.

    Attributes:
        webrtc_id: The session's id, as the client gave it.
        websocket: The connection, where the session came over a WebSocket or a telephone stream.
        call: Facts of a telephone call: ``call_sid``, ``stream_sid``, ``account_sid``, ``from`` and ``to`` (as far as
            they are known), and custom parameters under their own names; None otherwise.
        user: What the ``authorize`` hook returned for this client.
    """

    webrtc_id: str
    websocket: WebSocket | None = None
    call: dict[str, Any] | None = None
    user: Any = None


current_channel: ContextVar[DataChannel | None] = ContextVar("current_channel", default=None)
current_context: ContextVar[Context | None] = ContextVar("current_context", default=None)


def get_current_context() -> Context:
    """The context of the session that called the running function.

    Raises:
        RuntimeError: Called outside a session's code.
    """
    context = current_context.get()
    if context is None:
        raise RuntimeError("get_current_context() works only inside a handler that a session is running")
    return context


def _notify(kind: Literal["error", "warning"], message: str) -> None:
    channel = current_channel.get()
    if channel is not None:
        channel.send(json.dumps({"type": kind, "message": message}))


def Warning(message: str = "Warning issued.") -> None:  # noqa: N802 - the public name
    """Show a warning in the client of the session whose code is running; without a session, do nothing."""
    _notify("warning", message)


class WebRTCError(Exception):
    """An error that the client is shown. Creating it inside a session's code sends the message.

    Args:
        message: Text for the person at the other end.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        _notify("error", message)

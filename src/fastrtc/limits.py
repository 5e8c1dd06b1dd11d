"""What one client, and all of them together, may cost the server."""

from __future__ import annotations

from dataclasses import dataclass, fields

from fastrtc.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what clients send, leave unread, or keep waiting. A real-time client is far from all of them.

    A client beyond a limit with a reason in brackets loses its session, or does not get one; one that sends audio
    faster than time passes is read more slowly.

    Attributes:
        max_message_bytes: One WebSocket frame or data-channel message (``message_too_long``).
        messages_per_s: Messages of a session that are no audio, on average (``too_many_messages``). On a data channel a
            message counts once for every 10,000 bytes; a WebSocket is read at a megabyte a second.
        message_burst: How many of them may come at once.
        max_received_ms: Received audio that may wait for the session; what is older is dropped.
        max_unsent_ms: Audio that may wait for a client that does not read (``client_not_reading``).
        max_unsent_bytes: The same for messages.
        start_timeout_s: How long a WebSocket may take to say ``start`` (``start_timeout``).
        max_unstarted: WebSockets that have not said it yet; of more than these, the oldest is closed
            (``too_many_pending_connections``).
        offers_per_s: Offers, starts and calls that are looked at, of all clients together (``too_many_offers``).
        offer_burst: How many of them may come at once.
        max_memory_mb: Resident memory of the process beyond which no new session is let in (``server_overloaded``);
            None: no bound. Known on Linux only; elsewhere it is no bound.

    Raises:
        ConfigurationError: A number that is not above 0.
    """

    max_message_bytes: int = 1_000_000
    messages_per_s: float = 100.0
    message_burst: int = 500
    max_received_ms: int = 5_000
    max_unsent_ms: int = 10_000
    max_unsent_bytes: int = 4_000_000
    start_timeout_s: float = 15.0
    max_unstarted: int = 100
    offers_per_s: float = 100.0
    offer_burst: int = 200
    max_memory_mb: float | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None and item.name == "max_memory_mb":
                continue
            kind, what = (int, "a whole number") if item.type == "int" else (int | float, "a number")
            if isinstance(value, bool) or not isinstance(value, kind) or not 0 < value < float("inf"):
                raise ConfigurationError(f"Limits.{item.name} must be {what} above 0; got {value!r}")

"""What is measured, whoever it is reported to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
SHORT_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Instrument:
    """One thing that is measured.

    Attributes:
        name: With dots, as OpenTelemetry has it: ``fastrtc.turn.latency``.
        kind: A count that only grows, a value of now, or a distribution.
        description: What it says.
        unit: UCUM: ``s``, or empty for a count.
        labels: Names of its attributes.
        buckets: Upper bounds of a distribution.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    description: str
    unit: str = ""
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


SESSIONS = Instrument("fastrtc.sessions", "gauge", "Sessions there are, those that are connecting included.")
OPENED = Instrument("fastrtc.sessions.opened", "counter", "Sessions that were made.")
CLOSED = Instrument("fastrtc.sessions.closed", "counter", "Sessions that are over.", labels=("reason",))
REFUSED = Instrument("fastrtc.sessions.refused", "counter", "Sessions that were refused.", labels=("reason",))
TURNS = Instrument("fastrtc.turns", "counter", "Turns of users that were answered.", labels=("reason",))
LATENCY = Instrument(
    "fastrtc.turn.latency",
    "histogram",
    "From the end of the user's speech to the first audio of the reply (total) and until it is heard, and the parts.",
    "s",
    ("part",),
    SECONDS,
)
REPLY = Instrument(
    "fastrtc.reply.duration",
    "histogram",
    "From the call of the reply function until its audio was played or cut off.",
    "s",
    buckets=SECONDS,
)
HELD = Instrument("fastrtc.replies.held", "counter", "Replies that fell silent because the user made a sound.")
INTERRUPTED = Instrument("fastrtc.replies.interrupted", "counter", "Replies that were cut off.", labels=("reason",))
FAILURES = Instrument("fastrtc.handler.failures", "counter", "Errors of user code.")
LOOP_LAG = Instrument(
    "fastrtc.event_loop.lag", "histogram", "How late the app's event loop runs.", "s", buckets=SHORT_SECONDS
)
SKIPPED = Instrument("fastrtc.media_clock.skipped_ticks", "counter", "Ticks of 20 ms that were left out.")
QUEUE = Instrument(
    "fastrtc.playout.queue", "histogram", "Audio that waits to be played, by session.", "s", buckets=SECONDS
)
JITTER = Instrument(
    "fastrtc.network.jitter", "histogram", "Of arriving packets (RFC 3550).", "s", buckets=SHORT_SECONDS
)
ROUND_TRIP = Instrument(
    "fastrtc.network.round_trip", "histogram", "To the client and back.", "s", buckets=SHORT_SECONDS
)
RECEIVED = Instrument("fastrtc.network.packets_received", "counter", "Audio packets that came.")
LOST = Instrument("fastrtc.network.packets_lost", "counter", "Audio packets that never came.")
CONCEALED = Instrument("fastrtc.network.concealed_samples", "counter", "Received samples that were made up.")

INSTRUMENTS = (
    SESSIONS, OPENED, CLOSED, REFUSED, TURNS, LATENCY, REPLY, HELD, INTERRUPTED, FAILURES, LOOP_LAG, SKIPPED, QUEUE,
    JITTER, ROUND_TRIP, RECEIVED, LOST, CONCEALED,
)  # fmt: skip


class Meter(Protocol):
    """Where measurements go; any thread, and never blocks."""

    def count(self, instrument: Instrument, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        ...

    def set(self, instrument: Instrument, value: float) -> None:
        """Set a gauge."""
        ...

    def record(self, instrument: Instrument, value: float, **labels: str) -> None:
        """Add one value to a distribution."""
        ...

"""Turns what happens in sessions into measurements."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from fastrtc.clock import the_clock
from fastrtc.events import (
    FirstAudio,
    HandlerFailed,
    PlaybackFinished,
    PlaybackStarted,
    ReplyHeld,
    ReplyInterrupted,
    ReplyStarted,
    SessionClosed,
    TurnCommitted,
)
from fastrtc.handlers.supervisor import await_supervised
from fastrtc.observe import instruments as the
from fastrtc.observe.observer import SessionObserver

if TYPE_CHECKING:
    from fastrtc.events import Event
    from fastrtc.observe.instruments import Meter
    from fastrtc.session import Session

logger = logging.getLogger(__name__)

LAG_EVERY_S = 0.25
NETWORK_EVERY_S = 5.0

_CODE = re.compile(r"[a-z][a-z_]{0,39}")


@runtime_checkable
class MeasuredLink(Protocol):
    """A connection that knows how its network does."""

    async def stats(self) -> Any:
        """A :class:`fastrtc.transports.webrtc.engine.PeerStats`."""
        ...


def as_code(reason: str) -> str:
    """A reason as a label: texts for people would make one series each."""
    return reason if _CODE.fullmatch(reason) else "other"


def _log_unmeasured(error: BaseException) -> None:
    logger.debug("the network of a session could not be measured", exc_info=error)


class Telemetry(SessionObserver):
    """Measures sessions.

    Args:
        meter: Where to.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._sessions: dict[int, Session] = {}
        self._called_s: dict[tuple[int, int], float] = {}
        self._seen: dict[int, tuple[int, int, int]] = {}
        self._sampling: asyncio.Task[None] | None = None
        self._skipped = the_clock.skipped_ticks

    def session_opened(self, session: Session) -> None:
        self._sessions[id(session)] = session
        self._meter.count(the.OPENED)
        self._meter.set(the.SESSIONS, len(self._sessions))
        if self._sampling is None or self._sampling.done():
            self._sampling = asyncio.get_running_loop().create_task(self._sample(), name="fastrtc-telemetry")

    def session_refused(self, code: str) -> None:
        self._meter.count(the.REFUSED, reason=as_code(code))

    def session_event(self, session: Session, event: Event) -> None:
        meter = self._meter
        match event:
            case TurnCommitted():
                meter.count(the.TURNS, reason=as_code(event.reason))
            case ReplyStarted():
                self._called_s[id(session), event.turn] = event.at_s
            case FirstAudio():
                for part, value in event.latency_ms.items():
                    meter.record(the.LATENCY, value / 1000, part=part)
            case PlaybackStarted():
                meter.record(the.LATENCY, event.latency_ms.get("playout", 0.0) / 1000, part="playout")
                meter.record(the.LATENCY, event.latency_ms.get("total", 0.0) / 1000, part="heard")
            case ReplyHeld():
                meter.count(the.HELD)
            case ReplyInterrupted():
                meter.count(the.INTERRUPTED, reason=as_code(event.reason))
                self._reply_over(session, event.turn, event.at_s)
            case PlaybackFinished():
                self._reply_over(session, event.turn, event.at_s)
            case HandlerFailed():
                meter.count(the.FAILURES)
            case SessionClosed():
                meter.count(the.CLOSED, reason=as_code(event.reason))

    def session_closed(self, session: Session) -> None:
        self._sessions.pop(id(session), None)
        self._seen.pop(id(session), None)
        for key in [key for key in self._called_s if key[0] == id(session)]:
            del self._called_s[key]
        self._meter.set(the.SESSIONS, len(self._sessions))

    def _reply_over(self, session: Session, turn: int, at_s: float) -> None:
        called_s = self._called_s.pop((id(session), turn), None)
        if called_s is not None:
            self._meter.record(the.REPLY, max(0.0, at_s - called_s))

    async def _sample(self) -> None:
        """Measure while there are sessions."""
        network_due_s = time.monotonic() + NETWORK_EVERY_S
        while self._sessions:
            due_s = time.monotonic() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            now_s = time.monotonic()
            self._meter.record(the.LOOP_LAG, max(0.0, now_s - due_s))
            skipped, self._skipped = the_clock.skipped_ticks - self._skipped, the_clock.skipped_ticks
            if skipped:
                self._meter.count(the.SKIPPED, skipped)
            if now_s >= network_due_s:
                network_due_s = now_s + NETWORK_EVERY_S
                for session in list(self._sessions.values()):
                    self._meter.record(the.QUEUE, session.queued_ms / 1000)
                    await await_supervised(self._measure_network(session), _log_unmeasured)

    async def _measure_network(self, session: Session) -> None:
        link = session.link
        if not isinstance(link, MeasuredLink) or session.closed:
            return
        stats = await link.stats()
        received, lost, concealed = self._seen.get(id(session), (0, 0, 0))
        if not stats.packets_received or id(session) not in self._sessions:
            return
        self._seen[id(session)] = (stats.packets_received, stats.packets_lost, stats.concealed_samples)
        self._meter.count(the.RECEIVED, max(0, stats.packets_received - received))
        self._meter.count(the.LOST, max(0, stats.packets_lost - lost))
        self._meter.count(the.CONCEALED, max(0, stats.concealed_samples - concealed))
        self._meter.record(the.JITTER, stats.jitter_ms / 1000)
        self._meter.record(the.ROUND_TRIP, stats.round_trip_ms / 1000)

"""Logs for people or for machines, each line with the session that it is about.

Neither what users say nor what they are answered is ever logged here.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

from fastrtc.context import current_context
from fastrtc.events import (
    FirstAudio,
    HandlerFailed,
    PlaybackFinished,
    PlaybackStarted,
    ReplyInterrupted,
    SessionClosed,
    SessionStarted,
    TurnCommitted,
    event_name,
)
from fastrtc.observe.observer import SessionObserver

if TYPE_CHECKING:
    from fastrtc.events import Event
    from fastrtc.session import Session

logger = logging.getLogger("fastrtc.sessions")

# What of an event may be logged: numbers and reasons, no text of users.
_FIELDS: dict[type[Any], tuple[str, ...]] = {
    SessionStarted: (),
    TurnCommitted: ("turn", "at_s", "reason", "probability"),
    FirstAudio: ("turn", "at_s", "latency_ms"),
    PlaybackStarted: ("turn", "at_s", "latency_ms", "acknowledged"),
    ReplyInterrupted: ("turn", "at_s", "heard_s", "reason"),
    PlaybackFinished: ("turn", "at_s", "heard_s"),
    HandlerFailed: ("turn", "at_s"),
    SessionClosed: ("at_s", "reason"),
}


class SessionIds(logging.Filter):
    """Gives each record the id of the session whose code wrote it (``record.session_id``; None outside of sessions)."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "session_id"):
            context = current_context.get()
            record.session_id = None if context is None else context.webrtc_id
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message``, ``session_id`` ...

    Args:
        worker: Number of this process among several.
    """

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._fixed = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        """See :class:`logging.Formatter`."""
        entry: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._fixed,
        }
        for name in ("session_id", "event", "fields"):
            value = getattr(record, name, None)
            if value:
                entry[name] = value
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """For terminals: time, level, session, message."""

    def __init__(self, worker: int | None = None) -> None:
        where = "" if worker is None else f"worker {worker} "
        super().__init__(f"%(asctime)s %(levelname)-7s {where}%(name)s%(session)s: %(message)s%(facts)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """See :class:`logging.Formatter`."""
        session_id = getattr(record, "session_id", None)
        record.session = f" [{session_id}]" if session_id else ""
        fields: dict[str, Any] = getattr(record, "fields", None) or {}
        record.facts = "".join(f" {name}={value}" for name, value in fields.items())
        return super().format(record)


class SessionLog(SessionObserver):
    """Writes a line (``INFO``) for each step of each session to the logger ``fastrtc.sessions``."""

    def session_refused(self, code: str) -> None:
        logger.info("session refused", extra={"event": "session_refused", "fields": {"reason": code}})

    def session_opened(self, session: Session) -> None:
        logger.info("session opened", extra={"event": "session_opened", "session_id": session.id})

    def session_event(self, session: Session, event: Event) -> None:
        names = _FIELDS.get(type(event))
        if names is None or not logger.isEnabledFor(logging.INFO):
            return
        fields = {name: _rounded(getattr(event, name)) for name in names if getattr(event, name) is not None}
        name = event_name(event)
        extra = {"event": name, "fields": fields, "session_id": session.id}
        logger.info("%s", name.replace("_", " "), extra=extra)


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def configure_logging(log_format: str = "text", level: str = "info", worker: int | None = None) -> None:
    """Have the process log to standard error.

    Args:
        log_format: ``text`` or ``json``.
        level: Lowest level that is shown.
        worker: Number of this process among several.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(worker) if log_format == "json" else TextFormatter(worker))
    handler.addFilter(SessionIds())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)

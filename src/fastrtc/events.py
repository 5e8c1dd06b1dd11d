"""What happens in a session, as values: for callbacks, for the client, for the plot of ``fastrtc call``.

Times are seconds of received audio since the session began (``at_s``); a turn has a number that counts from 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """The connection is up and the handler has been started."""

    at_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UserStartedSpeaking:
    """Speech began at ``onset_s`` (it takes a moment to be sure, hence ``at_s``)."""

    at_s: float
    onset_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UserStoppedSpeaking:
    """Speech ended at ``end_s``; the turn may go on after a pause."""

    at_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDiscarded:
    """What the user has said since the last turn will not be answered.

    Attributes:
        reason: ``requested`` (``discard_turn``), ``muted``, or ``too_short``: a click or a blip of noise, with less
            speech than a word has.
    """

    at_s: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTranscript:
    """What the user says, as text (with ``captions``).

    Attributes:
        text: All of it so far; of a final transcript without a turn empty: what was heard came to nothing.
        final: Whether it will not change any more; a partial transcript is replaced by the next.
        start_s: Where the recognised audio starts.
        end_s: Where it ends.
        turn: Number of the turn, of a final transcript.
    """

    at_s: float
    text: str
    final: bool
    start_s: float
    end_s: float
    turn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCommitted:
    """The user's turn is over and the reply function is about to be called.

    Attributes:
        turn: Number of the turn.
        start_s: Where the audio given to the function starts.
        end_s: Where the user's speech ended.
        reason: ``silence``, ``complete`` (the end-of-turn model was sure), ``max_speech``, ``trigger``, ``text``
            or ``greeting``.
        probability: Of being complete, where a model was asked.
    """

    turn: int
    at_s: float
    start_s: float
    end_s: float
    reason: str
    probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyStarted:
    """The reply function has been called."""

    turn: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAudio:
    """The first audio of the reply goes out.

    Attributes:
        latency_ms: Parts of the wait, in milliseconds: ``decision`` (end of speech to commit), ``call`` (commit to the
            function being called), ``first_yield`` (call to first audio sent), ``total``. When it is heard is
            :class:`PlaybackStarted`.
    """

    turn: int
    at_s: float
    latency_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStarted:
    """The user heard the first sound of the reply, at ``at_s``. A reply cut off before that has no such event.

    It comes after that moment, by as long as a client that buffers may take to acknowledge it (0.3 s).

    Attributes:
        latency_ms: The parts of :class:`FirstAudio`, and ``playout`` (first audio sent to heard); ``total`` ends here.
        acknowledged: Whether the client said so (WebSocket clients that send ``playout``); else it is the estimate of
            the connection's delay.
    """

    turn: int
    at_s: float
    latency_ms: dict[str, float] = field(default_factory=dict)
    acknowledged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyHeld:
    """The user made a sound over the reply; it is silent until it is clear whether that is an interruption."""

    turn: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyResumed:
    """It was none: the reply goes on where it stopped."""

    turn: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyInterrupted:
    """The reply was cancelled; the client had heard ``heard_s`` of it, ``heard_text`` where its text is known."""

    turn: int
    at_s: float
    heard_s: float
    reason: str = "user"
    heard_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackFinished:
    """All audio of the reply has been played."""

    turn: int
    at_s: float
    heard_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DtmfReceived:
    """The caller pressed a key of the telephone: ``0`` to ``9``, ``*``, ``#`` or ``A`` to ``D``."""

    at_s: float
    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerFailed:
    """User code raised, or gave something that cannot be played; the session goes on."""

    at_s: float
    message: str
    turn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed:
    """The session is over."""

    at_s: float
    reason: str


Event: TypeAlias = (
    SessionStarted
    | UserStartedSpeaking
    | UserStoppedSpeaking
    | TurnDiscarded
    | UserTranscript
    | TurnCommitted
    | ReplyStarted
    | FirstAudio
    | PlaybackStarted
    | ReplyHeld
    | ReplyResumed
    | ReplyInterrupted
    | PlaybackFinished
    | DtmfReceived
    | HandlerFailed
    | SessionClosed
)

_NAMES: dict[type[Any], str] = {
    SessionStarted: "session_started",
    UserStartedSpeaking: "user_started_speaking",
    UserStoppedSpeaking: "user_stopped_speaking",
    TurnDiscarded: "turn_discarded",
    UserTranscript: "user_transcript",
    TurnCommitted: "turn_committed",
    ReplyStarted: "reply_started",
    FirstAudio: "first_audio",
    PlaybackStarted: "playback_started",
    ReplyHeld: "reply_held",
    ReplyResumed: "reply_resumed",
    ReplyInterrupted: "reply_interrupted",
    PlaybackFinished: "playback_finished",
    DtmfReceived: "dtmf_received",
    HandlerFailed: "handler_failed",
    SessionClosed: "session_closed",
}


def event_name(event: Event) -> str:
    """The event's name on the wire, in snake case."""
    return _NAMES[type(event)]


def event_as_json(event: Event) -> dict[str, Any]:
    """The event as the ``data`` of an ``event`` message: its fields and ``name``."""
    return {"name": event_name(event), **asdict(event)}

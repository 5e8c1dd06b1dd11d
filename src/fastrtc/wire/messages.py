"""Text messages between a client and its session: over the data channel, or beside the audio on a WebSocket.

FastRTC 0.0.34 sends ``{"type", "data"}`` for all messages but ``error`` and ``warning``, which are
``{"type", "message"}``. Its clients send free text ("handshake"), which has no meaning.

A client that sends ``hello`` also understands the messages of this project; they are all ``{"type", "data"}``::

    client -> server                                     server -> client
    hello            {"version": 1, "events": true}      hello   {"version", "session_id", "input_sample_rate",
    input            [value, ...]                                 "output_sample_rate"}
    text             "what the user typed"               event   {"name": "turn_committed", ...}
    trigger_response                                     output  [value, ...]
    mute             true | false
    playout          {"turn": 3, "played_ms": 420}       transcript  {"text", "final", "turn", "start_s", "end_s"}
    stop_reply
    discard_turn

A handler with ``captions`` sends ``transcript`` to every client, whether it said ``hello`` or not.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from fastrtc.errors import ProtocolError
from fastrtc.wire.fields import (
    check_cost,
    kind_of,
    load_object,
    take_bool,
    take_int,
    take_number,
    take_object,
    take_str,
)

PROTOCOL_VERSION = 1

MessageType: TypeAlias = Literal[
    "send_input", "end_stream", "fetch_output", "stopword", "error", "warning", "log", "update_connection"
]

_MAX_DEPTH = 32
_MAX_REPR_CHARS = 1_000
MAX_ARRAY_VALUES = 100_000


def create_message(type: MessageType, data: list[Any] | str) -> str:
    """Encode a message of FastRTC's data channel (the public helper of ``fastrtc.utils``)."""
    return json.dumps({"type": type, "data": data})


# ---------------------------------------------------------------- client -> server


@dataclass(frozen=True, slots=True)
class ClientHello:
    """The client understands this project's messages; with ``events`` it wants the session's events."""

    version: int = PROTOCOL_VERSION
    events: bool = True


@dataclass(frozen=True, slots=True)
class ClientInput:
    """Values for ``Stream.set_input``."""

    data: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientText:
    """What the user typed instead of speaking."""

    text: str


@dataclass(frozen=True, slots=True)
class TriggerResponse:
    """Answer now, with what has been said so far."""


@dataclass(frozen=True, slots=True)
class Mute:
    """The user's microphone was switched off (True) or on."""

    muted: bool


@dataclass(frozen=True, slots=True)
class PlayoutReport:
    """How much of a reply has left the client's loudspeaker."""

    turn: int
    played_ms: float


@dataclass(frozen=True, slots=True)
class StopReply:
    """Be silent: drop the reply that is being played."""


@dataclass(frozen=True, slots=True)
class DiscardTurn:
    """Forget what the user has said since the last turn."""


@dataclass(frozen=True, slots=True)
class FreeText:
    """Text that is no message of this protocol; FastRTC's clients send such, and it means nothing to a session."""

    text: str


ClientMessage: TypeAlias = (
    ClientHello | ClientInput | ClientText | TriggerResponse | DiscardTurn | Mute | PlayoutReport | StopReply | FreeText
)


def parse_client_message(text: str, fields: Mapping[str, Any] | None = None) -> ClientMessage:
    """Read what a client sent.

    Args:
        text: The message.
        fields: Its JSON, if that has been read already.

    Raises:
        ProtocolError: A known ``type`` with fields it may not have, or a text that takes too long to read. All else is
            :class:`FreeText`.
    """
    check_cost(text, "a message")
    try:
        obj = load_object(text, "a message") if fields is None else fields
    except ProtocolError:
        return FreeText(text)
    kind = obj.get("type")
    what = f'a "{kind}" message'
    match kind:
        case "hello":
            hello = take_object(obj, "data", what)
            return ClientHello(take_int(hello, "version", what), take_bool(hello, "events", what, default=True))
        case "input":
            return ClientInput(_take_values(obj, what))
        case "text":
            return ClientText(take_str(obj, "data", what))
        case "trigger_response":
            return TriggerResponse()
        case "mute":
            if not isinstance(obj.get("data"), bool):
                raise ProtocolError(f'{what} needs "data": true or false; got {kind_of(obj.get("data"))}')
            return Mute(obj["data"])
        case "playout":
            report = take_object(obj, "data", what)
            return PlayoutReport(take_int(report, "turn", what), take_number(report, "played_ms", what))
        case "stop_reply":
            return StopReply()
        case "discard_turn":
            return DiscardTurn()
    return FreeText(text)


def encode_client_message(message: ClientMessage) -> str:
    """The text of a client's message; the inverse of :func:`parse_client_message`."""
    match message:
        case ClientHello(version, events):
            return _typed("hello", {"version": version, "events": events})
        case ClientInput(data):
            return _typed("input", as_jsonable(list(data)))
        case ClientText(text):
            return _typed("text", text)
        case TriggerResponse():
            return _typed("trigger_response", [])
        case Mute(muted):
            return _typed("mute", muted)
        case PlayoutReport(turn, played_ms):
            return _typed("playout", {"turn": turn, "played_ms": played_ms})
        case StopReply():
            return _typed("stop_reply", [])
        case DiscardTurn():
            return _typed("discard_turn", [])
        case FreeText(text):
            return text


# ---------------------------------------------------------------- server -> client


@dataclass(frozen=True, slots=True)
class ServerHello:
    """The answer to a client's ``hello``; rates in Hz are the handler's."""

    session_id: str
    input_sample_rate: int
    output_sample_rate: int
    version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One event of the session, as ``fastrtc.events.event_as_json`` gives it."""

    event: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerOutput:
    """The values of one ``AdditionalOutputs``, as far as JSON can carry them."""

    data: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class SendInput:
    """The handler waits for the client's input values."""


@dataclass(frozen=True, slots=True)
class FetchOutput:
    """Additional outputs are ready to be fetched."""


@dataclass(frozen=True, slots=True)
class StopWord:
    """A stop word was heard."""

    word: str = ""


@dataclass(frozen=True, slots=True)
class TranscriptMessage:
    """What the user says, as text: partial, then final. FastRTC's clients pass over it.

    Attributes:
        text: All that was said in this turn so far.
        final: Whether it will not change any more.
        turn: Number of the turn, of a final one; None: it came to nothing.
        start_s: Where in the session's audio it starts.
        end_s: Where it ends.
    """

    text: str
    final: bool
    turn: int | None
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class EndStream:
    """The session is over, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Log:
    """A note: ``started_talking``, ``pause_detected``, ``response_starting`` or free text."""

    text: str


@dataclass(frozen=True, slots=True)
class UpdateConnection:
    """The client should bring the connection into this state (``closed``)."""

    state: str


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """An error to show to the user."""

    message: str


@dataclass(frozen=True, slots=True)
class WarningMessage:
    """A warning to show to the user."""

    message: str


@dataclass(frozen=True, slots=True)
class AppMessage:
    """A message that the application made itself (``send_message``); ``text`` is all of it."""

    text: str


ServerMessage: TypeAlias = (
    ServerHello
    | SessionEvent
    | ServerOutput
    | SendInput
    | FetchOutput
    | StopWord
    | TranscriptMessage
    | EndStream
    | Log
    | UpdateConnection
    | ErrorMessage
    | WarningMessage
    | AppMessage
)


_TEXT_MESSAGES: dict[str, type[StopWord | EndStream | Log | UpdateConnection]] = {
    "stopword": StopWord,
    "end_stream": EndStream,
    "log": Log,
    "update_connection": UpdateConnection,
}


def encode_server_message(message: ServerMessage) -> str:
    """The text of a server's message."""
    match message:
        case ServerHello():
            return _typed("hello", dataclasses.asdict(message))
        case SessionEvent(event):
            return _typed("event", as_jsonable(event))
        case ServerOutput(data):
            return _typed("output", as_jsonable(list(data)))
        case SendInput():
            return create_message("send_input", [])
        case FetchOutput():
            return create_message("fetch_output", [])
        case StopWord(word):
            return create_message("stopword", word)
        case TranscriptMessage():
            return _typed("transcript", dataclasses.asdict(message))
        case EndStream(reason):
            return create_message("end_stream", reason)
        case Log(text):
            return create_message("log", text)
        case UpdateConnection(state):
            return create_message("update_connection", state)
        case ErrorMessage(text):
            return json.dumps({"type": "error", "message": text})
        case WarningMessage(text):
            return json.dumps({"type": "warning", "message": text})
        case AppMessage(text):
            return text


def parse_server_message(text: str) -> ServerMessage:
    """Read what a server sent, for clients.

    Raises:
        ProtocolError: A known ``type`` with fields it may not have. Anything else is :class:`AppMessage`.
    """
    try:
        obj = load_object(text, "a message")
    except ProtocolError:
        return AppMessage(text)
    kind = obj.get("type")
    what = f'a "{kind}" message'
    match kind:
        case "hello":
            hello = take_object(obj, "data", what)
            return ServerHello(
                take_str(hello, "session_id", what),
                take_int(hello, "input_sample_rate", what),
                take_int(hello, "output_sample_rate", what),
                take_int(hello, "version", what),
            )
        case "event":
            return SessionEvent(take_object(obj, "data", what))
        case "output":
            return ServerOutput(_take_values(obj, what))
        case "send_input":
            return SendInput()
        case "fetch_output":
            return FetchOutput()
        case "transcript":
            return _transcript(take_object(obj, "data", what), what)
        case "stopword" | "end_stream" | "log" | "update_connection":
            data = obj.get("data", "")
            shown = data if isinstance(data, str) else json.dumps(data)
            return _TEXT_MESSAGES[kind](shown)
        case "error" | "warning":
            message = str(obj.get("message", obj.get("data", "")))
            return ErrorMessage(message) if kind == "error" else WarningMessage(message)
    return AppMessage(text)


def _transcript(said: Mapping[str, Any], what: str) -> TranscriptMessage:
    text = said.get("text")
    if not isinstance(text, str):
        raise ProtocolError(f'{what} needs "text": a string; got {kind_of(text)}')
    turn = None if said.get("turn") is None else take_int(said, "turn", what)
    return TranscriptMessage(
        text,
        take_bool(said, "final", what, default=True),
        turn,
        take_number(said, "start_s", what),
        take_number(said, "end_s", what),
    )


def as_jsonable(value: Any) -> Any:
    """What JSON can carry of a Python value: arrays become lists, NaN null, unknown objects their ``repr``, shortened.

    An array of more than ``MAX_ARRAY_VALUES``, such as an image, is only named: as JSON it would take a second of
    processor time, and more bytes than a client may leave unread.
    """
    return _jsonable(value, 0)


def _jsonable(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if depth > _MAX_DEPTH:
        return "..."
    if isinstance(value, np.ndarray) and value.size > MAX_ARRAY_VALUES:
        return f"array of shape {value.shape}, {value.dtype}"
    if isinstance(value, np.generic | np.ndarray):
        return _jsonable(value.tolist(), depth)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        return _jsonable(fields, depth)
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(item, depth + 1) for item in value]
    # Of bytes no more than will be shown is made into text.
    return repr(value[:_MAX_REPR_CHARS] if isinstance(value, bytes | bytearray) else value)[:_MAX_REPR_CHARS]


def _take_values(obj: Mapping[str, Any], what: str) -> tuple[Any, ...]:
    data = obj.get("data")
    if not isinstance(data, list):
        raise ProtocolError(f'{what} needs "data": a list of values; got {kind_of(data)}')
    return tuple(data)


def _typed(kind: str, data: Any) -> str:
    return json.dumps({"type": kind, "data": data})

"""FastRTC's WebSocket protocol: JSON text frames with an ``event``, audio as mu-law in base64.

A frame with a ``type`` and no ``event`` is a message of :mod:`fastrtc.wire.messages`, in either direction.
``clear`` is this project's: the client drops the audio it has not played yet; only clients that said hello get it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fastrtc.errors import ProtocolError
from fastrtc.wire.fields import load_object, shorten, take_base64, take_bool, take_id, take_object, take_token


@dataclass(frozen=True, slots=True)
class Start:
    """The client's first frame; ``websocket_id`` becomes the session's id, and where it is empty the server makes one.

    ``token`` shows that the client may open a session.

    With ``hello`` it stands for a ``hello`` message, too, which servers of FastRTC 0.0.34 would break off at.
    """

    websocket_id: str
    hello: bool = False
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """Audio: ``payload`` is G.711 mu-law, one byte a sample, at the handler's rate of that direction."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Stop:
    """The client hangs up."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The client asks for a :class:`Pong`."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a :class:`Ping`."""


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop the audio that has not been played yet."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The server refused the connection; ``meta`` holds ``error`` and details such as ``limit``."""

    meta: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DataMessage:
    """A text message that shares the socket with the audio; ``fields`` is its JSON where it has been read."""

    text: str
    fields: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)


ClientFrame: TypeAlias = Start | Media | Stop | Ping | DataMessage
ServerFrame: TypeAlias = Media | Pong | Clear | Failed | DataMessage
Frame: TypeAlias = ClientFrame | ServerFrame

_CLIENT_EVENTS = '"start", "media", "stop" or "ping"'


def parse_client_frame(text: str) -> ClientFrame:
    """Read one text frame of a client.

    Raises:
        ProtocolError: Not JSON, no or an unknown ``event``, or a field is missing; the message says what is wanted.
    """
    obj = load_object(text, "a WebSocket message")
    if "event" not in obj and "type" in obj:
        return DataMessage(text, obj)
    what = 'a "start" event'
    match obj.get("event"):
        case "start":
            hello = take_bool(obj, "hello", what, default=False)
            return Start(take_id(obj, "websocket_id", what), hello, take_token(obj, what))
        case "media":
            return _media(obj)
        case "stop":
            return Stop()
        case "ping":
            return Ping()
        case None:
            raise ProtocolError(f'a WebSocket message needs an "event" ({_CLIENT_EVENTS}) or a "type"')
        case other:
            raise ProtocolError(f"unknown event {shorten(str(other))}; send {_CLIENT_EVENTS}")


def parse_server_frame(text: str) -> ServerFrame:
    """Read one text frame of a server, for clients.

    Raises:
        ProtocolError: Not JSON, or no frame that a server sends.
    """
    obj = load_object(text, "a WebSocket message")
    if obj.get("status") == "failed":
        return Failed(take_object(obj, "meta", "a failure"))
    if "event" not in obj and "type" in obj:
        return DataMessage(text)
    match obj.get("event"):
        case "media":
            return _media(obj)
        case "pong":
            return Pong()
        case "clear":
            return Clear()
    raise ProtocolError(f"unknown frame from the server: {shorten(text)}")


def encode_frame(frame: Frame) -> str:
    """The text of a frame, in either direction."""
    match frame:
        case Start(websocket_id, hello, token):
            start: dict[str, Any] = {"event": "start", "websocket_id": websocket_id}
            extras = ({"hello": True} if hello else {}) | ({} if token is None else {"token": token})
            return json.dumps(start | extras)
        case Media(payload):
            return json.dumps({"event": "media", "media": {"payload": base64.b64encode(payload).decode("ascii")}})
        case Stop():
            return '{"event": "stop"}'
        case Ping():
            return '{"event": "ping"}'
        case Pong():
            return '{"event": "pong"}'
        case Clear():
            return '{"event": "clear"}'
        case Failed(meta):
            return json.dumps({"status": "failed", "meta": meta})
        case DataMessage(text):
            return text


def _media(obj: dict[str, Any]) -> Media:
    return Media(take_base64(take_object(obj, "media", 'a "media" event'), "payload", 'a "media" event'))

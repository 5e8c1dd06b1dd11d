"""Twilio Media Streams: the WebSocket protocol of a telephone call, the TwiML that starts one, and Twilio's signature.

Sources: "Media Streams - WebSocket Messages" and "Security - Validating requests" in Twilio's documentation. Audio is
G.711 mu-law, 8 kHz, mono.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from xml.sax.saxutils import escape, quoteattr

from fastrtc.errors import ProtocolError
from fastrtc.wire.fields import load_object, shorten, take_base64, take_object, take_str

SAMPLE_RATE_HZ = 8_000


@dataclass(frozen=True, slots=True)
class Connected:
    """The socket is open; :class:`CallStarted` follows."""


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The call's audio begins.

    Attributes:
        stream_sid: Names the stream in every message we send; becomes the session's id.
        call_sid: The call.
        parameters: What the TwiML's ``<Parameter>`` elements carry.
        account_sid: The account of Twilio that it belongs to.
    """

    stream_sid: str
    call_sid: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    account_sid: str = ""


@dataclass(frozen=True, slots=True)
class CallAudio:
    """Audio of the caller (``inbound``) or of the other leg: mu-law bytes."""

    payload: bytes
    track: str = "inbound"


@dataclass(frozen=True, slots=True)
class MarkReached:
    """The audio before our :func:`encode_mark` of this name has been played, or was cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key of the telephone (DTMF)."""

    digit: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The stream is over."""


CallMessage: TypeAlias = Connected | CallStarted | CallAudio | MarkReached | KeyPressed | CallEnded


def parse_call_message(text: str) -> CallMessage:
    """Read one message of Twilio.

    Raises:
        ProtocolError: Not JSON, an unknown ``event``, or a field is missing.
    """
    obj = load_object(text, "a telephone message")
    event = obj.get("event")
    what = f'a "{event}" event'
    match event:
        case "connected":
            return Connected()
        case "start":
            return _started(obj, what)
        case "media":
            media = take_object(obj, "media", what)
            track = media.get("track", "inbound")
            return CallAudio(take_base64(media, "payload", what), track if isinstance(track, str) else "inbound")
        case "mark":
            return MarkReached(take_str(take_object(obj, "mark", what), "name", what))
        case "dtmf":
            return KeyPressed(take_str(take_object(obj, "dtmf", what), "digit", what))
        case "stop":
            return CallEnded()
    raise ProtocolError(f"unknown telephone event {shorten(str(event))}; expected one of Twilio's media streams")


def _started(obj: dict[str, Any], what: str) -> CallStarted:
    details = obj.get("start")
    if not isinstance(details, dict):
        details = {}
    stream_sid = obj.get("streamSid") or details.get("streamSid")
    if not isinstance(stream_sid, str) or not stream_sid:
        raise ProtocolError(f'{what} needs "streamSid": the id of the stream')
    custom = details.get("customParameters")
    parameters = {str(key): str(value) for key, value in custom.items()} if isinstance(custom, dict) else {}
    call_sid, account_sid = (
        value if isinstance(value := details.get(key), str) else "" for key in ("callSid", "accountSid")
    )
    return CallStarted(stream_sid, call_sid, parameters, account_sid)


def encode_audio(stream_sid: str, payload: bytes) -> str:
    """Audio for the caller; ``payload`` is mu-law at 8 kHz, without any header."""
    encoded = base64.b64encode(payload).decode("ascii")
    return json.dumps({"event": "media", "streamSid": stream_sid, "media": {"payload": encoded}})


def encode_mark(stream_sid: str, name: str) -> str:
    """Ask to be told (:class:`MarkReached`) when the audio sent so far has been played."""
    return json.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}})


def encode_clear(stream_sid: str) -> str:
    """Drop the audio that has not been played yet."""
    return json.dumps({"event": "clear", "streamSid": stream_sid})


def connect_twiml(
    stream_url: str,
    *,
    greeting: str = "Connecting you now.",
    farewell: str = "The call is over.",
    parameters: Mapping[str, str] | None = None,
) -> str:
    """The answer to an incoming call: stream its audio, both ways, to ``stream_url``.

    Args:
        stream_url: A ``wss://`` address.
        greeting: Said before the stream starts; empty: nothing.
        farewell: Said when the server ends the stream; empty: nothing.
        parameters: Reach :attr:`CallStarted.parameters`.
    """
    inner = "".join(
        f"<Parameter name={quoteattr(name)} value={quoteattr(value)} />" for name, value in (parameters or {}).items()
    )
    stream = f"<Stream url={quoteattr(stream_url)}>{inner}</Stream>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<Response>{_say(greeting)}<Connect>{stream}</Connect>{_say(farewell)}</Response>"
    )


def _say(text: str) -> str:
    return f"<Say>{escape(text)}</Say>" if text else ""


def sign(auth_token: str, url: str, form: Iterable[tuple[str, str]] = ()) -> str:
    """Twilio's signature of a request: the header ``X-Twilio-Signature``.

    It is the HMAC-SHA1, in base64, of the address and the sorted names and values of the form, without separators.

    Args:
        auth_token: Of the account.
        url: As Twilio was given it, query included: ``https://...`` for a webhook, ``wss://...`` for a stream.
        form: Names and values that were posted, blank ones included; a WebSocket has none.
    """
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    return base64.b64encode(hmac.digest(auth_token.encode(), signed.encode(), "sha1")).decode("ascii")


def is_signed(auth_token: str, signature: str, urls: Iterable[str], form: Iterable[tuple[str, str]] = ()) -> bool:
    """Whether Twilio signed this request, compared in constant time.

    Args:
        auth_token: Of the account.
        signature: The request's ``X-Twilio-Signature``; empty if there is none.
        urls: Addresses that Twilio may have been given; one has to fit.
        form: As of :func:`sign`.
    """
    fields = list(form)
    # Every address is compared, so that the time tells nothing about which one fits.
    fits = [hmac.compare_digest(sign(auth_token, url, fields).encode(), signature.encode()) for url in urls]
    return any(fits)

"""Reading JSON that a stranger sent: every helper returns the wanted type or raises ``ProtocolError``."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any

from fastrtc.errors import ProtocolError

_SHOWN_CHARACTERS = 60
_MAX_PARTS = 20_000
_MAX_DIGITS = 100
_MAX_ID_CHARACTERS = 128
_MAX_TOKEN_CHARACTERS = 8_192


def load_object(text: str | bytes, what: str) -> dict[str, Any]:
    """Parse one JSON object.

    Args:
        text: What arrived.
        what: What it should have been, for the message ("a WebSocket message").

    Raises:
        ProtocolError: Not JSON, JSON of another kind, or such that takes long to read: of more than 20,000 commas and
            brackets, or with whole numbers of more than 100 digits. Python reads JSON without a pause for others, and a
            megabyte of small values in 50 ms.
    """
    check_cost(text, what)
    try:
        value = json.loads(text, parse_int=_whole_number)
    except RecursionError as error:
        raise ProtocolError(f"{what} is nested too deeply") from error
    except ValueError as error:
        raise ProtocolError(f"{what} must be JSON; got {shorten(text)}") from error
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} must be a JSON object like {{...}}; got {kind_of(value)}")
    return value


def check_cost(text: str | bytes, what: str) -> None:
    """Whether a text takes too long to read.

    Raises:
        ProtocolError: It has too many commas and brackets.
    """
    if len(text) > _MAX_PARTS and _parts(text) > _MAX_PARTS:
        raise ProtocolError(f"{what} may have at most {_MAX_PARTS} values")


def _parts(text: str | bytes) -> int:
    if isinstance(text, bytes):
        return text.count(b",") + text.count(b"[") + text.count(b"{")
    return text.count(",") + text.count("[") + text.count("{")


def _whole_number(digits: str) -> int:
    # The time that int() takes grows with the square of them.
    if len(digits) > _MAX_DIGITS:
        raise ValueError
    return int(digits)


def take_str(obj: Mapping[str, Any], key: str, what: str) -> str:
    """A required, non-empty string field."""
    value = obj.get(key)
    if not isinstance(value, str) or not value:
        raise ProtocolError(f'{what} needs "{key}": a non-empty string; got {kind_of(value)}')
    return value


def take_id(obj: Mapping[str, Any], key: str, what: str) -> str:
    """A session's id that a client gives: one line of at most 128 characters; empty where it gives none."""
    value = obj.get(key)
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or len(value) > _MAX_ID_CHARACTERS or not value.isprintable():
        raise ProtocolError(
            f'{what} takes "{key}": a string of at most {_MAX_ID_CHARACTERS} printable characters; got {kind_of(value)}'
        )
    return value


def take_token(obj: Mapping[str, Any], what: str) -> str | None:
    """The optional ``token`` of a client; never shown in a message."""
    value = obj.get("token")
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _MAX_TOKEN_CHARACTERS:
        raise ProtocolError(f'{what} takes "token": a string of at most {_MAX_TOKEN_CHARACTERS} characters')
    return value


def take_object(obj: Mapping[str, Any], key: str, what: str) -> dict[str, Any]:
    """A required object field."""
    value = obj.get(key)
    if not isinstance(value, dict):
        raise ProtocolError(f'{what} needs "{key}": an object; got {kind_of(value)}')
    return value


def take_bool(obj: Mapping[str, Any], key: str, what: str, default: bool) -> bool:
    """An optional true or false."""
    value = obj.get(key, default)
    if not isinstance(value, bool):
        raise ProtocolError(f'{what} takes "{key}": true or false; got {kind_of(value)}')
    return value


def take_number(obj: Mapping[str, Any], key: str, what: str) -> float:
    """A required finite number that is not negative."""
    value = obj.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProtocolError(f'{what} needs "{key}": a number; got {kind_of(value)}')
    try:
        number = float(value)
    except OverflowError as error:
        raise ProtocolError(f'{what} needs "{key}": a number of sensible size') from error
    if not math.isfinite(number) or number < 0:
        raise ProtocolError(f'{what} needs "{key}": a number from 0; got {number}')
    return number


def take_int(obj: Mapping[str, Any], key: str, what: str) -> int:
    """A required whole number that is not negative."""
    value = obj.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ProtocolError(f'{what} needs "{key}": a whole number from 0; got {kind_of(value)}')
    return value


def take_base64(obj: Mapping[str, Any], key: str, what: str) -> bytes:
    """A required string of base64 (RFC 4648, section 4)."""
    value = obj.get(key)
    if not isinstance(value, str):
        raise ProtocolError(f'{what} needs "{key}": audio as base64; got {kind_of(value)}')
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError(f'{what}: "{key}" is not base64 ({error})') from error


def shorten(text: str | bytes) -> str:
    """The beginning of what arrived, safe to show."""
    shown = repr(text[: _SHOWN_CHARACTERS + 1])
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "..."


def kind_of(value: object) -> str:
    """A JSON value's kind in the words of JSON."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return shorten(value)
    if isinstance(value, int | float):
        return shorten(str(value)) if isinstance(value, float) else "a number"
    return "a list" if isinstance(value, list) else "an object"

"""STUN messages (RFC 8489), as far as TURN's Allocate (RFC 8656) needs them, and the URLs of such servers. Pure."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fastrtc.errors import ConfigurationError, ProtocolError

BINDING, ALLOCATE, REFRESH = 0x0001, 0x0003, 0x0004
SUCCESS, ERROR = 0x0100, 0x0110

USERNAME, INTEGRITY, ERROR_CODE, REALM, NONCE = 0x0006, 0x0008, 0x0009, 0x0014, 0x0015
LIFETIME, RELAYED, TRANSPORT, MAPPED = 0x000D, 0x0016, 0x0019, 0x0020

HEADER_BYTES = 20
_COOKIE = 0x2112A442
_INTEGRITY_BYTES = 24
_UDP = 17
_MAX_BODY = 4_096
_DEFAULT_PORTS = {"stun": 3478, "turn": 3478, "stuns": 5349, "turns": 5349}
_URL = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>\[[0-9a-fA-F:.]+\]|[^:?\[\]/@\s]+)(?::(?P<port>\d{1,5}))?"
    r"(?:\?transport=(?P<transport>udp|tcp))?",
    re.IGNORECASE,
)

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """A parsed URL (RFC 7064, RFC 7065).

    Attributes:
        text: As it was given.
        is_turn: Whether it relays.
        host: Name or address, without brackets.
        port: Given, or the scheme's.
        over: What carries it: ``udp``, ``tcp`` or ``tls``.
    """

    text: str
    is_turn: bool
    host: str
    port: int
    over: Literal["udp", "tcp", "tls"]


def parse_url(text: str) -> ServerUrl:
    """Read the URL of an ICE server.

    Raises:
        ConfigurationError: It is none.
    """
    found = _URL.fullmatch(text.strip())
    if found is None or int(found["port"] or 1) not in range(1, 65_536):
        raise ConfigurationError(
            f"{text!r} is no URL of an ICE server; it looks like stun:stun.example.org:3478 or "
            "turns:turn.example.org:5349?transport=tcp"
        )
    scheme, transport = found["scheme"].lower(), (found["transport"] or "").lower()
    over: Literal["udp", "tcp", "tls"] = "tls" if scheme.endswith("s") else "tcp" if transport == "tcp" else "udp"
    if scheme.endswith("s") and transport == "udp":
        raise ConfigurationError(f"{text!r}: TURN over DTLS is not supported; use turns: with ?transport=tcp")
    port = int(found["port"] or _DEFAULT_PORTS[scheme])
    return ServerUrl(text, scheme.startswith("turn"), found["host"].strip("[]"), port, over)


@dataclass(frozen=True, slots=True)
class Message:
    """A STUN message.

    Attributes:
        kind: Method and class.
        transaction: Of 12 bytes.
        attributes: Types and values, in order.
    """

    kind: int
    transaction: bytes
    attributes: tuple[tuple[int, bytes], ...] = ()

    def get(self, attribute: int) -> bytes | None:
        """The first value of a type."""
        return next((value for kind, value in self.attributes if kind == attribute), None)

    @property
    def error(self) -> tuple[int, str] | None:
        """Code and reason of an error response."""
        value = self.get(ERROR_CODE)
        if value is None or len(value) < 4:
            return None
        return 100 * (value[2] & 7) + value[3], value[4:].decode("utf-8", "replace")

    def address(self, attribute: int) -> Address | None:
        """An address that was XORed with the cookie (RFC 8489, section 14.2)."""
        value = self.get(attribute)
        if value is None or len(value) not in (8, 20):
            return None
        port = struct.unpack("!H", value[2:4])[0] ^ (_COOKIE >> 16)
        key = struct.pack("!I", _COOKIE) + self.transaction
        plain = bytes(a ^ b for a, b in zip(value[4:], key, strict=False))
        return str(ipaddress.ip_address(plain)), port


def request(method: int, attributes: Sequence[tuple[int, bytes]] = ()) -> Message:
    """A request with a transaction of its own."""
    return Message(method, secrets.token_bytes(12), tuple(attributes))


def allocate() -> list[tuple[int, bytes]]:
    """The attribute of an Allocate: relay UDP."""
    return [(TRANSPORT, bytes([_UDP, 0, 0, 0]))]


def encode(message: Message, key: bytes | None = None) -> bytes:
    """The bytes of a message, with its integrity if there is a key (RFC 8489, section 14.5)."""
    body = b"".join(_attribute(kind, value) for kind, value in message.attributes)
    if key is None:
        return _header(message, len(body)) + body
    signed = _header(message, len(body) + _INTEGRITY_BYTES) + body
    return signed + _attribute(INTEGRITY, hmac.digest(key, signed, hashlib.sha1))


def long_term_key(username: str, realm: str, password: str) -> bytes:
    """The key of a user (RFC 8489, section 9.2.2)."""
    return hashlib.md5(f"{username}:{realm}:{password}".encode(), usedforsecurity=False).digest()


def body_length(header: bytes) -> int:
    """How many bytes follow a header.

    Raises:
        ProtocolError: It is no STUN header.
    """
    if len(header) < HEADER_BYTES:
        raise ProtocolError("too short for STUN")
    kind, length, cookie = struct.unpack("!HHI", header[:8])
    if kind >= 0x4000 or cookie != _COOKIE or length % 4 or length > _MAX_BODY:
        raise ProtocolError("the answer is not STUN")
    return int(length)


def decode(data: bytes) -> Message:
    """Read a message.

    Raises:
        ProtocolError: It is none.
    """
    length = body_length(data)
    body = data[HEADER_BYTES : HEADER_BYTES + length]
    if len(body) != length:
        raise ProtocolError("a STUN message that ends too early")
    attributes, at = [], 0
    while at + 4 <= length:
        kind, size = struct.unpack("!HH", body[at : at + 4])
        value = body[at + 4 : at + 4 + size]
        if len(value) != size:
            raise ProtocolError("a STUN attribute that ends too early")
        attributes.append((kind, value))
        at += 4 + size + -size % 4
    return Message(struct.unpack("!H", data[:2])[0], data[8:HEADER_BYTES], tuple(attributes))


def _header(message: Message, length: int) -> bytes:
    return struct.pack("!HHI", message.kind, length, _COOKIE) + message.transaction


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)

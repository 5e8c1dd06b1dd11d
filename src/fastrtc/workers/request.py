"""As much of an HTTP/1.1 request as is needed to see which session it is about. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from fastrtc.errors import ProtocolError

MAX_HEAD_BYTES = 65_536
MAX_BODY_BYTES = 1_000_000
MAX_ID_LENGTH = 1_024
END_OF_HEAD = b"\r\n\r\n"
ID_NAMES = ("webrtc_id", "websocket_id")

# Of one hop: every connection carries one request here, and the front has answered "100 Continue" itself.
_DROPPED = (b"connection", b"keep-alive", b"expect")


@dataclass(frozen=True, slots=True)
class RequestHead:
    """Request line and headers (RFC 9112).

    Attributes:
        raw: The bytes, the empty line at the end included.
        method: ``GET``, ``POST`` ...
        target: Path and query, as sent.
        headers: Values by name in lower case; of a repeated header the last.
    """

    raw: bytes
    method: str
    target: str
    headers: dict[bytes, bytes] = field(hash=False)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def is_websocket(self) -> bool:
        """Whether the connection is to become a WebSocket."""
        return self.headers.get(b"upgrade", b"").lower() == b"websocket"

    @property
    def awaits_continue(self) -> bool:
        """Whether the client sends its body only after ``100 Continue``."""
        return self.headers.get(b"expect", b"").lower() == b"100-continue"

    @property
    def body_bytes(self) -> int:
        """Length of a JSON body that is short enough to be looked into; 0 for any other."""
        if b"json" not in self.headers.get(b"content-type", b"").lower():
            return 0
        length = self.headers.get(b"content-length", b"")
        if not length.isdigit() or len(length) > len(str(MAX_BODY_BYTES)):
            return 0
        return int(length) if int(length) <= MAX_BODY_BYTES else 0

    @property
    def is_chunked_json(self) -> bool:
        """Whether a JSON body comes without its length being known."""
        is_json = b"json" in self.headers.get(b"content-type", b"").lower()
        return is_json and b"chunked" in self.headers.get(b"transfer-encoding", b"").lower()

    def for_one_request(self) -> bytes:
        """The head, made to close the connection after the answer; that of a WebSocket as it is."""
        if self.is_websocket:
            return self.raw
        lines = self.raw.removesuffix(END_OF_HEAD).split(b"\r\n")
        kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in _DROPPED]
        return b"\r\n".join([*kept, b"connection: close"]) + END_OF_HEAD


def parse_head(raw: bytes) -> RequestHead:
    """Read a head, up to and with its empty line.

    Raises:
        ProtocolError: It is no HTTP/1.x request.
    """
    first, *lines = raw.removesuffix(END_OF_HEAD).split(b"\r\n")
    parts = first.split(b" ")
    if len(parts) != 3 or not parts[2].startswith(b"HTTP/1.") or not parts[0].isalpha():
        raise ProtocolError("this is no HTTP/1.1 request")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            raise ProtocolError("a header has no colon")
        headers[name.strip().lower()] = value.strip()
    return RequestHead(raw, parts[0].decode(), parts[1].decode("latin-1"), headers)


def session_id_of(head: RequestHead, body: bytes) -> str | None:
    """The session that a request names: ``webrtc_id`` in its query or at the top of its JSON body."""
    query = parse_qs(head.target.partition("?")[2].partition("#")[0])
    for name in ID_NAMES:
        if query.get(name):
            return _checked(query[name][0])
    data = _object_in(head, body)
    for name in ID_NAMES:
        if isinstance(data.get(name), str):
            return _checked(data[name])
    return None


def is_offer(head: RequestHead, body: bytes) -> bool:
    """Whether a request opens a WebRTC session, and so may name an id that nobody has yet."""
    return head.method == "POST" and _object_in(head, body).get("type") == "offer"


def dechunked(body: bytes) -> bytes:
    """A chunked body's content (RFC 9112, section 7.1).

    Raises:
        ValueError: It is not complete.
    """
    chunks: list[bytes] = []
    at = 0
    while True:
        start = body.index(b"\r\n", at) + 2
        length = int(body[at : start - 2].partition(b";")[0], 16)
        if length == 0:
            return b"".join(chunks)
        end = start + length
        if length < 0 or len(body) < end + 2:
            raise ValueError("the body is not complete")
        chunks.append(body[start:end])
        at = end + 2


def _object_in(head: RequestHead, body: bytes) -> dict[str, Any]:
    """The JSON object that a body is; empty for any other body."""
    try:
        data = json.loads(dechunked(body) if head.is_chunked_json else body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _checked(session_id: str) -> str | None:
    return session_id if 0 < len(session_id) <= MAX_ID_LENGTH else None

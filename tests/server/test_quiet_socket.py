"""What a client sends makes no traceback in the log, and an answer where there can be one."""

import asyncio
import logging
from typing import Any

import pytest
from tests.fuzz.sockets import HANDSHAKE, Line

from fastrtc.server.quiet_socket import QuietWebSocketProtocol

EARLY_CLOSE, EARLY_NONSENSE, BAD_TEXT = (
    b"\x88\x80" + bytes(4),
    b"\xf3\x80" + bytes(4),
    b"\x81\x82" + bytes(4) + b"\xff\xfe",
)


async def _talk(head: bytes, frames: bytes, early: bool, refuses: bool, written: bytearray) -> list[Any]:
    line = Line(QuietWebSocketProtocol, refuses)
    line.transport.write = written.extend  # type: ignore[method-assign]
    await line.feed(head)
    if not early:
        await line.settle()
    await line.feed(frames)
    await line.settle()
    await line.vanish()
    return line.received


@pytest.mark.parametrize(
    ("head", "frames", "early", "refuses", "answer"),
    [
        (HANDSHAKE.replace("GET", "POST"), b"", False, False, b"HTTP/1.1 400 Bad Request"),
        (HANDSHAKE.replace("Origin:", "X-Many: a\r\n" * 200 + "Origin:"), b"", False, False, b"HTTP/1.1 400"),
        (HANDSHAKE.replace("dGhl", "dG\xe4l"), b"", False, False, b"HTTP/1.1 400"),
        (HANDSHAKE, EARLY_NONSENSE, True, False, b""),
        (HANDSHAKE, EARLY_CLOSE, True, False, b""),
        (HANDSHAKE, EARLY_CLOSE, True, True, b""),
        (HANDSHAKE, BAD_TEXT, True, False, b""),
        (HANDSHAKE, BAD_TEXT, False, False, b"HTTP/1.1 101"),
    ],
)
def test_a_client_that_breaks_the_protocol(
    head: str, frames: bytes, early: bool, refuses: bool, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    written = bytearray()
    with caplog.at_level(logging.ERROR):
        assert asyncio.run(_talk(head.encode("latin-1"), frames, early, refuses, written)) == []
    assert caplog.records == []
    assert written.startswith(answer)
    assert bool(written) == bool(answer)


def test_a_text_that_is_no_utf8_is_named() -> None:
    written = bytearray()
    asyncio.run(_talk(HANDSHAKE.encode(), BAD_TEXT, False, False, written))
    assert written.endswith(b"\x03\xefa text must be UTF-8")

"""Which session runs the code, and messages to its client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextvars import copy_context

import pytest

from fastrtc.context import Context, Warning, WebRTCError, current_channel, current_context, get_current_context


class Channel:
    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []

    def send(self, message: str) -> None:
        self.messages.append(json.loads(message))


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel()
    token = current_channel.set(channel)
    yield channel
    current_channel.reset(token)


def test_outside_a_session_there_is_no_context() -> None:
    with pytest.raises(RuntimeError, match="session"):
        copy_context().run(get_current_context)


def test_inside_a_session() -> None:
    context = Context(webrtc_id="abc")

    def inside() -> Context:
        current_context.set(context)
        return get_current_context()

    assert copy_context().run(inside) is context
    assert (context.websocket, context.call, context.user) == (None, None, None)


def test_a_new_thread_has_no_context() -> None:
    current: list[Context | None] = []
    token = current_context.set(Context(webrtc_id="abc"))
    try:
        thread = threading.Thread(target=lambda: current.append(current_context.get()))
        thread.start()
        thread.join(10.0)
    finally:
        current_context.reset(token)
    assert current == [None]


def test_a_warning_reaches_the_client(channel: Channel) -> None:
    Warning("careful")
    Warning()
    assert channel.messages == [
        {"type": "warning", "message": "careful"},
        {"type": "warning", "message": "Warning issued."},
    ]


def test_an_error_reaches_the_client_when_it_is_made(channel: Channel) -> None:
    with pytest.raises(WebRTCError, match="broken"):
        raise WebRTCError("broken")
    assert channel.messages == [{"type": "error", "message": "broken"}]


def test_without_a_session_nothing_is_sent() -> None:
    Warning("nobody hears this")
    assert str(WebRTCError("nor this")) == "nor this"

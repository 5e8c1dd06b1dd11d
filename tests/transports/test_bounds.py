"""A WebSocket client beyond a limit: it is told, and it goes."""

import asyncio
import base64
import json

import numpy as np
import pytest

from fastrtc.audio import PCM
from fastrtc.errors import AccessDeniedError, SignalingError
from fastrtc.limits import Limits
from fastrtc.transports.inbox import Inbox
from fastrtc.transports.socket import _CLOSE_CODES
from fastrtc.transports.telephone import TelephoneConversation
from fastrtc.transports.websocket import WebSocketConversation

START = {"event": "start", "websocket_id": "ann"}
CALL = {"event": "start", "streamSid": "MZ1", "start": {"customParameters": {"token": "t"}}}


def limited(kind, **limits):
    """A conversation class under limits of its own."""

    class Limited(kind):
        def __init__(self, socket, switchboard):
            switchboard.limits = Limits(**limits)
            super().__init__(socket, switchboard)

    return Limited


def media(payload: bytes) -> dict:
    return {"event": "media", "media": {"payload": base64.b64encode(payload).decode()}}


def ends(reason):
    return lambda message: message == {"type": "end_stream", "data": reason}


def test_too_many_messages(with_line):
    async def scenario(line):
        line.socket.say(START)
        for number in range(9):
            line.socket.say({"type": "input", "data": [number]})
        await line.socket.wait_for(ends("too_many_messages"))
        await line.serving
        session = await line.session()
        assert len(session.messages) == 5
        assert session.closes == ["too_many_messages"]
        assert line.socket.closed_with == (1008, "too_many_messages")
        assert any("more messages" in message.get("message", "") for message in line.socket.sent)

    with_line(limited(WebSocketConversation, messages_per_s=0.001, message_burst=5), scenario)


def test_nonsense_counts_as_messages(with_line):
    async def scenario(line):
        for _ in range(9):
            line.socket.say("nonsense")
        await line.serving
        assert len([message for message in line.socket.sent if message.get("type") == "error"]) == 5
        assert line.socket.sent[-1] == {"status": "failed", "meta": {"error": "too_many_messages"}}

    with_line(limited(WebSocketConversation, messages_per_s=0.001, message_burst=5), scenario)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_message_that_is_too_long(with_line, as_bytes):
    async def scenario(line):
        line.socket.say(START)
        if as_bytes:
            line.socket.say_bytes(b"x" * 1001)
        else:
            line.socket.say({"type": "input", "data": ["x" * 1001]})
        await line.socket.wait_for(ends("message_too_long"))
        await line.serving
        assert (await line.session()).messages == []
        assert line.socket.closed_with == (1009, "message_too_long")

    with_line(limited(WebSocketConversation, max_message_bytes=1000), scenario)


@pytest.mark.parametrize("kind", [WebSocketConversation, TelephoneConversation])
def test_a_socket_that_never_starts(with_line, kind):
    async def scenario(line):
        line.socket.say({"event": "ping"})
        await line.serving
        assert line.socket.closed_with == (3008, "start_timeout")
        assert not line.switchboard.sessions
        assert len(line.switchboard.lobby) == 0

    with_line(limited(kind, start_timeout_s=0.05), scenario)


def test_a_socket_that_has_started_may_be_silent(with_line):
    async def scenario(line):
        line.socket.say(START)
        session = await line.session()
        await session.started.wait()
        assert len(line.switchboard.lobby) == 0
        # The time-out of the start is over by the time the burst below has been paid for.
        line.socket.say(media(b"\xff" * 16_000))
        line.socket.say({"event": "ping"})
        await line.socket.wait_for(lambda message: message.get("event") == "pong")
        line.socket.say({"event": "stop"})
        await line.serving
        assert session.closes == ["stopped"]

    with_line(limited(WebSocketConversation, start_timeout_s=0.05, max_received_ms=800), scenario)


def test_who_is_faster_than_time_is_read_more_slowly_and_loses_nothing(with_line):
    async def scenario(line):
        line.socket.say(START)
        session = await line.session()
        for _ in range(40):
            line.socket.say(media(b"\xff" * 320))
        line.socket.say({"event": "stop"})
        taken = 0
        while taken < 40 * 320:
            # The clock takes a tick whenever the conversation waits for time to pass.
            await line.socket.reads.wait()
            block = session.link.read()
            taken += 0 if block is None else block.size
            if block is None:
                await pass_time()
        await line.serving
        assert taken == 40 * 320
        assert session.closes == ["stopped"]

    # 800 ms of audio, of which only 200 may come at once.
    with_line(limited(WebSocketConversation, max_received_ms=200), scenario)


def test_megabytes_are_read_slowly_too(with_line):
    async def scenario(line):
        line.socket.say(START)
        session = await line.session()
        begin_s = asyncio.get_running_loop().time()
        for _ in range(4):
            line.socket.say({"type": "input", "data": ["x" * 100_000]})
        line.socket.say({"event": "stop"})
        await line.serving
        assert len(session.messages) == 4
        # 400 kB, of which 50 may come at once, at a megabyte a second.
        assert asyncio.get_running_loop().time() - begin_s > 0.3

    with_line(limited(WebSocketConversation, max_received_ms=200), scenario)


async def pass_time() -> None:
    await asyncio.sleep(0.005)


def test_the_oldest_socket_without_a_start_goes(with_line):
    async def scenario(line):
        line.socket.say({"event": "ping"})
        await line.socket.wait_for(lambda message: message.get("event") == "pong")
        for number in range(8):
            line.switchboard.lobby.enter(number, lambda reason: None)
        await line.serving
        assert line.socket.closed_with == (1013, "too_many_pending_connections")

    with_line(WebSocketConversation, scenario)


@pytest.mark.parametrize("kind", [WebSocketConversation, TelephoneConversation])
def test_a_page_of_a_foreign_origin_is_not_even_accepted(with_line, kind):
    class Foreign(kind):
        def __init__(self, socket, switchboard):
            switchboard.foreign = True
            super().__init__(socket, switchboard)

    async def scenario(line):
        await line.serving
        assert line.socket.closed_with is not None
        assert line.socket.sent == []

    with_line(Foreign, scenario)


@pytest.mark.parametrize(
    ("kind", "start", "name", "token"),
    [
        (WebSocketConversation, {**START, "token": "t"}, "ann", "t"),
        (WebSocketConversation, {"event": "start"}, "minted", None),
        (TelephoneConversation, CALL, "MZ1", "t"),
    ],
)
def test_the_hooks_user_is_in_the_context(with_line, kind, start, name, token):
    async def scenario(line):
        line.socket.say(start)
        session = await line.session()
        assert (session.context.webrtc_id, session.context.user) == (name, f"user of {name}")
        visitor = line.switchboard.visitors[0]
        assert visitor.webrtc_id == name
        assert visitor.connection is line.socket
        assert visitor.via == ("telephone" if kind is TelephoneConversation else "websocket")
        assert (visitor.given_token or (visitor.call or {}).get("token")) == token
        line.socket.say({"event": "stop"})
        await line.serving

    with_line(kind, scenario)


@pytest.mark.parametrize(("kind", "start"), [(WebSocketConversation, START), (TelephoneConversation, CALL)])
@pytest.mark.parametrize(
    ("denial", "code"),
    [
        (AccessDeniedError("who are you?"), 3000),
        (AccessDeniedError(status=403), 3003),
        (SignalingError("too_many_offers"), 1013),
    ],
)
def test_a_refusal_has_a_reason_and_a_close_code(with_line, kind, start, denial, code):
    class Refused(kind):
        def __init__(self, socket, switchboard):
            switchboard.denial = denial
            super().__init__(socket, switchboard)

    async def scenario(line):
        line.socket.say(start)
        await line.serving
        assert line.socket.sent == [denial.as_json()]
        assert line.socket.closed_with == (code, denial.code)
        assert not line.switchboard.sessions

    with_line(Refused, scenario)


def test_who_is_hung_up_while_the_hook_thinks_gets_no_session(with_line):
    class Slow(WebSocketConversation):
        def __init__(self, socket, switchboard):
            switchboard.thinking = asyncio.Event()
            super().__init__(socket, switchboard)

    async def scenario(line):
        line.socket.say(START)
        while not line.switchboard.visitors:
            await pass_time()
        for number in range(8):
            line.switchboard.lobby.enter(number, lambda reason: None)
        line.switchboard.thinking.set()
        await line.serving
        assert line.socket.closed_with == (1013, "too_many_pending_connections")
        assert not line.switchboard.sessions

    with_line(Slow, scenario)


def pcm(count: int) -> PCM:
    return np.arange(count, dtype=np.int16)


def test_a_burst_is_taken_in_parts_and_in_order():
    inbox = Inbox(1000, max_ms=500, max_take_ms=100)
    inbox.put(pcm(250))
    inbox.put(pcm(30))
    taken = [inbox.take() for _ in range(4)]
    assert [None if block is None else block.size for block in taken] == [100, 100, 80, None]
    np.testing.assert_array_equal(np.concatenate(taken[:3]), np.concatenate([pcm(250), pcm(30)]))


def test_no_frame_is_larger_than_the_inbox():
    inbox = Inbox(1000, max_ms=500, max_take_ms=1000)
    inbox.put(pcm(800))
    assert inbox.dropped_samples == 300
    np.testing.assert_array_equal(inbox.take(), pcm(800)[-500:])
    for _ in range(9):
        inbox.put(pcm(100))
    assert inbox.dropped_samples == 300 + 400
    taken = inbox.take()
    assert taken is not None
    assert taken.size == 500


def test_every_code_is_one_that_a_server_may_send():
    assert all(code in (1008, 1009, 1011, 1012, 1013) or 3000 <= code < 4000 for code in _CLOSE_CODES.values())
    # A close frame has room for 123 bytes of reason (RFC 6455, section 5.5).
    assert all(len(json.dumps(reason)) < 123 for reason in _CLOSE_CODES)

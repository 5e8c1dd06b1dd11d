import asyncio
import base64
from typing import Any

import numpy as np
import pytest
from starlette.websockets import WebSocketState

from fastrtc.errors import SignalingError
from fastrtc.media.g711 import decode_ulaw, encode_ulaw
from fastrtc.transports.websocket import WebSocketConversation

START = {"event": "start", "websocket_id": "ann"}
HELLO = {"type": "hello", "data": {"version": 1}}
TONE = (8000 * np.sin(np.arange(480) / 7)).astype(np.int16)


def media(payload: bytes) -> dict[str, Any]:
    return {"event": "media", "media": {"payload": base64.b64encode(payload).decode()}}


def payload_of(message: dict[str, Any]) -> bytes:
    return base64.b64decode(message["media"]["payload"])


def is_media(message: dict[str, Any]) -> bool:
    return message.get("event") == "media"


def test_a_call_from_start_to_stop(with_line):
    async def scenario(line):
        line.socket.say(START)
        session = await line.session()
        await session.started.wait()
        assert session.context.webrtc_id == "ann"
        assert session.context.websocket is line.socket
        assert session.handler.phone_mode is False
        assert (session.link.rate_in_hz, session.link.rate_out_hz) == (16_000, 24_000)
        line.socket.say({"event": "stop"})
        await line.serving
        assert session.closes == ["stopped"]

    with_line(WebSocketConversation, scenario)


def test_audio_arrives_whole_and_in_order(with_line):
    async def scenario(line):
        line.socket.say(START)
        payload = encode_ulaw(TONE)
        line.socket.say(media(payload[:160]))
        line.socket.say(media(b""))
        line.socket.say(media(payload[160:]))
        line.socket.say({"event": "ping"})
        await line.socket.wait_for(lambda message: message == {"event": "pong"})
        session = await line.session()
        np.testing.assert_array_equal(session.link.read(), decode_ulaw(payload))
        assert session.link.read() is None
        line.socket.vanish()

    with_line(WebSocketConversation, scenario)


def test_audio_and_messages_leave_in_order(with_line):
    async def scenario(line):
        line.socket.say(START)
        link = (await line.session()).link
        link.write(TONE)
        link.write(TONE)
        link.send('{"type": "log", "data": "between"}')
        link.write(TONE[::-1])
        link.write(None)
        await link._outbox.drained()
        kinds = ["media" if is_media(message) else message["data"] for message in line.socket.sent]
        between = kinds.index("between")
        before = b"".join(payload_of(message) for message in line.socket.sent[:between])
        after = b"".join(payload_of(message) for message in line.socket.sent[between + 1 :])
        assert before == encode_ulaw(np.concatenate([TONE, TONE]))
        assert after == encode_ulaw(TONE[::-1])
        line.socket.vanish()

    with_line(WebSocketConversation, scenario)


def test_the_first_audio_after_silence_does_not_wait_for_more(with_line):
    async def scenario(line):
        line.socket.say(START)
        link = (await line.session()).link
        link.write(TONE)
        for _ in range(3):
            await asyncio.sleep(0)
        assert [payload_of(message) for message in line.socket.sent] == [encode_ulaw(TONE)]
        line.socket.vanish()

    with_line(WebSocketConversation, scenario)


def test_a_head_start_is_sent_in_few_messages(with_line):
    async def scenario(line):
        line.socket.say(START)
        link = (await line.session()).link
        for _ in range(30):
            link.write(TONE)
        await link._outbox.drained()
        sent = [payload_of(message) for message in line.socket.sent]
        assert sum(map(len, sent)) == 30 * TONE.size
        assert len(sent) <= 4
        line.socket.vanish()

    with_line(WebSocketConversation, scenario)


def test_clear_goes_only_to_clients_that_said_hello(with_line):
    async def scenario(line):
        line.socket.say(START)
        session = await line.session()
        session.link.write(TONE)
        assert session.link.flush() is False
        await session.link._outbox.drained()
        assert [payload_of(message) for message in line.socket.sent] == [encode_ulaw(TONE)]
        line.socket.say(HELLO)
        line.socket.say({"event": "ping"})
        await line.socket.wait_for(lambda message: message == {"event": "pong"})
        session.link.write(TONE)
        assert session.link.flush() is True
        await session.link._outbox.drained()
        assert line.socket.sent[-1] == {"event": "clear"}
        assert sum(map(is_media, line.socket.sent)) == 1
        line.socket.vanish()

    with_line(WebSocketConversation, scenario)


def test_messages_reach_the_session(with_line):
    async def scenario(line):
        line.socket.say(START)
        line.socket.say('{"type": "text", "data": "hi"}')
        line.socket.say('{"type": "refuse"}')
        refused = await line.socket.wait_for(lambda message: message.get("type") == "error")
        assert refused["message"] == "no such field"
        assert (await line.session()).messages == ['{"type": "text", "data": "hi"}']
        line.socket.vanish()

    with_line(WebSocketConversation, scenario)


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("{", "must be JSON"),
        ({"event": "dance"}, "dance"),
        (START, "started already"),
        ({"event": "media", "media": {"payload": "%"}}, "not base64"),
    ],
)
def test_nonsense_is_answered_and_the_session_goes_on(with_line, message, wanted):
    async def scenario(line):
        line.socket.say(START)
        line.socket.say(message)
        answer = await line.socket.wait_for(lambda message: message.get("type") == "error")
        assert wanted in answer["message"]
        line.socket.say_bytes(b"\0")
        await line.socket.wait_for(lambda message: "binary" in message.get("message", ""))
        line.socket.say({"event": "ping"})
        await line.socket.wait_for(lambda message: message == {"event": "pong"})
        assert (await line.session()).closes == []
        line.socket.vanish()

    with_line(WebSocketConversation, scenario)


@pytest.mark.parametrize("message", [media(b"\0"), {"type": "text", "data": "hi"}])
def test_before_start_the_client_is_told_to_start(with_line, message):
    async def scenario(line):
        line.socket.say(message)
        answer = await line.socket.wait_for(lambda message: message.get("type") == "error")
        assert '"start"' in answer["message"]
        line.socket.say({"event": "ping"})
        await line.socket.wait_for(lambda message: message == {"event": "pong"})
        line.socket.vanish()
        await line.serving
        assert not line.switchboard.sessions

    with_line(WebSocketConversation, scenario)


def test_a_full_server_says_so_and_closes(with_line):
    async def scenario(line):
        line.switchboard.refusal = SignalingError("concurrency_limit_reached", limit=3)
        line.socket.say(START)
        await line.serving
        assert line.socket.sent == [{"status": "failed", "meta": {"error": "concurrency_limit_reached", "limit": 3}}]
        assert line.socket.application_state is WebSocketState.DISCONNECTED

    with_line(WebSocketConversation, scenario)


async def vanish(line):
    line.socket.vanish()


async def stop(line):
    line.socket.say({"event": "stop"})


async def server_ends(line):
    await (await line.session()).close("time_limit")


@pytest.mark.parametrize(
    ("ending", "reason"), [(vanish, "disconnected"), (stop, "stopped"), (server_ends, "time_limit")]
)
def test_the_session_is_closed_first_and_the_socket_after_it(with_line, ending, reason):
    async def scenario(line):
        line.socket.say(START)
        session = await line.session()
        await session.started.wait()
        await ending(line)
        await line.serving
        assert session.closes[0] == reason
        gone = (line.socket.application_state, line.socket.client_state)
        assert WebSocketState.DISCONNECTED in gone

    with_line(WebSocketConversation, scenario)


def test_a_server_that_stops_closes_the_session(with_line):
    async def scenario(line):
        line.socket.say(START)
        session = await line.session()
        await session.started.wait()
        line.serving.cancel()
        await asyncio.wait([line.serving])
        assert session.closes == ["cancelled"]
        assert line.socket.application_state is WebSocketState.DISCONNECTED

    with pytest.raises(asyncio.CancelledError):
        with_line(WebSocketConversation, scenario)


def test_a_session_that_cannot_start_ends_the_call(with_line, caplog):
    async def scenario(line):
        line.switchboard.start_error = RuntimeError("no model")
        line.socket.say(START)
        session = await line.session()
        await line.serving
        assert session.closes == ["error"]
        assert "no model" in line.socket.sent[-1]["message"]

    with_line(WebSocketConversation, scenario)
    assert "no model" in caplog.text


def test_whatever_the_reading_fails_with_the_session_is_closed(with_line):
    async def scenario(line):
        def fail(_text):
            raise MemoryError

        line.socket.say(START)
        session = await line.session()
        session.receive_message = fail
        line.socket.say({"type": "input", "data": [1]})
        await asyncio.wait([line.serving])
        assert session.closes == ["cancelled"]

    with pytest.raises(MemoryError):
        with_line(WebSocketConversation, scenario)


def test_a_client_that_stops_reading_is_dropped(with_line):
    async def scenario(line):
        line.socket.say(START)
        session = await line.session()
        line.socket.reads.clear()
        second = np.zeros(24_000, np.int16)
        for _ in range(12):
            session.link.write(second)
        await line.serving
        assert session.closes == ["client_not_reading"]

    with_line(WebSocketConversation, scenario)


def test_what_was_said_last_is_heard_before_the_socket_closes(with_line):
    async def scenario(line):
        line.socket.say(START)
        session = await line.session()
        session.link.write(TONE)
        session.link.send('{"type": "end_stream", "data": "bye"}')
        await session.close("over")
        assert payload_of(line.socket.sent[0]) == encode_ulaw(TONE)
        assert line.socket.sent[1] == {"type": "end_stream", "data": "bye"}
        session.link.write(TONE)
        session.link.send("late")

    with_line(WebSocketConversation, scenario)


def test_nobody_waits_for_a_client_that_is_gone(with_line):
    async def scenario(line):
        line.socket.say(START)
        session = await line.session()
        await session.started.wait()
        session.link.write(TONE)
        session.link.send('{"type": "log", "data": "too late"}')
        line.socket.client_state = WebSocketState.DISCONNECTED
        began = asyncio.get_running_loop().time()
        line.socket.vanish()
        await line.serving
        # Less than the time-out for clients that are there and do not read.
        assert asyncio.get_running_loop().time() - began < 1.5

    with_line(WebSocketConversation, scenario)

"""The caller against a small server that echoes, over WebRTC and over a WebSocket."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from tests.client.server import serving
from tests.transports.webrtc.caller import likeness, speech_like

from fastrtc.client import connect
from fastrtc.errors import AudioFormatError, ConfigurationError, SignalingError

pytestmark = pytest.mark.timeout(60)

TRANSPORTS = ("webrtc", "websocket")


@pytest.fixture(scope="module")
def running():
    with serving() as (echo, url):
        yield echo, url


@pytest.fixture
def server(running):
    echo, _ = running
    echo.refuse = echo.answer = None
    echo.frames.clear()
    return running


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_is_spoken_is_heard_back_on_one_clock(server, transport):
    _, url = server

    async def scenario():
        async with connect(url, transport) as call:
            said = speech_like(1.2)
            spoken = await call.speak(said, 48_000)
            assert abs(spoken.end_s - spoken.start_s - 1.2) < 0.03
            await call.listen(0.5)
            record = call.record()
            said_again, heard = record.said, record.heard
            reference = said_again.between(spoken.start_s, spoken.end_s)
            if transport == "websocket":
                assert (said_again.rate_hz, heard.rate_hz) == (16_000, 8_000)
                assert np.abs(heard.pcm).max() > 3_000
            else:
                assert (said_again.rate_hz, heard.rate_hz) == (48_000, 48_000)
                assert likeness(heard.between(spoken.start_s, spoken.end_s + 0.5), reference)[0] > 0.9
            assert abs(heard.duration_s - said_again.duration_s) < 0.2
            assert record.spoken == (spoken,)

    asyncio.run(scenario())


def test_a_websocket_call_sends_silence_all_the_time_at_the_handlers_rate(server):
    echo, url = server

    async def scenario():
        async with connect(url, "websocket") as call:
            await call.listen(0.5)

    asyncio.run(scenario())
    frames = echo.spoken_pcm()
    assert len(frames) >= 20
    assert {len(frame) for frame in frames} == {320}
    assert not np.concatenate(frames).any()
    assert echo.frames[0]["event"] == "start"
    assert echo.frames[-1]["event"] == "stop"


def test_without_hello_the_rates_are_those_given(server):
    echo, url = server

    async def scenario():
        options = {"hello": False, "input_rate_hz": 8_000, "output_rate_hz": 24_000}
        async with connect(url, "websocket", **options) as call:
            await call.listen(0.1)
            assert (call.said.rate_hz, call.heard.rate_hz) == (8_000, 24_000)

    asyncio.run(scenario())
    assert not any(frame.get("type") == "hello" for frame in echo.frames)


def test_clear_drops_what_has_not_been_played(server):
    _, url = server

    async def scenario():
        async with connect(url, "websocket") as call:
            # The echo plays 16 kHz samples at 8 kHz, so half of them wait in the playback buffer.
            await call.speak(np.full(48_000, 9_000, np.int16), 48_000)
            call.send_message({"type": "clear"})
            call.send_message({"type": "after"})
            await call.wait_for(lambda message: message.type == "echo")
            cleared_s = call.now_s
            await call.listen(0.5)
            assert np.abs(call.heard.between(0.2, 0.8)).max() > 5_000
            assert np.abs(call.heard.between(cleared_s + 0.1, cleared_s + 0.4)).max() == 0

    asyncio.run(scenario())


def test_what_is_played_over_a_websocket_is_acknowledged_to_the_end(server):
    echo, url = server

    async def scenario():
        async with connect(url, "websocket") as call:
            for turn in (4, 5):
                call.send_message({"type": "reply", "turn": turn, "seconds": 0.3})
                # The echo's own silence follows it.
                await until(lambda turn=turn: max(echo.reports(), default=(0, 0)) >= (turn, 300.0))

    asyncio.run(scenario())
    assert echo.reports() == sorted(echo.reports())


def test_at_an_interruption_what_was_heard_is_said_to_the_sample(server):
    echo, url = server

    async def scenario():
        async with connect(url, "websocket") as call:
            call.send_message({"type": "reply", "turn": 1, "seconds": 30.0})
            await until(echo.reports)
            call.send_message({"type": "clear"})
            call.send_message({"type": "after"})
            await call.wait_for(lambda message: message.type == "echo")
            await until(lambda: (1, np.count_nonzero(call.heard.pcm) / 8) in echo.reports())
            assert np.count_nonzero(call.heard.pcm) / 8 < 30_000

    asyncio.run(scenario())


def test_nothing_is_acknowledged_to_a_server_that_does_not_know_us(server):
    echo, url = server

    async def scenario():
        async with connect(url, "websocket", hello=False, output_rate_hz=8_000) as call:
            call.send_message({"type": "reply", "turn": 1, "seconds": 0.1})
            await until(lambda: np.count_nonzero(call.heard.pcm) == 800)
            await call.listen(0.3)

    asyncio.run(scenario())
    assert echo.reports() == []


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - of other threads
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_messages_are_kept_awaited_and_streamed(server, transport):
    _, url = server

    async def scenario():
        async with connect(url, transport) as call:
            hello = await call.wait_for(lambda message: message.type == "hello", 5)
            assert hello.fields["version"] == 1
            waiting = asyncio.create_task(call.wait_for(lambda m: m.fields.get("number") == 2, 5))
            for number in (1, 2):
                call.send_message({"type": "note", "number": number})
            answer = await waiting
            assert answer.fields == {"type": "note", "number": 2}
            assert answer in call.messages
            assert 0 <= hello.at_s <= answer.at_s <= call.now_s
            assert await call.wait_for(lambda m: m.type == "hello", after_s=0.0) == hello
            with pytest.raises(TimeoutError, match="echo"):
                await call.wait_for(lambda message: False, timeout_s=0.05)
            seen = []
            reader = asyncio.create_task(collect(call, seen))
            await call.close()
            await reader
            assert seen == call.messages
            with pytest.raises(ConnectionError, match="ended"):
                await call.wait_for(lambda message: False)

    asyncio.run(scenario())


async def collect(call, seen):
    async for message in call:
        seen.append(message)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_refusal_says_why(server, transport):
    echo, url = server
    echo.refuse = {"error": "concurrency_limit_reached", "limit": 1}

    async def scenario():
        with pytest.raises(SignalingError) as caught:
            async with connect(url, transport):
                pytest.fail("connected")
        assert caught.value.code == "concurrency_limit_reached"
        assert caught.value.detail == {"limit": 1}

    asyncio.run(scenario())


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_nobody_listening_is_a_connection_error(transport, free_port):
    async def scenario():
        with pytest.raises(ConnectionError, match="answers"):
            async with connect(f"http://127.0.0.1:{free_port}", transport):
                pytest.fail("connected")

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [{}, {"sdp": 7}, []])
def test_an_answer_that_is_none(server, answer):
    echo, url = server
    echo.answer = answer

    async def scenario():
        with pytest.raises(ConnectionError):
            async with connect(url):
                pytest.fail("connected")

    asyncio.run(scenario())


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_a_wrong_address(server, transport):
    _, url = server

    async def scenario():
        with pytest.raises(ConnectionError, match=r"40[34].*no Stream is mounted"):
            async with connect(f"{url}/elsewhere", transport):
                pytest.fail("connected")

    asyncio.run(scenario())


def test_a_server_that_takes_the_call_and_never_connects(server):
    echo, url = server

    async def scenario():
        from tests.transports.webrtc.caller import Side

        from fastrtc.transports.webrtc.engine import PeerOptions, load_engine

        caller, stranger = Side(), Side()
        caller.peer = await load_engine().offer(PeerOptions(), caller)
        stranger.peer = await load_engine().answer(caller.peer.offer_sdp, PeerOptions(), stranger)
        echo.answer = {"sdp": stranger.peer.answer_sdp, "type": "answer"}
        with pytest.raises(ConnectionError, match="within 1"):
            async with connect(url, timeout_s=1.0):
                pytest.fail("connected")
        await caller.close()
        await stranger.close()

    asyncio.run(scenario())


def test_what_cannot_be_spoken_or_asked_for(server):
    _, url = server

    async def scenario():
        with pytest.raises(ConfigurationError):
            async with connect(url, "telegraph"):
                pytest.fail("connected")
        async with connect(url, "websocket") as call:
            with pytest.raises(AudioFormatError):
                await call.speak(np.zeros(100), 16_000)
            with pytest.raises(AudioFormatError):
                await call.speak(np.zeros((2, 100), np.int16), 16_000)
            nothing = await call.speak(np.zeros(0, np.int16), 16_000)
            assert nothing.start_s == nothing.end_s
            speaking = asyncio.create_task(call.speak(np.zeros((1, 480_000), np.int16), 48_000))
            await call.listen(0.1)
        with pytest.raises(ConnectionError):
            await speaking
        with pytest.raises(ConnectionError):
            await call.speak(np.zeros(100, np.int16), 16_000)
        with pytest.raises(ConnectionError):
            await call.listen(0.1)

    asyncio.run(scenario())

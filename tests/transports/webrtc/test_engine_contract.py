"""What every engine must do, each pair of engines in a real call over this machine's network."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.transports.webrtc.caller import Side, call, connect, likeness, speech_like

from fastrtc.errors import EngineError
from fastrtc.transports.webrtc.candidate import IceCandidate
from fastrtc.transports.webrtc.engine import TICK_SAMPLES, IceServer, PeerOptions, PeerState, PeerStats, load_engine

pytest.importorskip("wrtc", reason="wrtc is not installed")
pytest.importorskip("aiortc", reason="the extra aiortc is not installed")

pytestmark = pytest.mark.timeout(120)

KINDS = ("wrtc", "wrtc-streams", "aiortc")
PAIRS = [("wrtc", "wrtc"), ("wrtc", "aiortc"), ("aiortc", "wrtc"), ("aiortc", "aiortc"), ("wrtc-streams", "wrtc")]

_engines = {}


def engine(kind):
    if kind not in _engines:
        if kind == "wrtc-streams":
            from fastrtc.transports.webrtc.wrtc_engine import WrtcEngine

            _engines[kind] = WrtcEngine(native_audio=False)
        else:
            _engines[kind] = load_engine(kind)
    return _engines[kind]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.mark.parametrize(("calling", "called"), PAIRS)
def test_audio_arrives_both_ways(calling, called):
    async def scenario():
        there, back = speech_like(1.5, seed=1), speech_like(1.5, seed=2)
        async with call(engine(calling), engine(called)) as (caller, answerer):
            await answerer.until_heard(TICK_SAMPLES)
            caller.say(there)
            answerer.say(back)
            for side, said in ((answerer, there), (caller, back)):
                await side.until_heard(len(side.sound) + len(said) + 24_000)
                score, _ = likeness(side.sound, said)
                assert score > 0.9, f"{calling} to {called}: likeness {score}"

    asyncio.run(scenario())


@pytest.mark.parametrize(("calling", "called"), [("wrtc", "wrtc"), ("aiortc", "wrtc"), ("wrtc", "aiortc")])
def test_after_a_long_silence_speech_arrives_whole_and_without_more_delay(calling, called):
    async def scenario():
        said = speech_like(1.0)
        delays_ms = []
        async with call(engine(calling), engine(called)) as (caller, answerer):
            await answerer.until_heard(TICK_SAMPLES)
            for pause_ticks in (130, 20, 20, 60, 20):
                await asyncio.to_thread(wait_ticks, caller, pause_ticks)
                start = len(answerer.sound)
                caller.say(said)
                await asyncio.to_thread(wait_ticks, caller, 50 + 25)
                score, lag = likeness(answerer.sound[start:], said)
                assert score > 0.9, f"likeness {score}"
                delays_ms.append(lag / 48)
        assert max(delays_ms) - min(delays_ms) < 400, delays_ms  # a sender that stops its clock makes it 500 and more

    asyncio.run(scenario())


def wait_ticks(side, ticks):
    """Until the media clock of a side has made so many ticks."""
    end = side.ticks + ticks
    deadline = time.monotonic() + 30
    while side.ticks < end and time.monotonic() < deadline:
        side.ticked.wait(1.0)
        side.ticked.clear()


@pytest.mark.parametrize(("calling", "called"), PAIRS)
def test_messages_both_ways_in_order_even_if_sent_before_the_channel_is_open(calling, called):
    async def scenario():
        caller, answerer = await connect(engine(calling), engine(called))
        try:
            sent = [f"message {number} äöü" for number in range(20)]
            sender = threading.Thread(target=lambda: [caller.peer.send(text) for text in sent])
            sender.start()
            for text in sent:
                answerer.peer.send(text)
            await asyncio.to_thread(sender.join)
            for side in (caller, answerer):
                await side.until(lambda side=side: len(side.messages) >= len(sent))
                assert side.messages == sent
                assert side.channel_open
        finally:
            await caller.close()
            await answerer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(("calling", "called"), PAIRS)
@pytest.mark.parametrize("leaver", ["caller", "answerer"])
def test_a_close_is_seen_by_the_other_side(calling, called, leaver):
    async def scenario():
        async with call(engine(calling), engine(called)) as (caller, answerer):
            leaving, staying = (caller, answerer) if leaver == "caller" else (answerer, caller)
            await leaving.peer.close()
            await leaving.peer.close()
            await staying.until(lambda: staying.states[-1] is PeerState.CLOSED)
            assert leaving.states[-1] is PeerState.CLOSED
            assert leaving.states.count(PeerState.CLOSED) == 1
            leaving.peer.send("into the void")
            assert await leaving.peer.stats() == PeerStats()

    asyncio.run(scenario())


def test_a_call_comes_about_by_trickled_candidates_alone(kind):
    async def scenario():
        caller, answerer = Side(), Side()
        caller.peer = await engine(kind).offer(PeerOptions(), caller)
        offer, candidates = without_candidates(caller.peer.offer_sdp)
        answerer.peer = await engine("wrtc").answer(offer, PeerOptions(), answerer)
        answer, back = without_candidates(answerer.peer.answer_sdp)
        await caller.peer.set_answer(answer)
        try:
            assert candidates
            for line in candidates:
                await answerer.peer.add_candidate(IceCandidate.from_json({"candidate": line, "sdpMid": "0"}))
            await answerer.peer.add_candidate(None)
            for line in back:
                await caller.peer.add_candidate(IceCandidate.from_json({"candidate": line, "sdpMLineIndex": 0}))
            await caller.peer.add_candidate(IceCandidate.from_json({"candidate": "", "sdpMid": "0"}))
            for side in (caller, answerer):
                await side.until(lambda side=side: side.peer.state is PeerState.CONNECTED)
        finally:
            await caller.close()
            await answerer.close()

    asyncio.run(scenario())


def without_candidates(sdp):
    lines = sdp.splitlines()
    candidates = [line.removeprefix("a=") for line in lines if line.startswith("a=candidate:")]
    kept = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return "\r\n".join(kept) + "\r\n", list(dict.fromkeys(candidates))


def test_candidates_of_no_use_are_passed_over(kind):
    lines = [
        "candidate:1 1 TCP 1015021823 192.0.2.7 9 typ host tcptype active",
        "candidate:2 2 UDP 2130706430 192.0.2.7 5001 typ host",
        "candidate:3 1 UDP 2130706431 0f3e5a8c-0000-4000-8000-000000000001.local 5002 typ host",
        "candidate:4 1 UDP 1 192.0.2.9 5003 typ srflx",
    ]

    async def scenario():
        caller, answerer = await connect(engine("wrtc"), engine(kind))
        try:
            for line in lines:
                await answerer.peer.add_candidate(IceCandidate.from_json({"candidate": line, "sdpMid": "0"}))
            await answerer.until(lambda: answerer.peer.state is PeerState.CONNECTED)
            await answerer.peer.close()
            await answerer.peer.add_candidate(IceCandidate.from_json({"candidate": lines[0], "sdpMid": "0"}))
        finally:
            await caller.close()
            await answerer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "sdp",
    [
        "",
        "v=0",
        "hello",
        "v=0\r\nm=audio",
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus\r\n",
        "v=0\nm=" + "x" * 300_000,
        None,
    ],
)
def test_a_bad_description_is_an_engine_error_and_leaves_nothing_behind(kind, sdp):
    async def scenario():
        before = len(asyncio.all_tasks())
        with pytest.raises(EngineError):
            await engine(kind).answer(sdp, PeerOptions(), Side())
        caller = Side()
        caller.peer = await engine(kind).offer(PeerOptions(), caller)
        with pytest.raises(EngineError):
            await caller.peer.set_answer(sdp)
        await caller.close()
        await settle(lambda: len(asyncio.all_tasks()) <= before)
        assert len(asyncio.all_tasks()) <= before

    asyncio.run(scenario())


@pytest.mark.parametrize("server", ["nonsense", "turn:turn.example.org"])
def test_an_impossible_ice_server_is_an_engine_error(server):
    async def scenario():
        with pytest.raises(EngineError):
            await engine("wrtc").offer(PeerOptions(ice_servers=(IceServer(urls=(server,)),)), Side())

    asyncio.run(scenario())


def test_a_peer_without_audio_out_only_receives(kind):
    async def scenario():
        caller, answerer = await connect(engine("wrtc"), engine(kind), called_options=PeerOptions(has_audio_out=False))
        try:
            assert "a=recvonly" in answerer.peer.answer_sdp
            said = speech_like(1.0)
            caller.start()
            answerer.start()
            await answerer.until(lambda: answerer.peer.state is PeerState.CONNECTED)
            caller.say(said)
            await answerer.until_heard(len(answerer.sound) + len(said) + 24_000)
            assert likeness(answerer.sound, said)[0] > 0.9
            assert (await answerer.peer.stats()).packets_sent == 0
        finally:
            await caller.close()
            await answerer.close()

    asyncio.run(scenario())


def test_statistics_count_packets(kind):
    async def scenario():
        async with call(engine("wrtc"), engine(kind)) as (caller, answerer):
            caller.say(speech_like(0.5))
            await answerer.until_heard(36_000)
            stats = await answerer.peer.stats()
            assert stats.packets_received > 10
            assert stats.packets_lost == 0
            assert stats.dropped_samples == 0

    asyncio.run(scenario())


def test_twenty_calls_leave_no_thread_file_or_task_behind(kind):
    async def cycle():
        async with call(engine("wrtc"), engine(kind)) as (caller, answerer):
            caller.say(speech_like(0.1))
            await answerer.until_heard(TICK_SAMPLES)

    async def scenario():
        for _ in range(3):
            await cycle()
        await settle(lambda: False, tries=20)
        before = resources()
        for _ in range(20):
            await cycle()
        await settle(lambda: all(now <= then for now, then in zip(resources(), before, strict=True)))
        after = resources()
        assert all(now <= then for now, then in zip(after, before, strict=True)), (
            f"(threads, files, tasks, wrtc objects): {before} before, {after} after"
        )

    asyncio.run(scenario())


def resources():
    import wrtc

    gc.collect()
    alive = sum(wrtc._alive().values())
    return count("task"), count("fd"), len(asyncio.all_tasks()), alive


def count(kind):
    return len(list(Path(f"/proc/self/{kind}").iterdir()))


async def settle(is_quiet, tries=100):
    for _ in range(tries):
        if is_quiet():
            return
        await asyncio.sleep(0.02)


def test_audio_flows_while_the_event_loop_is_blocked():
    """The reason for wrtc's native objects: an async handler that blocks must not make anyone's audio stutter."""

    async def scenario():
        said = speech_like(1.0)
        async with call(engine("wrtc"), engine("wrtc")) as (caller, answerer):
            await answerer.until_heard(TICK_SAMPLES)
            caller.say(said)
            time.sleep(1.6)  # noqa: ASYNC251 - blocking the loop is what this is about
            assert likeness(answerer.sound, said)[0] > 0.9

    asyncio.run(scenario())


@pytest.mark.parametrize("value", [np.full(TICK_SAMPLES, 12_000, np.int16), None])
def test_reading_and_writing_after_close_does_nothing(kind, value):
    async def scenario():
        side = Side()
        side.peer = await engine(kind).offer(PeerOptions(), side)
        await side.peer.close()
        side.peer.write(value)
        side.peer.flush()
        assert side.peer.read() is None

    asyncio.run(scenario())

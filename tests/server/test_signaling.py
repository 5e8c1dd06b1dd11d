"""Signaling with an engine and a session that the tests hold in their hands."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from fastrtc.errors import AccessDeniedError, EngineError, ProtocolError
from fastrtc.handlers.base import AsyncStreamHandler
from fastrtc.limits import Limits
from fastrtc.server.entrance import Entrance
from fastrtc.server.host import SessionHost
from fastrtc.server.signaling import MAX_CANDIDATES, Signaling
from fastrtc.transports.webrtc.candidate import IceCandidate
from fastrtc.transports.webrtc.engine import PeerOptions, PeerState, PeerStats

CHROME = {"candidate": "candidate:1 1 udp 2122260223 192.0.2.7 63692 typ host generation 0", "sdpMid": "0"}
FIREFOX_END = {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "8f3a"}


class FakePeer:
    def __init__(self, observer: Any) -> None:
        self.observer = observer
        self.state = PeerState.NEW
        self.answer_sdp = "v=0 answer"
        self.is_gathering = False
        self.restarts: list[str] = []
        self.candidates: list[IceCandidate | None] = []
        self.sent: list[str] = []
        self.closes = 0

    def become(self, state: PeerState) -> None:
        self.state = state
        self.observer.on_state(state)

    async def answer_restart(self, offer_sdp: str) -> None:
        if "bad" in offer_sdp:
            raise EngineError("cannot")
        self.restarts.append(offer_sdp)
        self.answer_sdp = f"v=0 answer {len(self.restarts)}"

    async def add_candidate(self, candidate: IceCandidate | None) -> None:
        if candidate is not None and candidate.address == "192.0.2.13":
            raise EngineError("no luck")
        self.candidates.append(candidate)

    def read(self) -> None:
        return None

    def write(self, pcm: Any) -> None: ...

    def flush(self) -> None: ...

    def send(self, text: str) -> None:
        self.sent.append(text)

    async def stats(self) -> PeerStats:
        return PeerStats()

    async def close(self) -> None:
        self.closes += 1
        if self.state is not PeerState.CLOSED:
            self.become(PeerState.CLOSED)


class FakeEngine:
    name = "fake"

    def __init__(self) -> None:
        self.peers: list[FakePeer] = []
        self.options: PeerOptions | None = None
        self.early: list[str] = []
        self.delay: asyncio.Event | None = None
        self.gathering = False

    async def answer(self, offer_sdp: str, options: PeerOptions, observer: Any) -> FakePeer:
        if "bad" in offer_sdp:
            raise EngineError("line 1 makes no sense")
        if self.delay is not None:
            await self.delay.wait()
        self.options = options
        peer = FakePeer(observer)
        peer.is_gathering = self.gathering
        self.peers.append(peer)
        for text in self.early:
            observer.on_message(text)
            peer.become(PeerState.CONNECTED)
        return peer


class Quiet(AsyncStreamHandler):
    shutdowns = 0
    texts: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.started = asyncio.Event()

    def copy(self) -> "Quiet":
        return Quiet()

    async def start_up(self) -> None:
        self.started.set()

    async def receive(self, frame: tuple[int, Any]) -> None: ...

    async def emit(self) -> tuple[int, Any] | None:
        await asyncio.Event().wait()
        return (24_000, np.zeros((1, 480), np.int16))

    async def shutdown(self) -> None:
        type(self).shutdowns += 1


class Desk:
    """A host with its signaling and engine."""

    def __init__(self, limit: int) -> None:
        self.engine = FakeEngine()
        self.host = SessionHost(Quiet(), concurrency_limit=limit)
        self.signaling = Signaling(self.host, engine=self.engine)  # type: ignore[arg-type]

    async def offer(self, name: str, sdp: str = "v=0") -> Any:
        return await self.signaling.handle({"type": "offer", "webrtc_id": name, "sdp": sdp})

    async def candidate(self, name: str, value: object) -> Any:
        return await self.signaling.handle({"type": "ice-candidate", "webrtc_id": name, "candidate": value})

    async def gone(self, name: str) -> None:
        while self.host._tasks:
            await asyncio.wait(self.host._tasks)
        assert name not in self.host.sessions


def run(scenario: Callable[[Desk], Awaitable[None]], limit: int = 1) -> None:
    async def play() -> None:
        desk = Desk(limit)
        async with asyncio.timeout(20):
            try:
                await scenario(desk)
            finally:
                await desk.host.close_all("test over")

    Quiet.shutdowns = 0
    asyncio.run(play())


def error_of(answer: Any) -> str:
    assert answer["status"] == "failed"
    return str(answer["meta"]["error"])


def test_an_offer_is_answered_and_the_session_starts_with_the_connection() -> None:
    async def scenario(desk: Desk) -> None:
        assert await desk.offer("ann") == {"sdp": "v=0 answer", "type": "answer"}
        handler = desk.host.handlers["ann"]
        assert isinstance(handler, Quiet)
        assert not handler.started.is_set()
        desk.engine.peers[0].become(PeerState.CONNECTED)
        await handler.started.wait()
        assert desk.host.sessions.connected_ids == ["ann"]
        desk.engine.peers[0].become(PeerState.DISCONNECTED)
        desk.engine.peers[0].become(PeerState.CONNECTED)
        desk.engine.peers[0].become(PeerState.CLOSED)
        await desk.gone("ann")
        assert Quiet.shutdowns == 1
        assert desk.engine.peers[0].closes == 1

    run(scenario)


def test_what_comes_before_the_answer_is_not_lost() -> None:
    async def scenario(desk: Desk) -> None:
        desk.engine.early = ['{"type": "hello", "data": {"version": 1}}']
        await desk.offer("ann")
        handler = desk.host.handlers["ann"]
        assert isinstance(handler, Quiet)
        await handler.started.wait()
        assert any('"hello"' in text for text in desk.engine.peers[0].sent)

    run(scenario)


def test_messages_reach_the_session_and_bad_ones_are_answered() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("ann")
        peer = desk.engine.peers[0]
        peer.observer.on_channel_open()
        peer.observer.on_message('{"type": "input", "data": ["x"]}')
        assert desk.host.handlers["ann"].latest_args == ["__webrtc_value__", "x"]
        peer.observer.on_message('{"type": "input", "data": 7}')
        assert '"error"' in peer.sent[-1]
        assert "a list of values" in peer.sent[-1]

    run(scenario)


def test_candidates_of_chrome_and_firefox_and_their_end() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("ann")
        for value in (CHROME, FIREFOX_END, None, {}, CHROME["candidate"]):
            assert await desk.candidate("ann", value) == {"status": "success"}
        first, *ends, last = desk.engine.peers[0].candidates
        assert first is not None
        assert last is not None
        assert first.line == last.line == CHROME["candidate"]
        assert ends == [None, None, None]

    run(scenario)


def test_candidates_that_come_while_the_answer_is_being_made_are_kept() -> None:
    async def scenario(desk: Desk) -> None:
        desk.engine.delay = asyncio.Event()
        offering = asyncio.create_task(desk.offer("ann"))
        await asyncio.sleep(0)
        assert await desk.candidate("ann", CHROME) == {"status": "success"}
        assert await desk.candidate("ann", FIREFOX_END) == {"status": "success"}
        desk.engine.delay.set()
        assert (await offering)["type"] == "answer"
        first, end = desk.engine.peers[0].candidates
        assert first is not None
        assert first.line == CHROME["candidate"]
        assert end is None

    run(scenario)


@pytest.mark.parametrize("value", [{"candidate": "hello"}, {"candidate": 7}, [CHROME], 7])
def test_candidates_that_cannot_be_read(value: object) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("ann")
        assert error_of(await desk.candidate("ann", value)) == "invalid_candidate_format"

    run(scenario)


def test_candidates_for_connections_that_are_not_there() -> None:
    async def scenario(desk: Desk) -> None:
        assert error_of(await desk.candidate("nobody", CHROME)) == "unknown_connection"
        await desk.offer("ann")
        bad = {"candidate": CHROME["candidate"].replace("192.0.2.7", "192.0.2.13")}
        assert error_of(await desk.candidate("ann", bad)) == "no luck"
        desk.engine.peers[0].state = PeerState.CLOSED
        assert error_of(await desk.candidate("ann", CHROME)) == "connection_closed"
        desk.engine.peers[0].become(PeerState.CLOSED)
        assert error_of(await desk.candidate("ann", CHROME)) == "unknown_connection"

    run(scenario)


def test_an_id_in_use_is_refused_even_while_its_answer_is_being_made() -> None:
    async def scenario(desk: Desk) -> None:
        desk.engine.delay = asyncio.Event()
        first = asyncio.create_task(desk.offer("ann"))
        await asyncio.sleep(0)
        assert error_of(await desk.offer("ann")) == "connection_already_exists"
        desk.engine.delay.set()
        assert (await first)["type"] == "answer"
        assert error_of(await desk.offer("ann")) == "connection_already_exists"

    run(scenario, limit=5)


def test_a_client_that_never_connects_takes_no_place() -> None:
    async def scenario(desk: Desk) -> None:
        for name in ("ghost 1", "ghost 2", "ann"):
            assert (await desk.offer(name))["type"] == "answer"
        desk.engine.peers[2].become(PeerState.CONNECTED)
        await desk.host.handlers["ann"].started.wait()  # type: ignore[attr-defined]
        refused = await desk.offer("bob")
        assert refused == {"status": "failed", "meta": {"error": "concurrency_limit_reached", "limit": 1}}
        desk.engine.peers[0].become(PeerState.CONNECTED)
        await desk.gone("ghost 1")
        assert desk.engine.peers[0].closes == 1
        assert any("Too many people" in text for text in desk.engine.peers[0].sent)
        assert desk.host.sessions.connected_ids == ["ann"]

    run(scenario)


def test_a_connection_that_fails_is_cleaned_up() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("ann")
        desk.engine.peers[0].become(PeerState.FAILED)
        await desk.gone("ann")
        assert desk.engine.peers[0].closes == 1
        assert (await desk.offer("ann"))["type"] == "answer"

    run(scenario)


def test_an_offer_that_cannot_be_answered() -> None:
    async def scenario(desk: Desk) -> None:
        answer = await desk.offer("ann", "bad")
        assert answer["meta"] == {"error": "invalid_sdp", "detail": "line 1 makes no sense"}
        assert (await desk.offer("ann"))["type"] == "answer"
        with pytest.raises(ProtocolError):
            await desk.signaling.handle({"type": "offer"})

    run(scenario)


def test_a_place_that_was_taken_meanwhile_closes_the_connection() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("ann")
        desk.engine.delay = asyncio.Event()
        late = asyncio.create_task(desk.offer("bob"))
        await asyncio.sleep(0)
        desk.engine.peers[0].become(PeerState.CONNECTED)
        await desk.host.handlers["ann"].started.wait()  # type: ignore[attr-defined]
        desk.engine.delay.set()
        assert error_of(await late) == "concurrency_limit_reached"
        assert desk.engine.peers[1].closes == 1
        assert list(desk.host.sessions) == ["ann"]

    run(scenario)


def test_a_session_that_cannot_start_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("ann")

        async def fail() -> None:
            raise RuntimeError("no model")

        desk.host.sessions["ann"].start = fail  # type: ignore[method-assign]
        desk.engine.peers[0].become(PeerState.CONNECTED)
        await desk.gone("ann")
        assert "no model" in desk.engine.peers[0].sent[-1]
        assert desk.engine.peers[0].closes == 1

    run(scenario)
    assert "could not start" in caplog.text


@pytest.mark.parametrize("name", ["no such engine", "aiortc"])
def test_an_engine_that_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastrtc.transports.webrtc.aiortc_engine", None)

    async def play() -> None:
        signaling = Signaling(SessionHost(Quiet(), concurrency_limit=1), engine=name)
        for _ in range(2):
            answer = await signaling.handle({"type": "offer", "webrtc_id": "ann", "sdp": "v=0"})
            assert error_of(answer) == "engine_unavailable"

    asyncio.run(play())


def test_an_engine_whose_library_does_not_fit_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unfit:
        def __getattr__(self, name: str) -> object:
            raise ImportError("version `GLIBC_2.38' not found")

    monkeypatch.setitem(sys.modules, "fastrtc.transports.webrtc.aiortc_engine", Unfit())  # type: ignore[arg-type]

    async def play() -> None:
        signaling = Signaling(SessionHost(Quiet(), concurrency_limit=1), engine="aiortc")
        answer = await signaling.handle({"type": "offer", "webrtc_id": "ann", "sdp": "v=0"})
        assert error_of(answer) == "engine_unavailable"
        assert "GLIBC" in answer["meta"]["detail"]

    asyncio.run(play())


CLIENT = "v=0\r\na=fingerprint:sha-256 AA:01\r\n"
STRANGER = "v=0\r\na=fingerprint:sha-256 BB:02\r\n"


def test_a_further_offer_of_the_same_client_restarts_ice_under_the_same_session() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("k", CLIENT)
        peer = desk.engine.peers[0]
        peer.become(PeerState.CONNECTED)
        session = desk.host.sessions["k"]
        peer.become(PeerState.DISCONNECTED)
        assert await desk.offer("k", CLIENT + "new path") == {"sdp": "v=0 answer 1", "type": "answer"}
        assert peer.restarts == [CLIENT + "new path"]
        assert desk.host.sessions["k"] is session
        assert len(desk.engine.peers) == 1

    run(scenario)


def test_no_network_needs_so_many_restarts() -> None:
    async def scenario(desk: Desk) -> None:
        offer = {"type": "offer", "webrtc_id": "a", "sdp": CLIENT}
        await desk.signaling.handle(offer)
        answers = [await desk.signaling.handle(offer) for _ in range(20)]
        assert "sdp" in answers[0]
        assert error_of(answers[-1]) == "too_many_offers"
        assert "a" in desk.host.sessions

    play(scenario)


def test_another_client_cannot_take_over_a_session_by_its_id() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("k", CLIENT)
        desk.engine.peers[0].become(PeerState.CONNECTED)
        for sdp in (STRANGER, "v=0"):
            assert error_of(await desk.offer("k", sdp)) == "connection_already_exists"
        assert desk.engine.peers[0].restarts == []

    run(scenario)


def test_a_restart_that_the_engine_cannot_answer_says_so_and_leaves_the_session() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("k", CLIENT)
        desk.engine.peers[0].become(PeerState.CONNECTED)
        answer = await desk.offer("k", CLIENT + "bad")
        assert error_of(answer) == "restart_failed"
        assert answer["meta"]["detail"] == "cannot"
        assert "k" in desk.host.sessions

    run(scenario)


def test_candidates_found_after_the_answer_are_handed_out_once_and_end() -> None:
    async def scenario(desk: Desk) -> None:
        ask = {"type": "local-candidates", "webrtc_id": "k"}
        assert error_of(await desk.signaling.handle(ask)) == "unknown_connection"
        desk.engine.gathering = True
        answer = await desk.offer("k", CLIENT)
        assert answer["more_candidates"] is True
        peer = desk.engine.peers[0]
        found = IceCandidate.from_json(CHROME)
        waiting = asyncio.create_task(desk.signaling.handle(ask))
        await asyncio.sleep(0)
        peer.observer.on_candidate(found)
        assert await waiting == {"status": "success", "candidates": [found.as_json()], "more_candidates": True}
        waiting = asyncio.create_task(desk.signaling.handle(ask))
        await asyncio.sleep(0)
        peer.is_gathering = False
        peer.observer.on_candidate(None)
        assert await waiting == {"status": "success", "candidates": [], "more_candidates": False}

    run(scenario)


def test_who_waits_for_candidates_is_told_when_the_connection_is_over() -> None:
    async def scenario(desk: Desk) -> None:
        desk.engine.gathering = True
        await desk.offer("k", CLIENT)
        waiting = asyncio.create_task(desk.signaling.handle({"type": "local-candidates", "webrtc_id": "k"}))
        await asyncio.sleep(0)
        desk.engine.peers[0].become(PeerState.FAILED)
        assert (await waiting)["more_candidates"] is False

    run(scenario)


def entrance_desk(authorize: Any = None, **limits: Any) -> Desk:
    desk = Desk(3)
    desk.host = SessionHost(Quiet(), concurrency_limit=3, entrance=Entrance(authorize, limits=Limits(**limits)))
    desk.signaling = Signaling(desk.host, engine=desk.engine)  # type: ignore[arg-type]
    return desk


def play(scenario: Callable[[Desk], Awaitable[None]], **options: Any) -> None:
    async def played() -> None:
        desk = entrance_desk(**options)
        async with asyncio.timeout(10):
            await scenario(desk)
            await desk.host.close_all("over")

    asyncio.run(played())


def test_an_offer_without_an_id_gets_one_that_nobody_can_bring() -> None:
    async def scenario(desk: Desk) -> None:
        body = {"type": "offer", "sdp": "v=0"}
        first, second = await desk.signaling.handle(body), await desk.signaling.handle(body)
        assert first["webrtc_id"] != second["webrtc_id"]
        assert set(desk.host.sessions) == {first["webrtc_id"], second["webrtc_id"]}
        assert (await desk.candidate(first["webrtc_id"], CHROME)) == {"status": "success"}
        await desk.host.sessions[first["webrtc_id"]].close("over")
        assert error_of(await desk.offer(first["webrtc_id"])) == "reserved_id"

    play(scenario)


def test_the_hook_decides_about_offers_and_its_user_is_in_the_context() -> None:
    async def scenario(desk: Desk) -> None:
        with pytest.raises(AccessDeniedError) as refused:
            await desk.offer("a")
        assert refused.value.status == 401
        assert not desk.engine.peers
        assert not desk.host.sessions
        await desk.signaling.handle({"type": "offer", "webrtc_id": "a", "sdp": "v=0", "token": "ann"})
        assert desk.host.sessions["a"].context.user == "ann"
        await desk.signaling.handle({"type": "offer", "webrtc_id": "b", "sdp": "v=0"}, user="bob")
        assert desk.host.sessions["b"].context.user == "bob"

    play(scenario, authorize=lambda visitor: visitor.token)


def test_only_who_offered_may_add_candidates_or_ask_for_ours() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.signaling.handle({"type": "offer", "webrtc_id": "a", "sdp": CLIENT, "token": "ann"})
        for token in (None, "eve", "änn", "\ud800"):
            for kind in ("ice-candidate", "local-candidates"):
                body = {"type": kind, "webrtc_id": "a", "candidate": CHROME, "token": token}
                with pytest.raises(AccessDeniedError, match="another client"):
                    await desk.signaling.handle(body)
        assert desk.engine.peers[0].candidates == []
        candidate = {"type": "ice-candidate", "webrtc_id": "a", "candidate": CHROME}
        assert await desk.signaling.handle({**candidate, "token": "ann"}) == {"status": "success"}
        # An ICE restart may come with a fresh token; the certificate says that it is the same client.
        await desk.signaling.handle({"type": "offer", "webrtc_id": "a", "sdp": CLIENT, "token": "ann2"})
        assert await desk.signaling.handle({**candidate, "token": "ann2"}) == {"status": "success"}
        with pytest.raises(AccessDeniedError):
            await desk.signaling.handle({**candidate, "token": "ann"})

    play(scenario, authorize=lambda visitor: visitor.token)


def test_candidates_that_come_while_the_hook_thinks_are_kept() -> None:
    may_answer = asyncio.Event()

    async def slow(_: Any) -> str:
        await may_answer.wait()
        return "ann"

    async def scenario(desk: Desk) -> None:
        offering = asyncio.create_task(desk.offer("a"))
        await asyncio.sleep(0)
        assert await desk.candidate("a", CHROME) == {"status": "success"}
        assert error_of(await desk.offer("a")) == "connection_already_exists"
        may_answer.set()
        await offering
        assert len(desk.engine.peers[0].candidates) == 1

    play(scenario, authorize=slow)


def test_nobody_has_so_many_candidates() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("a")
        for _ in range(MAX_CANDIDATES):
            assert (await desk.candidate("a", CHROME)) == {"status": "success"}
        assert error_of(await desk.candidate("a", CHROME)) == "too_many_candidates"

    play(scenario)


@pytest.mark.parametrize("early", [False, True])
def test_a_flood_of_messages_ends_the_session_and_says_so(early: bool) -> None:
    async def scenario(desk: Desk) -> None:
        desk.engine.early = ["handshake"] * 9 if early else []
        await desk.offer("a")
        peer = desk.engine.peers[0]
        peer.become(PeerState.CONNECTED)
        for _ in range(0 if early else 9):
            peer.observer.on_message("handshake")
        await desk.gone("a")
        assert peer.closes == 1
        assert {"type": "end_stream", "data": "too_many_messages"} in map(json.loads, peer.sent)
        assert len([text for text in peer.sent if "Server received" in text]) == 5
        peer.observer.on_message("after all")

    play(scenario, messages_per_s=0.001, message_burst=5)


def test_long_messages_count_as_several() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("a")
        peer = desk.engine.peers[0]
        peer.become(PeerState.CONNECTED)
        for _ in range(3):
            peer.observer.on_message("x" * 20_000)
        await desk.gone("a")
        assert len([text for text in peer.sent if "Server received" in text]) == 2

    play(scenario, messages_per_s=0.001, message_burst=5)


def test_a_message_that_is_too_long_ends_the_session() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("a")
        peer = desk.engine.peers[0]
        peer.become(PeerState.CONNECTED)
        peer.observer.on_message("x" * 1001)
        await desk.gone("a")
        assert {"type": "end_stream", "data": "message_too_long"} in map(json.loads, peer.sent)

    play(scenario, max_message_bytes=1000)


def test_a_client_whose_network_is_gone_makes_room_for_another() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.offer("gone", CLIENT)
        desk.engine.peers[0].become(PeerState.CONNECTED)
        await desk.host.sessions["gone"].handler.started.wait()  # type: ignore[attr-defined]
        assert error_of(await desk.offer("next", STRANGER)) == "concurrency_limit_reached"
        desk.engine.peers[0].become(PeerState.DISCONNECTED)
        assert (await desk.offer("next", STRANGER))["type"] == "answer"
        desk.engine.peers[1].become(PeerState.CONNECTED)
        await desk.gone("gone")
        await asyncio.gather(*desk.host.sessions._dropping)
        assert desk.engine.peers[0].closes > 0
        assert desk.host.sessions.connected_ids == ["next"]

    run(scenario)

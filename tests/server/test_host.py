"""What a host loads before its first session, off the app's loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

import fastrtc.handlers.reply_on_stopwords
import fastrtc.server.host
from fastrtc import ReplyOnPause, ReplyOnStopWords
from fastrtc.context import Context
from fastrtc.errors import MissingExtraError, SignalingError
from fastrtc.handlers.generator import generator_handler
from fastrtc.server.host import SessionHost
from fastrtc.transports.memory import MemoryLink

TIMEOUT_S = 20.0


def reply(audio: object) -> None:
    """Never called."""


def test_sessions_wait_for_one_loading_and_the_loop_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    may_load = threading.Event()
    loading = threading.Event()
    loads: list[threading.Thread] = []

    def load() -> None:
        loads.append(threading.current_thread())
        loading.set()
        assert may_load.wait(TIMEOUT_S)

    monkeypatch.setattr(fastrtc.server.host, "get_silero_model", load)

    async def scenario() -> None:
        host = SessionHost(ReplyOnPause(reply), concurrency_limit=5, time_limit_s=None)
        asking = [asyncio.create_task(host.new_handler()) for _ in range(3)]
        assert await asyncio.to_thread(loading.wait, TIMEOUT_S)
        assert not any(task.done() for task in asking)
        may_load.set()
        async with asyncio.timeout(TIMEOUT_S):
            handlers = await asyncio.gather(*asking)
        assert len({id(handler) for handler in handlers}) == 3

    asyncio.run(scenario())
    assert len(loads) == 1
    assert loads[0] is not threading.main_thread()


def test_who_gives_up_does_not_stop_the_loading_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    may_load = threading.Event()
    monkeypatch.setattr(fastrtc.server.host, "get_silero_model", lambda: may_load.wait(TIMEOUT_S))

    async def scenario() -> None:
        host = SessionHost(ReplyOnPause(reply), concurrency_limit=5, time_limit_s=None)
        impatient, patient = (asyncio.create_task(host.new_handler()) for _ in range(2))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait([impatient])
        may_load.set()
        async with asyncio.timeout(TIMEOUT_S):
            assert isinstance(await patient, ReplyOnPause)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("failure", "told", "logged"),
    [
        (MissingExtraError("hearing", "vad"), "vad", "no session can start"),
        (OSError("the disk is gone"), "the disk is gone", "Traceback"),
    ],
)
def test_a_failure_refuses_the_session_and_the_next_one_tries_again(
    failure: Exception, told: str, logged: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([failure])

    def load() -> None:
        for error in failures:
            raise error

    monkeypatch.setattr(fastrtc.server.host, "get_silero_model", load)

    async def scenario() -> None:
        host = SessionHost(ReplyOnPause(reply), concurrency_limit=5, time_limit_s=None)
        with pytest.raises(SignalingError) as refusal:
            await host.new_handler()
        assert refusal.value.code == "handler_failed"
        assert told in refusal.value.detail["detail"]
        assert isinstance(await host.new_handler(), ReplyOnPause)

    asyncio.run(scenario())
    assert logged in caplog.text


def test_a_handler_without_models_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise AssertionError("nobody needs it")

    monkeypatch.setattr(fastrtc.server.host, "get_silero_model", load)
    host = SessionHost(generator_handler(lambda: iter(())), concurrency_limit=1, time_limit_s=None)
    assert asyncio.run(host.new_handler()) is not None


def test_those_who_try_again_after_a_failure_share_the_next_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[int] = []

    def load() -> None:
        loads.append(1)
        if len(loads) == 1:
            raise MissingExtraError("hearing", "vad")

    monkeypatch.setattr(fastrtc.server.host, "get_silero_model", load)

    async def scenario() -> None:
        host = SessionHost(ReplyOnPause(reply), concurrency_limit=5, time_limit_s=None)

        async def insistent() -> object:
            with pytest.raises(SignalingError):
                await host.new_handler()
            return await host.new_handler()

        async with asyncio.timeout(TIMEOUT_S):
            assert all(isinstance(handler, ReplyOnPause) for handler in await asyncio.gather(insistent(), insistent()))

    asyncio.run(scenario())
    assert len(loads) == 2


def test_a_wake_word_engine_needs_no_recogniser(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MissingExtraError("speech recognition", "stt")

    monkeypatch.setattr(fastrtc.handlers.reply_on_stopwords, "get_stt_model", missing)
    handler = ReplyOnStopWords(reply, ["alexa"], wake_word_engine="pymicro-wakeword")
    host = SessionHost(handler, concurrency_limit=1, time_limit_s=None)
    assert isinstance(asyncio.run(host.new_handler()), ReplyOnStopWords)


def test_a_connection_that_cannot_be_closed_keeps_no_other_open(caplog: pytest.LogCaptureFixture) -> None:
    class Stuck(MemoryLink):
        async def close(self) -> None:
            raise ValueError("the engine fails")

    async def scenario() -> None:
        host = SessionHost(ReplyOnPause(reply), concurrency_limit=5, time_limit_s=None)
        good = MemoryLink()
        for name, link in (("stuck", Stuck()), ("good", good)):
            host.open(name, ReplyOnPause(reply), link, Context(name))
        async with asyncio.timeout(TIMEOUT_S):
            await host.close_all("server_shutdown")
        assert good.closed
        assert not host.sessions

    asyncio.run(scenario())
    assert "the engine fails" in caplog.text

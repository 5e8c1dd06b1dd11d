"""Telephone calls to a served stream, Twilio played by the test, with recorded speech."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from tests.fakes.phone import LINE_HZ, called
from tests.fakes.serving import serving
from tests.fakes.sound import Clip, labelled_clips
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from fastrtc.context import get_current_context
from fastrtc.errors import ConfigurationError
from fastrtc.events import DtmfReceived, ReplyInterrupted, SessionClosed
from fastrtc.handlers.base import StreamHandler
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.stream import Stream

WAIT_S = 20.0
SECRET = "12345"


@pytest.fixture(scope="module")
def clips(speech: Any) -> list[Clip]:
    pytest.importorskip("soundfile")
    return labelled_clips(speech)


class Diary:
    """What the stream told about its sessions."""

    def __init__(self) -> None:
        self._events: list[Any] = []
        self._news = threading.Condition()

    def __call__(self, session_id: str, event: Any) -> None:
        with self._news:
            self._events.append((session_id, event))
            self._news.notify_all()

    def wait_for(self, kind: type, count: int = 1) -> list[Any]:
        """The events of a kind, once there are so many."""
        with self._news:
            assert self._news.wait_for(lambda: len(self._of(kind)) >= count, WAIT_S), f"no {count} {kind.__name__}"
            return self._of(kind)

    def _of(self, kind: type) -> list[Any]:
        return [event for _, event in self._events if isinstance(event, kind)]


class Menu(StreamHandler):
    """Notes which keys were pressed, by whom and where."""

    calls: Any
    threads: Any
    shutdowns: Any

    def __init__(self) -> None:
        super().__init__()
        self.digits = ""

    def receive(self, frame: Any) -> None: ...

    def emit(self) -> None: ...

    def copy(self) -> Menu:
        return type(self)()

    def on_dtmf(self, digit: str) -> None:
        self.digits += digit
        self.threads.append(threading.current_thread().name)
        if digit == "#":
            self.calls.append((self.digits, get_current_context().call))

    def shutdown(self) -> None:
        self.shutdowns.append(self.digits)


def serve_menu(**options: Any) -> tuple[FastAPI, Stream, type[Menu], Diary]:
    diary = Diary()
    kind = type("OwnMenu", (Menu,), {"calls": [], "threads": [], "shutdowns": []})
    stream = Stream(kind(), modality="audio", verbose=False, on_event=diary, **options)
    app = FastAPI()
    stream.mount(app)
    return app, stream, kind, diary


def test_keys_reach_the_handler_in_order_with_the_facts_of_the_call() -> None:
    app, stream, menu, diary = serve_menu()
    with serving(app) as served:
        with called(served.url, "MZ1") as phone:
            phone.begin()
            phone.press("12345*#")
            keys = diary.wait_for(DtmfReceived, 7)
            phone.hang_up()
            diary.wait_for(SessionClosed)
        assert "".join(key.digit for key in keys) == "12345*#"
        # A place is free once shutdown() has returned; only then can the next call come in.
        with called(served.url, "MZ2") as phone:
            phone.begin()
            phone.press("9#")
            diary.wait_for(DtmfReceived, 9)
            # Twilio's connection breaks without a "stop".
    assert menu.calls == [
        ("12345*#", {"stream_sid": "MZ1", "call_sid": "CA1", "account_sid": "AC1", "from": "+4930123", "to": "+1555"}),
        ("9#", {"stream_sid": "MZ2", "call_sid": "CA1", "account_sid": "AC1", "from": "+4930123", "to": "+1555"}),
    ]
    assert menu.shutdowns == ["12345*#", "9#"]
    assert not any(name.startswith(("served", "fastrtc-clock")) for name in menu.threads)
    assert dict(stream.connections) == {}


def test_with_a_token_only_twilio_may_call() -> None:
    app, stream, menu, diary = serve_menu(twilio_auth_token=SECRET)
    with serving(app) as served:
        handler = f"ws://127.0.0.1:{served.port}/telephone/handler"
        for headers in ({}, {"X-Twilio-Signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}):
            with pytest.raises(InvalidStatus, match="403"):
                connect(handler, additional_headers=headers).close()
        assert dict(stream.connections) == {}
        with called(served.url, "MZ1", auth_token=SECRET) as phone:
            phone.begin()
            phone.press("1#")
            diary.wait_for(DtmfReceived, 2)
    assert [digits for digits, _ in menu.calls] == ["1#"]


def test_an_empty_token_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="twilio_auth_token"):
        Stream(Menu(), modality="audio", twilio_auth_token="")


def test_a_key_may_ask_for_an_answer() -> None:
    """The recipe of the page about phones."""
    pressed: dict[str, str] = {}
    asked: list[tuple[str, int]] = []

    def on_dtmf(digit: str) -> None:
        caller = get_current_context().webrtc_id
        pressed[caller] = pressed.get(caller, "") + digit
        if digit == "#":
            stream.trigger_response(caller)

    def answer(audio: Any) -> Any:
        asked.append((pressed.pop(get_current_context().webrtc_id, ""), audio[1].size))
        yield 8000, np.full((1, 1600), 3000, np.int16)

    stream = Stream(ReplyOnPause(answer, on_dtmf=on_dtmf), modality="audio", verbose=False)
    app = FastAPI()
    stream.mount(app)
    with serving(app) as served, called(served.url, "MZ1") as phone:
        phone.begin()
        phone.press("42#")
        assert np.median(np.abs(phone.listen(0.15))) == pytest.approx(3000, rel=0.1)
        phone.hang_up()
    assert asked == [("42#", 0)]


@pytest.mark.speech
def test_speech_over_a_reply_clears_what_twilio_holds(clips: list[Clip]) -> None:
    diary = Diary()

    def talk(_audio: Any) -> Any:
        tone = (3000 * np.sin(2 * np.pi * 440 * np.arange(2400) / 24000)).astype(np.int16)
        for _ in range(100):
            yield 24000, tone.reshape(1, -1)

    app = FastAPI()
    stream = Stream(ReplyOnPause(talk), modality="audio", verbose=False, on_event=diary)
    stream.mount(app)
    silence = np.zeros(LINE_HZ, np.int16)
    with serving(app) as served, called(served.url, "MZ1") as phone:
        phone.begin()
        phone.say(np.concatenate([clips[0].at(LINE_HZ), silence]))
        phone.listen(0.5)
        phone.say(np.concatenate([clips[1].at(LINE_HZ), clips[2].at(LINE_HZ)]))
        interrupted = diary.wait_for(ReplyInterrupted)[0]
        while phone.clears == 0:
            phone.listen(0.02)
        phone.hang_up()
        diary.wait_for(SessionClosed)
    assert interrupted.turn == 1
    # Twilio's marks say what the caller has heard: less than was sent, more than nothing.
    assert 0.2 < interrupted.heard_s < 8.0

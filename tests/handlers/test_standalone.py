"""``ReplyOnPause`` without a session: ``receive`` and ``emit`` in a script."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.handlers.kit import IN_HZ, LOUD, LoudVad, replier, tone

TICK = IN_HZ // 50


def hear(handler: Any, seconds: float, value: int = 0) -> None:
    for _ in range(round(seconds * 50)):
        handler.receive((IN_HZ, np.full((1, TICK), value, np.int16)))


def speak(handler: Any, seconds: float = 0.5) -> None:
    hear(handler, seconds, LOUD)
    hear(handler, 0.5)


def values(handler: Any) -> list[Any]:
    got = []
    while (value := handler.emit()) is not None:
        got.append(value)
    return got


def test_listen_and_reply() -> None:
    got: list[Any] = []

    def reply(audio: Any) -> Iterator[Any]:
        got.append(audio)
        yield tone(1)
        yield tone(2)

    handler = replier(reply)
    assert handler.emit() is None
    for turn in (1, 2):
        speak(handler)
        assert [value[1].size for value in values(handler)] == [480, 960]
        assert len(got) == turn
        assert handler.emit() is None
    assert all(np.count_nonzero(samples) == IN_HZ // 2 for _, samples in got)


def test_the_first_receive_and_the_first_emit_may_come_at_once() -> None:
    callers: list[threading.Thread] = []

    class Vad(LoudVad):
        def new_stream(self) -> object:
            if not callers:
                callers.append(threading.Thread(target=speak, args=(handler,)))
                callers[0].start()
                callers[0].join(0.2)
            return super().new_stream()

    handler = replier(lambda audio: tone(1), model=Vad())
    early = values(handler)
    callers[0].join()
    assert len(early + values(handler)) == 1, "emit looks elsewhere than where receive has put it"


def test_nothing_is_called_before_emit_asks() -> None:
    calls: list[Any] = []
    handler = replier(calls.append)
    speak(handler)
    assert calls == []
    assert handler.emit() is None
    assert len(calls) == 1


def test_speech_over_a_reply_closes_it() -> None:
    closed: list[int] = []

    def reply(audio: Any) -> Iterator[Any]:
        try:
            while True:
                yield tone(1)
        finally:
            closed.append(1)

    handler = replier(reply)
    speak(handler)
    assert handler.emit() is not None
    hear(handler, 0.5, LOUD)
    assert closed == [1]
    assert handler.emit() is None
    hear(handler, 0.5)
    assert handler.emit() is not None


def test_a_reply_that_raises_raises_and_the_next_one_works() -> None:
    turns: list[int] = []

    def reply(audio: Any) -> Iterator[Any]:
        turns.append(1)
        if len(turns) == 1:
            raise ValueError("first")
        yield tone(1)

    handler = replier(reply)
    speak(handler)
    with pytest.raises(ValueError, match="first"):
        handler.emit()
    assert handler.emit() is None
    speak(handler)
    assert len(values(handler)) == 1


@pytest.mark.parametrize("can_interrupt", [True, False])
def test_a_function_that_raises_when_called_and_the_next_one_works(can_interrupt: bool) -> None:
    turns: list[int] = []

    def reply(audio: Any) -> Any:
        turns.append(1)
        if len(turns) == 1:
            raise ValueError("first")
        return tone(1)

    handler = replier(reply, can_interrupt=can_interrupt)
    speak(handler)
    with pytest.raises(ValueError, match="first"):
        handler.emit()
    speak(handler)
    assert len(values(handler)) == 1


def test_trigger() -> None:
    handler = replier(lambda audio: tone(1))
    hear(handler, 0.3, LOUD)
    handler.trigger_response()
    assert len(values(handler)) == 1


def test_a_greeting_comes_first() -> None:
    handler = replier(lambda audio: tone(1, 2), startup_fn=lambda: tone(1, 1))
    hear(handler, 0.1)
    assert [value[1][0, 0] for value in values(handler)] == [1]
    speak(handler)
    assert [value[1][0, 0] for value in values(handler)] == [2]


def test_a_detector_that_raises_is_heard_of() -> None:
    class Broken:
        rate_hz, window_samples = 16_000, 512

        def new_stream(self) -> object:
            return object()

        def judge(self, streams: Any, windows: Any) -> Any:
            raise RuntimeError("no ears")

    handler = replier(lambda audio: tone(1), model=Broken())
    with pytest.raises(RuntimeError, match="no ears"):
        hear(handler, 1.0)

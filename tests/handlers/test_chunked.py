"""Subclasses of ``ReplyOnPause`` that override how FastRTC decides about a turn's end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.handlers.kit import IN_HZ, OUT_HZ, VAD, Host, LoudVad

from fastrtc.audio import PCM
from fastrtc.handlers.drivers import takes_turns
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.reply_on_pause import AppState

LOUD, QUIET = np.full(IN_HZ // 50, 8000, np.int16), np.zeros(IN_HZ // 50, np.int16)


def echo(audio: tuple[int, Any]) -> Iterator[Any]:
    yield audio


class EndsAtWord(ReplyOnPause):
    """A turn ends at the sample 4242, wherever that is."""

    def determine_pause(self, audio: PCM, sampling_rate: int, state: AppState) -> bool:
        assert sampling_rate == IN_HZ
        state.started_talking = True
        state.stream, state.buffer = audio if state.stream is None else np.concatenate((state.stream, audio)), None
        return bool((audio == 4242).any())

    def copy(self) -> ReplyOnPause:
        return EndsAtWord(self.fn, can_interrupt=self.can_interrupt, input_sample_rate=IN_HZ, model=VAD)


def word(value: int = 4242) -> PCM:
    return np.full(IN_HZ // 50, value, np.int16)


def speak(handler: ReplyOnPause, *frames: PCM) -> list[Any]:
    """Without a session: give frames and take what comes after each."""
    values = []
    for frame in frames:
        handler.receive((IN_HZ, frame.reshape(1, -1)))
        if (value := handler.emit()) is not None:
            values.append(value)
    return values


def test_its_own_rule_decides_and_the_function_gets_what_it_collected() -> None:
    handler = EndsAtWord(echo, input_sample_rate=IN_HZ, model=VAD)
    assert not takes_turns(handler)
    ((rate_hz, audio),) = speak(handler, LOUD, QUIET, LOUD, word(), QUIET, QUIET)
    assert rate_hz == IN_HZ
    np.testing.assert_array_equal(audio, np.concatenate([LOUD, QUIET, LOUD, word()])[None])


def test_each_turn_has_a_state_of_its_own() -> None:
    handler = EndsAtWord(echo, input_sample_rate=IN_HZ, model=VAD)
    turns = speak(handler, LOUD, word(), QUIET, word(1), word(), QUIET)
    assert [audio.size for _, audio in turns] == [2 * LOUD.size, 3 * LOUD.size]


@pytest.mark.parametrize(("can_interrupt", "sizes"), [(True, {640, 960}), (False, {640})])
def test_a_pause_over_a_reply_interrupts_it(can_interrupt: bool, sizes: set[int]) -> None:
    closed: list[bool] = []

    def long(audio: tuple[int, Any]) -> Iterator[Any]:
        try:
            while True:
                yield audio
        finally:
            closed.append(True)

    handler = EndsAtWord(long, can_interrupt=can_interrupt, input_sample_rate=IN_HZ, model=VAD)
    turns = speak(handler, LOUD, word(), LOUD, LOUD, word(), LOUD)
    assert {audio.size for _, audio in turns} == sizes
    assert closed == [True] * can_interrupt


def test_trigger_response_takes_what_was_collected() -> None:
    handler = EndsAtWord(echo, input_sample_rate=IN_HZ, model=VAD)
    speak(handler, LOUD, LOUD)
    handler.trigger_response()
    _, audio = handler.emit()
    assert audio.shape == (1, 2 * LOUD.size)
    speak(handler)
    assert handler.emit() is None
    handler.trigger_response()
    _, audio = handler.emit()
    assert audio.shape == (1, 0)


class OwnProcess(ReplyOnPause):
    """Counts frames; the rule of FastRTC itself decides."""

    frames = 0

    def process_audio(self, audio: Any, state: AppState) -> None:
        self.frames += 1
        super().process_audio(audio, state)


def test_fastrtcs_own_rule_on_whole_pieces() -> None:
    handler = OwnProcess(echo, input_sample_rate=IN_HZ, model=LoudVad())
    piece = IN_HZ * 6 // 10
    turns = speak(handler, *[QUIET] * 30, *[LOUD] * 60, *[QUIET] * 30)
    ((_, audio),) = turns
    # The two loud pieces and the quiet one that ended the turn.
    assert audio.size == 3 * piece
    assert handler.frames == 120


@pytest.mark.anyio
async def test_in_a_session() -> None:
    handler = EndsAtWord(echo, input_sample_rate=IN_HZ, output_sample_rate=OUT_HZ, model=VAD)
    async with Host(handler) as host:
        host.hear(np.concatenate([LOUD, LOUD, word()]))
        await host.until(lambda: np.abs(host.link.heard).max(initial=0) > 4000)

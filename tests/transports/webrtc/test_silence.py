"""One test per row of the encoder's table, and the rules that hold for any call."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.transports.webrtc.silence import LOUD, SLEEP_AFTER_TICKS, Encoder, Order, SilenceGate


def speech(number=1):
    return np.full(960, number, np.int16)


def asleep():
    gate = SilenceGate(sleep_after_ticks=2)
    gate.tick(None)
    assert gate.tick(None) == (None, Order.SLEEP)
    assert gate.state is Encoder.ASLEEP
    return gate


def test_awake_speech_is_encoded_at_once():
    gate, pcm = SilenceGate(), speech()
    assert gate.tick(pcm) == (pcm, None)
    assert gate.state is Encoder.AWAKE


def test_awake_nothing_is_silence_until_a_second_has_passed():
    gate = SilenceGate()
    answers = [gate.tick(None) for _ in range(SLEEP_AFTER_TICKS)]
    assert answers == [(None, None)] * (SLEEP_AFTER_TICKS - 1) + [(None, Order.SLEEP)]


def test_speech_in_between_starts_the_second_anew():
    gate = SilenceGate(sleep_after_ticks=3)
    for pcm in (None, None, speech(), None, None):
        assert gate.tick(pcm)[1] is None
    assert gate.tick(None) == (None, Order.SLEEP)


def test_asleep_nothing_stays_asleep():
    gate = asleep()
    assert [gate.tick(None) for _ in range(500)] == [(None, None)] * 500


def test_asleep_speech_wakes_and_waits():
    gate, first, second, third = asleep(), speech(1), speech(2), speech(3)
    assert gate.tick(first) == (None, Order.WAKE)
    assert gate.state is Encoder.WAKING
    assert gate.tick(second) == (None, None)
    gate.woke()
    assert [gate.tick(pcm)[0] for pcm in (third, None, None)] == [first, second, third]
    assert gate.tick(None) == (None, None)


def test_asleep_a_voice_at_the_other_end_wakes():
    gate, pcm = asleep(), speech()
    assert gate.heard(LOUD) is Order.WAKE
    gate.woke()
    assert gate.tick(pcm) == (pcm, None)


def test_asleep_a_quiet_room_does_not_wake():
    gate = asleep()
    assert gate.heard(LOUD - 1) is None
    assert gate.state is Encoder.ASLEEP


def test_a_voice_at_the_other_end_keeps_it_awake():
    gate = SilenceGate(sleep_after_ticks=3)
    for _ in range(20):
        assert gate.tick(None) == (None, None)
        assert gate.heard(LOUD) is None


def test_woke_without_waking_changes_nothing():
    gate = asleep()
    gate.woke()
    assert gate.state is Encoder.ASLEEP


def test_flush_forgets_what_waits():
    gate = asleep()
    gate.tick(speech())
    gate.flush()
    gate.woke()
    assert gate.tick(None) == (None, None)


@given(st.lists(st.sampled_from(["speech", "nothing", "heard", "woke"]), max_size=200), st.integers(1, 10))
def test_whatever_happens_all_speech_comes_out_once_and_in_order(inputs, sleep_after):
    gate = SilenceGate(sleep_after)
    said, sent, orders = [], [], []
    for kind in [*inputs, "woke", *["nothing"] * (len(inputs) + 2)]:
        order = None
        if kind == "heard":
            order = gate.heard(32_767)
        elif kind == "woke":
            gate.woke()
        else:
            if kind == "speech":
                said.append(len(said))
            pcm, order = gate.tick(speech(said[-1]) if kind == "speech" else None)
            if pcm is not None:
                sent.append(int(pcm[0]))
                assert gate.state is Encoder.AWAKE
        if order is not None:
            orders.append(order)
        if gate.state is Encoder.WAKING and kind == "nothing":
            gate.woke()
    assert sent == said
    assert orders[::2] == [Order.SLEEP] * len(orders[::2])
    assert orders[1::2] == [Order.WAKE] * len(orders[1::2])


@pytest.mark.parametrize("loudest", [0, 1, 100])
def test_heard_silence_is_no_order(loudest):
    assert SilenceGate().heard(loudest) is None

from __future__ import annotations

import numpy as np
import pytest

from fastrtc.client.record import CallRecord, Message, Sound
from fastrtc.client.timeline import describe
from fastrtc.client.turns import audible, measure_turns

RATE_HZ = 16_000


def sound(*stretches, length_s=10.0):
    pcm = np.zeros(round(length_s * RATE_HZ), np.int16)
    for start_s, end_s in stretches:
        pcm[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)] = 5_000
    return Sound(pcm, RATE_HZ)


def event(at_s, name, turn, **fields):
    return Message(at_s, {"type": "event", "data": {"name": name, "turn": turn, **fields}})


def test_stretches_of_sound_with_short_pauses_joined():
    assert audible(sound((1.0, 2.0), (2.05, 2.5), (4.0, 4.01))) == [(1.0, 2.5), (4.0, 4.01)]
    assert audible(sound()) == []
    assert audible(Sound(np.zeros(0, np.int16), RATE_HZ)) == []
    assert audible(Sound(np.full(RATE_HZ, -32_768, np.int16), RATE_HZ)) == [(0.0, 1.0)]


def test_turns_without_events_are_found_by_ear():
    record = CallRecord(sound((1.0, 2.0), (5.0, 6.0)), sound((2.4, 3.0), (3.6, 4.0), (6.3, 7.0)), (), ())
    turns = measure_turns(record)
    assert [(turn.number, turn.user_end_s, turn.reply_start_s, turn.reply_end_s) for turn in turns] == [
        (1, 2.0, 2.4, 4.0),
        (2, 6.0, 6.3, 7.0),
    ]
    assert [turn.wait_ms for turn in turns] == pytest.approx([400.0, 300.0])


def test_turns_by_the_servers_events():
    messages = (
        event(2.3, "turn_committed", 1),
        event(2.35, "first_audio", 1, latency_ms={"decision": 300.0, "total": 310.0}),
        event(3.4, "reply_interrupted", 1),
        event(5.3, "turn_committed", 2),
        event(5.35, "first_audio", 2, latency_ms={"total": 310.0}),
        event(5.6, "playback_started", 2, latency_ms={"playout": 140.0, "total": 450.0}),
        event(8.3, "first_audio", 3),
    )
    record = CallRecord(
        sound((1.0, 2.0), (2.35, 2.38), (3.0, 5.0)), sound((2.4, 3.4), (5.5, 6.0), (7.5, 7.8)), (), messages
    )
    first, second = measure_turns(record)
    assert (first.number, first.user_end_s, first.reply_start_s, first.reply_end_s) == (1, 2.0, 2.4, 3.4)
    assert first.interrupted
    assert first.latency_ms == {"decision": 300.0, "total": 310.0}
    assert (second.number, second.user_end_s, second.reply_start_s, second.reply_end_s) == (2, 5.0, 5.5, 7.8)
    assert not second.interrupted
    assert second.latency_ms == {"playout": 140.0, "total": 450.0}


def test_a_greeting_waits_for_nobody():
    (turn,) = measure_turns(CallRecord(sound((3.0, 4.0)), sound((0.5, 1.0)), (), ()))
    assert turn.wait_ms is None
    assert describe([turn]) == "1 turn"


def test_calls_in_words():
    assert describe([]) == "no reply was heard"
    turns = measure_turns(CallRecord(sound((1.0, 2.0), (5.0, 6.0)), sound((2.4, 3.0), (6.3, 7.0)), (), ()))
    assert describe(turns) == "2 turns, reply heard 350 ms after the end of speech (median)"
    assert describe(turns[:1]) == "1 turn, reply heard 400 ms after the end of speech"

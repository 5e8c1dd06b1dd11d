"""The queue of audio: who gets played, who never again, who has to wait."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrtc.audio import PCM
from fastrtc.playout import FADE_MS, PATIENCE_TICKS, SKIP_WITHIN_TICKS, Playout
from fastrtc.standing_delay import KEEP_TICKS, WINDOW_TICKS

RATE = 8000
TICK = 160
FADE = FADE_MS * RATE // 1000
PATIENT_S = 10.0


def playout(limit_ms: float = 100.0) -> Playout:
    return Playout(RATE, TICK, limit_ms)


def audio(ticks: float, value: int = 1000) -> PCM:
    return np.full(int(ticks * TICK), value, np.int16)


def ramp(start: int, samples: int) -> PCM:
    return (np.arange(start, start + samples) % 30_000 + 1).astype(np.int16)


def drain(queue: Playout, ticks: int = 100) -> list[tuple[int, PCM]]:
    """Everything that comes in so many ticks."""
    return [taken for _ in range(ticks) if (taken := queue.take()) is not None]


def joined(ticks: list[tuple[int, PCM]]) -> PCM:
    return np.concatenate([pcm for _, pcm in ticks]) if ticks else np.zeros(0, np.int16)


# ---- in and out -----------------------------------------------------------------------------------------------


def test_nothing_comes_from_nothing() -> None:
    assert playout().take() is None
    assert playout().finished_turns() == []


@settings(max_examples=100, deadline=None)
@given(sizes=st.lists(st.integers(0, 1000), max_size=20))
def test_what_goes_in_comes_out(sizes: list[int]) -> None:
    queue = playout()
    position = 0
    for size in sizes:
        assert queue.put(1, ramp(position, size))
        position += size
    queue.finish(1)
    ticks = drain(queue)
    assert all(pcm.size == TICK and pcm.dtype == np.int16 for _, pcm in ticks)
    played = joined(ticks)
    np.testing.assert_array_equal(played[:position], ramp(0, position))
    assert not played[position:].any()
    assert len(ticks) == -(-position // TICK)
    assert queue.taken_samples(1) == position
    assert queue.queued_samples == 0
    assert queue.finished_turns() == [1]


def test_turns_are_not_mixed_in_a_tick() -> None:
    queue = playout()
    queue.put(1, audio(0.5, 1))
    queue.put(2, audio(1, 2))
    queue.finish(1)
    first, second = drain(queue)
    assert (first[0], second[0]) == (1, 2)
    assert set(first[1].tolist()) == {1, 0}
    assert set(second[1].tolist()) == {2}


def test_a_turn_is_finished_once_and_only_when_taken() -> None:
    queue = playout()
    queue.put(1, audio(2))
    queue.finish(1)
    assert queue.finished_turns() == []
    queue.take()
    assert queue.finished_turns() == []
    queue.take()
    assert queue.finished_turns() == [1]
    assert queue.finished_turns() == []


def test_a_turn_without_audio_is_finished_as_well() -> None:
    queue = playout()
    queue.finish(3)
    assert queue.finished_turns() == [3]


# ---- cancelled turns ------------------------------------------------------------------------------------------


def test_no_sample_of_a_cancelled_turn() -> None:
    queue = playout()
    queue.put(1, audio(5))
    queue.cancel(1)
    assert queue.take() is None
    assert not queue.put(1, audio(5))
    assert not queue.has_room(1)
    assert not queue.wait_for_room(1)
    assert queue.queued_samples == 0
    queue.finish(1)
    assert queue.finished_turns() == []
    assert queue.is_cancelled(1)


def test_a_cut_fades_within_5_ms_and_belongs_to_nobody() -> None:
    queue = playout()
    queue.put(1, audio(5, 10_000))
    queue.take()
    queue.cancel(1)
    taken = queue.take()
    assert taken is not None
    turn, tail = taken
    assert turn == 0
    assert tail.size == TICK
    assert (np.diff(tail.astype(int)) <= 0).all()
    assert tail[0] == 10_000
    assert not tail[FADE:].any()
    assert queue.take() is None


def test_cancelling_before_a_sound_leaves_no_tail() -> None:
    queue = playout()
    queue.put(1, audio(5))
    queue.cancel(1)
    assert queue.take() is None


def test_cancelling_one_turn_leaves_the_other() -> None:
    queue = playout()
    queue.put(1, audio(2, 1))
    queue.put(2, audio(2, 2))
    queue.cancel(1)
    assert {turn for turn, _ in drain(queue)} == {2}


def test_cancelling_a_later_turn_does_not_disturb_the_one_that_plays() -> None:
    queue = playout()
    queue.put(1, ramp(0, 4 * TICK))
    queue.put(2, audio(2))
    queue.take()
    queue.cancel(2)
    queue.finish(1)
    np.testing.assert_array_equal(joined(drain(queue)), ramp(TICK, 3 * TICK))


def test_many_threads_putting_and_one_cancelling() -> None:
    """Audio of a turn carries its number; after ``cancel`` returned, none of it may come any more."""
    queue = playout(limit_ms=40.0)
    turns = 60
    stop = threading.Event()
    current = [1]
    spoken = threading.Semaphore(0)

    def speak() -> None:
        while not stop.is_set():
            turn = current[0]
            if queue.put(turn, audio(1.3, turn)):
                spoken.release()
                queue.wait_for_room(turn)

    threads = [threading.Thread(target=speak) for _ in range(4)]
    for thread in threads:
        thread.start()
    heard = 0
    try:
        for turn in range(1, turns + 1):
            assert spoken.acquire(timeout=PATIENT_S)
            for _ in range(5):
                heard += queue.take() is not None
            queue.cancel(turn)
            current[0] = turn + 1
            tail = queue.take()
            if tail is not None and tail[0] == 0:
                assert not tail[1][FADE:].any()
            for _ in range(5):
                taken = queue.take()
                assert taken is None or (taken[0] > turn and set(taken[1].tolist()) <= {0, taken[0]})
    finally:
        stop.set()
        queue.close()
        for thread in threads:
            thread.join(PATIENT_S)
    assert not any(thread.is_alive() for thread in threads)
    assert heard


# ---- hold and resume ------------------------------------------------------------------------------------------


def test_hold_is_silent_and_resume_goes_on_exactly() -> None:
    queue = playout()
    queue.put(1, ramp(0, 6 * TICK))
    queue.finish(1)
    before = [queue.take(), queue.take()]
    queue.hold()
    tail = queue.take()
    assert tail is not None
    assert tail[0] == 0
    np.testing.assert_allclose(tail[1][:FADE], ramp(2 * TICK, FADE) * np.linspace(1, 0, FADE), atol=1)
    assert not tail[1][FADE:].any()
    assert drain(queue, 20) == []
    assert queue.finished_turns() == []
    queue.resume()
    after = joined(drain(queue))
    np.testing.assert_array_equal(after[FADE:], ramp(2 * TICK + FADE, 4 * TICK - FADE))
    assert (np.abs(after[:FADE].astype(int)) <= ramp(2 * TICK, FADE)).all()
    assert len(before) * TICK + after.size == 6 * TICK
    assert queue.taken_samples(1) == 6 * TICK


def test_resuming_what_is_not_held_changes_nothing() -> None:
    queue = playout()
    queue.put(1, ramp(0, 2 * TICK))
    queue.resume()
    np.testing.assert_array_equal(joined(drain(queue, 2)), ramp(0, 2 * TICK))


def test_holding_twice_is_holding_once() -> None:
    queue = playout()
    queue.put(1, audio(4))
    queue.take()
    queue.hold()
    assert queue.take() is not None
    queue.hold()
    assert drain(queue, 5) == []


def test_audio_may_still_come_while_held() -> None:
    queue = playout()
    queue.hold()
    assert queue.put(1, ramp(0, 2 * TICK))
    assert drain(queue, 5) == []
    queue.finish(1)
    queue.resume()
    assert joined(drain(queue)).size == 2 * TICK


def test_cancelling_a_held_turn_lets_the_next_one_speak() -> None:
    queue = playout()
    queue.put(1, audio(4, 1))
    queue.take()
    queue.hold()
    queue.cancel(1)
    queue.put(2, audio(2, 2))
    queue.finish(2)
    assert [turn for turn, _ in drain(queue) if turn] == [2, 2]


def test_put_back_is_played_again_in_order() -> None:
    queue = playout()
    queue.put(1, ramp(0, 6 * TICK))
    queue.finish(1)
    taken = drain(queue, 4)
    queue.hold()
    queue.take()
    queue.put_back(taken[2:])
    assert queue.taken_samples(1) == 2 * TICK
    assert queue.queued_samples == 4 * TICK
    queue.resume()
    np.testing.assert_array_equal(joined(drain(queue))[FADE:], ramp(2 * TICK + FADE, 4 * TICK - FADE))


def test_put_back_of_a_cancelled_turn_or_of_a_fade_is_refused() -> None:
    queue = playout()
    queue.put(1, audio(3))
    taken = drain(queue, 2)
    queue.cancel(1)
    tail = queue.take()
    assert tail is not None
    queue.put_back([*taken, tail])
    assert queue.queued_samples == 0
    assert queue.take() is None


def test_a_padded_tick_that_is_put_back_counts_for_at_most_one_tick_more() -> None:
    queue = playout()
    queue.put(1, ramp(0, TICK + TICK // 2))
    queue.finish(1)
    taken = drain(queue, 2)
    assert queue.taken_samples(1) == TICK + TICK // 2
    queue.put_back(taken)
    assert queue.taken_samples(1) == 0
    played = joined(drain(queue))
    np.testing.assert_array_equal(played[: TICK + TICK // 2], ramp(0, TICK + TICK // 2))
    assert not played[TICK + TICK // 2 :].any()
    assert queue.taken_samples(1) <= 2 * TICK


# ---- pacing of bursts -----------------------------------------------------------------------------------------


def test_a_tick_that_is_not_full_waits_for_the_rest() -> None:
    queue = playout()
    queue.put(1, audio(0.5))
    assert queue.take() is None
    queue.put(1, audio(0.5))
    taken = queue.take()
    assert taken is not None
    assert taken[1].all()


def test_but_not_for_ever() -> None:
    queue = playout()
    queue.put(1, audio(0.5))
    for _ in range(PATIENCE_TICKS):
        assert queue.take() is None
    taken = queue.take()
    assert taken is not None
    assert np.count_nonzero(taken[1]) == TICK // 2


def test_the_last_part_of_a_finished_turn_does_not_wait() -> None:
    queue = playout()
    queue.put(1, audio(0.5))
    queue.finish(1)
    assert queue.take() is not None


def test_a_part_before_another_turn_does_not_wait() -> None:
    queue = playout()
    queue.put(1, audio(0.5))
    queue.put(2, audio(1))
    assert queue.take() is not None


def test_after_an_underrun_two_ticks_are_collected() -> None:
    queue = playout()
    queue.put(1, audio(1.5))
    assert queue.take() is not None
    assert queue.take() is None
    queue.put(1, audio(1))
    assert queue.take() is None, "1.5 ticks are too few after an underrun"
    queue.put(1, audio(0.5))
    assert len(drain(queue, 2)) == 2


# ---- room -----------------------------------------------------------------------------------------------------


def test_room_is_bounded_in_milliseconds() -> None:
    queue = playout(limit_ms=100.0)
    while queue.has_room(1):
        queue.put(1, audio(1))
    assert queue.queued_samples == 6 * TICK
    queue.take()
    assert queue.has_room(1)


@pytest.mark.parametrize("release", ["take", "cancel", "clear", "close"])
def test_whoever_waits_for_room_is_woken(release: str) -> None:
    queue = playout(limit_ms=20.0)
    queue.put(1, audio(3))
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(queue.wait_for_room(1)))
    thread.start()
    called = threading.Event()
    queue.when_room(1, called.set)
    assert not called.is_set()
    if release == "take":
        drain(queue, 2)
    elif release == "cancel":
        queue.cancel(1)
    else:
        getattr(queue, release)()
    thread.join(PATIENT_S)
    assert answers == [release in ("take", "clear")]
    assert called.wait(PATIENT_S)


def test_when_room_calls_at_once_where_there_is_room_and_once_only() -> None:
    queue = playout()
    calls: list[int] = []
    queue.when_room(1, lambda: calls.append(1))
    assert calls == [1]
    queue.put(1, audio(20))
    queue.when_room(1, lambda: calls.append(2))
    assert calls == [1]
    drain(queue, 20)
    queue.close()
    assert calls == [1, 2]


@pytest.mark.parametrize("over", ["cancel", "close"])
def test_when_room_calls_at_once_for_a_turn_that_is_over(over: str) -> None:
    queue = playout()
    queue.put(1, audio(20))
    if over == "cancel":
        queue.cancel(1)
    else:
        queue.close()
    calls: list[int] = []
    queue.when_room(1, lambda: calls.append(1))
    assert calls == [1]


def test_a_callback_may_speak_again() -> None:
    queue = playout(limit_ms=20.0)
    queue.put(1, audio(3))
    queue.when_room(1, lambda: queue.put(1, audio(1)))
    assert len(drain(queue, 4)) == 4


def test_room_callbacks_always_fire_under_stress() -> None:
    queue = playout(limit_ms=20.0)
    rounds = 300
    fired = threading.Semaphore(0)
    stop = threading.Event()

    def empty() -> None:
        while not stop.is_set():
            queue.take()

    def ask() -> None:
        for _ in range(rounds):
            queue.put(1, audio(1))
            queue.when_room(1, fired.release)

    threads = [threading.Thread(target=empty), *(threading.Thread(target=ask) for _ in range(3))]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3 * rounds):
            assert fired.acquire(timeout=PATIENT_S), "somebody waits for room that is there"
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENT_S)


# ---- clear and close ------------------------------------------------------------------------------------------


def test_clear_drops_the_audio_and_not_the_turn() -> None:
    queue = playout()
    queue.put(0, audio(5))
    queue.clear()
    assert queue.queued_samples == 0
    assert queue.take() is None
    assert queue.put(0, audio(1))
    assert queue.take() is not None


def test_close_refuses_everything() -> None:
    queue = playout()
    queue.put(1, audio(5))
    queue.close()
    assert not queue.put(1, audio(1))
    assert not queue.put(2, audio(1))
    assert not queue.has_room(1)
    assert not queue.wait_for_room(1)
    assert drain(queue, 3) == []


# ---- delay that stays -----------------------------------------------------------------------------------------


def live(queue: Playout, ticks: int, turn: int = 0, value: int = 1000) -> list[PCM | None]:
    """A source at real-time pace: a tick in, a tick out."""
    played: list[PCM | None] = []
    for _ in range(ticks):
        queue.put(turn, audio(1, value))
        taken = queue.take()
        played.append(None if taken is None else taken[1])
    return played


def test_live_audio_that_came_in_a_burst_does_not_stay_late() -> None:
    queue = playout()
    queue.put(0, audio(10))
    live(queue, WINDOW_TICKS + SKIP_WITHIN_TICKS)
    assert queue.queued_samples == KEEP_TICKS * TICK


def test_it_is_skipped_in_a_quiet_moment_without_a_gap() -> None:
    queue = playout()
    queue.put(0, audio(10))
    live(queue, WINDOW_TICKS)
    assert queue.queued_samples == 10 * TICK
    played = live(queue, 12, value=10)
    assert queue.queued_samples == KEEP_TICKS * TICK
    assert all(tick is not None for tick in played)


def test_the_skip_does_not_click() -> None:
    queue = playout()
    position = 0

    def tone(ticks: int) -> PCM:
        nonlocal position
        position += ticks * TICK
        return (8000 * np.sin(2 * np.pi * 200 / RATE * np.arange(position - ticks * TICK, position))).astype(np.int16)

    queue.put(0, tone(5))
    played: list[PCM] = []
    for _ in range(WINDOW_TICKS + SKIP_WITHIN_TICKS + 5):
        queue.put(0, tone(1))
        taken = queue.take()
        assert taken is not None
        played.append(taken[1])
    assert queue.queued_samples == KEEP_TICKS * TICK
    steepest = 8000 * 2 * np.pi * 200 / RATE
    assert np.abs(np.diff(np.concatenate(played).astype(np.int32))).max() <= 1.5 * steepest


def test_a_source_that_runs_ahead_keeps_what_it_gave() -> None:
    queue = playout()
    played = 0
    for second in range(8):
        queue.put(0, audio(75))
        played += len([None for _ in range(50) if queue.take() is not None])
        assert queue.queued_samples == (75 * (second + 1) - played) * TICK
    assert played == 400


def test_a_reply_is_never_skipped() -> None:
    queue = playout()
    queue.put(1, audio(10))
    live(queue, 2 * (WINDOW_TICKS + SKIP_WITHIN_TICKS), turn=1)
    assert queue.queued_samples == 10 * TICK

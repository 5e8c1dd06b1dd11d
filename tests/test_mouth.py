"""The mouth: pacing onto the link, holding what the client has not heard, and how much was heard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fastrtc.audio import PCM
from fastrtc.mouth import ACKNOWLEDGED_WITHIN_TICKS, Mouth
from fastrtc.playout import FADE_MS
from fastrtc.transports.memory import MemoryLink

RATE = 8000
TICK = 160
FADE = FADE_MS * RATE // 1000


class Client(MemoryLink):
    """Plays one tick per tick of what it was sent; drops the rest when told to, if it can."""

    def __init__(self, *, lead_ms: int = 0, delay_ms: float = 0.0, clears: bool = False) -> None:
        super().__init__(RATE, RATE, lead_ms=lead_ms, delay_ms=delay_ms)
        self.clears = clears
        self.buffer: list[PCM] = []
        self.played: list[PCM] = []
        self.most_buffered = 0

    def write(self, pcm: PCM | None) -> None:
        super().write(pcm)
        if pcm is not None:
            assert pcm.size == TICK
            self.buffer.append(pcm)
            self.most_buffered = max(self.most_buffered, len(self.buffer))

    def play(self) -> None:
        if self.buffer:
            self.played.append(self.buffer.pop(0))

    def flush(self) -> bool:
        super().flush()
        if self.clears:
            self.buffer.clear()
        return self.clears

    @property
    def heard(self) -> PCM:
        return np.concatenate(self.played) if self.played else np.zeros(0, np.int16)


class Audience:
    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.firsts: list[tuple[int, float, bool]] = []
        self.heard: dict[int, float] = {}

    def audible(self, turn: int) -> None:
        self.told.append(("audible", turn))

    def heard_first(self, turn: int, ago_s: float, acknowledged: bool) -> None:
        self.firsts.append((turn, round(ago_s, 3), acknowledged))

    def heard_out(self, turn: int, heard_s: float) -> None:
        self.told.append(("heard_out", turn))
        self.heard[turn] = heard_s


class Room:
    """A mouth, its client and its audience; :meth:`tick` moves all by 20 ms."""

    def __init__(self, *, lead_ms: int = 0, delay_ms: float = 0.0, clears: bool = False) -> None:
        self.client = Client(lead_ms=lead_ms, delay_ms=delay_ms, clears=clears)
        self.audience = Audience()
        self.mouth = Mouth(self.client, 100.0, self.audience)

    def tick(self, times: int = 1) -> Room:
        for _ in range(times):
            self.mouth.push()
            self.client.play()
        return self

    def say(self, turn: int, ticks: float, *, finish: bool = True) -> Room:
        self.mouth.playout.put(turn, ramp(0, int(ticks * TICK)))
        if finish:
            self.mouth.playout.finish(turn)
        return self


def ramp(start: int, samples: int) -> PCM:
    return (np.arange(start, start + samples) % 30_000 + 1).astype(np.int16)


# ---- pacing ---------------------------------------------------------------------------------------------------


def test_without_a_lead_one_tick_per_tick() -> None:
    room = Room().say(1, 5)
    for written in range(1, 6):
        room.tick()
        assert len(room.client.played) == written
    assert room.client.most_buffered == 1
    assert room.client.silent_ticks == 0
    room.tick(2)
    assert room.client.silent_ticks == 2


@pytest.mark.parametrize("lead_ms", [20, 100, 200])
def test_a_lead_is_written_ahead_and_never_more(lead_ms: int) -> None:
    room = Room(lead_ms=lead_ms).say(1, 50).tick(40)
    assert room.client.most_buffered == lead_ms // 20 + 1
    room.tick(10)
    np.testing.assert_array_equal(room.client.heard, ramp(0, 50 * TICK))


def test_after_a_gap_the_lead_is_built_up_again() -> None:
    room = Room(lead_ms=100).say(1, 3, finish=False).tick(10).say(1, 20).tick(1)
    assert len(room.client.buffer) == 5


def test_the_client_is_not_told_about_silence_while_it_has_audio() -> None:
    room = Room(lead_ms=100).say(1, 5)
    room.tick(5)
    assert room.client.silent_ticks == 0
    room.tick(3)
    assert room.client.silent_ticks == 3


# ---- the audience ---------------------------------------------------------------------------------------------


def test_audible_once_then_heard_out_once() -> None:
    room = Room().say(1, 3).tick(10)
    assert room.audience.told == [("audible", 1), ("heard_out", 1)]
    assert room.audience.heard[1] == pytest.approx(0.06)


def test_heard_out_waits_for_the_lead_and_the_way() -> None:
    room = Room(lead_ms=200, delay_ms=100.0).say(1, 10).tick()
    assert len(room.client.buffer) == 9
    heard_out_after = next(n for n in range(1, 100) if ("heard_out", 1) in room.tick().audience.told)
    assert heard_out_after == pytest.approx(10 + 5, abs=1)


def test_a_turn_without_audio_is_heard_out_at_once() -> None:
    room = Room(lead_ms=200, delay_ms=500.0)
    room.mouth.playout.finish(1)
    room.tick()
    assert room.audience.told == [("heard_out", 1)]


def test_several_turns_are_heard_out_in_order() -> None:
    room = Room(lead_ms=100).say(1, 2).say(2, 2).tick(20)
    assert room.audience.told == [("audible", 1), ("audible", 2), ("heard_out", 1), ("heard_out", 2)]


def test_silent_only_when_all_was_heard() -> None:
    room = Room(lead_ms=100, delay_ms=60.0)
    assert room.mouth.silent
    room.say(1, 3)
    states = [room.tick().mouth.silent for _ in range(10)]
    assert states == [False] * states.index(True) + [True] * (10 - states.index(True))
    assert states.index(True) >= 5


# ---- hold and resume ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead_ms", [0, 20, 100, 200])
@pytest.mark.parametrize("before", [1, 5, 18, 20])
def test_what_the_client_did_not_hear_is_heard_after_resume(lead_ms: int, before: int) -> None:
    room = Room(lead_ms=lead_ms, clears=lead_ms > 0).say(1, 20).tick(before)
    heard_before = room.client.heard
    room.mouth.hold()
    room.tick(10)
    held = room.client.heard[heard_before.size :]
    assert np.count_nonzero(held) <= FADE, "more than a fade was heard while held"
    assert ("heard_out", 1) not in room.audience.told or before == 20
    room.client.played = []
    room.mouth.resume()
    room.tick(40)
    after = room.client.heard
    if before == 20:
        assert not after.any()
        return
    np.testing.assert_array_equal(after[FADE:], ramp(before * TICK + FADE, (20 - before) * TICK - FADE))
    assert room.audience.told == [("audible", 1), ("heard_out", 1)]
    assert room.audience.heard[1] == pytest.approx(0.4, abs=0.021)


def test_held_is_silent_at_once_even_with_a_lead() -> None:
    room = Room(lead_ms=200, clears=True).say(1, 50).tick(10)
    room.client.played = []
    room.mouth.hold()
    room.tick(10)
    assert np.count_nonzero(room.client.heard) <= FADE


def test_a_client_that_cannot_clear_hears_its_lead_once() -> None:
    room = Room(lead_ms=100, clears=False).say(1, 20).tick(5)
    room.mouth.hold()
    room.tick(10)
    room.mouth.resume()
    room.tick(30)
    samples = room.client.heard
    ticks = samples.reshape(-1, TICK)
    assert [tick[-1] for tick in ticks if tick[-1]] == [ramp(n * TICK, TICK)[-1] for n in range(20)]


def test_a_reply_that_is_held_when_all_is_sent_is_not_over_before_it_was_heard() -> None:
    room = Room(lead_ms=200, clears=True).say(1, 8).tick(2)
    assert room.mouth.playout.queued_samples == 0
    room.mouth.hold()
    room.tick(30)
    assert ("heard_out", 1) not in room.audience.told
    room.mouth.resume()
    room.tick(30)
    assert room.audience.told.count(("heard_out", 1)) == 1
    assert room.mouth.silent


# ---- cancel ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clears", [False, True])
def test_cancelled_audio_is_never_written_again(clears: bool) -> None:
    room = Room(lead_ms=100, clears=clears).say(1, 50).tick(10)
    room.client.buffer.clear()
    room.client.played = []
    room.mouth.cancel(1)
    room.say(1, 20).tick(30)
    assert np.count_nonzero(room.client.heard) <= FADE
    assert ("heard_out", 1) not in room.audience.told


def test_the_next_turn_speaks_after_a_cancelled_one_was_held() -> None:
    room = Room(lead_ms=100, clears=True).say(1, 50).tick(10)
    room.mouth.hold()
    room.tick(5)
    room.mouth.cancel(1)
    room.tick()
    room.client.played = []
    room.say(2, 5).tick(20)
    np.testing.assert_array_equal(room.client.heard, ramp(0, 5 * TICK))
    assert room.audience.told[-2:] == [("audible", 2), ("heard_out", 2)]


def test_clear_drops_what_was_not_heard() -> None:
    room = Room(lead_ms=100, clears=True).say(0, 50, finish=False).tick(10)
    room.client.played = []
    room.mouth.clear()
    room.tick(20)
    assert np.count_nonzero(room.client.heard) <= FADE
    assert room.client.flushes == 1


# ---- how much was heard ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead_ms", [0, 100, 200])
@pytest.mark.parametrize("ticks", [3, 20, 45])
def test_heard_is_estimated_from_what_was_written(lead_ms: int, ticks: int) -> None:
    room = Room(lead_ms=lead_ms).say(1, 50).tick(ticks)
    truth = len(room.client.played) * 0.02
    assert room.mouth.heard_s(1) == pytest.approx(truth, abs=0.021)
    assert room.mouth.cancel(1) == pytest.approx(truth, abs=0.021)


def test_the_way_to_the_client_counts() -> None:
    room = Room(delay_ms=100.0).say(1, 50).tick(20)
    assert room.mouth.heard_s(1) == pytest.approx(0.3, abs=0.021)
    assert Room(delay_ms=5000.0).say(1, 50).tick(20).mouth.heard_s(1) == 0.0


def test_nothing_was_heard_of_a_turn_that_said_nothing() -> None:
    assert Room().mouth.heard_s(7) == 0.0
    assert Room().mouth.cancel(7) == 0.0


@pytest.mark.parametrize(
    ("played_ms", "heard_s"), [(200.0, 0.2), (0.0, 0.0), (-5.0, 0.0), (1e9, 0.4)], ids=["in", "0", "less", "more"]
)
def test_what_the_client_says_counts_within_what_was_written(played_ms: float, heard_s: float) -> None:
    room = Room().say(1, 50).tick(20)
    room.mouth.acknowledge(1, played_ms)
    assert room.mouth.heard_s(1) == pytest.approx(heard_s)
    assert room.mouth.cancel(1) == pytest.approx(heard_s)


def test_what_the_client_says_about_one_turn_says_nothing_about_another() -> None:
    room = Room().say(1, 10).tick(12).say(2, 50).tick(10)
    room.mouth.acknowledge(1, 200.0)
    assert room.mouth.heard_s(2) == pytest.approx(0.2, abs=0.021)


@pytest.mark.parametrize("act", ["hold", "cancel"])
def test_after_a_flush_only_what_was_heard_counts(act: str) -> None:
    room = Room(lead_ms=200, clears=True).say(1, 50).tick(20)
    truth = len(room.client.played) * 0.02
    acts: dict[str, Callable[[], object]] = {"hold": room.mouth.hold, "cancel": lambda: None}
    acts[act]()
    if act == "hold":
        room.tick(10)
    assert room.mouth.cancel(1) == pytest.approx(truth, abs=0.021)


def test_the_first_sound_is_heard_after_the_connections_delay() -> None:
    room = Room(delay_ms=60.0).say(1, 20).tick(3)
    assert room.audience.firsts == []
    assert room.tick().audience.firsts == [(1, 0.0, False)]
    assert room.tick(30).audience.firsts == [(1, 0.0, False)]


def test_a_client_that_acknowledges_says_when_the_first_sound_was_heard() -> None:
    room = Room(lead_ms=200, delay_ms=40.0).say(1, 30).tick(8)
    assert room.audience.firsts == []
    room.mouth.acknowledge(1, 0.0)
    room.mouth.acknowledge(1, 60.0)
    room.mouth.acknowledge(1, 160.0)
    assert room.tick(40).audience.firsts == [(1, 0.06, True)]


def test_a_client_that_never_acknowledges_is_waited_for_once() -> None:
    room = Room(lead_ms=200, delay_ms=40.0).say(1, 30).tick(2 + ACKNOWLEDGED_WITHIN_TICKS)
    assert room.audience.firsts == []
    assert room.tick().audience.firsts == [(1, 0.3, False)]
    room.tick(40).say(2, 30).tick(3)
    assert room.audience.firsts[1:] == [(2, 0.0, False)]


def test_a_client_that_once_acknowledged_is_waited_for_again() -> None:
    room = Room(lead_ms=200, delay_ms=40.0).say(1, 30).tick(2)
    room.mouth.acknowledge(1, 20.0)
    room.tick(50).say(2, 30).tick(10)
    room.mouth.acknowledge(2, 100.0)
    assert room.audience.firsts == [(1, 0.02, True), (2, 0.1, True)]


def test_a_reply_that_is_held_before_it_was_heard_is_heard_when_it_goes_on() -> None:
    room = Room(lead_ms=200, delay_ms=100.0, clears=True).say(1, 30).tick(2)
    room.mouth.hold()
    assert room.tick(50).audience.firsts == []
    room.mouth.resume()
    assert room.tick(5).audience.firsts == []
    assert room.tick(ACKNOWLEDGED_WITHIN_TICKS + 1).audience.firsts == [(1, 0.3, False)]


@pytest.mark.parametrize(("ticks", "told"), [(2, []), (6, [(1, 0.06, False)])], ids=["before", "after"])
def test_what_is_cancelled_was_heard_or_not(ticks: int, told: list[tuple[int, float, bool]]) -> None:
    room = Room(lead_ms=200, delay_ms=40.0).say(1, 30).tick(ticks)
    room.mouth.cancel(1)
    assert room.tick(40).audience.firsts == told


def test_a_short_reply_was_heard_before_it_was_heard_out() -> None:
    room = Room(lead_ms=200, delay_ms=40.0).say(1, 2)
    room.mouth.playout.finish(1)
    while ("heard_out", 1) not in room.audience.told:
        room.tick()
    assert [first[0] for first in room.audience.firsts] == [1]

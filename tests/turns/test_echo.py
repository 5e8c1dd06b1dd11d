"""The echo guard, on made-up band powers: a random "voice", its echo, and another voice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.turns.echo import Coupling, EchoGuard, EchoSettings, Heard, Track

BANDS = 16
LAG = 11
SOFT = np.full((2, BANDS), 1e-4)


def voice(frames: int, seed: int) -> np.ndarray:
    """Powers that come and go like syllables, each with a spectrum of its own."""
    rng = np.random.default_rng(seed)
    rows = []
    while len(rows) < frames:
        colour = rng.uniform(-30, 0, BANDS)
        rows += [10 ** ((colour - 25 + 5 * np.sin(i)) / 10) for i in range(rng.integers(4, 12))]
        rows += [np.full(BANDS, 1e-9)] * int(rng.integers(1, 8))
    return np.array(rows[:frames])


def echo_of(far: np.ndarray, loss_db: float, lag: int = LAG) -> np.ndarray:
    """In a room that takes 0.7 s to fall silent."""
    echo = np.full_like(far, 1e-9)
    tail = np.zeros(BANDS)
    for at in range(len(far) - lag):
        tail = np.maximum(far[at], tail * 10 ** (-6 * 0.016 / 0.7))
        echo[at + lag] += tail * 10 ** (-loss_db / 10)
    return echo


def follow(guard: EchoGuard, far: np.ndarray, near: np.ndarray, start: int = 0) -> list[Heard]:
    """The verdict on each window of two frames."""
    verdicts = []
    for at in range(0, len(far), 2):
        guard.play(start + at, far[at : at + 2])
        guard.hear(start + at, near[at : at + 2])
        verdicts.append(guard.judge(start + at, near[at : at + 2]))
    return verdicts


@pytest.mark.parametrize("loss_db", [6, 15, 25])
@pytest.mark.parametrize("lag", [2, 11, 31, 50])
def test_delay_and_coupling_are_learnt(loss_db: float, lag: int) -> None:
    guard = EchoGuard()
    far = voice(400, 1)
    follow(guard, far, echo_of(far, loss_db, lag))
    assert guard.coupling is Coupling.FOUND
    assert abs(guard.lag_frames - lag) <= 1
    assert np.allclose(guard.gains_db, -loss_db, atol=3)


def test_an_echo_is_an_echo_from_its_beginning_on() -> None:
    far = voice(800, 2)
    verdicts = follow(EchoGuard(), far, echo_of(far, 10))
    assert Heard.USER not in verdicts
    assert set(verdicts[-100:]) == {Heard.ECHO}


@pytest.mark.parametrize(("near_db", "verdicts_within"), [(0, {Heard.DOUBTFUL}), (5, {Heard.USER}), (10, {Heard.USER})])
def test_a_voice_as_loud_as_the_echo_holds_the_reply(near_db: float, verdicts_within: set[Heard]) -> None:
    guard = EchoGuard()
    far = voice(800, 3)
    near = echo_of(far, 10)
    near[600:640] += voice(40, 4) * 10 ** ((near_db - 10) / 10)
    verdicts = follow(guard, far, near)
    assert Heard.USER not in verdicts[:300]
    assert verdicts_within <= set(verdicts[300:307])


def test_once_the_reply_has_fallen_silent_for_it_the_same_voice_is_somebody() -> None:
    guard = EchoGuard()
    far = voice(800, 3)
    far[604:] = 1e-9
    near = echo_of(far, 10)
    near[600:660] += voice(60, 4) * 10 ** (-10 / 10)
    verdicts = follow(guard, far, near)
    assert Heard.USER not in verdicts[:300]
    assert Heard.USER in verdicts[300:320]


def test_without_an_echo_everybody_is_heard_once_that_is_known() -> None:
    guard = EchoGuard(EchoSettings(doubt_s=1.5))
    far = voice(400, 5)
    verdicts = follow(guard, far, voice(400, 99) * 1e-3)
    assert guard.coupling is Coupling.ABSENT
    assert set(verdicts[-50:]) == {Heard.USER}


def test_while_nothing_is_known_only_what_no_echo_can_be_is_somebody() -> None:
    guard = EchoGuard()
    guard.play(0, np.full((20, BANDS), 1e-3))
    assert guard.judge(18, SOFT) is Heard.DOUBTFUL
    assert guard.judge(18, np.full((2, BANDS), 1e-2)) is Heard.USER


def test_evidence_of_a_voice_adds_up_and_is_forgotten() -> None:
    guard = EchoGuard()
    far = voice(800, 3)
    follow(guard, far[:700], echo_of(far, 10)[:700])
    at = int(np.argmin(far[600:690].max(axis=1))) + 600
    expected = guard._expected(at, 2) + guard._floor
    margins_db = guard._margins[None, :]
    a_little = expected * 10 ** ((margins_db + 0.9) / 10)
    verdicts = [guard.judge(at, a_little) for _ in range(8)]
    assert verdicts == [Heard.ECHO] * 2 + [Heard.DOUBTFUL] + [Heard.USER] * 5
    assert guard.rising == 8
    verdicts = [guard.judge(at, expected) for _ in range(10)]
    assert verdicts[-1] is Heard.ECHO
    assert guard.rising == 0
    a_band = expected * np.where(np.arange(BANDS) == 3, 1e4, 1.0)
    assert {guard.judge(at, a_band) for _ in range(20)} == {Heard.ECHO}, "one band is not enough, however loud"


def test_only_the_first_sound_is_doubtful() -> None:
    guard = EchoGuard()
    guard.play(0, np.full((60, BANDS), 1e-3))
    assert [guard.judge(frame, SOFT) for frame in (10, 12, 14)] == [Heard.DOUBTFUL] * 3
    assert [guard.judge(frame, SOFT) for frame in (40, 42)] == [Heard.ECHO] * 2


def test_what_outlives_its_echo_is_somebody() -> None:
    guard = EchoGuard()
    guard.play(0, np.full((60, BANDS), 1e-3))
    assert guard.judge(30, SOFT) is Heard.DOUBTFUL
    guard.drop(32)
    verdicts = {frame: guard.judge(frame, SOFT) for frame in range(32, 100, 2)}
    assert verdicts[32 + 30 + 14] is Heard.DOUBTFUL, "an echo 30 frames late, and the room's"
    assert verdicts[32 + 30 + 18] is Heard.USER
    assert guard.coupling is Coupling.ABSENT


def test_an_echo_after_the_reply_has_fallen_silent_is_nobody() -> None:
    guard = EchoGuard()
    guard.play(0, np.full((60, BANDS), 1e-3))
    verdicts = [guard.judge(frame, SOFT) for frame in range(20, 24, 2)]
    guard.drop(24)
    verdicts += [guard.judge(frame, SOFT) for frame in range(24, 24 + 24, 2)]
    guard.play(70, np.full((20, BANDS), 1e-3))
    verdicts += [guard.judge(frame, SOFT) for frame in range(90, 100, 2)]
    assert Heard.USER not in verdicts
    assert verdicts[-5:] == [Heard.ECHO] * 5


@pytest.mark.parametrize(
    ("loud_from", "heard_from", "verdict"),
    [(0, 60, Heard.USER), (50, 60, Heard.DOUBTFUL), (0, 5, Heard.DOUBTFUL)],
    ids=["none so late", "too late to know", "something that is no speech yet"],
)
def test_what_comes_later_than_an_echo_would_is_somebody(loud_from: int, heard_from: int, verdict: Heard) -> None:
    guard = EchoGuard(EchoSettings(quiet_s=9.0, doubt_s=9.0))
    near = np.full((70, BANDS), 1e-9)
    near[heard_from:] = 1e-5
    guard.play(0, np.concatenate([np.full((loud_from, BANDS), 1e-6), np.full((80 - loud_from, BANDS), 1e-3)]))
    guard.hear(0, near)
    assert guard.judge(70, SOFT) is verdict


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(0.3, Heard.USER), (0.6, Heard.ECHO)], ids=["a word", "as long as the delay may be"]
)
def test_what_ends_sooner_than_an_echo_would_is_somebody(seconds: float, verdict: Heard) -> None:
    """The first sound comes 0.48 s after the first word of the reply, which falls silent 32 ms later."""
    guard = EchoGuard(EchoSettings(quiet_s=9.0, doubt_s=9.0))
    guard.play(0, np.full((32, BANDS), 1e-3))
    end = 30 + round(seconds / 0.016)
    near = np.full((end + 8, BANDS), 1e-9)
    near[30:end] = 1e-5
    guard.hear(0, near[:30])
    assert guard.judge(30, SOFT) is Heard.DOUBTFUL
    guard.hear(30, near[30:])
    assert guard.judge(end + 6, near[end + 6 :]) is verdict


def test_the_room_goes_on_after_the_reply() -> None:
    guard = EchoGuard()
    far = voice(600, 6)
    follow(guard, far, echo_of(far, 6))
    tail = 10 ** (-6 * 0.016 / 0.5)
    last = far[-1] * 10 ** (-6 / 10)
    ends = np.array([last * tail**i for i in range(1, 20)]) + 1e-9
    assert {guard.judge(600 + LAG + i, ends[i : i + 2]) for i in range(0, 18, 2)} == {Heard.ECHO}


def test_long_after_the_reply_nothing_is_an_echo() -> None:
    guard = EchoGuard()
    far = voice(600, 7)
    follow(guard, far, echo_of(far, 6))
    assert guard.may_hear_echo(650)
    assert not guard.may_hear_echo(700)
    assert guard.judge(700, voice(2, 8)) is Heard.USER


def test_what_was_dropped_is_not_expected() -> None:
    guard = EchoGuard()
    guard.play(0, np.full((50, BANDS), 1e-3))
    guard.drop(10)
    assert guard.may_hear_echo(70)
    assert not guard.may_hear_echo(75)


def test_a_new_delay_has_to_be_found_twice() -> None:
    guard = EchoGuard()
    far = voice(2000, 9)
    near = np.concatenate([echo_of(far, 10, 11)[:1000], echo_of(far, 10, 40)[1000:]])
    follow(guard, far[:1000], near[:1000])
    assert abs(guard.lag_frames - 11) <= 1
    follow(guard, far[1000:], near[1000:], 1000)
    assert abs(guard.lag_frames - 40) <= 1


def test_a_track_keeps_its_memory_and_gives_silence_for_what_it_was_not_given() -> None:
    track = Track(2, 10)
    for frame in range(0, 200, 5):
        track.put(frame, np.full((5, 2), float(frame)))
    assert track.get(190, 200)[:, 0].tolist() == [190.0] * 5 + [195.0] * 5
    track.put(205, np.ones((1, 2)))
    assert track.get(199, 208)[:, 0].tolist() == [195.0, 0, 0, 0, 0, 0, 1.0, 0, 0]
    track.cut(203)
    track.put(203, np.full((1, 2), 7.0))
    assert track.get(203, 206)[:, 0].tolist() == [7.0, 0, 0]
    track.restart(500)
    assert (track.start, track.end) == (500, 500)


@pytest.mark.parametrize("reverberation_s", [0.02, 0.7, 5.0])
def test_what_is_played_rings_on_however_many_frames_are_given_at_once(reverberation_s: float) -> None:
    far = voice(700, seed=4)
    settings = EchoSettings(reverberation_s=reverberation_s)
    whole, each = EchoGuard(settings), EchoGuard(settings)
    whole.play(0, far)
    for at, row in enumerate(far):
        each.play(at, row[None])
    np.testing.assert_allclose(whole.excess_db(700, far[:4]), each.excess_db(700, far[:4]), rtol=1e-9)
    np.testing.assert_allclose(whole._played_rows(600, 704), each._played_rows(600, 704), rtol=1e-9)


def test_a_band_in_which_nothing_was_played_teaches_nothing() -> None:
    guard = EchoGuard()
    far = voice(400, 1)
    far[:, -1] = 1e-12
    near = echo_of(far, 15)
    near[:, -1] = 1e-9
    with np.errstate(all="raise"):
        verdicts = follow(guard, far, near)
    assert guard.coupling is Coupling.FOUND
    assert np.allclose(guard.gains_db[:-1], -15, atol=3)
    assert guard.gains_db[-1] == EchoSettings().worst_gain_db
    assert Heard.USER not in verdicts


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_whatever_is_played_and_heard_the_estimates_are_numbers(data: st.DataObject, seed: int) -> None:
    """Bands from digital silence to full scale, sounds that stop and start, gaps in what is played and heard."""
    rng = np.random.default_rng(seed)
    guard = EchoGuard(EchoSettings(first_learn_s=0.1, learn_every_s=0.1))
    silent = rng.random(BANDS) < data.draw(st.sampled_from([0.0, 0.3, 0.9]), "share of bands that are never played")
    frame = 0
    with np.errstate(all="raise", under="ignore"):
        for _ in range(data.draw(st.integers(1, 12), "stretches")):
            count = data.draw(st.integers(1, 80), "frames")
            far, near = (10.0 ** rng.uniform(-12, 1, (count, BANDS)) for _ in range(2))
            far[:, silent] = 1e-12
            if data.draw(st.booleans(), "echo"):
                near = np.maximum(1e-12, 0.1 * far)
            elif data.draw(st.booleans(), "digital silence"):
                near[:] = 1e-12
            for at in range(count):
                guard.play(frame + at, far[at : at + 1])
                guard.hear(frame + at, near[at : at + 1])
                guard.judge(frame + at, near[at : at + 1])
            frame += count
            if data.draw(st.booleans(), "dropped"):
                guard.drop(frame - data.draw(st.integers(0, count), "how many"))
            frame += data.draw(st.sampled_from([0, 1, 30, 1000]), "gap")
    assert np.isfinite(guard.gains_db).all()

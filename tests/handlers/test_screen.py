"""A caller on loudspeakers, and what the detector hears, in whole sessions in virtual time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from fastrtc.audio import PCM
from fastrtc.events import PlaybackFinished, ReplyHeld, ReplyInterrupted
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.handlers.screen import WAITING, Judged, Screen
from fastrtc.testing.rehearsal import Rehearsal
from fastrtc.transports.memory import MemoryLink
from fastrtc.turns.echo import Heard
from fastrtc.turns.interruption import Sound
from fastrtc.turns.options import AlgoOptions

RATE = 16_000


class EnergyVad:
    """Everything above -50 dBFS is speech to it."""

    rate_hz = RATE
    window_samples = 512

    def __init__(self) -> None:
        self.loudest = 0.0

    def new_stream(self) -> object:
        return object()

    def judge(self, streams: Sequence[object], windows: np.ndarray) -> np.ndarray:
        self.loudest = max(self.loudest, float(np.abs(windows).max()))
        return (np.sqrt((windows**2).mean(axis=1)) > 10 ** (-50 / 20)).astype(np.float32)

    def vad(self, audio: Any, options: Any) -> Any:
        raise AssertionError("a streaming detector is asked window by window")

    def warmup(self) -> None:
        """Nothing to do."""


def babble(seconds: float, seed: int, rate_hz: int = RATE) -> np.ndarray:
    """Syllables, each of its own colour, with gaps; -20 dBFS at its loudest."""
    rng = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    while sum(part.size for part in parts) < seconds * rate_hz:
        size = round(rng.uniform(0.08, 0.25) * rate_hz)
        times = np.arange(size) / rate_hz
        pitch, formant = rng.uniform(100, 220), rng.uniform(300, 2500)
        harmonics = [k for k in range(1, 18) if k * pitch < 3800]
        part = sum(np.sin(2 * np.pi * k * pitch * times) / (1 + ((k * pitch - formant) / 300) ** 2) for k in harmonics)
        parts += [part / np.abs(part).max() * np.hanning(size) * 0.3, np.zeros(round(rng.uniform(0.03, 0.2) * rate_hz))]
    return np.concatenate(parts)[: round(seconds * rate_hz)]


def shout(seconds: float) -> np.ndarray:
    """A sound without gaps, about as loud as :func:`babble`."""
    return np.random.default_rng(3).standard_normal(round(seconds * RATE)) * 0.1


class Loudspeaker(MemoryLink):
    """What it plays comes back after ``lag_s``, softer by ``loss_db``."""

    def __init__(self, lag_s: float = 0.13, loss_db: float = 12.0, rate_out_hz: int = RATE) -> None:
        super().__init__(RATE, rate_out_hz)
        self._echo = np.zeros(60 * RATE)
        self._lag = round(lag_s * RATE)
        self._gain = 10 ** (-loss_db / 20)
        self._step = rate_out_hz // RATE
        self.clock = 0

    def write(self, pcm: PCM | None) -> None:
        super().write(pcm)
        if pcm is not None:
            heard = pcm[:: self._step] / 32768 * self._gain
            at = self.clock + self._lag
            self._echo[at : at + heard.size] += heard

    def microphone(self, near: np.ndarray) -> PCM:
        span = slice(self.clock, self.clock + near.size)
        self.clock += near.size
        noise = np.random.default_rng(self.clock).standard_normal(near.size) * 1e-4
        return (np.clip(near + self._echo[span] + noise, -1, 1) * 32767).astype(np.int16)


def call(link: Loudspeaker, near: np.ndarray, **options: Any) -> Rehearsal:
    """A reply of 8 s that begins at 0.5 s, with ``near`` before the microphone."""

    def answer(_: Any) -> Iterator[Any]:
        spoken = babble(8, 1, link.rate_out_hz)
        yield link.rate_out_hz, (spoken * 32767).astype(np.int16).reshape(1, -1)

    handler = ReplyOnPause(
        answer,
        algo_options=AlgoOptions(**options),
        model=EnergyVad(),
        input_sample_rate=RATE,
        output_sample_rate=link.rate_out_hz,
    )
    rehearsal = Rehearsal(handler, RATE, link=link)
    for at in range(0, near.size, 320):
        if at == RATE // 2:
            rehearsal.driver.trigger()
        rehearsal.hear(link.microphone(near[at : at + 320]))
    rehearsal.close()
    return rehearsal


def told(rehearsal: Rehearsal, kind: type[Any]) -> list[Any]:
    return [event for event in rehearsal.events if isinstance(event, kind)]


@pytest.mark.parametrize("rate_out_hz", [16_000, 48_000])
@pytest.mark.parametrize("lag_s", [0.04, 0.13, 0.42])
def test_the_bots_own_voice_does_not_stop_it(lag_s: float, rate_out_hz: int) -> None:
    rehearsal = call(Loudspeaker(lag_s, rate_out_hz=rate_out_hz), np.zeros(10 * RATE))
    assert told(rehearsal, ReplyInterrupted) == []
    assert len(told(rehearsal, ReplyHeld)) <= 1
    assert told(rehearsal, PlaybackFinished)[0].heard_s == pytest.approx(8.0, abs=0.05)


def test_without_the_guard_it_does() -> None:
    rehearsal = call(Loudspeaker(), np.zeros(10 * RATE), echo_guard=False)
    assert told(rehearsal, ReplyHeld)[0].at_s < 2.0


@pytest.mark.parametrize("loss_db", [9.0, 20.0])
def test_the_user_is_heard_through_the_echo(loss_db: float) -> None:
    near = np.zeros(10 * RATE)
    near[5 * RATE : 6 * RATE] = shout(1) * 10 ** (-loss_db / 20)
    rehearsal = call(Loudspeaker(loss_db=loss_db), near)
    held = [event.at_s for event in told(rehearsal, ReplyHeld) if event.turn == 1]
    assert held[-1] == pytest.approx(5.15, abs=0.15)
    assert len(held) <= 2, "once while nothing is known of the echo"
    assert told(rehearsal, ReplyInterrupted)[0].at_s < 6.2
    assert len(rehearsal.calls) == 2


@pytest.mark.parametrize("over_s", [0.1, 0.4, 0.9, 1.4])
def test_without_an_echo_the_first_reply_is_interrupted_at_once(over_s: float) -> None:
    near = np.zeros(5 * RATE)
    start = round((0.5 + over_s) * RATE)
    near[start : start + round(1.2 * RATE)] = shout(1.2) * 0.2
    rehearsal = call(Loudspeaker(loss_db=90), near)
    assert told(rehearsal, ReplyHeld)[0].at_s == pytest.approx(0.5 + over_s, abs=0.08)
    (interrupted,) = told(rehearsal, ReplyInterrupted)
    assert interrupted.at_s < 0.5 + over_s + 1.0
    assert np.abs(rehearsal.calls[1].audio[: round(0.9 * RATE) + 640]).max() > 1000, "with its first word"


def test_the_filter_of_the_user_is_asked() -> None:
    asked: list[Sound] = []

    class Never:
        def weigh(self, sound: Sound) -> float | None:
            asked.append(sound)
            return 0.0

    near = np.zeros(10 * RATE)
    near[5 * RATE : round(5.5 * RATE)] = shout(0.5)
    rehearsal = call(Loudspeaker(loss_db=90), near, interruption_filter=Never())
    assert told(rehearsal, ReplyInterrupted) == []
    assert told(rehearsal, PlaybackFinished)
    assert asked[-1].ended
    assert asked[-1].rate_hz == RATE
    assert 0.3 <= asked[-1].speech_s <= asked[-1].pcm.size / RATE


def test_a_filter_that_fails_leaves_the_decision_to_the_length() -> None:
    class Broken:
        def weigh(self, sound: Sound) -> float | None:
            raise RuntimeError("no model")

    near = np.zeros(10 * RATE)
    near[5 * RATE : 6 * RATE] = shout(1)
    rehearsal = call(Loudspeaker(loss_db=90), near, interruption_filter=Broken())
    assert [str(error) for error in rehearsal.errors] == ["no model"]
    assert told(rehearsal, ReplyInterrupted)


@pytest.mark.parametrize(("gain_db", "calls"), [(0.0, 0), (20.0, 1)])
def test_only_the_detector_hears_a_quiet_caller_louder(gain_db: float, calls: int) -> None:
    near = np.zeros(4 * RATE)
    near[RATE : 2 * RATE] = babble(1, 7) * 0.006
    handler = ReplyOnPause(
        lambda _: None, algo_options=AlgoOptions(detector_gain_db=gain_db), model=EnergyVad(), input_sample_rate=RATE
    )
    rehearsal = Rehearsal(handler, RATE)
    given = (near * 32767).astype(np.int16)
    rehearsal.hear(given)
    rehearsal.close()
    assert len(rehearsal.calls) == calls
    for one in rehearsal.calls:
        assert np.abs(one.audio).max() == np.abs(given).max()


def test_windows_that_wait_are_the_users_if_he_is_heard_then() -> None:
    screen = Screen(AlgoOptions(detector_gain_db=0.0), RATE, 512, RATE)
    rng = np.random.default_rng(0)
    soft, loud = (rng.standard_normal((2, 512)) * np.array([[0.02], [0.5]])).astype(np.float32)
    screen.played((rng.standard_normal(RATE // 2) * 3000).astype(np.int16), 0.0)
    assert screen.after(soft, 0.9) == [Judged(0.9, doubtful=True)]
    for _ in range(round(0.4 / 0.032)):
        screen.after(soft, 0.0)
    decided = [screen.after(soft, 0.9) for _ in range(WAITING + 2)]
    assert decided == [[]] * WAITING + [[Judged(0.0)]] * 2
    decided = [screen.after(loud, 0.8), screen.after(loud, 0.8)]
    assert decided == [[Judged(0.0)] * WAITING + [Judged(0.8)], [Judged(0.8)]]


def test_he_began_where_the_evidence_did() -> None:
    screen = Screen(AlgoOptions(detector_gain_db=0.0), RATE, 512, RATE)
    assert screen._echo is not None
    guard = screen._echo.guard
    verdicts = [*[(Heard.ECHO, 0)] * (WAITING + 1), (Heard.ECHO, 1), (Heard.ECHO, 2), (Heard.DOUBTFUL, 3)]
    given = iter(verdicts)

    def judge(frame: int, powers: Any) -> Heard:
        verdict, guard.rising = next(given)
        return verdict

    guard.judge = judge  # type: ignore[method-assign]
    rng = np.random.default_rng(0)
    screen.played((rng.standard_normal(RATE // 2) * 3000).astype(np.int16), 0.0)
    window = (rng.standard_normal(512) * 0.02).astype(np.float32)
    decided = [screen.after(window, 0.9) for _ in verdicts]
    assert decided[:-1] == [[]] * WAITING + [[Judged(0.0)]] * 3
    doubtful = Judged(0.9, doubtful=True)
    assert decided[-1] == [Judged(0.0)] * (WAITING - 2) + [doubtful] * 3


def test_what_a_detector_still_finds_in_silence_is_as_doubtful_as_what_came_before() -> None:
    screen = Screen(AlgoOptions(detector_gain_db=0.0), RATE, 512, RATE)
    rng = np.random.default_rng(0)
    soft, silent = (rng.standard_normal((2, 512)) * np.array([[0.02], [0.0]])).astype(np.float32)
    screen.played((rng.standard_normal(RATE // 2) * 3000).astype(np.int16), 0.0)
    assert screen.after(silent, 0.9) == [Judged(0.9)]
    assert screen.after(soft, 0.9) == [Judged(0.9, doubtful=True)]
    assert screen.after(silent, 0.9) == [Judged(0.9, doubtful=True)]
    assert screen.after(silent, 0.1) == [Judged(0.1)]
    assert screen.after(silent, 0.9) == [Judged(0.9)]


def hiss(dbfs: float = -40.0, seed: int = 0) -> np.ndarray:
    """A window of what has no voice in it."""
    return np.diff(np.random.default_rng(seed).standard_normal(513), 1).astype(np.float32) * np.float32(
        10 ** (dbfs / 20)
    )


def settled(playing: bool = True, echo: bool = False, **options: Any) -> Screen:
    """A screen that has heard 3 s of a quiet room, or of an echo, beside a reply."""
    screen = Screen(AlgoOptions(detector_gain_db=0.0, **options), RATE, 512, RATE)
    rng = np.random.default_rng(0)
    spoken = babble(6, 1)
    for i in range(round(3 / 0.032)):
        piece = spoken[i * 512 : (i + 1) * 512]
        if playing:
            screen.played((piece * 32767).astype(np.int16), i * 0.032)
        room = rng.standard_normal(512) * 1e-4
        screen.after((room + (0.3 * spoken[max(0, i - 4) * 512 :][:512] if echo else 0)).astype(np.float32), 0.0)
    return screen


def begins(screen: Screen, *heard: tuple[np.ndarray, float]) -> list[bool]:
    return [judged.beginning for window, probability in heard for judged in screen.after(window, probability)]


SOFT = np.full(512, 1e-4, np.float32) * np.resize([1, -1], 512).astype(np.float32)


def test_a_hiss_and_something_of_a_voice_begin_a_word() -> None:
    assert begins(settled(), (hiss(), 0.05), (hiss(), 0.2)) == [False, True]
    assert begins(settled(), (hiss(), 0.05), (SOFT, 0.05), (SOFT, 0.05), (SOFT, 0.2)) == [False, False, False, True]


def test_neither_alone_begins_a_word() -> None:
    assert begins(settled(), *[(hiss(seed=i), 0.1) for i in range(6)]) == [False] * 6
    assert begins(settled(), *[(SOFT, 0.5)] * 6) == [False] * 6
    assert begins(settled(), (hiss(), 0.05), *[(SOFT, 0.05)] * 4, (SOFT, 0.5))[-1] is False


@pytest.mark.parametrize(
    "scene",
    [{"playing": False}, {"echo": True}, {"interruption": "cancel"}, {"echo_guard": False}],
    ids=["nothing is played", "there is an echo", "a reply is not held", "there is no guard"],
)
def test_no_beginnings_are_looked_for_where(scene: dict[str, Any]) -> None:
    assert begins(settled(**scene), (hiss(), 0.05), (hiss(), 0.2), (hiss(), 0.2)) == [False] * 3

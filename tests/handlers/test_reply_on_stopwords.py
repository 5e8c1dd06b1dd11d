"""``ReplyOnStopWords`` in virtual time, with a recogniser that reads what was "said" from the samples themselves."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from fastrtc.audio import PCM
from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.events import ReplyInterrupted
from fastrtc.handlers.endpoint import Endpoint
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords
from fastrtc.handlers.stop_word_driver import StopWordDriver
from fastrtc.handlers.wake import MORE_S, WakeListener
from fastrtc.media.ring import AudioRing
from fastrtc.speech import moonshine_weights
from fastrtc.testing import Rehearsal, ScriptedVad
from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.options import AlgoOptions

RATE = 16_000
WORDS = {"computer": 1000, "hello": 2000, "iris": 3000, "time": 4000, "please": 5000}
PRECISION = 0.03  # Seconds; of where a word ends that is nothing but equal samples.
KNOWN_AT = 0.75  # Part of a word that must have been said for it to be recognised.
EXACT = AlgoOptions(pre_roll_s=0.3, shortest_silence_s=0.3, longest_silence_s=0.3)


class ReadsSamples:
    """Each word is a number of equal samples; the recogniser reads them, and counts what it was asked."""

    def __init__(self, word_s: float = 0.5) -> None:
        self.asked: list[float] = []
        self._needed = KNOWN_AT * word_s * RATE

    def stt(self, audio: tuple[int, Any]) -> str:
        rate_hz, samples = audio
        assert (rate_hz, samples.shape[0], samples.dtype) == (RATE, 1, np.int16)
        self.asked.append(samples.size / rate_hz)
        changes = np.flatnonzero(np.diff(samples[0])) + 1
        runs = [(run[0], run.size) for run in np.split(samples[0], changes)]
        names = {level: name for name, level in WORDS.items()}
        return ", ".join(names[level].title() for level, size in runs if level in names and size >= self._needed) + "."


class Talk:
    """Builds what the user says, and the verdicts of the voice activity detector with it."""

    def __init__(self) -> None:
        self.parts: list[PCM] = []
        self.vad = ScriptedVad()
        self.at_s = 0.0

    def say(self, word: str, seconds: float = 0.5) -> float:
        """Say a word; when it ends."""
        self.parts.append(np.full(round(seconds * RATE), WORDS[word], np.int16))
        self.vad.speech = ScriptedVad([*self.vad.speech, (self.at_s, self.at_s + seconds)]).speech
        self.at_s += seconds
        return self.at_s

    def pause(self, seconds: float) -> None:
        self.parts.append(np.zeros(round(seconds * RATE), np.int16))
        self.at_s += seconds

    @property
    def pcm(self) -> PCM:
        return np.concatenate(self.parts)


class Slow(Rehearsal):
    """Its recogniser answers when it is told to."""

    asked: tuple[Callable[[], None], ...] = ()

    def recognise(self, key: Any, work: Any, then: Any, failed: Any) -> None:
        self.asked = (*self.asked[:1], lambda: then(work()))

    def answer(self) -> None:
        first, *waiting = self.asked
        self.asked = tuple(waiting)
        first()


def echo(audio: tuple[int, Any]) -> Iterator[Any]:
    yield audio


def rehearse(talk: Talk, stt: Any, **options: Any) -> Rehearsal:
    given = {"stop_words": ["computer"], "input_sample_rate": RATE, "algo_options": EXACT} | options
    handler = ReplyOnStopWords(given.pop("fn", echo), model=talk.vad, stt_model=stt, **given)
    rehearsal = Rehearsal(handler, RATE)
    rehearsal.hear(talk.pcm)
    return rehearsal


def stopwords(rehearsal: Rehearsal) -> int:
    return [json.loads(message) for message in rehearsal.link.messages].count({"type": "stopword", "data": ""})


def spoken(audio: PCM) -> dict[str, float]:
    """The words in what a function got, with the seconds of each."""
    return {name: float(np.count_nonzero(audio == level)) / RATE for name, level in WORDS.items() if level in audio}


def test_the_function_gets_what_follows_the_stop_word_in_one_breath() -> None:
    talk, stt = Talk(), ReadsSamples()
    talk.pause(1)
    talk.say("computer")
    talk.say("time", 1.0)
    talk.say("please", 0.5)
    talk.pause(1)
    rehearsal = rehearse(talk, stt)
    assert stopwords(rehearsal) == 1
    assert len(rehearsal.calls) == 1
    heard = spoken(rehearsal.calls[0].audio)
    assert heard["time"] == 1.0
    assert heard["please"] == 0.5
    # The recogniser knew the word after three quarters of it; the rest of it is all that may be left.
    assert heard.get("computer", 0.0) <= (1 - KNOWN_AT) * 0.5 + PRECISION


def test_a_pause_after_the_stop_word_waits_for_what_is_said_then() -> None:
    talk = Talk()
    talk.pause(0.5)
    talk.say("computer")
    talk.pause(5)
    talk.say("time", 1.0)
    talk.pause(1)
    rehearsal = rehearse(talk, ReadsSamples())
    assert stopwords(rehearsal) == 1
    (call,) = rehearsal.calls
    assert spoken(call.audio) == {"time": 1.0}


def test_without_the_stop_word_nothing_happens() -> None:
    talk = Talk()
    for _ in range(3):
        talk.say("time", 1.0)
        talk.pause(1)
        talk.say("hello")
        talk.pause(2)
    rehearsal = rehearse(talk, ReadsSamples())
    assert rehearsal.calls == []
    assert stopwords(rehearsal) == 0
    assert rehearsal.errors == []


def test_it_waits_for_the_stop_word_again_after_each_turn() -> None:
    talk = Talk()
    for word in ("time", "please"):
        talk.say("computer")
        talk.say(word, 0.8)
        talk.pause(2)
        talk.say("hello")
        talk.pause(2)
    rehearsal = rehearse(talk, ReadsSamples())
    assert stopwords(rehearsal) == 2
    assert [sorted(spoken(call.audio).keys() - {"computer"}) for call in rehearsal.calls] == [["time"], ["please"]]


def test_the_recogniser_is_asked_about_speech_only() -> None:
    talk, stt = Talk(), ReadsSamples()
    talk.pause(30)
    rehearsal = rehearse(talk, stt)
    assert stt.asked == []
    talk.vad.speech = ScriptedVad([(30.0, 31.0)]).speech
    rehearsal.hear(np.full(RATE, WORDS["time"], np.int16))
    rehearsal.silence(20)
    assert 2 <= len(stt.asked) <= 5
    assert max(stt.asked) <= 2.0 + MORE_S


def test_of_endless_talk_the_recogniser_gets_two_seconds_at_a_time() -> None:
    talk, stt = Talk(), ReadsSamples()
    for _ in range(20):
        talk.say("time")
        talk.say("hello")
    talk.say("computer")
    talk.say("please")
    talk.pause(1)
    rehearsal = rehearse(talk, stt)
    assert 2.0 <= max(stt.asked) <= 2.0 + MORE_S + 0.1
    (call,) = rehearsal.calls
    assert spoken(call.audio)["please"] >= 0.5 - PRECISION
    assert "hello" not in spoken(call.audio)


def test_a_phrase_may_have_a_pause_in_it() -> None:
    talk = Talk()
    talk.say("hello")
    talk.pause(0.5)
    talk.say("iris")
    talk.pause(0.4)
    talk.say("time", 0.8)
    talk.pause(1)
    rehearsal = rehearse(talk, ReadsSamples(), stop_words=["hello iris", "computer"])
    (call,) = rehearsal.calls
    assert spoken(call.audio) == {"time": 0.8}


def long_reply(audio: Any) -> Iterator[Any]:
    for _ in range(100):
        yield 24_000, np.full((1, 2400), 7, np.int16)


@pytest.mark.parametrize("can_interrupt", [True, False])
def test_a_stop_word_interrupts_a_reply_and_other_words_do_not(can_interrupt: bool) -> None:
    talk = Talk()
    talk.say("computer")
    talk.say("time")
    talk.pause(1)
    talk.say("hello")
    talk.pause(1)
    before_s = talk.at_s
    said_s = talk.say("computer")
    talk.say("please", 0.6)
    talk.pause(1)
    rehearsal = rehearse(talk, ReadsSamples(), fn=long_reply, can_interrupt=can_interrupt)
    cut = [event for event in rehearsal.events if isinstance(event, ReplyInterrupted)]
    if can_interrupt:
        assert [event.reason for event in cut] == ["stopword"]
        assert before_s < cut[0].at_s < said_s + 0.5
        assert len(rehearsal.calls) == stopwords(rehearsal) == 2
        assert spoken(rehearsal.calls[1].audio)["please"] >= 0.6 - PRECISION
    else:
        assert cut == []
        assert len(rehearsal.calls) == stopwords(rehearsal) == 1


def test_what_is_said_while_the_recogniser_is_slow_is_not_lost() -> None:
    talk = Talk()
    talk.say("computer")
    talk.say("time", 1.0)
    talk.pause(3)
    handler = ReplyOnStopWords(
        echo, ["computer"], input_sample_rate=RATE, algo_options=EXACT, model=talk.vad, stt_model=ReadsSamples()
    )
    rehearsal = Slow(handler, RATE)
    rehearsal.hear(talk.pcm)
    # One question is asked and the newest of the others waits, whatever was said meanwhile.
    assert len(rehearsal.asked) == 2
    while rehearsal.asked and not rehearsal.calls:
        rehearsal.answer()
        rehearsal.silence(0.5)
    (call,) = rehearsal.calls
    assert spoken(call.audio)["time"] == 1.0
    assert call.audio.size < 2.5 * RATE


def test_muting_forgets_what_the_recogniser_was_asked() -> None:
    talk = Talk()
    talk.say("computer")
    rehearsal = Slow(
        ReplyOnStopWords(echo, ["computer"], input_sample_rate=RATE, model=talk.vad, stt_model=ReadsSamples()), RATE
    )
    rehearsal.hear(talk.pcm)
    rehearsal.driver.mute(True)
    assert rehearsal.asked
    while rehearsal.asked:
        rehearsal.answer()
    assert stopwords(rehearsal) == 0


def test_a_recogniser_that_raises_is_reported_and_asked_again() -> None:
    class Fails(ReadsSamples):
        def stt(self, audio: Any) -> str:
            text = super().stt(audio)
            if len(self.asked) == 1:
                raise RuntimeError("out of memory")
            return text

    talk = Talk()
    talk.say("computer")
    talk.say("time")
    talk.pause(1)
    rehearsal = rehearse(talk, Fails())
    assert [str(error) for error in rehearsal.errors] == ["out of memory"]
    assert len(rehearsal.calls) == 1


def test_the_whole_utterance_on_request() -> None:
    talk = Talk()
    talk.say("hello", 2.0)
    talk.pause(2)
    talk.say("please")
    talk.say("computer")
    talk.say("time", 1.0)
    talk.pause(1)
    rehearsal = rehearse(talk, ReadsSamples(), include_stop_word=True)
    (call,) = rehearsal.calls
    assert spoken(call.audio) == {"please": 0.5, "computer": 0.5, "time": 1.0}


def test_what_follows_a_pause_begins_shortly_before_its_first_sound() -> None:
    talk = Talk()
    talk.say("computer")
    talk.pause(0.6)
    talk.say("time", 1.0)
    talk.pause(1)
    rehearsal = rehearse(talk, ReadsSamples(), algo_options=AlgoOptions(longest_silence_s=0.3))
    (call,) = rehearsal.calls
    silence_s = np.flatnonzero(call.audio)[0] / RATE
    assert 0.0 <= silence_s <= 0.1
    assert spoken(call.audio) == {"time": 1.0}


def test_a_stop_word_that_nothing_follows_is_forgotten_in_time() -> None:
    talk = Talk()
    talk.say("computer")
    talk.pause(3)
    talk.say("time")
    talk.pause(1)
    talk.say("computer")
    talk.pause(1.5)
    talk.say("please", 3.0)
    talk.pause(1)
    rehearsal = rehearse(talk, ReadsSamples(), stop_word_timeout_s=2.0)
    assert stopwords(rehearsal) == 2
    assert [spoken(call.audio) for call in rehearsal.calls] == [{"please": 3.0}]
    logged = [json.loads(message)["data"] for message in rehearsal.link.messages if "log" in message]
    assert logged.count("stopword_timeout") == 1


@pytest.mark.parametrize(("wait_s", "answered"), [(1.0, True), (6.0, False)])
def test_for_a_while_after_a_reply_no_stop_word_is_needed(wait_s: float, answered: bool) -> None:
    talk = Talk()
    talk.say("computer")
    talk.say("time")
    talk.pause(2)  # The reply plays for half of it.
    talk.pause(wait_s)
    talk.say("please", 0.8)
    talk.pause(1)
    rehearsal = rehearse(talk, ReadsSamples(), follow_up_s=3.0)
    rehearsal.silence(1)
    assert stopwords(rehearsal) == 1
    given = [set(spoken(call.audio)) - {"computer"} for call in rehearsal.calls]
    assert given == ([{"time"}, {"please"}] if answered else [{"time"}])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"sensitivity": 1.1}, "sensitivity must be a number from 0 to 1"),
        ({"stop_word_timeout_s": 0}, "timeout_s must be a positive number"),
        ({"follow_up_s": -1}, "follow_up_s must be zero or a positive number"),
        ({"wake_word_engine": "porcupine"}, "wake_word_engine must be"),
        ({"algo_options": AlgoOptions(interrupt_words=2)}, "leave interrupt_words at 0"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        ReplyOnStopWords(echo, ["computer"], **options)


def test_trigger_response_needs_no_stop_word() -> None:
    talk = Talk()
    talk.pause(0.5)
    rehearsal = rehearse(talk, ReadsSamples())
    rehearsal.driver.trigger()
    rehearsal.silence(0.2)
    assert [call.audio.size for call in rehearsal.calls] == [0]
    assert stopwords(rehearsal) == 0


def test_a_subclass_may_compare_in_its_own_way() -> None:
    class Polite(ReplyOnStopWords):
        def stop_word_detected(self, text: str) -> bool:
            return super().stop_word_detected(text) and "please" in text.casefold()

    talk = Talk()
    talk.say("computer")
    talk.pause(1.5)
    talk.say("computer")
    talk.say("please")
    talk.pause(0.3)
    talk.say("time")
    talk.pause(1)
    handler = Polite(
        echo, ["computer"], input_sample_rate=RATE, algo_options=EXACT, model=talk.vad, stt_model=ReadsSamples()
    )
    rehearsal = Rehearsal(handler, RATE)
    rehearsal.hear(talk.pcm)
    assert stopwords(rehearsal) == 1
    assert "time" in spoken(rehearsal.calls[0].audio)


def test_without_a_session_it_needs_the_stop_word_too() -> None:
    talk = Talk()
    talk.say("time")
    talk.pause(1.5)
    talk.say("computer")
    talk.say("please", 0.8)
    talk.pause(1)
    handler = ReplyOnStopWords(
        echo, ["computer"], input_sample_rate=RATE, algo_options=EXACT, model=talk.vad, stt_model=ReadsSamples()
    )
    given = []
    for start in range(0, talk.pcm.size, 320):
        handler.receive((RATE, talk.pcm[start : start + 320].reshape(1, -1)))
        if (value := handler.emit()) is not None:
            given.append(value)
    ((rate_hz, audio),) = given
    assert rate_hz == RATE
    assert audio.shape[0] == 1
    assert spoken(audio[0])["please"] == 0.8
    assert "time" not in spoken(audio[0])


def test_windows_from_before_it_listened_are_no_speech_to_ask_about() -> None:
    stt, heard, errors = ReadsSamples(), [], []

    class AtOnce:
        def recognise(self, key: Any, work: Any, then: Any, failed: Any) -> None:
            then(work())

    handler = ReplyOnStopWords(echo, ["computer"], input_sample_rate=RATE, model=ScriptedVad(), stt_model=stt)
    ring = AudioRing(RATE)
    ring.append(np.full(RATE + 512, WORDS["computer"], np.int16))
    gate = Endpoint.of(handler).settings.gate
    wake = WakeListener(
        handler, ring, gate, AtOnce(), lambda: None, lambda found: heard.append(found.end), errors.append
    )
    wake.begin(RATE + 512)
    for start in range(0, RATE, 512):
        wake.hear(SpeechWindow(start, start + 512, 0.9))
    wake.hear(SpeechWindow(RATE, RATE + 512, 0.0))
    assert (stt.asked, heard, errors) == ([], [], [])
    ring.append(np.full(2 * RATE, WORDS["computer"], np.int16))
    for start in range(RATE, 3 * RATE - 512, 512):
        wake.hear(SpeechWindow(start, start + 512, 0.9))
    assert RATE * 1.3 < heard[0] < RATE * 1.6


def test_copies_have_the_same_settings_and_share_the_recogniser() -> None:
    stt, vad = ReadsSamples(), ScriptedVad()
    handler = ReplyOnStopWords(
        echo,
        ["computer"],
        None,
        EXACT,
        None,
        False,
        "mono",
        16_000,
        None,
        RATE,
        vad,
        True,
        stt_model=stt,
        sensitivity=0.7,
        include_stop_word=True,
        stop_word_timeout_s=4,
        follow_up_s=3,
    )
    copy = handler.copy()
    for name in ("sensitivity", "stop_word_options"):
        assert getattr(copy, name) == getattr(handler, name)
    assert type(copy) is ReplyOnStopWords
    for name in ("fn", "stop_words", "algo_options", "can_interrupt", "output_sample_rate", "model", "needs_args"):
        assert getattr(copy, name) == getattr(handler, name)
    assert copy.stt_model is stt


def test_it_takes_what_reply_on_pause_takes_and_stop_words_second() -> None:
    pause = list(inspect.signature(ReplyOnPause).parameters)
    words = list(inspect.signature(ReplyOnStopWords).parameters)
    assert words[:2] == ["fn", "stop_words"]
    own = {"stop_words", "stt_model", "sensitivity", "include_stop_word", "stop_word_timeout_s", "follow_up_s"}
    assert [name for name in words if name not in own | {"wake_word_engine"}] == pause


def test_without_a_recogniser_the_session_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moonshine_weights, "carried_weights", lambda: None)
    handler = ReplyOnStopWords(echo, ["computer"], model=ScriptedVad())
    with pytest.raises(MissingExtraError, match=r"fastrtc\[stt\]"):
        handler.copy()


def test_a_word_that_cannot_be_heard_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="stop_words"):
        ReplyOnStopWords(echo, [])


def test_a_session_drives_it_with_its_own_driver() -> None:
    rehearsal = Rehearsal(ReplyOnStopWords(echo, ["a"], model=ScriptedVad(), stt_model=ReadsSamples()), RATE)
    assert type(rehearsal.driver) is StopWordDriver

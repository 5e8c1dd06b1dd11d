"""A conversation with the demo ``talk``, in virtual time: it greets, answers, and can be interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from tests.handlers.kit import IN_HZ, LOUD, QUICK, VAD

from fastrtc.demos.talk import Talk
from fastrtc.events import PlaybackFinished, ReplyInterrupted, TurnCommitted, UserTranscript
from fastrtc.outputs import WebRTCData
from fastrtc.replies import Reply, current_reply
from fastrtc.testing import Rehearsal

SENTENCE_S = 1.0


class Ears:
    """Hears what the test says next."""

    def __init__(self) -> None:
        self.next = ""

    def stt(self, audio: tuple[int, Any]) -> str:
        return self.next


class Mouth:
    """A second for each sentence."""

    def __init__(self) -> None:
        self.spoken: list[str] = []

    def tts(self, text: str, options: Any = None) -> tuple[int, Any]:
        self.spoken.append(text)
        return 24_000, np.full(round(SENTENCE_S * 24_000), 0.1, np.float32)


class Model:
    """A language model that writes in parts, and knows when it was cut off."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed = 0

    def greeting(self) -> str:
        return "Hello. Who is there?"

    def answer(self, said: str) -> Iterator[str]:
        self.asked.append(said)
        try:
            for number in range(100):
                yield f"Sentence {number}. "
        finally:
            self.closed += 1


def rehearse(ears: Ears, mouth: Mouth, *model: Model) -> tuple[Talk, Rehearsal]:
    makers = [lambda: model[0]] if model else []
    handler = Talk(*makers, stt_model=ears, tts_model=mouth)  # type: ignore[arg-type]
    # A constant level is no speech that could be told from an echo.
    handler.model, handler.algo_options = VAD, replace(QUICK, echo_guard=False, interruption_filter=None)
    call = Rehearsal(handler, IN_HZ)
    call.silence(3.0)
    return handler, call


def speak(call: Rehearsal, seconds: float) -> None:
    call.hear(np.full(round(seconds * IN_HZ), LOUD, np.int16))


def test_it_greets_and_answers_what_it_heard() -> None:
    ears, mouth = Ears(), Mouth()
    _, call = rehearse(ears, mouth)
    assert mouth.spoken == ["Hello!", "You can talk to me, and interrupt me.", "Ask what I can do."]
    call.silence(2.0)
    ears.next = "What is two plus two?"
    speak(call, 1.0)
    call.silence(3.0)
    assert mouth.spoken[-1] == "That is 4."
    assert call.outputs[-1].args == ("That is 4.",)
    finals = [event.text for event in call.events if isinstance(event, UserTranscript) and event.final]
    assert finals == ["What is two plus two?"]
    assert sum(isinstance(event, PlaybackFinished) for event in call.events) == 2
    assert call.errors == []
    call.close()


def test_nothing_is_answered_with_nothing() -> None:
    ears, mouth = Ears(), Mouth()
    _, call = rehearse(ears, mouth)
    call.silence(2.0)
    speak(call, 1.0)
    call.silence(2.0)
    assert sum(isinstance(event, TurnCommitted) for event in call.events) == 1
    assert len(mouth.spoken) == 3
    call.close()


def test_an_interruption_closes_the_model_and_knows_what_was_heard() -> None:
    ears, mouth, model = Ears(), Mouth(), Model()
    _, call = rehearse(ears, mouth, model)
    ears.next = "Count."
    speak(call, 1.0)
    call.silence(2.6)
    ears.next = "Stop."
    speak(call, 1.5)
    (interrupted,) = [event for event in call.events if isinstance(event, ReplyInterrupted)]
    assert interrupted.heard_text.startswith("Sentence 0.")
    assert "Sentence 4." not in interrupted.heard_text
    assert model.closed == 1
    assert len(mouth.spoken) < 10, "it speaks little more than what is heard"
    call.silence(1.0)
    assert model.asked == ["Count.", "Stop."]
    call.close()
    assert model.closed == 2


def test_what_is_typed_is_answered_too() -> None:
    handler, call = rehearse(Ears(), Mouth(), model := Model())
    token = current_reply.set(Reply(9, lambda: 0.0))
    try:
        audio = (IN_HZ, np.zeros((1, 0), np.int16))
        next(handler.fn(WebRTCData(webrtc_id="x", textbox="typed words", audio=audio)))
    finally:
        current_reply.reset(token)
    assert model.asked == ["typed words"]
    call.close()

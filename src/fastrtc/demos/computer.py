"""``fastrtc demo computer``: listens for "computer", then does what it is told; everything else is left alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fastrtc.demos.partner import RulePartner
from fastrtc.demos.talk import aloud, heard
from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords
from fastrtc.outputs import AdditionalOutputs
from fastrtc.speech.protocol import SpeechToText
from fastrtc.speech.recogniser import get_stt_model
from fastrtc.speech.text_to_speech import TextToSpeech, get_tts_model

STOP_WORD = "computer"

_SWITCH = re.compile(r"\b(?:turn|switch|put)\b.*\b(on|off)\b|\b(?:lights?|lamps?)\b.*\b(on|off)\b")
_LIGHTS = re.compile(r"\b(?:lights?|lamps?)\b")
_COFFEE = re.compile(r"\b(espresso|americano|cappuccino|latte|mocha|coffee)s?\b")
_KINDS = re.compile(r"\b(small|medium|large|iced|drip|house)\b(?! roast)")
_ROAST = re.compile(r"\b(light|medium|dark) roast\b")
_ROOMS = re.compile(r"\b(kitchen|living room|bedroom|bathroom|hall|office|garage|garden)\b")


class Computer(ReplyOnStopWords):
    """A house with lights, for one session.

    Args:
        stt_model: Hears; None: the default one.
        tts_model: Speaks; None: the default one.
    """

    def __init__(self, stt_model: SpeechToText | None = None, tts_model: TextToSpeech[Any] | None = None) -> None:
        self._house = House()
        self._stt = stt_model or get_stt_model()
        self._tts = tts_model or get_tts_model()
        super().__init__(self._reply, [STOP_WORD], input_sample_rate=16_000, stt_model=self._stt, captions=self._stt)

    def copy(self) -> Computer:
        """Another house, with the same ears and voice."""
        return Computer(self._stt, self._tts)

    def _reply(self, audio: Any) -> Iterator[Any]:
        said = heard(audio)
        if not said:
            yield from aloud(self._tts, ["Yes?"])
            return
        before = dict(self._house.lights)
        answer = self._house.obey(said)
        if self._house.lights != before:
            yield AdditionalOutputs({"lights": self._house.lights})
        yield from aloud(self._tts, [answer])


class House:
    """Lights by room, coffee, and whatever else a partner knows.

    Attributes:
        lights: ``on`` or ``off``, by room.
    """

    def __init__(self, partner: RulePartner | None = None) -> None:
        self.lights: dict[str, str] = {}
        self._partner = partner or RulePartner()

    def obey(self, said: str) -> str:
        """Carry out a command; what to answer."""
        heard = said.casefold()
        coffee = _COFFEE.search(heard)
        if coffee is not None:
            roast = _ROAST.search(heard)
            order = " ".join(["One", *_KINDS.findall(heard), coffee[1]])
            return f"{order}{f' with {roast[0]}' if roast else ''}, coming up."
        switch = _SWITCH.search(heard)
        if switch is None or not _LIGHTS.search(heard):
            return self._partner.reply(said)
        state = switch[1] or switch[2]
        rooms = _ROOMS.findall(heard)
        for room in rooms or list(self.lights) or ["house"]:
            self.lights[room] = state
        where = f" in the {' and the '.join(rooms)}" if rooms else ""
        return f"The lights{where} are {state}."

"""``fastrtc demo talk``: a conversation without a network. It hears you, shows what it heard, and answers aloud."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fastrtc.demos.partner import Partner, RulePartner
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.outputs import AdditionalOutputs, Spoken
from fastrtc.replies import get_current_reply
from fastrtc.speech.protocol import SpeechToText
from fastrtc.speech.recogniser import get_stt_model
from fastrtc.speech.sentences import sentences_of
from fastrtc.speech.text_to_speech import TextToSpeech, get_tts_model


class Talk(ReplyOnPause):
    """A conversation with a partner of its own.

    Args:
        make_partner: Makes the partner of a session.
        stt_model: Hears; None: the default one.
        tts_model: Speaks; None: the default one.
    """

    def __init__(
        self,
        make_partner: Callable[[], Partner] = RulePartner,
        stt_model: SpeechToText | None = None,
        tts_model: TextToSpeech[Any] | None = None,
    ) -> None:
        self._make_partner = make_partner
        self._partner = make_partner()
        self._stt = stt_model or get_stt_model()
        self._tts = tts_model or get_tts_model()
        super().__init__(self._reply, startup_fn=self._greet, input_sample_rate=16_000, captions=self._stt)

    def copy(self) -> Talk:
        """A conversation with the same ears and voice, and another partner."""
        return Talk(self._make_partner, self._stt, self._tts)

    def _greet(self) -> Iterator[Any]:
        yield from aloud(self._tts, [self._partner.greeting()])

    def _reply(self, audio: Any) -> Iterator[Any]:
        said = heard(audio)
        if said:
            yield from aloud(self._tts, self._partner.answer(said))


def heard(audio: Any) -> str:
    """What the user typed, or said: the captions of the turn that is being answered."""
    typed: str = getattr(audio, "textbox", "")
    return typed or get_current_reply().wait_for_transcript_sync()


def aloud(tts_model: TextToSpeech[Any], text: Iterable[str]) -> Iterator[Any]:
    """Speak a text, sentence by sentence as it comes, and show it; what of it was heard stays known."""
    for sentence in sentences_of(text):
        yield AdditionalOutputs(sentence)
        yield Spoken(tts_model.tts(sentence), sentence)

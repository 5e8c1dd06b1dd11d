"""``ReplyOnStopWords``: like ``ReplyOnPause``, but only what follows a certain word is for the reply function."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from fastrtc.errors import ConfigurationError
from fastrtc.handlers.attention import StopWordOptions
from fastrtc.handlers.base import Layout
from fastrtc.handlers.reply_on_pause import ReplyFn, ReplyOnPause
from fastrtc.replies import Reply
from fastrtc.speech.micro_wake_words import MicroSpotter
from fastrtc.speech.protocol import SpeechToText
from fastrtc.speech.recogniser import get_stt_model
from fastrtc.speech.spotting import Spotter, spotter_for
from fastrtc.speech.stop_words import SAME_SOUND, StopWords
from fastrtc.turns.options import AlgoOptions
from fastrtc.vad.protocol import ModelOptions, PauseDetectionModel
from fastrtc.wire.messages import create_message

WakeWordEngine: TypeAlias = Literal["pymicro-wakeword"]


class ReplyOnStopWords(ReplyOnPause):
    """Waits for one of the stop words, then calls a function with what the user says after it, up to a pause.

    After that it waits for a stop word again, also while the reply plays: the next one interrupts it (with
    ``can_interrupt``). The client gets a ``stopword`` message each time that one is heard.

    Args:
        fn: As of ``ReplyOnPause``; its audio begins where the stop word ends.
        stop_words: Words or phrases; case and punctuation do not count, and what sounds the same is the same.
        startup_fn: As of ``ReplyOnPause``, like all that follow.
        algo_options: When the turn after the stop word starts and ends.
        model_options: Options of ``model``.
        can_interrupt: Whether a stop word ends a reply. If not, none is heard while a reply plays.
        expected_layout: Kept from FastRTC; audio is mono.
        output_sample_rate: Rate on the wire over a WebSocket; a multiple of 50.
        output_frame_size: Deprecated and ignored.
        input_sample_rate: Rate of the audio that ``fn`` gets; a multiple of 50.
        model: Voice activity detection; the recogniser is asked about speech only.
        needs_args: Wait for the client's inputs even if ``fn`` takes none.
        stt_model: Recognises the stop words; None: ``get_stt_model()``, when the first session starts.
        on_interrupt: Told about each reply that was interrupted.
        idle_fn: Called when nobody has spoken for ``algo_options.idle_timeout_s``.
        on_dtmf: Called with each key that a caller presses on a telephone.
        captions: As of ``ReplyOnPause``; True means ``stt_model``.
        sensitivity: From 0 to 1: how much like a stop word a sound must be. Higher misses fewer and takes more for one
            that are none. With a recogniser other than Moonshine it is the distance in sound that is let pass, times
            five: 0.1 at 0.5 (:func:`fastrtc.speech.sounds.distance`).
        include_stop_word: ``fn`` gets the whole utterance with the stop word in it, not only what follows.
        stop_word_timeout_s: After a stop word, speech is waited for this long; then another stop word is needed. None:
            without end.
        follow_up_s: For this long after a reply, what the user says needs no stop word.
        wake_word_engine: ``"pymicro-wakeword"`` (the extra ``wakeword``) listens for "alexa", "hey jarvis",
            "hey mycroft" or "okay nabu" with a small network for each, in place of a recogniser.

    Raises:
        ConfigurationError: No stop word, ``fn`` cannot be called, or an option cannot work.
        MissingExtraError: The wake-word engine is not installed.
    """

    def __init__(
        self,
        fn: ReplyFn,
        stop_words: Sequence[str],
        startup_fn: Callable[..., Any] | None = None,
        algo_options: AlgoOptions | None = None,
        model_options: ModelOptions | None = None,
        can_interrupt: bool = True,
        expected_layout: Layout = "mono",
        output_sample_rate: int = 24000,
        output_frame_size: int | None = None,
        input_sample_rate: int = 48000,
        model: PauseDetectionModel | None = None,
        needs_args: bool = False,
        *,
        stt_model: SpeechToText | None = None,
        on_interrupt: Callable[[Reply], Any] | None = None,
        idle_fn: Callable[..., Any] | None = None,
        on_dtmf: Callable[[str], Any] | None = None,
        captions: bool | SpeechToText = False,
        sensitivity: float = 0.5,
        include_stop_word: bool = False,
        stop_word_timeout_s: float | None = None,
        follow_up_s: float = 0.0,
        wake_word_engine: WakeWordEngine | None = None,
    ) -> None:
        if algo_options is not None and algo_options.interrupt_words:
            raise ConfigurationError("a stop word ends a reply of ReplyOnStopWords; leave interrupt_words at 0")
        super().__init__(
            fn,
            startup_fn,
            algo_options,
            model_options,
            can_interrupt,
            expected_layout,
            output_sample_rate,
            output_frame_size,
            input_sample_rate,
            model,
            needs_args,
            on_interrupt=on_interrupt,
            idle_fn=idle_fn,
            on_dtmf=on_dtmf,
            captions=stt_model if captions is True and stt_model is not None else captions,
        )
        self.stop_words = stop_words
        if not 0 <= sensitivity <= 1:
            raise ConfigurationError(f"sensitivity must be a number from 0 to 1, got {sensitivity!r}")
        if wake_word_engine not in (None, "pymicro-wakeword"):
            raise ConfigurationError(f'wake_word_engine must be "pymicro-wakeword" or None, got {wake_word_engine!r}')
        self.sensitivity = sensitivity
        self.wake_word_engine = wake_word_engine
        self.stop_word_options = StopWordOptions(
            include_stop_word, math.inf if stop_word_timeout_s is None else stop_word_timeout_s, follow_up_s
        )
        self._wanted = StopWords(stop_words, 2 * SAME_SOUND * sensitivity)
        self._stt_model = stt_model
        if wake_word_engine is not None:
            self.spotter()  # So that a word that it does not know is an error now.

    @property
    def stt_model(self) -> SpeechToText:
        """The recogniser.

        Raises:
            MissingExtraError: None was given, and the default one cannot be had.
        """
        if self._stt_model is None:
            self._stt_model = get_stt_model()
        return self._stt_model

    def copy(self) -> ReplyOnStopWords:
        """A new handler with the same settings and the same recogniser."""
        fn, *others = self._arguments()
        options = self.stop_word_options
        return ReplyOnStopWords(
            fn,
            self.stop_words,
            *others,
            stt_model=self.stt_model if self.wake_word_engine is None else self._stt_model,
            on_interrupt=self.on_interrupt,
            idle_fn=self.idle_fn,
            on_dtmf=self._key_fn,
            captions=self.captions or False,
            sensitivity=self.sensitivity,
            include_stop_word=options.include_stop_word,
            stop_word_timeout_s=options.timeout_s if math.isfinite(options.timeout_s) else None,
            follow_up_s=options.follow_up_s,
            wake_word_engine=self.wake_word_engine,
        )

    def spotter(self) -> Spotter:
        """What looks for the stop words in a session's speech.

        Raises:
            MissingExtraError: No recogniser was given, and the default one cannot be had.
        """
        if self.wake_word_engine is not None:
            return MicroSpotter(self._wanted, self.sensitivity)
        overridden = type(self).stop_word_detected is not ReplyOnStopWords.stop_word_detected
        return spotter_for(
            self.stt_model, self._wanted, self.stop_word_detected if overridden else None, self.sensitivity
        )

    def stop_word_detected(self, text: str) -> bool:
        """Whether a recognised text holds one of the stop words; override it to compare in another way."""
        return self._wanted.find(text) is not None

    def send_stopword(self) -> None:
        """Tell the client that a stop word was heard; any thread."""
        self.send_message_sync(create_message("stopword", ""))

    def _turns_alone(self) -> Any:
        from fastrtc.handlers.standalone import StandaloneStopWords

        return StandaloneStopWords(self)

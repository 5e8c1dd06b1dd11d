"""``ReplyOnStopWords``: like ``ReplyOnPause``, but only what follows a certain word is for the reply function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastrtc.handlers.base import Layout
from fastrtc.handlers.reply_on_pause import ReplyFn, ReplyOnPause
from fastrtc.replies import Reply
from fastrtc.speech.protocol import SpeechToText
from fastrtc.speech.recogniser import get_stt_model
from fastrtc.speech.stop_words import StopWords
from fastrtc.turns.options import AlgoOptions
from fastrtc.vad.protocol import ModelOptions, PauseDetectionModel
from fastrtc.wire.messages import create_message


class ReplyOnStopWords(ReplyOnPause):
    """Waits for one of the stop words, then calls a function with what the user says after it, up to a pause.

    After that it waits for a stop word again, also while the reply plays: the next one interrupts it (with
    ``can_interrupt``). The client gets a ``stopword`` message each time that one is heard.

    Args:
        fn: As of ``ReplyOnPause``; its audio begins where the stop word ends.
        stop_words: Words or phrases; case and punctuation do not count.
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

    Raises:
        ConfigurationError: No stop word, ``fn`` cannot be called, or an option cannot work.
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
    ) -> None:
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
        self._wanted = StopWords(stop_words)
        self._stt_model = stt_model

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
        return ReplyOnStopWords(
            fn,
            self.stop_words,
            *others,
            stt_model=self.stt_model,
            on_interrupt=self.on_interrupt,
            idle_fn=self.idle_fn,
            on_dtmf=self._key_fn,
            captions=self.captions or False,
        )

    def stop_word_detected(self, text: str) -> bool:
        """Whether a recognised text holds one of the stop words; override it to compare in another way."""
        return self._wanted.find(text) is not None

    def send_stopword(self) -> None:
        """Tell the client that a stop word was heard; any thread."""
        self.send_message_sync(create_message("stopword", ""))

    def _by_itself(self) -> Any:
        if self._alone is None:
            from fastrtc.handlers.standalone import StandaloneStopWords

            self._alone = StandaloneStopWords(self)
        return self._alone

"""``ReplyOnPause``: a reply function in, a conversation out."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrtc.audio import PCM
from fastrtc.context import get_current_context
from fastrtc.errors import ConfigurationError
from fastrtc.handlers.base import AudioFrame, EmitType, Layout, StreamHandler
from fastrtc.outputs import WebRTCData
from fastrtc.replies import Reply
from fastrtc.speech.backchannel import SoundFilter, WordFilter
from fastrtc.speech.protocol import SpeechToText
from fastrtc.speech.recogniser import get_stt_model
from fastrtc.turns.interruption import InterruptionFilter
from fastrtc.turns.options import AlgoOptions
from fastrtc.vad.protocol import ModelOptions, PauseDetectionModel
from fastrtc.vad.silero import get_silero_model
from fastrtc.wire.messages import create_message

if TYPE_CHECKING:
    from fastrtc.handlers.chunked import AppState

ReplyFn = Callable[..., Any]


class ReplyOnPause(StreamHandler):
    """Calls a function with everything the user said whenever the user has finished, and plays what it yields.

    Args:
        fn: ``fn((sample_rate, int16 array of shape (1, n)), *inputs)``: a generator, an async generator, or a function
            that returns one value to play. It yields ``(sample_rate, array)`` and anything else that
            :func:`fastrtc.outputs.split_output` knows.
        startup_fn: Like ``fn`` without the audio; it is played when the session begins.
        algo_options: When a turn starts and ends.
        model_options: Options of ``model``; for the built-in one, ``SileroVadOptions``.
        can_interrupt: Whether the user's speech ends a reply. If not, speech over a reply is not heard.
        expected_layout: Kept from FastRTC; audio is mono.
        output_sample_rate: Rate on the wire over a WebSocket; a multiple of 50.
        output_frame_size: Deprecated and ignored.
        input_sample_rate: Rate of the audio that ``fn`` gets; a multiple of 50.
        model: Voice activity detection; the built-in Silero model where None.
        needs_args: Wait for the client's inputs even if ``fn`` takes none.
        on_interrupt: Told about each reply that was interrupted: what of it was heard, in seconds and words.
        idle_fn: Called like ``startup_fn`` when nobody has spoken for ``algo_options.idle_timeout_s``; without it the
            session ends then.
        on_dtmf: Called with each key that a caller presses on a telephone (``0`` to ``9``, ``*``, ``#``).
        captions: Tell what the user says as text, live: ``UserTranscript`` events and ``transcript`` messages. True:
            with ``get_stt_model()``, or give a recogniser.

    Raises:
        ConfigurationError: ``fn`` cannot be called, or an option cannot work.
        MissingExtraError: ``captions=True`` or ``algo_options.interrupt_words``, and the recogniser is not installed.
    """

    def __init__(
        self,
        fn: ReplyFn,
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
        on_interrupt: Callable[[Reply], Any] | None = None,
        idle_fn: Callable[..., Any] | None = None,
        on_dtmf: Callable[[str], Any] | None = None,
        captions: bool | SpeechToText = False,
    ) -> None:
        super().__init__(expected_layout, output_sample_rate, output_frame_size, input_sample_rate)
        if not callable(fn):
            raise ConfigurationError(f"ReplyOnPause needs a function to call, got {type(fn).__name__}")
        self.fn = fn
        self.startup_fn = startup_fn
        self.algo_options = algo_options or AlgoOptions()
        self.model_options = model_options
        self.can_interrupt = can_interrupt
        self.model = model
        self.needs_args = needs_args
        self.on_interrupt = on_interrupt
        self.idle_fn = idle_fn
        self._key_fn = on_dtmf
        self.captions = caption_model(captions)
        if self.captions is not None and not self.runs_natively:
            raise ConfigurationError(
                f"captions follow the session's own turn-taking, which {type(self).__name__} replaces by overriding "
                "receive, emit, process_audio or determine_pause; leave one of the two out"
            )
        if self.algo_options.interrupt_words and self.captions is None:
            get_stt_model()  # what is missing is said here, and its weights are shared
        self.is_async = is_async_function(fn)
        self._trigger: Callable[[], None] | None = None
        self._alone: Any = None
        self._making_alone = threading.Lock()

    @property
    def interruption_filter(self) -> InterruptionFilter:
        """What tells interruptions from other sounds over a reply, as the options want it."""
        options = self.algo_options
        if options.interrupt_words:
            return WordFilter(self.captions or get_stt_model(), least_words=options.interrupt_words)
        chosen = options.interruption_filter
        return chosen if isinstance(chosen, InterruptionFilter) else SoundFilter()

    @property
    def needs_inputs(self) -> bool:
        """Whether the client is asked for its inputs before each reply."""
        return self.needs_args or takes_more_than_audio(self.fn)

    def copy(self) -> ReplyOnPause:
        """A new handler with the same settings."""
        return ReplyOnPause(
            *self._arguments(),
            on_interrupt=self.on_interrupt,
            idle_fn=self.idle_fn,
            on_dtmf=self._key_fn,
            captions=self.captions or False,
        )

    def _arguments(self) -> tuple[Any, ...]:
        return (
            self.fn,
            self.startup_fn,
            self.algo_options,
            self.model_options,
            self.can_interrupt,
            self.expected_layout,
            self.output_sample_rate,
            self.output_frame_size,
            self.input_sample_rate,
            self.model,
            self.needs_args,
        )

    def on_dtmf(self, digit: str) -> Any:
        """Pass a key that the caller pressed to the function that was given for it."""
        return None if self._key_fn is None else self._key_fn(digit)

    def on_trigger(self, call: Callable[[], None]) -> None:
        """Name what :meth:`trigger_response` does; the session's driver calls this."""
        self._trigger = call

    def trigger_response(self) -> None:
        """End the user's turn now and reply to what was said so far; any thread."""
        if self._trigger is not None:
            self._trigger()
        else:
            self._by_itself().trigger()

    def receive(self, frame: AudioFrame) -> None:
        """Take audio without a session (tests, scripts, subclasses that override this and call it)."""
        self._by_itself().receive(frame)

    def emit(self) -> EmitType:
        """The next value of the reply without a session; None while there is none."""
        value: EmitType = self._by_itself().emit()
        return value

    def call_with(self, rate_hz: int, pcm: PCM, typed: str | None = None) -> Any:
        """Call ``fn`` with one turn and the inputs that are known.

        Args:
            rate_hz: Sample rate of ``pcm``.
            pcm: The turn, shape ``(n,)``; empty after ``trigger_response`` in silence.
            typed: What the user typed, in a turn that is text; ``fn`` gets a ``WebRTCData`` then, which unpacks like
                audio.
        """
        audio = (rate_hz, np.ascontiguousarray(pcm).reshape(1, -1))
        inputs = self.latest_args[1:] if self.needs_inputs else []
        first: Any = audio
        kept: Any = audio
        if typed is not None:
            first = WebRTCData(webrtc_id=get_current_context().webrtc_id, textbox=typed, audio=audio)
        elif self.latest_args and isinstance(self.latest_args[0], WebRTCData):
            first = replace(self.latest_args[0], audio=audio)
            kept = replace(first, textbox="")
        self.latest_args = [kept, *inputs]
        self.args_set.set()
        return self.fn(first, *inputs)

    def call_unasked(self, fn: Callable[..., Any]) -> Any:
        """Call ``startup_fn`` or ``idle_fn`` with the inputs that are known."""
        return fn(*(self.latest_args[1:] if self.needs_inputs else ()))

    def remember_for_phone(self, values: tuple[Any, ...]) -> None:
        """A telephone has no inputs: what the last reply gave as additional outputs is the next one's input."""
        self.latest_args = [None, *values]

    def reset(self) -> None:
        """Forget the inputs, so that the next reply asks the client for them again."""
        super().reset()
        if self.phone_mode:
            self.args_set.set()

    def process_audio(self, audio: AudioFrame, state: AppState) -> None:
        """Judge one more frame; called only where a subclass overrides this or :meth:`determine_pause`.

        Args:
            audio: ``(input_sample_rate, int16 array of shape (1, n))``.
            state: Where the turn stands; ``pause_detected`` is set if the turn is over.
        """
        from fastrtc.handlers.chunked import add_to_buffer

        buffer = add_to_buffer(audio, state)
        state.pause_detected = self.determine_pause(buffer, state.sampling_rate, state)

    def determine_pause(self, audio: PCM, sampling_rate: int, state: AppState) -> bool:
        """Whether the turn is over, as FastRTC decides it: on pieces of ``audio_chunk_duration``, each as a whole.

        A session asks this only where a subclass overrides it; otherwise the turn machine decides, sooner and better.

        Args:
            audio: What was received since the last piece, shape ``(n,)``.
            sampling_rate: Its rate in Hz.
            state: Where the turn stands; ``stream``, ``started_talking`` and ``buffer`` are changed.
        """
        options = self.algo_options
        if len(audio) / sampling_rate < options.audio_chunk_duration:
            return False
        model = self.model if self.model is not None else get_silero_model()
        speech_s, _ = model.vad((sampling_rate, audio), self.model_options)
        state.buffer = None
        if speech_s > options.started_talking_threshold and not state.started_talking:
            state.started_talking = True
            self.send_message_sync(create_message("log", "started_talking"))
        if not state.started_talking:
            return False
        state.stream = audio if state.stream is None else np.concatenate((state.stream, audio))
        too_long = len(state.stream) / sampling_rate >= options.max_continuous_speech_s
        return too_long or speech_s < options.speech_threshold

    def _by_itself(self) -> Any:
        with self._making_alone:  # ``receive`` and ``emit`` come from two threads, and both must meet the same turns
            if self._alone is None:
                self._alone = self._turns_alone()
            return self._alone

    def _turns_alone(self) -> Any:
        from fastrtc.handlers.chunked import ChunkedTurns
        from fastrtc.handlers.standalone import StandaloneTurns

        return StandaloneTurns(self) if self._judges_natively else ChunkedTurns(self)

    @property
    def runs_natively(self) -> bool:
        """Whether no subclass has replaced what decides about turns, so that a session may drive them directly."""
        unchanged = type(self).receive is ReplyOnPause.receive and type(self).emit is ReplyOnPause.emit
        return unchanged and self._judges_natively

    @property
    def _judges_natively(self) -> bool:
        own = type(self)
        return own.process_audio is ReplyOnPause.process_audio and own.determine_pause is ReplyOnPause.determine_pause


def caption_model(captions: bool | SpeechToText) -> SpeechToText | None:
    """The recogniser that an argument ``captions`` means; None for False.

    Raises:
        ConfigurationError: It is neither a truth value nor a recogniser.
        MissingExtraError: It is True, and the default recogniser is not installed.
    """
    if captions is True:
        return get_stt_model()
    if captions is False:
        return None
    if not isinstance(captions, SpeechToText):
        raise ConfigurationError(
            "captions must be True, False or a recogniser with a method stt((rate, array)) -> str; got "
            f"{type(captions).__name__}"
        )
    return captions


def is_async_function(fn: Callable[..., Any]) -> bool:
    """Whether calling ``fn`` gives a coroutine or an async generator (partials and callable objects included)."""
    while isinstance(fn, partial):
        fn = fn.func
    for code in (fn, getattr(fn, "__call__", None)):  # noqa: B004 - the method itself is wanted, not whether it is there
        if inspect.isasyncgenfunction(code) or inspect.iscoroutinefunction(code):
            return True
    return False


def takes_more_than_audio(fn: Callable[..., Any]) -> bool:
    """Whether ``fn`` has more parameters than the audio (FastRTC's rule for asking the client for inputs)."""
    try:
        return len(inspect.signature(fn).parameters) > 1
    except (TypeError, ValueError):
        return False

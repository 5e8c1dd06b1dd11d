"""Runs a ``ReplyOnPause``: listens, lets the turn machine decide, and carries its decisions out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrtc.audio import PCM
from fastrtc.events import (
    FirstAudio,
    PlaybackFinished,
    PlaybackStarted,
    ReplyHeld,
    ReplyInterrupted,
    ReplyResumed,
    ReplyStarted,
    TurnCommitted,
    TurnDiscarded,
    UserStartedSpeaking,
    UserStoppedSpeaking,
    UserTranscript,
)
from fastrtc.handlers.base import FRAMES_PER_SECOND, StreamHandler
from fastrtc.handlers.captioner import Captioner
from fastrtc.handlers.driver import Driver
from fastrtc.handlers.endpoint import Endpoint
from fastrtc.handlers.hearing import Ear
from fastrtc.handlers.listening import Listener
from fastrtc.handlers.ports import Floorkeeper, Home, ReplyRun, Speaker
from fastrtc.handlers.reply_on_pause import ReplyOnPause, is_async_function
from fastrtc.handlers.voice import Voice
from fastrtc.media.ring import AudioRing
from fastrtc.replies import Reply, current_reply
from fastrtc.turns.gate import SpeechWindow
from fastrtc.turns.interruption import Sound, WeighSound
from fastrtc.turns.machine import CancelReply, Decision, HoldReply, ResumeReply, StartReply, TurnMachine
from fastrtc.turns.user_turn import AskDetector, Discarded, Paused, Started
from fastrtc.wire.messages import TranscriptMessage, create_message, encode_server_message

SOUND_PAD_S = 0.032

SENDS_NOTHING_TICKS = 50

POSSIBLY_SPEECH = 0.2

FORGET_EVERY_S = 0.2

SETTLED_S = 1.0
"""After so much time without speech or a reply the session is idle."""


@dataclass(slots=True)
class _Reply:
    """The reply that is being made or played."""

    seen: Reply
    run: ReplyRun | None
    speech_end_s: float
    committed_s: float
    called_s: float | None = None
    sent_s: float | None = None
    told_called: bool = False
    told_starting: bool = False
    forget_inputs: Callable[[], None] | None = None


class TurnDriver(Driver):
    """Owns the session's recent audio, its ear and its turn machine.

    Args:
        handler: The session's own copy.
        speaker: The session's mouth.
        floor: Control over the audio that is queued.
        home: Where user code runs.
        watch: Shown the audio of each turn before the function is called with it.
    """

    memory_s = 1.0
    """Audio that is kept beyond what the turn machine may still name."""

    def __init__(
        self,
        handler: ReplyOnPause,
        speaker: Speaker,
        floor: Floorkeeper,
        home: Home,
        watch: Callable[[PCM], None] | None = None,
    ) -> None:
        self._handler = handler
        self._speaker = speaker
        self._floor = floor
        self._home = home
        self._watch = watch
        self._rate_hz = handler.input_sample_rate
        self._ring = AudioRing(self._rate_hz)
        self._endpoint = Endpoint.of(handler)
        self._keep_samples = self._endpoint.settings.pre_roll_samples + round(self.memory_s * self._rate_hz)
        self._forget_at = 0
        self._machine = TurnMachine(self._endpoint.settings, self._endpoint.policy)
        self._ear = Ear(
            handler,
            home,
            self._judged,
            self._failed,
            lambda: self._machine.user_state,
            speaker.rate_hz,
            self._endpoint.memory_s,
        )
        floor.monitor(self._ear.played)
        self._filter = handler.interruption_filter
        self._reply: _Reply | None = None
        self._typed: str | None = None
        self._idle_since_s = 0.0
        self._active_until_s = SETTLED_S
        self._unheard_ticks = 0
        self._silence: PCM = np.zeros(self._rate_hz // FRAMES_PER_SECOND, np.int16)
        self._captioner = self._make_captioner()
        self._closed = False
        handler.on_trigger(lambda: home.post(self.trigger))

    @property
    def listener(self) -> Listener | None:
        return self._ear.listener

    @property
    def idle(self) -> bool:
        return not self._machine.busy and self._now_s() >= self._active_until_s

    def start(self) -> None:
        if type(self._handler).start_up is not StreamHandler.start_up:
            is_async = is_async_function(self._handler.start_up)
            self._home.run_callback(self._handler.start_up, is_async=is_async)
        startup_fn = self._handler.startup_fn
        if startup_fn is not None:
            self._home.post(lambda: self._speak_first(startup_fn, "greeting"))

    def hear(self, pcm: PCM) -> None:
        self._unheard_ticks = 0
        self._ring.append(pcm)
        self._ear.hear(pcm)

    def tick(self) -> None:
        self._unheard_ticks += 1
        if self._unheard_ticks > SENDS_NOTHING_TICKS:
            # A client that sends nothing is silent; without samples no pause would ever end and nothing time out.
            self._ring.append(self._silence)
            self._ear.hear(self._silence)
        end = self._ring.end
        if end >= self._forget_at:
            self._forget_past()
        now_s = end / self._rate_hz
        if self._machine.busy:
            self._idle_since_s = now_s
        elif now_s - self._idle_since_s >= self._handler.algo_options.idle_timeout_s:
            self._idle_since_s = now_s
            self._end_idleness()
        if self._captioner is not None:
            self._captioner.tick(self._machine.user_state)

    def _forget_past(self) -> None:
        """Let go of audio that nobody will ask for; now and then, as it costs more than the little room it frees."""
        self._forget_at = self._ring.end + round(FORGET_EVERY_S * self._rate_hz)
        needed = self._machine.needed_from
        keep = self._ring.end - self._keep_samples
        self._ring.keep_from(keep if needed is None else min(keep, needed))

    def _end_idleness(self) -> None:
        if self._handler.idle_fn is not None:
            self._speak_first(self._handler.idle_fn, "idle")
        else:
            self._speaker.hang_up("idle_timeout")

    def trigger(self) -> None:
        if not self._closed:
            self._carry_out(self._machine.trigger(self._ring.end))

    def text(self, typed: str) -> None:
        self._typed = typed
        if not self._closed:
            self._carry_out(self._machine.trigger(self._ring.end, "text"))

    def interrupt(self, reason: str) -> None:
        self._carry_out(self._machine.cancel(reason))

    def discard(self) -> None:
        self._carry_out(self._machine.discard())

    def mute(self, muted: bool) -> None:
        self._carry_out(self._machine.mute(muted))

    def reply_audible(self, turn: int) -> None:
        self._machine.reply_audible(turn)
        reply = self._reply
        if reply is None or reply.seen.turn != turn:
            return
        self._tell_called(reply)
        self._tell_starting(reply)
        reply.sent_s = self._now_s()
        self._speaker.tell(
            FirstAudio(turn=turn, at_s=reply.sent_s, latency_ms=_latency_ms(self._latency_s(reply, reply.sent_s)))
        )

    def reply_heard(self, turn: int, ago_s: float, acknowledged: bool) -> None:
        reply = self._reply
        if reply is None or reply.seen.turn != turn or reply.sent_s is None:
            return
        heard_at_s = max(reply.sent_s, self._now_s() - ago_s)
        parts = self._latency_s(reply, reply.sent_s)
        parts["playout"] = heard_at_s - reply.sent_s
        parts["total"] += parts["playout"]
        self._speaker.tell(
            PlaybackStarted(turn=turn, at_s=heard_at_s, latency_ms=_latency_ms(parts), acknowledged=acknowledged)
        )

    def reply_finished(self, turn: int, heard_s: float) -> None:
        self._machine.reply_finished(turn)
        self._floor.resume()
        reply = self._reply
        if reply is None or reply.seen.turn != turn:
            return
        self._tell_called(reply)
        self._reply = None
        reply.seen.freeze(heard_s, interrupted=False)
        self._tell_starting(reply)
        self._speaker.tell(PlaybackFinished(turn=turn, at_s=self._now_s(), heard_s=heard_s))

    def close(self) -> None:
        self._closed = True
        if self._captioner is not None:
            self._captioner.close()
        if self._reply is not None and self._reply.run is not None:
            self._reply.run.cancel()

    # ---- decisions --------------------------------------------------------------------------------------------

    def _judged(self, window: SpeechWindow) -> None:
        if not self._closed and (decisions := self._machine.hear(window, self._ring.end)):
            self._carry_out(decisions)
        if window.probability >= POSSIBLY_SPEECH or self._machine.busy:
            self._active_until_s = self._now_s() + SETTLED_S

    def _failed(self, error: BaseException) -> None:
        self._speaker.report(error, None)

    def _carry_out(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            match decision:
                case Started(onset):
                    self._speaker.tell(UserStartedSpeaking(at_s=self._now_s(), onset_s=self._seconds(onset)))
                    self._log("started_talking")
                case Paused(end):
                    self._speaker.tell(UserStoppedSpeaking(at_s=self._now_s(), end_s=self._seconds(end)))
                case Discarded(reason):
                    self._speaker.tell(TurnDiscarded(at_s=self._now_s(), reason=reason))
                case AskDetector():
                    self._ask(decision)
                case WeighSound():
                    self._weigh(decision)
                case StartReply():
                    self._start_reply(decision)
                case HoldReply(turn):
                    self._floor.hold()
                    self._speaker.tell(ReplyHeld(turn=turn, at_s=self._now_s()))
                case ResumeReply(turn):
                    self._floor.resume()
                    self._speaker.tell(ReplyResumed(turn=turn, at_s=self._now_s()))
                case CancelReply(turn, reason):
                    self._cancel_reply(turn, reason)
            if self._captioner is not None and not isinstance(decision, StartReply):
                self._captioner.follow(decision)

    def _ask(self, ask: AskDetector) -> None:
        audio = self._ear.recent(min((ask.end - ask.start) / self._rate_hz, self._endpoint.memory_s))
        detector = self._endpoint.detector

        def take(probability: float) -> None:
            if not self._closed:
                self._carry_out(self._machine.answered(ask, probability, self._ring.end))

        self._home.compute(lambda: detector.probability(audio, ask.silence_ms), take, self._failed)

    def _weigh(self, question: WeighSound) -> None:
        before = round(SOUND_PAD_S * self._rate_hz)
        pcm = self._ring.slice(max(question.start - before, self._ring.start), question.end)
        sound = Sound(self._rate_hz, pcm, question.speech_samples / self._rate_hz, question.ended)

        def take(probability: float | None) -> None:
            if not self._closed:
                self._carry_out(self._machine.weighed(question, probability, self._ring.end))

        def failed(error: BaseException) -> None:
            self._failed(error)
            take(None)

        self._home.compute(lambda: self._filter.weigh(sound), take, failed)

    def _make_captioner(self) -> Captioner | None:
        if self._handler.captions is None:
            return None
        pre_roll = self._endpoint.settings.pre_roll_samples
        return Captioner(
            self._handler.captions,
            self._ring,
            self._rate_hz,
            pre_roll,
            self._earliest,
            self._home,
            self._tell_transcript,
            self._failed,
        )

    def _earliest(self) -> int:
        """Where the next turn's audio may begin."""
        return self._ring.start

    def _tell_transcript(self, transcript: UserTranscript) -> None:
        if not self._closed:
            self._speaker.tell(transcript)
            if self._handler.channel is not None:
                message = TranscriptMessage(
                    transcript.text, transcript.final, transcript.turn, transcript.start_s, transcript.end_s
                )
                self._handler.channel.send(encode_server_message(message))

    def _start_reply(self, start: StartReply) -> None:
        self._speaker.tell(
            TurnCommitted(
                turn=start.turn,
                at_s=self._now_s(),
                start_s=self._seconds(start.start),
                end_s=self._seconds(start.speech_end),
                reason=start.reason,
                probability=start.probability,
            )
        )
        self._log("pause_detected")
        if self._captioner is not None:
            self._captioner.follow(start)
        audio = self._ring.slice(max(start.start, self._ring.start), start.end)
        if self._watch is not None:
            self._watch(audio)
        handler = self._handler
        typed, self._typed = self._typed, None
        self._run(start, lambda: handler.call_with(self._rate_hz, audio, typed), handler.is_async)

    def _speak_first(self, fn: Callable[..., Any], reason: str) -> None:
        if self._closed:
            return
        for decision in self._machine.greet(self._ring.end, reason):
            if isinstance(decision, StartReply):
                if self._captioner is not None:
                    self._captioner.follow(decision)
                self._run(decision, lambda: self._handler.call_unasked(fn), is_async_function(fn))

    def _run(self, start: StartReply, call: Callable[[], Any], is_async: bool) -> None:
        handler = self._handler
        transcript = None if self._captioner is None else self._captioner.transcript
        seen = Reply(start.turn, lambda: self._floor.heard_s(start.turn), transcript)
        voice = Voice(self._speaker, start.turn, seen)
        reply = _Reply(seen, None, self._seconds(start.speech_end), self._now_s())
        self._reply = reply
        asks_first = handler.needs_inputs and not handler.phone_mode

        def called() -> Any:
            current_reply.set(seen)
            if asks_first and not is_async:
                handler.wait_for_args_sync()
            if self._reply is not reply:
                return None
            reply.called_s = self._now_s()
            self._home.post(lambda: self._tell_called(reply))
            return call()

        def forget_inputs() -> None:
            # Once: a reply that was interrupted and ends late must not forget what the next one is waiting for.
            if reply.forget_inputs is None:
                return
            reply.forget_inputs = None
            if handler.phone_mode and voice.beside is not None:
                handler.remember_for_phone(voice.beside.args)
            handler.reset()

        reply.forget_inputs = forget_inputs
        before: Callable[[], Awaitable[None]] | None = handler.wait_for_args if asks_first and is_async else None
        reply.run = self._home.run_reply(called, voice, is_async=is_async, before=before, finished=forget_inputs)

    def _cancel_reply(self, turn: int, reason: str) -> None:
        # It may still turn out, meanwhile, that the beginning was heard.
        heard_s = self._floor.cancel(turn)
        reply, self._reply = self._reply, None
        heard_text = ""
        if reply is not None:
            reply.seen.freeze(heard_s, interrupted=True)
            heard_text = reply.seen.heard_text
            if reply.run is not None:
                reply.run.cancel()
            if reply.forget_inputs is not None:
                reply.forget_inputs()
            self._call_back(reply.seen)
        self._speaker.tell(
            ReplyInterrupted(turn=turn, at_s=self._now_s(), heard_s=heard_s, reason=reason, heard_text=heard_text)
        )

    def _call_back(self, seen: Reply) -> None:
        on_interrupt = self._handler.on_interrupt
        if on_interrupt is not None:
            self._home.run_callback(lambda: on_interrupt(seen), is_async=is_async_function(on_interrupt))

    # ---- small things -----------------------------------------------------------------------------------------

    def _tell_called(self, reply: _Reply) -> None:
        if self._reply is reply and reply.called_s is not None and not reply.told_called:
            reply.told_called = True
            self._speaker.tell(ReplyStarted(turn=reply.seen.turn, at_s=reply.called_s))

    def _tell_starting(self, reply: _Reply) -> None:
        if not reply.told_starting:
            reply.told_starting = True
            self._log("response_starting")

    def _latency_s(self, reply: _Reply, sent_s: float) -> dict[str, float]:
        called_s = reply.committed_s if reply.called_s is None else reply.called_s
        return {
            "decision": reply.committed_s - reply.speech_end_s,
            "call": called_s - reply.committed_s,
            "first_yield": sent_s - called_s,
            "total": sent_s - reply.speech_end_s,
        }

    def _log(self, what: str) -> None:
        if self._handler.channel is not None:
            self._handler.channel.send(create_message("log", what))

    def _now_s(self) -> float:
        return self._seconds(self._ring.end)

    def _seconds(self, samples: int) -> float:
        return samples / self._rate_hz


def _latency_ms(parts_s: dict[str, float]) -> dict[str, float]:
    return {name: round(1000.0 * value, 1) for name, value in parts_s.items()}

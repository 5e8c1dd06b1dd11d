"""A whole call as a text file: who speaks when, what the reply does, and which events must follow.

::

    # A cough over the reply: it falls silent and goes on where it stopped.
    set interrupt_speech_s 0.3
    reply 1 after=0.2 lasts=2.0
    0.50 speech 1.00
    2.50 speech 0.15
    5.00 end
    expect
    1.80 turn_committed turn=1
    2.66 reply_held turn=1

Lines before ``expect`` are a time in seconds, what happens then, and its arguments:

===========================  ==========================================================================
``speech LASTS [P]``         the detector hears speech for ``LASTS`` seconds, with probability ``P`` (1)
``trigger``                  the client asks for a reply
``discard``                  the client takes back what was said since the last turn
``type WORDS``               the client types
``mute on``, ``mute off``    the client's microphone
``stop``                     the client stops the reply
``end``                      the call ends
===========================  ==========================================================================

``set NAME VALUE`` gives ``can_interrupt`` (yes, no) or a field of ``AlgoOptions``. ``reply N after=S lasts=S`` says
what the reply function does in its turn ``N`` (``*``: in every other one): it thinks for ``after`` seconds, then gives
``lasts`` seconds of audio. Lines after ``expect`` are events: all of them, in order, with the fields that matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import PCM, AnyPCM
from fastrtc.clock import TICK_MS, TICK_S
from fastrtc.errors import ConfigurationError
from fastrtc.events import Event, event_as_json
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.testing.rehearsal import Rehearsal
from fastrtc.turns.options import AlgoOptions
from fastrtc.vad.protocol import AudioChunk, ModelOptions

TOLERANCE_S = 0.021
_ACTIONS = ("trigger", "discard", "type", "mute", "stop")


@dataclass(frozen=True, slots=True)
class Speech:
    """Speech from ``start_s`` to before ``end_s``."""

    start_s: float
    end_s: float
    probability: float = 1.0


class ScriptedStream:
    """One session's place in the script."""

    __slots__ = ("windows",)

    def __init__(self) -> None:
        self.windows = 0


class ScriptedVad:
    """A detector that does not listen: it says what the script says, whatever the audio is.

    It is a ``StreamingModel`` and a ``PauseDetectionModel``. A window holds speech if its middle lies in one of the
    stretches.

    Args:
        speech: Stretches of speech, as :class:`Speech` or ``(start_s, end_s)``.
    """

    rate_hz = 16_000
    window_samples = 512

    def __init__(self, speech: Iterable[Speech | tuple[float, float]] = ()) -> None:
        self.speech = [part if isinstance(part, Speech) else Speech(*part) for part in speech]

    def new_stream(self) -> ScriptedStream:
        """A session that is at the script's beginning."""
        return ScriptedStream()

    def judge(self, streams: Sequence[ScriptedStream], windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of speech in the next window of each stream, shape ``(len(streams),)``."""
        verdicts = []
        for stream in streams:
            verdicts.append(self.probability_at((stream.windows + 0.5) * self.window_samples / self.rate_hz))
            stream.windows += 1
        return np.array(verdicts, np.float32)

    def probability_at(self, at_s: float) -> float:
        """What the script says about a moment."""
        probability = 0.0
        for part in self.speech:
            if part.start_s <= at_s < part.end_s:
                probability = max(probability, part.probability)
        return probability

    def vad(self, audio: tuple[int, AnyPCM], options: ModelOptions) -> tuple[float, list[AudioChunk]]:
        """The script's speech within the duration of ``audio``, as if it were the call's beginning."""
        rate_hz, samples = audio
        ends_s = samples.size / rate_hz
        chunks: list[AudioChunk] = [
            {"start": round(part.start_s * self.rate_hz), "end": round(min(part.end_s, ends_s) * self.rate_hz)}
            for part in self.speech
            if part.start_s < ends_s
        ]
        return sum(chunk["end"] - chunk["start"] for chunk in chunks) / self.rate_hz, chunks

    def warmup(self) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the reply function does in one turn: think, then speak; seconds."""

    after_s: float = 0.0
    lasts_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Action:
    """Something that the client does."""

    at_s: float
    kind: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """An event and those of its fields that matter, as text."""

    at_s: float
    name: str
    fields: tuple[tuple[str, str], ...] = ()

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether an event (as JSON) is this one."""
        return (
            event["name"] == self.name
            and _same_time(self.at_s, event["at_s"])
            and all(_same(text, event.get(key)) for key, text in self.fields)
        )


@dataclass(frozen=True, slots=True)
class Performance:
    """What came of a script.

    Attributes:
        events: Every event.
        heard: What the client heard, ``int16`` of shape ``(n,)`` without the silence between.
        calls: The audio that the reply function was given, in order.
        closed: Turns whose generator has been closed, in order.
    """

    events: tuple[Event, ...]
    heard: PCM
    calls: tuple[PCM, ...]
    closed: tuple[int, ...]

    def as_text(self) -> str:
        """The events as lines of a script."""
        return "\n".join(_as_line(event_as_json(event)) for event in self.events)


@dataclass(frozen=True, slots=True)
class Script:
    """A call, as :mod:`fastrtc.testing.script` describes it."""

    speech: tuple[Speech, ...] = ()
    actions: tuple[Action, ...] = ()
    answers: dict[str, Answer] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    expected: tuple[Expected, ...] = ()
    end_s: float = 0.0

    @classmethod
    def load(cls, path: Path) -> Script:
        """Read a script from a file."""
        return cls.parse(path.read_text(encoding="utf-8"))

    @classmethod
    def parse(cls, text: str) -> Script:
        """Read a script.

        Raises:
            ConfigurationError: A line that means nothing; the message names it.
        """
        return _Parser().parse(text)

    def handler(self, rate_hz: int = 16_000) -> ReplyOnPause:
        """A ``ReplyOnPause`` that replies and hears as the script says."""
        return _Actor(self, rate_hz).handler

    def play(self, rate_hz: int = 16_000) -> Performance:
        """Perform the call in virtual time."""
        actor = _Actor(self, rate_hz)
        rehearsal = Rehearsal(actor.handler, rate_hz)
        tick_samples, last, done = rate_hz * TICK_MS // 1000, round(self.end_s / TICK_S), 0
        for action in sorted(self.actions, key=lambda action: action.at_s):
            due = max(0, ceil((action.at_s - 1e-9) / TICK_S))
            if due >= last:
                break
            rehearsal.hear(np.zeros((due - done) * tick_samples, np.int16))
            done = due
            _act(rehearsal, action)
        rehearsal.hear(np.zeros((last - done) * tick_samples, np.int16))
        rehearsal.close()
        calls = tuple(call.audio for call in rehearsal.calls)
        return Performance(tuple(rehearsal.events), rehearsal.link.take(), calls, tuple(actor.closed))

    def check(self, rate_hz: int = 16_000) -> Performance:
        """Perform the call and compare its events with what is expected.

        Raises:
            AssertionError: They differ; the message holds both.
        """
        performance = self.play(rate_hz)
        events = [event_as_json(event) for event in performance.events]
        if len(events) != len(self.expected) or not all(map(Expected.matches, self.expected, events)):
            lines = [_as_line({"at_s": one.at_s, "name": one.name, **dict(one.fields)}) for one in self.expected]
            wanted = "\n".join(lines)
            raise AssertionError(f"expected\n{wanted}\n\ngot\n{performance.as_text()}")
        return performance


class _Actor:
    """The reply function of a script."""

    def __init__(self, script: Script, rate_hz: int) -> None:
        self._answers = script.answers
        self._turn = 0
        self.closed: list[int] = []
        options = dict(script.options)
        can_interrupt = options.pop("can_interrupt", "yes") == "yes"
        known = {one.name: one for one in fields(AlgoOptions)}
        for name in options:
            if name not in known:
                raise ConfigurationError(f'"set {name}": AlgoOptions has no such field')
        values: dict[str, Any] = {name: _value(text) for name, text in options.items()}
        self.handler = ReplyOnPause(
            self._reply,
            algo_options=AlgoOptions(**values),
            can_interrupt=can_interrupt,
            input_sample_rate=rate_hz,
            output_sample_rate=24_000,
            model=ScriptedVad(script.speech),
        )

    def _reply(self, audio: Any) -> Iterator[Any]:
        self._turn += 1
        turn = self._turn
        answer = self._answers.get(str(turn)) or self._answers.get("*") or Answer()
        frame = np.full((1, 480), turn, np.int16)
        try:
            for _ in range(round(answer.after_s / TICK_S)):
                yield None
            for _ in range(round(answer.lasts_s / TICK_S)):
                yield 24_000, frame
        finally:
            self.closed.append(turn)


def _act(rehearsal: Rehearsal, action: Action) -> None:
    driver = rehearsal.driver
    does: dict[str, Callable[[], None]] = {
        "trigger": driver.trigger,
        "discard": driver.discard,
        "type": lambda: driver.text(action.argument),
        "mute": lambda: driver.mute(action.argument == "on"),
        "stop": lambda: driver.interrupt("client"),
    }
    rehearsal.post(does[action.kind])


class _Parser:
    def __init__(self) -> None:
        self._speech: list[Speech] = []
        self._actions: list[Action] = []
        self._answers: dict[str, Answer] = {}
        self._options: dict[str, str] = {}
        self._expected: list[Expected] = []
        self._end_s = 0.0
        self._expecting = False

    def parse(self, text: str) -> Script:
        for number, raw in enumerate(text.splitlines(), 1):
            words = raw.partition("#")[0].split()
            if not words:
                continue
            try:
                self._take(words)
            except (ValueError, IndexError, KeyError) as error:
                raise ConfigurationError(f"line {number} of the script means nothing: {raw.strip()!r}") from error
        return Script(
            tuple(self._speech),
            tuple(self._actions),
            self._answers,
            self._options,
            tuple(self._expected),
            self._end_s,
        )

    def _take(self, words: list[str]) -> None:
        match words:
            case ["expect"]:
                self._expecting = True
            case ["set", name, value]:
                self._options[name] = value
            case ["reply", turn, *parts]:
                given = {key: float(value) for key, _, value in (part.partition("=") for part in parts)}
                self._answers[turn] = Answer(given.get("after", 0.0), given.get("lasts", 1.0))
            case [at, name, *parts] if self._expecting:
                pairs = tuple((key, value) for key, _, value in (part.partition("=") for part in parts))
                self._expected.append(Expected(float(at), name, pairs))
            case [at, "speech", lasts, *rest]:
                probability = float(rest[0]) if rest else 1.0
                self._speech.append(Speech(float(at), float(at) + float(lasts), probability))
            case [at, "end"]:
                self._end_s = float(at)
            case [at, kind, *rest] if kind in _ACTIONS:
                self._actions.append(Action(float(at), kind, " ".join(rest)))
            case _:
                raise ValueError(words)


def _value(text: str) -> float | str | bool:
    if text in ("yes", "no"):
        return text == "yes"
    try:
        return float(text)
    except ValueError:
        return text


def _same_time(wanted_s: float, given_s: float) -> bool:
    return abs(wanted_s - given_s) <= TOLERANCE_S


def _same(text: str, value: Any) -> bool:
    if isinstance(value, float):
        return _same_time(float(text), value)
    return text == str(value)


def _as_line(event: Mapping[str, Any]) -> str:
    parts = [f"{event['at_s']:.2f}", event["name"]]
    for key, value in event.items():
        if key not in ("at_s", "name") and not isinstance(value, dict):
            parts.append(f"{key}={value:.2f}" if isinstance(value, float) else f"{key}={value}")
    return " ".join(parts)

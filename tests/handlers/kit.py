"""A session on the real media clock, with a caller inside the test. Nothing here sleeps: waiting is for conditions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import PCM
from fastrtc.clock import MediaClock
from fastrtc.context import Context
from fastrtc.events import Event, event_as_json
from fastrtc.handlers.base import StreamHandlerBase
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.outputs import AdditionalOutputs
from fastrtc.session import Session, SessionSettings
from fastrtc.transports.memory import MemoryLink
from fastrtc.turns.options import AlgoOptions

TIMEOUT_S = 20.0
IN_HZ, OUT_HZ = 16_000, 24_000
LOUD = 8000
QUICK = AlgoOptions(shortest_silence_s=0.2, longest_silence_s=0.2, pre_roll_s=0.1)
POOLS = ("fastrtc-compute", "asyncio_", "AnyIO")


class LoudVad:
    """Loud is speech."""

    rate_hz = 16_000
    window_samples = 512

    def new_stream(self) -> object:
        return object()

    def judge(self, streams: Sequence[object], windows: NDArray[np.float32]) -> NDArray[np.float32]:
        return (np.abs(windows).mean(axis=1) > 0.05).astype(np.float32)

    def vad(self, audio: tuple[int, Any], options: Any) -> tuple[float, list[Any]]:
        rate_hz, samples = audio
        return float(np.count_nonzero(np.abs(samples) > LOUD // 2) / rate_hz), []

    def warmup(self) -> None:
        """Nothing to do."""


VAD = LoudVad()


class Wire(MemoryLink):
    """A link that tells the test whenever something was written or sent."""

    def __init__(self, notify: Callable[[], None], **rates: Any) -> None:
        super().__init__(**rates)
        self._notify = notify
        self.ticks = 0
        self.played: list[PCM] = []

    def write(self, pcm: PCM | None) -> None:
        self.ticks += 1
        if pcm is not None:
            self.played.append(pcm.copy())
        self._notify()

    def send(self, message: str) -> None:
        super().send(message)
        self._notify()

    @property
    def heard(self) -> PCM:
        """Everything that was played, without the silence between."""
        return np.concatenate(self.played) if self.played else np.zeros(0, np.int16)


class Host:
    """Runs one session: ``async with Host(handler) as host``."""

    def __init__(
        self,
        handler: StreamHandlerBase,
        *,
        settings: SessionSettings | None = None,
        clock: MediaClock | None = None,
        rate_in_hz: int = IN_HZ,
        lead_ms: int = 0,
        context: Context | None = None,
        make_link: Callable[..., Wire] = Wire,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self.rate_in_hz = rate_in_hz
        self.link = make_link(
            self._notify, rate_in_hz=rate_in_hz, rate_out_hz=handler.output_sample_rate, lead_ms=lead_ms
        )
        self.events: list[dict[str, Any]] = []
        self.outputs: list[AdditionalOutputs] = []
        self.closed: list[Session] = []
        self.session = Session(
            "test",
            handler,
            self.link,
            settings=settings,
            context=context,
            clock=clock or MediaClock(),
            on_event=self._on_event,
            on_outputs=self.outputs.append,
            on_closed=self._on_closed,
        )

    async def __aenter__(self) -> Self:
        await self.session.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.wait_for(self.session.close("test over"), TIMEOUT_S)

    # ---- the caller -------------------------------------------------------------------------------------------

    def hear(self, pcm: PCM) -> None:
        """Give audio all at once."""
        self.link.push(pcm)

    def speak(self, seconds: float = 0.5, pause: float = 0.5) -> None:
        """Say something and fall silent, all at once."""
        self.hear(np.full(int(seconds * self.rate_in_hz), LOUD, np.int16))
        self.hear(np.zeros(int(pause * self.rate_in_hz), np.int16))

    # ---- waiting ----------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], Any], why: str = "") -> Any:
        """Wait until ``condition()`` is true; it is looked at whenever the session does something."""
        async with asyncio.timeout(TIMEOUT_S):
            while not (value := condition()):
                self._changed.clear()
                await self._changed.wait()
        return value

    async def event(self, name: str, **fields: Any) -> dict[str, Any]:
        """Wait for an event with these fields."""

        def find() -> dict[str, Any] | None:
            for event in self.events:
                if event["name"] == name and all(event[key] == value for key, value in fields.items()):
                    return event
            return None

        found: dict[str, Any] = await self.until(find)
        return found

    async def ticks(self, count: int) -> None:
        """Let so many ticks pass."""
        wanted = self.link.ticks + count
        await self.until(lambda: self.link.ticks >= wanted)

    def names(self) -> list[str]:
        """The events so far."""
        return [event["name"] for event in self.events]

    def messages(self, kind: str) -> list[Any]:
        """What the client was sent of a kind."""
        return [one.get("data", one.get("message")) for one in self.link.parsed_messages() if one.get("type") == kind]

    # ---- inside -----------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        self.events.append(event_as_json(event))
        self._changed.set()

    def _on_closed(self, session: Session) -> None:
        self.closed.append(session)
        self._changed.set()

    def _notify(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._changed.set)


def replier(fn: Callable[..., Any], **options: Any) -> ReplyOnPause:
    """A ``ReplyOnPause`` with the test's detector and little patience."""
    return ReplyOnPause(
        fn,
        algo_options=options.pop("algo_options", QUICK),
        model=options.pop("model", VAD),
        input_sample_rate=options.pop("input_sample_rate", IN_HZ),
        output_sample_rate=OUT_HZ,
        **options,
    )


def tone(ticks: int = 3, value: int = 1000) -> tuple[int, NDArray[np.int16]]:
    """What a handler yields: ``ticks`` of 20 ms."""
    return OUT_HZ, np.full((1, ticks * OUT_HZ // 50), value, np.int16)


def new_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    """Threads that a test started and that do not end; each gets a bounded time to."""
    extra = [thread for thread in threading.enumerate() if thread not in before]
    extra = [thread for thread in extra if not thread.name.startswith(POOLS)]
    for thread in extra:
        thread.join(5.0)
    return [thread for thread in extra if thread.is_alive()]

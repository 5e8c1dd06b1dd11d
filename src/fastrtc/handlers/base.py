"""The classes that users subclass: ``StreamHandler`` and ``AsyncStreamHandler``."""

from __future__ import annotations

import asyncio
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import PCM
from fastrtc.context import DataChannel
from fastrtc.errors import ConfigurationError
from fastrtc.handlers.flag import ThreadSafeEvent
from fastrtc.outputs import AdditionalOutputs, CloseStream, WebRTCData
from fastrtc.wire.messages import create_message

FRAMES_PER_SECOND = 50

AudioFrame: TypeAlias = tuple[int, PCM]
EmitType: TypeAlias = (
    tuple[int, NDArray[np.int16 | np.float32]]
    | tuple[int, NDArray[np.int16 | np.float32], Literal["mono", "stereo"]]
    | AdditionalOutputs
    | tuple[tuple[int, NDArray[np.int16 | np.float32]], AdditionalOutputs]
    | CloseStream
    | None
)
AudioEmitType: TypeAlias = EmitType
Layout: TypeAlias = Literal["mono", "stereo"]


class StreamHandlerBase(ABC):
    """What both kinds of handler share.

    Args:
        expected_layout: Channels that ``receive`` gets; audio is mono inside, ``"stereo"`` duplicates it.
        output_sample_rate: Rate in Hz that ``emit`` usually returns; a multiple of 50. It is the rate on the wire
            over a WebSocket.
        output_frame_size: Deprecated and ignored (a frame is 20 ms).
        input_sample_rate: Rate in Hz of the audio that ``receive`` gets.
        fps: Frames per second of video that ``video_emit`` returns.

    Attributes:
        latest_args: What the client sent last; index 0 is ``"__webrtc_value__"`` or a ``WebRTCData``.
        args_set: Set once ``latest_args`` is filled; any thread may set it.
        channel_set: Set once ``channel`` is.
        phone_mode: Whether the session is a telephone call, which has no inputs.

    Raises:
        ConfigurationError: A rate that cannot work.
    """

    def __init__(
        self,
        expected_layout: Layout = "mono",
        output_sample_rate: int = 24000,
        output_frame_size: int | None = None,
        input_sample_rate: int = 48000,
        fps: int = 30,
    ) -> None:
        _check_rate("output_sample_rate", output_sample_rate)
        _check_rate("input_sample_rate", input_sample_rate)
        self.expected_layout: Layout = expected_layout
        self.output_sample_rate = output_sample_rate
        self.input_sample_rate = input_sample_rate
        self.fps = fps
        self.output_frame_size = output_sample_rate // FRAMES_PER_SECOND
        if output_frame_size is not None and output_frame_size != self.output_frame_size:
            warnings.warn(
                f"output_frame_size is deprecated and ignored: a frame is 20 ms, {self.output_frame_size} samples "
                f"at {output_sample_rate} Hz",
                UserWarning,
                stacklevel=2,
            )
        self.latest_args: list[Any] = []
        self.args_set: asyncio.Event = ThreadSafeEvent()
        self.channel_set: asyncio.Event = ThreadSafeEvent()
        self._channel: DataChannel | None = None
        self._phone_mode = False
        self._clear_queue: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that serves the app.

        Raises:
            RuntimeError: The handler is not part of a session.
        """
        if self._loop is None:
            raise RuntimeError("the handler has a loop only while a session runs it")
        return self._loop

    @property
    def channel(self) -> DataChannel | None:
        """Carries messages to the client."""
        return self._channel

    @property
    def clear_queue(self) -> Callable[[], None]:
        """Drop all audio that was emitted and not played yet."""
        return self._clear_queue or _nothing

    @property
    def phone_mode(self) -> bool:
        """Whether this session is a telephone call."""
        return self._phone_mode

    @phone_mode.setter
    def phone_mode(self, value: bool) -> None:
        self._phone_mode = value

    def bind(self, loop: asyncio.AbstractEventLoop, clear_queue: Callable[[], None]) -> None:
        """Tie the handler to a session; the session calls this before anything else."""
        self._loop = loop
        self._clear_queue = clear_queue
        for event in (self.args_set, self.channel_set):
            if isinstance(event, ThreadSafeEvent):
                event.bind(loop)

    def set_channel(self, channel: DataChannel) -> None:
        """Give the handler its way to the client."""
        self._channel = channel
        self.channel_set.set()

    async def fetch_args(self) -> None:
        """Ask the client for its inputs."""
        if self._channel is not None:
            self._channel.send(create_message("send_input", []))

    async def wait_for_args(self) -> None:
        """Ask the client for its inputs and wait until they are in ``latest_args``; a telephone call has none."""
        if self.phone_mode:
            self.args_set.set()
            return
        await self.fetch_args()
        await self.args_set.wait()

    def wait_for_args_sync(self) -> None:
        """The same as :meth:`wait_for_args` for code on a thread of its own."""
        if self.phone_mode:
            self.args_set.set()
            return
        if self._channel is not None:
            self._channel.send(create_message("send_input", []))
        if isinstance(self.args_set, ThreadSafeEvent):
            self.args_set.wait_sync()

    async def send_message(self, msg: str) -> None:
        """Send a text message to the client."""
        self.send_message_sync(msg)

    def send_message_sync(self, msg: str) -> None:
        """Send a text message to the client; any thread, never blocks."""
        if self._channel is not None:
            self._channel.send(msg)

    def set_args(self, args: list[Any]) -> None:
        """Store what the client sent.

        Args:
            args: The values of the inputs; a ``WebRTCData`` in front takes index 0 of ``latest_args``.

        Raises:
            TypeError: Not a list.
            ValueError: An empty list.
        """
        if not isinstance(args, list):
            raise TypeError(f"args must be a list, got {type(args).__name__}")
        if not args:
            raise ValueError("args cannot be empty")
        self.latest_args = list(args) if isinstance(args[0], WebRTCData) else ["__webrtc_value__", *args]
        self.args_set.set()

    def reset(self) -> None:
        """Forget that inputs were sent, so that the next ``wait_for_args`` asks again."""
        self.args_set.clear()

    def on_dtmf(self, digit: str) -> Any:
        """Called for each key that a caller presses on a telephone; override to act on it (may be ``async def``).

        Args:
            digit: ``0`` to ``9``, ``*``, ``#``, or ``A`` to ``D``.
        """

    def shutdown(self) -> Any:
        """Called once when the session ends; override to free what the handler holds (may be ``async def``)."""


class StreamHandler(StreamHandlerBase):
    """A handler of plain functions. Each runs on a thread of the session, so it may block without harm to others."""

    @abstractmethod
    def receive(self, frame: AudioFrame) -> None:
        """Take 20 ms from the client.

        Args:
            frame: ``(input_sample_rate, int16 array of shape (1, n))``.
        """

    @abstractmethod
    def emit(self) -> EmitType:
        """Give what is to be played next, or None: nothing yet. May block until there is something."""

    @abstractmethod
    def copy(self) -> StreamHandler:
        """A new handler for a new session."""

    def start_up(self) -> None:
        """Called once before the first frame."""


class AsyncStreamHandler(StreamHandlerBase):
    """A handler of coroutines, which run on the event loop of the app and must not block it."""

    @abstractmethod
    async def receive(self, frame: AudioFrame) -> None:
        """Take 20 ms from the client.

        Args:
            frame: ``(input_sample_rate, int16 array of shape (1, n))``.
        """

    @abstractmethod
    async def emit(self) -> EmitType:
        """Give what is to be played next, or None: nothing yet."""

    @abstractmethod
    def copy(self) -> AsyncStreamHandler:
        """A new handler for a new session."""

    async def start_up(self) -> None:
        """Started once before the first frame; it may run as long as the session."""


StreamHandlerImpl: TypeAlias = StreamHandler | AsyncStreamHandler


def _check_rate(name: str, rate_hz: int) -> None:
    if not isinstance(rate_hz, int) or rate_hz <= 0 or rate_hz % FRAMES_PER_SECOND:
        raise ConfigurationError(f"{name} must be a multiple of {FRAMES_PER_SECOND}, got {rate_hz!r}")


def _nothing() -> None:
    """What ``clear_queue`` does outside a session."""

"""What users write for video: plain functions, ``VideoStreamHandler``, and the two handlers of audio and video."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from fastrtc.errors import ConfigurationError, VideoFormatError
from fastrtc.handlers.base import AsyncStreamHandler, StreamHandler, StreamHandlerBase
from fastrtc.link import Picture
from fastrtc.outputs import AdditionalOutputs, CloseStream

VideoNDArray: TypeAlias = Picture
VideoEmitType: TypeAlias = (
    Picture | tuple[Picture, AdditionalOutputs] | tuple[Picture, CloseStream] | AdditionalOutputs | CloseStream | None
)
VideoEventGenerator: TypeAlias = Generator[VideoEmitType, None, None]
VideoEventHandler: TypeAlias = Callable[..., VideoEmitType | VideoEventGenerator]

MAX_SIDE = 16_384  # of libwebrtc's codecs


@dataclass
class VideoStreamHandler:
    """A function of video with settings.

    Attributes:
        callable: Gets an image, uint8 of shape (height, width, 3) in the order blue, green, red, and the additional
            inputs; gives an image, ``AdditionalOutputs``, both as a tuple, or ``CloseStream``. In the mode
            ``"receive"`` it gets the inputs alone and yields such values. May be a coroutine function.
        fps: Images per second that are taken from a generator.
        skip_frames: A function that is slower than the camera gets the newest image each time. Otherwise a few images
            wait for it, and only then the oldest are dropped.
    """

    callable: VideoEventHandler
    fps: int = 30
    skip_frames: bool = False


class AudioVideoStreamHandler(StreamHandler):
    """A :class:`StreamHandler` that also takes and gives images. Each method runs on a thread of its own."""

    @abstractmethod
    def video_receive(self, frame: Picture) -> None:
        """Take an image of the client: uint8 of shape (height, width, 3), blue, green, red."""

    @abstractmethod
    def video_emit(self) -> VideoEmitType:
        """Give the next image, or None; asked ``fps`` times a second. May block until there is one."""

    @abstractmethod
    def copy(self) -> AudioVideoStreamHandler:
        """A new handler for a new session."""


class AsyncAudioVideoStreamHandler(AsyncStreamHandler):
    """An :class:`AsyncStreamHandler` that also takes and gives images."""

    @abstractmethod
    async def video_receive(self, frame: Picture) -> None:
        """Take an image of the client: uint8 of shape (height, width, 3), blue, green, red."""

    @abstractmethod
    async def video_emit(self) -> VideoEmitType:
        """Give the next image, or None; asked ``fps`` times a second."""

    @abstractmethod
    def copy(self) -> AsyncAudioVideoStreamHandler:
        """A new handler for a new session."""


VideoStreamHandlerImpl: TypeAlias = AudioVideoStreamHandler | AsyncAudioVideoStreamHandler


class VideoFunction(StreamHandlerBase):
    """A session's handler around a function of video.

    Args:
        video: The function and its settings.
        mode: Direction of the video, as the client sees it.

    Raises:
        ConfigurationError: A rate or a function that cannot work.
    """

    def __init__(self, video: VideoStreamHandler, mode: Literal["send-receive", "receive", "send"]) -> None:
        if not callable(video.callable):
            raise ConfigurationError(f"a video handler must be a function, got {type(video.callable).__name__}")
        if not video.fps > 0:
            raise ConfigurationError(f"fps must be more than 0, got {video.fps!r}")
        super().__init__(fps=video.fps)
        self.video = video
        self.mode = mode
        self._least, self._most = _positional(video.callable)

    def copy(self) -> VideoFunction:
        """A new one for a new session."""
        return VideoFunction(self.video, self.mode)

    @property
    def images_given(self) -> int:
        """How many of the function's arguments are images."""
        return 0 if self.mode == "receive" else 1

    @property
    def wants_inputs(self) -> bool:
        """Whether the function has room for additional inputs."""
        return self._most > self.images_given

    @property
    def needs_inputs(self) -> bool:
        """Whether the function cannot be called yet."""
        return not self.latest_args and self._least > self.images_given

    def arguments(self, *images: Picture) -> list[Any]:
        """The arguments for a call: the images, then the additional inputs.

        The component's own value, which Gradio puts first, is left out.
        """
        inputs = list(self.latest_args[1:])
        if inputs and len(images) + len(inputs) > self._most:
            del inputs[0]  # apps that put something in the place of the image: set_input(id, None, threshold)
        return [*images, *inputs]


def checked_picture(value: object) -> Picture:
    """An image that can be sent.

    Raises:
        VideoFormatError: It is something else; the message says what it must be.
    """
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3:
        got = f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise VideoFormatError(f"an image must be a uint8 array of shape (height, width, 3), in BGR order; got {got}")
    if not (0 < value.shape[0] <= MAX_SIDE and 0 < value.shape[1] <= MAX_SIDE):
        raise VideoFormatError(f"an image of {value.shape[1]}x{value.shape[0]} pixels cannot be sent")
    return value


def has_video(handler: object) -> bool:
    """Whether a session of the handler has a picture."""
    return isinstance(handler, VideoFunction | AudioVideoStreamHandler | AsyncAudioVideoStreamHandler)


def _positional(function: Callable[..., Any]) -> tuple[int, float]:
    """How many positional arguments a function needs and takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions of C modules
        return 1, 1
    places = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    takes_any = any(one.kind is one.VAR_POSITIONAL for one in parameters)
    return sum(one.default is one.empty for one in places), float("inf") if takes_any else len(places)

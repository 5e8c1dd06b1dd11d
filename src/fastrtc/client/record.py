"""What a call leaves behind, and audio files in and out."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastrtc.audio import PCM, float_to_int16, mono_int16
from fastrtc.errors import AudioFormatError, MissingExtraError
from fastrtc.media.resample import resample_clip


@dataclass(frozen=True, slots=True)
class Sound:
    """Audio on the call's clock: sample ``n`` was said or heard at ``n / rate_hz`` seconds.

    Attributes:
        pcm: ``int16``, mono, 1-D.
        rate_hz: Its sample rate.
    """

    pcm: PCM
    rate_hz: int

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return len(self.pcm) / self.rate_hz

    def between(self, start_s: float, end_s: float) -> PCM:
        """The samples of a stretch of time."""
        return self.pcm[max(0, round(start_s * self.rate_hz)) : max(0, round(end_s * self.rate_hz))]


@dataclass(frozen=True, slots=True)
class Spoken:
    """When one :meth:`~fastrtc.client.call.Call.speak` was said, in seconds of the call."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Message:
    """One message from the server.

    Attributes:
        at_s: When it came, in seconds of the call.
        data: The decoded JSON, or the text where it is none.
    """

    at_s: float
    data: Any

    @property
    def type(self) -> str:
        """The message's ``type``; empty where there is none."""
        return str(self.data.get("type", "")) if isinstance(self.data, dict) else ""

    @property
    def fields(self) -> dict[str, Any]:
        """The ``data`` of a typed message, where it is an object."""
        inner = self.data.get("data") if isinstance(self.data, dict) else None
        return inner if isinstance(inner, dict) else {}

    @property
    def event(self) -> str:
        """Name of a session event (:mod:`fastrtc.events`), for example ``first_audio``; empty for other messages."""
        return str(self.fields.get("name", "")) if self.type == "event" else ""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call so far, all of it on one clock.

    Attributes:
        said: What was sent, silence included.
        heard: What the caller would have heard.
        spoken: Each thing that was said.
        messages: All that the server sent beside the audio.
    """

    said: Sound
    heard: Sound
    spoken: tuple[Spoken, ...]
    messages: tuple[Message, ...]


def read_audio(path: str | Path) -> tuple[int, PCM]:
    """Read a recording as mono.

    Args:
        path: 16-bit WAV, or with the extra ``files`` any format that ``soundfile`` knows.

    Returns:
        ``(rate in Hz, int16 array of shape (n,))``.

    Raises:
        FileNotFoundError: There is no such file.
        AudioFormatError: The file cannot be decoded.
        MissingExtraError: It needs ``soundfile``.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no audio file {path}")
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() == 2 and file.getnchannels() in (1, 2):
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
                return mono_int16((file.getframerate(), samples.reshape(-1, file.getnchannels()).T))
    except (wave.Error, EOFError):
        pass
    return _read_with_soundfile(path)


def _read_with_soundfile(path: Path) -> tuple[int, PCM]:
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtraError(f"reading {path.name} (it is no 16-bit WAV)", "files") from error
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioFormatError(f"{path} is not audio that can be read: {error}") from error
    return int(rate_hz), float_to_int16(samples.mean(axis=1))


def write_stereo(path: str | Path, record: CallRecord) -> None:
    """Write a call as 16-bit WAV at the rate of what was heard: left what was said, right what was heard."""
    rate_hz = record.heard.rate_hz
    said = float_to_int16(resample_clip(record.said.pcm, record.said.rate_hz, rate_hz))
    heard = record.heard.pcm
    both = np.zeros((max(len(said), len(heard)), 2), np.int16)
    both[: len(said), 0] = said
    both[: len(heard), 1] = heard
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(both.astype("<i2").tobytes())

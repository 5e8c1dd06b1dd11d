"""PCM conversions: the public helpers, and the one place where a yielded array is checked.

Inside the package audio is ``int16``, 1-D, mono. User code may yield more shapes; :func:`mono_int16` takes them all.
"""

from __future__ import annotations

import functools
import logging
import tempfile
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from io import BytesIO
from typing import Any, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from fastrtc.errors import AudioFormatError, MissingExtraError

PCM: TypeAlias = NDArray[np.int16]
AnyPCM: TypeAlias = NDArray[np.int16] | NDArray[np.float32]
Audio: TypeAlias = tuple[int, AnyPCM]

logger = logging.getLogger(__name__)

INT16_SCALE = 32768.0
# Resampled music goes a little beyond 1; this much can only be samples that were never divided.
UNSCALED_PEAK = 16.0
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
_WHOLE = (int, np.integer)
_HINTS: tuple[tuple[Any, str], ...] = (
    (np.ndarray, " without its rate: (24000, array)"),
    (str, ": get_tts_model() makes speech of text, and AdditionalOutputs shows it"),
    ((bytes, bytearray), ": np.frombuffer(data, np.int16) makes an array of them"),
)


def audio_to_float32(audio: AnyPCM | Audio) -> NDArray[np.float32]:
    """Convert samples to ``float32`` in [-1, 1).

    Args:
        audio: ``int16`` or ``float32`` array of any shape. A ``(rate, array)`` tuple still works and warns.

    Raises:
        TypeError: Another dtype.
    """
    samples = _without_rate(audio, "audio_to_float32")
    if samples.dtype == np.float32:
        return samples.astype(np.float32, copy=False)
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / np.float32(INT16_SCALE)
    raise TypeError(f"Unsupported audio data type: {samples.dtype}; convert it to int16 or float32")


def audio_to_int16(audio: AnyPCM | Audio) -> PCM:
    """Convert samples to ``int16``; ``float32`` is taken as [-1, 1] and clipped.

    Args:
        audio: ``int16`` or ``float32`` array of any shape. A ``(rate, array)`` tuple still works and warns.

    Raises:
        TypeError: Another dtype.
    """
    samples = _without_rate(audio, "audio_to_int16")
    if samples.dtype == np.int16:
        return samples.astype(np.int16, copy=False)
    if samples.dtype == np.float32:
        return float_to_int16(samples)
    raise TypeError(f"Unsupported audio data type: {samples.dtype}; convert it to int16 or float32")


def float_to_int16(samples: NDArray[Any]) -> PCM:
    """Scale [-1, 1] to ``int16`` by 32767 (FastRTC's factor), clipping what is beyond and silencing NaN."""
    clipped = samples.clip(-1.0, 1.0)
    flat = clipped.reshape(-1)
    # One product tells of any NaN; nan_to_num takes longer than all the rest.
    if np.isnan(flat.dot(flat)):
        clipped = np.nan_to_num(clipped, nan=0.0)
    pcm: PCM = (clipped * 32767.0).astype(np.int16)
    return pcm


def _without_rate(audio: AnyPCM | Audio, name: str) -> AnyPCM:
    if isinstance(audio, tuple):
        warnings.warn(
            f"{name}() takes the array alone; passing a (sample_rate, array) tuple is deprecated",
            UserWarning,
            stacklevel=3,
        )
        return audio[1]
    return audio


def is_audio(value: object) -> TypeGuard[tuple[int, NDArray[Any]]]:
    """Whether a yielded value has the form ``(rate, array[, layout])``."""
    return isinstance(value, tuple) and len(value) in (2, 3) and isinstance(value[1], np.ndarray)


def mono_int16(value: object) -> tuple[int, PCM]:
    """Check a yielded ``(rate, array[, layout])`` and bring it to mono.

    Args:
        value: ``array`` is ``int16``, ``float32`` or ``float64``, of shape ``(n,)``, ``(1, n)``, ``(n, 1)`` or
            ``(2, n)``; with the layout ``"stereo"``, ``(1, 2 n)`` holds interleaved samples as PyAV packs them.

    Returns:
        ``(rate, int16 array of shape (n,))``.

    Raises:
        AudioFormatError: Anything else; the message says what was given and what is wanted.
    """
    if not is_audio(value):
        raise AudioFormatError(f"audio must be a tuple (sample_rate, numpy array), got {_describe(value)}")
    rate, samples = value[0], value[1]
    if isinstance(rate, bool) or not isinstance(rate, _WHOLE) or not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
        raise AudioFormatError(f"the sample rate must be a whole number of Hz from 4000 to 384000, got {rate!r}")
    layout = value[2] if len(value) == 3 else "mono"
    return int(rate), _to_mono(_as_int16(samples), layout)


def _as_int16(samples: NDArray[Any]) -> PCM:
    if samples.dtype == np.int16:
        return samples
    if samples.dtype in (np.float32, np.float64):
        if samples.size and max(samples.max(), -samples.min()) > UNSCALED_PEAK:
            _warn_of_unscaled()
        return float_to_int16(samples)
    raise AudioFormatError(f"audio must be int16 or float32 (in [-1, 1]), got dtype {samples.dtype}")


@functools.cache
def _warn_of_unscaled() -> None:
    """Once a process: it is heard as noise, and nothing else says why."""
    logger.warning(
        "a handler gives float samples far beyond [-1, 1], which are heard as noise: divide them by 32768, or convert "
        "them to int16"
    )


def _to_mono(samples: PCM, layout: object) -> PCM:
    if not isinstance(layout, str) or layout not in ("mono", "stereo"):
        raise AudioFormatError(f'the layout must be "mono" or "stereo", got {_shown(layout)}')
    if samples.ndim == 1:
        samples = samples.reshape(1, -1)
    elif samples.ndim == 2 and samples.shape[1] == 1 and samples.shape[0] > 2:
        samples = samples.T
    if samples.ndim != 2 or samples.shape[0] not in (1, 2):
        raise AudioFormatError(
            f"audio must have the shape (1, num_samples), (2, num_samples) or (num_samples,), got {samples.shape}"
        )
    if samples.shape[0] == 1 and layout == "stereo":
        flat = samples[0]
        samples = flat[: flat.size // 2 * 2].reshape(-1, 2).T
    if samples.shape[0] == 2:
        mixed: PCM = (samples.sum(axis=0, dtype=np.int32) // 2).astype(np.int16)
        return mixed
    return np.ascontiguousarray(samples[0])


def _shown(layout: object) -> str:
    return repr(layout) if isinstance(layout, str) else _describe(layout)


def _describe(value: object) -> str:
    if isinstance(value, tuple):
        return "a tuple of " + ", ".join(type(item).__name__ for item in value)
    return type(value).__name__ + next((hint for kind, hint in _HINTS if isinstance(value, kind)), "")


def aggregate_bytes_to_16bit(chunks_iterator: Iterable[bytes]) -> Iterator[PCM]:
    """Turn byte chunks of any size into ``int16`` arrays of shape ``(1, n)``; an odd byte waits for the next chunk."""
    left = b""
    for chunk in chunks_iterator:
        samples, left = _whole_samples(left + chunk)
        if samples.size:
            yield samples


async def async_aggregate_bytes_to_16bit(chunks_iterator: AsyncIterable[bytes]) -> AsyncIterator[PCM]:
    """The same as :func:`aggregate_bytes_to_16bit` for an asynchronous iterator."""
    left = b""
    async for chunk in chunks_iterator:
        samples, left = _whole_samples(left + chunk)
        if samples.size:
            yield samples


def _whole_samples(data: bytes) -> tuple[PCM, bytes]:
    whole = len(data) // 2 * 2
    return np.frombuffer(data[:whole], dtype=np.int16).reshape(1, -1), data[whole:]


def audio_to_bytes(audio: Audio) -> bytes:
    """Encode audio as MP3.

    Args:
        audio: ``(sample_rate, int16 or float32 array)``, mono.

    Raises:
        MissingExtraError: ``soundfile`` is not installed (extra ``files``).
    """
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtraError("audio_to_bytes", "files") from error
    buffer = BytesIO()
    rate, samples = mono_int16(audio)
    soundfile.write(buffer, samples, rate, format="MP3")
    return buffer.getvalue()


def audio_to_file(audio: Audio) -> str:
    """Write audio to a temporary MP3 file, which the caller deletes.

    Returns:
        The file's path.
    """
    with tempfile.NamedTemporaryFile(suffix=".mp3", delete=False) as file:
        file.write(audio_to_bytes(audio))
    return file.name

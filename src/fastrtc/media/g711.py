"""G.711: telephone audio, one byte a sample (ITU-T Recommendation G.711, 11/88).

Both laws are look-ups: 256 entries to decode, 65,536 to encode, made from the Recommendation's segments the first
time they are needed.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import PCM
from fastrtc.errors import AudioFormatError

_ULAW_BIAS = 33
_ULAW_CLIP = 8158


def encode_ulaw(pcm: PCM) -> bytes:
    """Encode linear samples as mu-law.

    Args:
        pcm: ``int16``, 1-D, any length.

    Raises:
        AudioFormatError: Another dtype or shape.
    """
    return _look_up(_ulaw_codes(), pcm)


def decode_ulaw(data: bytes | bytearray | memoryview) -> PCM:
    """Decode mu-law bytes to ``int16`` samples, shape ``(len(data),)``."""
    return _ulaw_levels().take(np.frombuffer(data, dtype=np.uint8))


def encode_alaw(pcm: PCM) -> bytes:
    """Encode linear samples as A-law.

    Args:
        pcm: ``int16``, 1-D, any length.

    Raises:
        AudioFormatError: Another dtype or shape.
    """
    return _look_up(_alaw_codes(), pcm)


def decode_alaw(data: bytes | bytearray | memoryview) -> PCM:
    """Decode A-law bytes to ``int16`` samples, shape ``(len(data),)``."""
    return _alaw_levels().take(np.frombuffer(data, dtype=np.uint8))


def _look_up(table: NDArray[np.uint8], pcm: PCM) -> bytes:
    if pcm.dtype != np.int16 or pcm.ndim != 1:
        raise AudioFormatError(f"G.711 encodes int16 samples of shape (n,), got {pcm.dtype} of shape {pcm.shape}")
    return table[pcm.astype(np.uint16)].tobytes()


def _all_samples() -> NDArray[np.int32]:
    """Every ``int16`` value, at the index that its bits have as an unsigned number."""
    return np.arange(65536, dtype=np.uint16).astype(np.int16).astype(np.int32)


@lru_cache(maxsize=1)
def _ulaw_codes() -> NDArray[np.uint8]:
    linear = _all_samples() >> 2
    magnitude = np.minimum(np.abs(linear), _ULAW_CLIP) + _ULAW_BIAS
    segment = np.searchsorted((64 << np.arange(8)) - 1, magnitude)
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 15)
    codes: NDArray[np.uint8] = np.where(linear < 0, code ^ 0x7F, code ^ 0xFF).astype(np.uint8)
    return codes


@lru_cache(maxsize=1)
def _ulaw_levels() -> PCM:
    code = ~np.arange(256)
    magnitude = (((code & 15) << 1) + _ULAW_BIAS << ((code >> 4) & 7)) - _ULAW_BIAS << 2
    levels: PCM = np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)
    return levels


@lru_cache(maxsize=1)
def _alaw_codes() -> NDArray[np.uint8]:
    linear = _all_samples() >> 3
    magnitude = np.where(linear < 0, -linear - 1, linear)
    segment = np.searchsorted((32 << np.arange(8)) - 1, magnitude)
    code = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 15)
    codes: NDArray[np.uint8] = np.where(linear < 0, code ^ 0x55, code ^ 0xD5).astype(np.uint8)
    return codes


@lru_cache(maxsize=1)
def _alaw_levels() -> PCM:
    code = np.arange(256) ^ 0x55
    segment = (code >> 4) & 7
    step = ((code & 15) << 1) + 1 + np.where(segment > 0, 32, 0)
    magnitude = (step << np.maximum(segment - 1, 0)) << 3
    levels: PCM = np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)
    return levels

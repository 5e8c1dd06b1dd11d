"""G.711 against the Recommendation's own properties, and against Python's former audioop where it still exists."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from fastrtc.errors import AudioFormatError
from fastrtc.media.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
EVERY_CODE = bytes(range(256))
LAWS = [pytest.param(encode_ulaw, decode_ulaw, id="mu-law"), pytest.param(encode_alaw, decode_alaw, id="A-law")]


@pytest.fixture(scope="module")
def audioop() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("audioop", reason="Python 3.13 removed audioop, which this compares with")


def test_ulaw_equals_audioop_for_every_sample_and_code(audioop: ModuleType) -> None:
    assert encode_ulaw(EVERY_SAMPLE) == audioop.lin2ulaw(EVERY_SAMPLE.tobytes(), 2)
    assert decode_ulaw(EVERY_CODE).tobytes() == audioop.ulaw2lin(EVERY_CODE, 2)


def test_alaw_equals_audioop_for_every_sample_and_code(audioop: ModuleType) -> None:
    assert encode_alaw(EVERY_SAMPLE) == audioop.lin2alaw(EVERY_SAMPLE.tobytes(), 2)
    assert decode_alaw(EVERY_CODE).tobytes() == audioop.alaw2lin(EVERY_CODE, 2)


def test_ulaw_values_of_the_recommendation() -> None:
    # G.711, tables 2a and 2b: the decoder's output 0 and its largest, in 14 bits, times 4.
    assert decode_ulaw(b"\xff\x80\x00").tolist() == [0, 8031 * 4, -8031 * 4]
    assert encode_ulaw(np.array([0, 32767, -32768], np.int16)) == b"\xff\x80\x00"


def test_alaw_values_of_the_recommendation() -> None:
    # G.711, tables 1a and 1b: the smallest and largest outputs, in 13 bits, times 8.
    assert decode_alaw(b"\xd5\x55\xaa\x2a").tolist() == [8, -8, 4032 * 8, -4032 * 8]
    assert encode_alaw(np.array([0, -1, 32767, -32768], np.int16)) == b"\xd5\x55\xaa\x2a"


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_what_was_decoded_encodes_to_a_code_of_the_same_level(
    encode: Callable[..., bytes], decode: Callable[..., np.ndarray]
) -> None:
    levels = decode(EVERY_CODE)
    assert np.array_equal(decode(encode(levels)), levels)


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_the_error_is_a_small_part_of_the_sample(
    encode: Callable[..., bytes], decode: Callable[..., np.ndarray]
) -> None:
    exact = EVERY_SAMPLE.astype(np.int32)
    error = np.abs(decode(encode(EVERY_SAMPLE)) - exact)
    assert np.all(error <= np.maximum(16, np.abs(exact) / 19))


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_nothing_gives_nothing(encode: Callable[..., bytes], decode: Callable[..., np.ndarray]) -> None:
    assert encode(np.zeros(0, np.int16)) == b""
    assert decode(b"").shape == (0,)
    assert decode(b"").dtype == np.int16


@pytest.mark.parametrize("encode", [encode_ulaw, encode_alaw])
@pytest.mark.parametrize("pcm", [np.zeros(4, np.float32), np.zeros((1, 4), np.int16)])
def test_other_audio_is_refused(encode: Callable[..., bytes], pcm: np.ndarray) -> None:
    with pytest.raises(AudioFormatError, match="int16 samples of shape"):
        encode(pcm)

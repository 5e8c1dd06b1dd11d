"""PCM conversions: the public helpers and the check of yielded arrays."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from fastrtc.audio import (
    _warn_of_unscaled,
    aggregate_bytes_to_16bit,
    async_aggregate_bytes_to_16bit,
    audio_to_bytes,
    audio_to_file,
    audio_to_float32,
    audio_to_int16,
    float_to_int16,
    is_audio,
    mono_int16,
)
from fastrtc.errors import AudioFormatError, MissingExtraError

INT16 = np.array([-32768, -1, 0, 1, 32767], np.int16)


# ---- conversions ----------------------------------------------------------------------------------------------


def test_int16_to_float32() -> None:
    floats = audio_to_float32(INT16)
    assert floats.dtype == np.float32
    assert floats.min() == -1.0
    assert floats.max() < 1.0
    np.testing.assert_array_equal(floats * 32768, INT16)


def test_float32_to_int16_clips() -> None:
    pcm = audio_to_int16(np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 7.0], np.float32))
    assert pcm.dtype == np.int16
    assert pcm.tolist() == [-32767, -32767, 0, 16383, 32767, 32767]


def test_what_needs_no_conversion_is_not_copied() -> None:
    floats = np.zeros(3, np.float32)
    assert audio_to_int16(INT16) is INT16
    assert audio_to_float32(floats) is floats


@pytest.mark.parametrize("convert", [audio_to_int16, audio_to_float32])
@pytest.mark.parametrize("dtype", [np.int32, np.float64, np.uint8, np.bool_])
def test_other_dtypes_are_refused(convert: Any, dtype: Any) -> None:
    with pytest.raises(TypeError, match=str(np.dtype(dtype))):
        convert(np.zeros(3, dtype))


@pytest.mark.parametrize("convert", [audio_to_int16, audio_to_float32])
def test_a_tuple_still_works_and_warns(convert: Any) -> None:
    with pytest.warns(UserWarning, match="deprecated"):
        converted = convert((16_000, INT16))
    np.testing.assert_array_equal(converted, convert(INT16))


def test_nothing_strange_in_nothing_strange_out() -> None:
    assert float_to_int16(np.array([np.nan, np.inf, -np.inf])).tolist() == [0, 32767, -32767]


@given(np_st.arrays(np.int16, st.integers(0, 200)))
def test_there_and_back_loses_at_most_one_step(samples: Any) -> None:
    assert np.abs(audio_to_int16(audio_to_float32(samples)).astype(int) - samples).max(initial=0) <= 1


# ---- yielded arrays -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "layout", "wanted"),
    [
        (np.array([1, 2, 3], np.int16), None, [1, 2, 3]),
        (np.array([[1, 2, 3]], np.int16), None, [1, 2, 3]),
        (np.array([[1], [2], [3]], np.int16), None, [1, 2, 3]),
        (np.array([[1, 2], [3, 4]], np.int16), None, [2, 3]),
        (np.array([[32767, -32768], [32767, -32768]], np.int16), None, [32767, -32768]),
        (np.array([[1, 3, 2, 4]], np.int16), "stereo", [2, 3]),
        (np.array([[1, 3, 2]], np.int16), "stereo", [2]),
        (np.array([1, 3, 2, 4], np.int16), "stereo", [2, 3]),
        (np.array([[1, 2], [3, 4]], np.int16), "stereo", [2, 3]),
        (np.array([[0.5, -1.0]], np.float32), "mono", [16383, -32767]),
        (np.array([0.5, -1.0]), None, [16383, -32767]),
        (np.zeros((1, 0), np.int16), None, []),
        (np.zeros(0, np.float32), None, []),
    ],
)
def test_mono(array: Any, layout: Any, wanted: list[int]) -> None:
    value = (24_000, array) if layout is None else (24_000, array, layout)
    rate, pcm = mono_int16(value)
    assert rate == 24_000
    assert type(rate) is int
    assert pcm.dtype == np.int16
    assert pcm.ndim == 1
    assert pcm.tolist() == wanted
    assert pcm.flags.c_contiguous


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "NoneType"),
        ("text", "str"),
        (np.zeros(3, np.int16), "ndarray"),
        ((24_000, [1, 2]), "int, list"),
        ((24_000,), "tuple of int"),
        ((24_000.0, INT16), "24000.0"),
        ((True, INT16), "True"),
        ((3999, INT16), "3999"),
        ((384_001, INT16), "384001"),
        ((-8000, INT16), "-8000"),
        ((24_000, INT16.astype(np.int32)), "int32"),
        ((24_000, INT16.astype(np.float16)), "float16"),
        ((24_000, INT16.astype(object)), "object"),
        ((24_000, np.zeros((3, 480), np.int16)), r"\(3, 480\)"),
        ((24_000, np.zeros((1, 1, 4), np.int16)), r"\(1, 1, 4\)"),
        ((24_000, np.array(3, np.int16)), r"\(\)"),
        ((24_000, INT16, "surround"), "surround"),
        ((24_000, INT16, None), "None"),
    ],
)
def test_what_cannot_be_played_is_refused_by_name(value: Any, message: str) -> None:
    with pytest.raises(AudioFormatError, match=message):
        mono_int16(value)


def test_is_audio() -> None:
    assert is_audio((1, INT16))
    assert is_audio((1, INT16, "mono"))
    assert not is_audio((INT16, 1))
    assert not is_audio([1, INT16])
    assert not is_audio((1, INT16, "mono", 2))


# ---- bytes ----------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_bytes_in_any_pieces(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    arrays = list(aggregate_bytes_to_16bit(pieces))
    assert all(array.shape[0] == 1 and array.size and array.dtype == np.int16 for array in arrays)
    assert b"".join(array.tobytes() for array in arrays) == data[: len(data) // 2 * 2]


@pytest.mark.anyio
async def test_bytes_from_an_async_source() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"\x01", b"\x00\x02\x00", b"", b"\x03"):
            yield piece

    arrays = [array async for array in async_aggregate_bytes_to_16bit(pieces())]
    assert [array.tolist() for array in arrays] == [[[1, 2]]]


@pytest.mark.skipif(importlib.util.find_spec("soundfile") is None, reason="the extra files is not installed")
def test_a_file_of_audio() -> None:
    tone = (np.sin(np.arange(24_000) / 10) * 8000).astype(np.int16)
    data = audio_to_bytes((24_000, tone))
    assert data[:3] == b"ID3" or data[0] == 0xFF
    path = Path(audio_to_file((24_000, tone.reshape(1, -1))))
    try:
        assert path.suffix == ".mp3"
        assert path.read_bytes()[:4] == data[:4]
    finally:
        path.unlink()


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(MissingExtraError, match=r"fastrtc\[files\]"):
        audio_to_bytes((24_000, INT16))


def test_a_layout_that_is_no_text_is_refused_like_any_other() -> None:
    for layout in (None, 2, np.zeros(0), np.zeros(5)):
        with pytest.raises(AudioFormatError, match="layout"):
            mono_int16((16_000, np.zeros(8, np.int16), layout))


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (np.zeros(5, np.int16), "ndarray without its rate"),
        (b"\0\0", "np.frombuffer"),
        ("hello", "get_tts_model"),
        ([24_000, [0.0]], "got list"),
    ],
)
def test_what_is_no_audio_is_refused_with_what_would_help(value: Any, remedy: str) -> None:
    with pytest.raises(AudioFormatError, match=remedy):
        mono_int16(value)


def test_floats_that_were_never_divided_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    _warn_of_unscaled.cache_clear()
    mono_int16((24_000, np.array([1.5, -2.0], np.float32)))
    assert caplog.records == []
    for _ in range(2):
        mono_int16((24_000, np.array([0.0, -3000.0], np.float32)))
    (record,) = caplog.records
    assert "divide them by 32768" in record.getMessage()

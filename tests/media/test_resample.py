"""Every rate pair, frame size and dtype: all samples accounted for, the right frequency, clean; chunks irrelevant."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrtc.errors import AudioFormatError
from fastrtc.media.resample import LiveResampler, OutputResampler, process_many, resample_clip

COMMON_HZ = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000]
UNCOMMON = [
    (44_101, 16_000),
    (48_000, 47_999),
    (384_000, 4_000),
    (4_000, 384_000),
    (383_999, 384_000),
    (5_003, 383_987),
]
rates_hz = st.sampled_from(COMMON_HZ) | st.integers(4_000, 384_000)


def sine(rate_hz: int, frequency_hz: float, count: int, delay_s: float = 0.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency_hz * (np.arange(count) / rate_hz - delay_s))


def cut(pcm: np.ndarray, sizes: list[int]) -> Iterator[np.ndarray]:
    """The whole clip in frames of these sizes, over and over."""
    first = turn = 0
    while first < pcm.size:
        yield pcm[first : first + sizes[turn % len(sizes)]]
        first += sizes[turn % len(sizes)]
        turn += 1


def live(from_hz: int, to_hz: int, frames: Iterator[np.ndarray]) -> np.ndarray:
    resampler = LiveResampler(from_hz, to_hz)
    return np.concatenate([np.zeros(0, np.float32), *(resampler.process(frame) for frame in frames)])


def signal_to_noise_db(wanted: np.ndarray, got: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(wanted**2) / np.mean((got - wanted) ** 2)))


def assert_sine_comes_out(from_hz: int, to_hz: int, part: float, sizes: list[int], dtype: type) -> None:
    """A sine at ``part`` of the lower Nyquist frequency: right count, delay, frequency, level; noise below -60 dB."""
    frequency_hz = part * min(from_hz, to_hz) / 2
    resampler = LiveResampler(from_hz, to_hz)
    count = 2 * resampler.delay_samples + max(400, from_hz // 50)
    pcm = sine(from_hz, frequency_hz, count)
    pcm = np.round(pcm * 32768).astype(np.int16) if dtype is np.int16 else pcm.astype(np.float32)
    out, given_samples = [], 0
    for frame in cut(pcm, sizes):
        out.append(resampler.process(frame))
        given_samples += frame.size
        assert sum(piece.size for piece in out) == -(-given_samples * to_hz // from_hz)
    got = np.concatenate(out)
    assert got.dtype == np.float32
    wanted = sine(to_hz, frequency_hz, got.size, resampler.delay_samples / from_hz)
    settled = int(2 * resampler.delay_samples * to_hz / from_hz) + 2
    assert got.size - settled > 50
    assert signal_to_noise_db(wanted[settled:], got[settled:]) > 60


@settings(max_examples=80, deadline=None)
@given(
    from_hz=rates_hz,
    to_hz=rates_hz,
    part=st.floats(0.05, 0.85),
    sizes=st.lists(st.integers(100, 4000), min_size=1, max_size=4),
    dtype=st.sampled_from([np.int16, np.float32]),
)
def test_a_sine_comes_out_whole(from_hz: int, to_hz: int, part: float, sizes: list[int], dtype: type) -> None:
    assert_sine_comes_out(from_hz, to_hz, part, sizes, dtype)


@pytest.mark.parametrize(("from_hz", "to_hz"), UNCOMMON)
def test_a_sine_comes_out_whole_at_extreme_rates(from_hz: int, to_hz: int) -> None:
    assert_sine_comes_out(from_hz, to_hz, 0.8, [777, 50], np.float32)


@settings(max_examples=60, deadline=None)
@given(
    from_hz=st.sampled_from(COMMON_HZ),
    to_hz=st.sampled_from(COMMON_HZ) | st.sampled_from([8_001, 15_999]),
    sizes=st.lists(st.integers(0, 700), min_size=1, max_size=6).filter(any),
    seed=st.integers(0, 99),
)
def test_frame_sizes_change_nothing(from_hz: int, to_hz: int, sizes: list[int], seed: int) -> None:
    pcm = np.random.default_rng(seed).integers(-20_000, 20_000, 1500).astype(np.int16)
    whole = live(from_hz, to_hz, iter([pcm]))
    pieces = live(from_hz, to_hz, cut(pcm, sizes))
    assert pieces.shape == whole.shape
    assert np.abs(pieces - whole).max() < 1e-5


def test_single_samples_change_nothing() -> None:
    pcm = np.random.default_rng(1).integers(-20_000, 20_000, 900).astype(np.int16)
    for from_hz, to_hz in [(48_000, 16_000), (44_100, 16_000), (16_000, 44_101)]:
        whole = live(from_hz, to_hz, iter([pcm]))
        assert np.abs(live(from_hz, to_hz, cut(pcm, [1])) - whole).max() < 1e-5


@settings(max_examples=40, deadline=None)
@given(
    streams=st.lists(
        st.tuples(st.sampled_from([48_000, 44_100, 16_000]), st.sampled_from([16_000, 24_000, 15_999])),
        min_size=1,
        max_size=9,
    ),
    sizes=st.lists(st.sampled_from([320, 960, 37]), min_size=9, max_size=9),
)
def test_a_batch_gives_what_each_stream_gives_alone(streams: list[tuple[int, int]], sizes: list[int]) -> None:
    random = np.random.default_rng(3)
    together = [LiveResampler(*rates) for rates in streams]
    alone = [LiveResampler(*rates) for rates in streams]
    for _ in range(4):
        frames = [random.standard_normal(size).astype(np.float32) / 8 for size in sizes[: len(streams)]]
        for got, resampler, frame in zip(process_many(together, frames), alone, frames, strict=True):
            wanted = resampler.process(frame)
            assert got.shape == wanted.shape
            assert np.abs(got - wanted).max(initial=0.0) < 1e-5


def test_a_later_batch_does_not_write_into_earlier_outputs() -> None:
    resamplers = [LiveResampler(48_000, 16_000) for _ in range(3)]
    frames = [np.full(960, 8_000, np.int16)] * 3
    process_many(resamplers, frames)
    first = process_many(resamplers, frames)
    before = [out.copy() for out in first]
    process_many(resamplers, [np.full(960, -8_000, np.int16)] * 3)
    assert all(np.array_equal(out, kept) for out, kept in zip(first, before, strict=True))


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48_000, 16_000), (44_100, 16_000), (48_000, 8_000), (44_101, 16_000)])
def test_what_cannot_be_kept_is_70_db_down(from_hz: int, to_hz: int) -> None:
    for part in np.linspace(1.0, 0.999 * from_hz / to_hz, 25):
        out = live(from_hz, to_hz, iter([sine(from_hz, part * to_hz / 2, 9_600).astype(np.float32)]))
        left = out[out.size // 2 :]
        assert 20 * np.log10(np.sqrt(np.mean(left**2)) / np.sqrt(0.125)) < -70


def test_the_delay_from_48_to_16_khz_is_2_ms() -> None:
    resampler = LiveResampler(48_000, 16_000)
    assert resampler.delay_samples == 96
    click = np.zeros(960, np.float32)
    click[300] = 0.9
    assert int(np.argmax(resampler.process(click))) == (300 + 96) // 3


def test_every_20_ms_frame_of_a_live_call_gives_20_ms() -> None:
    for from_hz in COMMON_HZ:
        resampler = LiveResampler(from_hz, 16_000)
        sizes = {resampler.process(np.zeros(from_hz // 50, np.int16)).size for _ in range(20)}
        assert sizes <= ({320} if from_hz % 50 == 0 else {319, 320})


def test_the_same_rate_passes_unchanged() -> None:
    pcm = np.arange(-500, 500).astype(np.int16)
    resampler = LiveResampler(16_000, 16_000)
    assert resampler.delay_samples == 0
    assert np.array_equal(resampler.process(pcm), pcm.astype(np.float32) / 32768)


@pytest.mark.parametrize("to_hz", [16_000, 48_000])
def test_the_output_stays_inside_the_range(to_hz: int) -> None:
    square = np.where(np.arange(4_800) // 24 % 2, 32_767, -32_768).astype(np.int16)
    out = live(48_000, to_hz, cut(square, [960]))
    assert out.min() == -1.0
    assert out.max() == np.float32(32_767 / 32_768)


def test_the_frame_is_not_written_to() -> None:
    for dtype in (np.int16, np.float32):
        frame = np.ones(960, dtype)
        frame.flags.writeable = False
        for to_hz in (16_000, 48_000):
            assert LiveResampler(48_000, to_hz).process(frame).size == to_hz // 50


def test_a_bad_frame_in_a_batch_moves_no_stream() -> None:
    resamplers = [LiveResampler(48_000, 16_000) for _ in range(2)]
    with pytest.raises(AudioFormatError, match="float64"):
        process_many(resamplers, [np.ones(960, np.int16), np.ones(960)])
    assert not np.any(resamplers[0].process(np.zeros(960, np.int16)))


@pytest.mark.parametrize("frame", [np.zeros((1, 10), np.int16), np.zeros(10), np.zeros(10, np.int32)])
def test_other_frames_are_refused(frame: np.ndarray) -> None:
    with pytest.raises(AudioFormatError, match="expected int16 or float32 samples"):
        LiveResampler(48_000, 16_000).process(frame)
    with pytest.raises(AudioFormatError, match="expected int16 or float32 samples"):
        resample_clip(frame, 48_000, 16_000)


@pytest.mark.parametrize("kind", [LiveResampler, OutputResampler])
@pytest.mark.parametrize("rates", [(3_999, 16_000), (16_000, 384_001), (0, 16_000)])
def test_other_rates_are_refused(kind: type, rates: tuple[int, int]) -> None:
    with pytest.raises(AudioFormatError, match="from 4000 to 384000"):
        kind(*rates)


@settings(max_examples=60, deadline=None)
@given(
    from_hz=rates_hz,
    to_hz=rates_hz,
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=5),
    count=st.integers(0, 6000),
)
def test_output_in_chunks_equals_the_clip_at_once(from_hz: int, to_hz: int, sizes: list[int], count: int) -> None:
    pcm = np.random.default_rng(count).integers(-9_000, 9_000, count).astype(np.int16)
    resampler = OutputResampler(from_hz, to_hz)
    pieces = [resampler.process(chunk) for chunk in cut(pcm, sizes)]
    got = np.concatenate([*pieces, resampler.process(pcm[:0], last=True)])
    wanted = pcm if from_hz == to_hz else np.rint(soxr.resample(pcm.astype(np.float32), from_hz, to_hz))
    assert got.dtype == np.int16
    assert got.shape == wanted.shape
    assert np.abs(got.astype(np.int32) - wanted).max(initial=0) <= 1


def test_silence_stays_silent_and_loud_output_does_not_wrap() -> None:
    silence = OutputResampler(24_000, 48_000).process(np.zeros(24_000, np.int16), last=True)
    assert silence.shape == (48_000,)
    assert not silence.any()
    square = np.where(np.arange(24_000) // 24 % 2, 32_767, -32_768).astype(np.int16)
    loud = OutputResampler(24_000, 48_000).process(square, last=True)
    assert np.array_equal(loud[48 * 100 + 24 : 48 * 900 + 24 : 48] < 0, np.arange(800) % 2 == 0)
    assert (loud.min(), loud.max()) == (-32_768, 32_767)


def test_output_starts_anew_after_the_last_chunk_and_after_a_reset() -> None:
    pcm = np.random.default_rng(0).integers(-9_000, 9_000, 2_400).astype(np.int16)
    resampler = OutputResampler(24_000, 48_000)
    first = resampler.process(pcm, last=True)
    assert first.size == 4_800
    resampler.process(pcm)
    resampler.reset()
    assert np.array_equal(resampler.process(pcm, last=True), first)


def test_output_at_the_same_rate_is_the_input() -> None:
    pcm = np.arange(100, dtype=np.int16)
    assert OutputResampler(48_000, 48_000).process(pcm) is pcm


@pytest.mark.parametrize("pcm", [np.zeros(4, np.float32), np.zeros((1, 4), np.int16)])
def test_other_output_is_refused(pcm: np.ndarray) -> None:
    with pytest.raises(AudioFormatError, match="expected int16 samples"):
        OutputResampler(24_000, 48_000).process(pcm)


def test_a_clip_keeps_its_length_and_has_no_delay() -> None:
    pcm = sine(44_100, 1_000, 44_100)
    got = resample_clip(pcm.astype(np.float32), 44_100, 16_000)
    assert got.shape == (16_000,)
    assert signal_to_noise_db(sine(16_000, 1_000, 16_000)[500:-500], got[500:-500]) > 60
    assert np.array_equal(resample_clip(np.array([-32768, 0, 16384], np.int16), 8_000, 8_000), [-1.0, 0.0, 0.5])

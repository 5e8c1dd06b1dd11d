"""AudioRing against the plain array of everything that was appended."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrtc.media.ring import AudioRing

RATE_HZ = 1000


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int]]:
    step = st.tuples(st.sampled_from(["append", "append", "append", "keep_from"]), st.integers(0, 400))
    return draw(st.lists(step, max_size=60))


@settings(max_examples=200, deadline=None)
@given(
    history=histories(),
    initial=st.sampled_from([0.001, 0.05, 0.3]),
    longest=st.sampled_from([0.001, 0.25, 100.0]),
    data=st.data(),
)
def test_equals_one_long_array(
    history: list[tuple[str, int]], initial: float, longest: float, data: st.DataObject
) -> None:
    ring = AudioRing(RATE_HZ, initial, longest)
    everything = np.zeros(0, np.int16)
    oldest = 0
    for action, amount in history:
        if action == "append":
            pcm = (np.arange(everything.size, everything.size + amount) * 7919).astype(np.int16)
            ring.append(pcm)
            everything = np.concatenate([everything, pcm])
            oldest = max(oldest, everything.size - int(RATE_HZ * longest))
        else:
            oldest = max(oldest, min(amount, everything.size))
            ring.keep_from(amount)
        assert (ring.start, ring.end) == (oldest, everything.size)
    start = data.draw(st.integers(0, everything.size))
    end = data.draw(st.integers(start, everything.size))
    assert np.array_equal(ring.slice(start, end), everything[max(start, oldest) : max(end, oldest)])
    assert np.array_equal(ring.slice(oldest, everything.size), everything[oldest:])


def test_a_slice_is_a_copy() -> None:
    ring = AudioRing(RATE_HZ)
    ring.append(np.arange(10, dtype=np.int16))
    ring.slice(0, 10)[:] = -1
    assert ring.slice(0, 10).tolist() == list(range(10))


def test_the_caller_may_reuse_its_array() -> None:
    ring = AudioRing(RATE_HZ)
    pcm = np.arange(10, dtype=np.int16)
    ring.append(pcm)
    pcm[:] = -1
    assert ring.slice(0, 10).tolist() == list(range(10))


@pytest.mark.parametrize(("start", "end"), [(0, 11), (11, 11), (5, 4)])
def test_what_was_not_received_is_refused(start: int, end: int) -> None:
    ring = AudioRing(RATE_HZ)
    ring.append(np.zeros(10, np.int16))
    with pytest.raises(ValueError, match="10 have been received"):
        ring.slice(start, end)


def test_a_ring_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        AudioRing(RATE_HZ, 1.0, 0.0)


def _moved(ring: AudioRing, frames: int, keep: int) -> tuple[int, int]:
    """Buffers allocated while ``frames`` of 20 samples arrive of which ``keep`` are kept, and the last one's size."""
    buffers, allocated = ring._buffer, 0
    for _ in range(frames):
        ring.append(np.ones(20, np.int16))
        ring.keep_from(ring.end - keep)
        if ring._buffer is not buffers:
            buffers, allocated = ring._buffer, allocated + 1
    return allocated, ring._buffer.size


def test_memory_stays_level_while_a_call_goes_on_and_comes_back_after_a_long_turn() -> None:
    ring = AudioRing(RATE_HZ, seconds=2.0)
    allocated, size = _moved(ring, frames=10_000, keep=500)
    assert (allocated, size) == (0, 2 * RATE_HZ)

    allocated, size = _moved(ring, frames=5_000, keep=10**9)
    assert allocated <= 8
    assert size >= 100_000

    allocated, size = _moved(ring, frames=20_000, keep=500)
    assert allocated == 1
    assert size == 2 * RATE_HZ


def test_memory_is_bounded_by_the_longest_turn() -> None:
    ring = AudioRing(RATE_HZ, seconds=1.0, max_seconds=5.0)
    _, size = _moved(ring, frames=5_000, keep=10**9)
    assert ring.end - ring.start == 5 * RATE_HZ
    assert size <= 3 * 5 * RATE_HZ

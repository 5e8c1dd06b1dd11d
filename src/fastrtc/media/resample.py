"""Sample rate conversion, chosen by place.

* :class:`LiveResampler` for what arrives: a linear-phase FIR (2 ms of delay at 48 to 16 kHz) that gives its output
  frame by frame, as many samples as are due, and does all sessions of a tick at once (:func:`process_many`).
* :class:`OutputResampler` for replies and :func:`resample_clip` for files: soxr, which costs less and is better, and
  whose output comes in bursts of up to 36 ms, which a buffer ahead of playout hides and live input would not.

Why a matrix: ``B`` outputs in a row are the same weights times ``B * from / to`` inputs further on, each time. Stacked,
that is one matrix product, which BLAS does several times faster than a dot product an output, although some of each
column is zero: 14 us alone and 5 us a stream for a 20 ms frame of 48 to 16 kHz (``bench/resample.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, gcd
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import INT16_SCALE, MAX_RATE_HZ, MIN_RATE_HZ, PCM, AnyPCM
from fastrtc.errors import AudioFormatError

if TYPE_CHECKING:
    import soxr

Float = NDArray[np.float32]

# Kaiser's formulas (Kaiser 1974; Oppenheim & Schafer, Discrete-Time Signal Processing, 7.5): with 32 zero crossings on
# each side, 72 dB need a transition band of 0.14 of the lower Nyquist frequency. It ends at that frequency, so nothing
# folds back.
_ZERO_CROSSINGS = 32
_KAISER_BETA = 0.1102 * (72.0 - 8.7)
_PASS_EDGE = 0.86
_CUTOFF = (1.0 + _PASS_EDGE) / 2.0

_MIN_BLOCK_OUTPUTS = 32
_SINGLE_THREAD_PRODUCTS = 1 << 18
_MAX_MATRIX_ELEMENTS = _SINGLE_THREAD_PRODUCTS // 2
_TABLE_PHASES = 1024
_MAX_TABLE_PRODUCTS = 1 << 22
_LARGEST = np.float32(32767 / INT16_SCALE)
_INT16 = np.dtype(np.int16)
_SMALLEST = np.float32(-1.0)
_INT16S = np.float32(INT16_SCALE)
_INT16_STEP = np.float32(1.0 / INT16_SCALE)
_USUAL_FRAME_S = 0.06


class LiveResampler:
    """Resamples one stream as it arrives, its state kept from frame to frame.

    After ``n`` input samples in all, exactly ``ceil(n * to_hz / from_hz)`` output samples have been given, whatever the
    sizes of the frames. They are late by :attr:`delay_samples`; the first ones hold the filter's run-in. Frequencies up
    to 0.86 of the lower Nyquist frequency pass unchanged, those above it are at least 70 dB down.

    Args:
        from_hz: Rate of the input, 4000 to 384000.
        to_hz: Rate of the output, 4000 to 384000.

    Raises:
        AudioFormatError: A rate outside that range.
    """

    __slots__ = ("_buffer", "_held", "_kernel", "_margin", "_skip", "from_hz", "to_hz")

    def __init__(self, from_hz: int, to_hz: int) -> None:
        _check_rates(from_hz, to_hz)
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._kernel: _Matrix | _Table | None = None if from_hz == to_hz else _kernel(from_hz, to_hz)
        self._held = self._kernel.reach if self._kernel else 0
        self._margin = self._kernel.block_in if isinstance(self._kernel, _Matrix) else 0
        self._buffer: Float = np.zeros(self._held + round(_USUAL_FRAME_S * from_hz) + self._margin, np.float32)
        self._skip = 0

    @property
    def delay_samples(self) -> int:
        """How late the output is, in input samples."""
        return self._kernel.reach // 2 if self._kernel else 0

    def process(self, pcm: AnyPCM) -> Float:
        """Resample the next frame.

        Args:
            pcm: ``int16``, or ``float32`` in [-1, 1); shape ``(n,)``, any ``n``.

        Returns:
            ``float32`` in [-1, 1), 1-D: all outputs that are due.

        Raises:
            AudioFormatError: Another dtype or shape.
        """
        _check_frame(pcm)
        kernel, size = self._kernel, self._held + pcm.size
        if kernel is None:
            return _as_float(pcm)
        buffer = self._fill(pcm)
        resampled, used, skip = kernel.apply([buffer], size, self._skip)
        _limit(resampled)
        self._keep(buffer, used, size, skip)
        row: Float = resampled[0]
        return row

    def _fill(self, frame: AnyPCM) -> Float:
        """A buffer with what is kept and the frame behind it, and room for the rest of the last block."""
        buffer, held = self._buffer, self._held
        end = held + frame.size
        if end + self._margin > buffer.size:
            # For this once: a burst must not keep its room for ever.
            buffer = np.empty(end + self._margin, np.float32)
            buffer[:held] = self._buffer[:held]
        _copy_as_int16s(frame, buffer[held:end])
        return buffer

    def _keep(self, buffer: Float, start: int, end: int, skip: int) -> None:
        """What of the buffer the next call still needs."""
        self._held = end - start
        if self._held > self._buffer.size:
            self._buffer = np.empty(self._held, np.float32)
        self._buffer[: self._held] = buffer[start:end]
        self._skip = skip


def process_many(resamplers: Sequence[LiveResampler], frames: Sequence[AnyPCM]) -> list[Float]:
    """Resample one frame of each stream; streams of the same rates, frame size and phase share one numpy operation.

    Args:
        resamplers: Distinct streams, of any rates.
        frames: One frame for each, see :meth:`LiveResampler.process`.

    Returns:
        The outputs, in the order of ``resamplers``. They may be views of one array; it is not written again.

    Raises:
        AudioFormatError: A frame of another dtype or shape; no stream has moved then.
        ValueError: The two sequences differ in length.
    """
    if len(resamplers) == len(frames) == 1:
        return [resamplers[0].process(frames[0])]
    outputs: list[Float] = [_EMPTY] * len(frames)
    groups: dict[tuple[object, int, int], list[int]] = {}
    for i, (resampler, frame) in enumerate(zip(resamplers, frames, strict=True)):
        _check_frame(frame)
        key = (resampler._kernel, resampler._skip, resampler._held + frame.size)
        groups.setdefault(key, []).append(i)
    for members in groups.values():
        _process_group(resamplers, frames, members, outputs)
    return outputs


_EMPTY = np.zeros(0, np.float32)


def _process_group(
    resamplers: Sequence[LiveResampler], frames: Sequence[AnyPCM], members: list[int], outputs: list[Float]
) -> None:
    first = resamplers[members[0]]
    kernel, size = first._kernel, first._held + frames[members[0]].size
    if kernel is None:
        for i in members:
            outputs[i] = _as_float(frames[i])
        return
    filled = [resamplers[i]._fill(frames[i]) for i in members]
    resampled, used, skip = kernel.apply(filled, size, first._skip)
    _limit(resampled)
    for row, buffer, i in zip(resampled, filled, members, strict=True):
        outputs[i] = row
        resamplers[i]._keep(buffer, used, size, skip)


def _as_float(frame: AnyPCM) -> Float:
    samples = np.empty(frame.size, np.float32)
    _copy_as_float(frame, samples)
    if frame.dtype != np.int16:
        _limit(samples)
    return samples


def _limit(samples: Float) -> None:
    samples.clip(_SMALLEST, _LARGEST, out=samples)


def _copy_as_float(frame: AnyPCM, target: Float) -> None:
    if frame.dtype is _INT16 or frame.dtype == np.int16:
        np.multiply(frame, _INT16_STEP, out=target)
    else:
        target[:] = frame


def _copy_as_int16s(frame: AnyPCM, target: Float) -> None:
    """At the scale of ``int16``, which kernels take: most often a plain copy; a power of two, so nothing is rounded."""
    if frame.dtype is _INT16 or frame.dtype == np.int16:
        target[:] = frame
    else:
        np.multiply(frame, _INT16S, out=target)


@dataclass(frozen=True, slots=True, eq=False)
class _Matrix:
    """For ratios of small numbers: ``block_in`` inputs become ``block_out`` outputs by one matrix product.

    Attributes:
        reach: Inputs before a block that it needs, twice the delay.
        weights: Shape ``(reach + block_in, block_out)``.
    """

    reach: int
    block_in: int
    block_out: int
    weights: Float

    def apply(self, buffers: Sequence[Float], size: int, skip: int) -> tuple[Float, int, int]:
        """Compute what is due.

        Args:
            buffers: One for each stream: the ``reach`` before and the inputs of the blocks not finished, then room for
                the rest of the last block, which is overwritten.
            size: How many of their samples are meant.
            skip: Outputs of the first block that were given before.

        Returns:
            The outputs; the inputs no longer needed; the next call's ``skip``.
        """
        streams, inputs, block_in = len(buffers), size - self.reach, self.block_in
        blocks, whole = -(-inputs // block_in), inputs // block_in
        due = -(-inputs * self.block_out // block_in)
        if due == skip:
            return np.zeros((streams, 0), np.float32), 0, skip
        length = self.reach + block_in
        count = streams * blocks
        # At least two rows, see _product.
        rows: Float = np.empty((count, length), np.float32) if count > 1 else np.zeros((2, length), np.float32)
        for i, buffer in enumerate(buffers):
            if blocks > whole:
                buffer[size : self.reach + blocks * block_in] = 0.0
            # The ndarray constructor, because sliding_window_view takes longer than the product.
            rows[i * blocks : (i + 1) * blocks] = np.ndarray(
                (blocks, length), np.float32, buffer, strides=(4 * block_in, 4)
            )
        out = _product(rows, self.weights)[:count].reshape(streams, blocks * self.block_out)
        return out[:, skip:due], whole * block_in, due - whole * self.block_out


def _product(rows: Float, weights: Float) -> Float:
    """``rows @ weights``, in pieces that BLAS does on the calling thread.

    OpenBLAS spreads larger products over threads, and while another process has the second core, each waits for its
    worker until the scheduler comes round: 8 ms, measured, instead of 0.03. A single row goes through another routine,
    which does so at much smaller sizes, hence at least two are expected.
    """
    count = len(rows)
    if count * weights.size <= _SINGLE_THREAD_PRODUCTS:
        whole: Float = rows @ weights
        return whole
    at_once = max(2, _SINGLE_THREAD_PRODUCTS // weights.size)
    out = np.empty((count, weights.shape[1]), np.float32)
    for end in range(at_once, count + at_once, at_once):
        # The last piece overlaps the one before: never a single row.
        piece = slice(min(end, count) - at_once, min(end, count))
        np.matmul(rows[piece], weights, out=out[piece])
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """For any other ratio: a filter for each phase; of more than 1024 phases, by a straight line between neighbours.

    The line's error is below -100 dB.

    Attributes:
        reach: Inputs before the current one that an output needs, twice the delay.
        step_in: Inputs per ``step_out`` outputs, without a common factor.
        phases: Shape ``(phases + 1, reach + 1)``.
    """

    reach: int
    step_in: int
    step_out: int
    phases: Float

    def apply(self, buffers: Sequence[Float], size: int, skip: int) -> tuple[Float, int, int]:
        """As :meth:`_Matrix.apply`; ``skip`` is the next output's place after the first input, in 1 / ``step_out``."""
        joined = np.stack([buffer[:size] for buffer in buffers])
        inputs = size - self.reach
        count = max(0, -(-(inputs * self.step_out - skip) // self.step_in))
        out = np.empty((len(joined), count), np.float32)
        at_once = max(1, _MAX_TABLE_PRODUCTS // (len(joined) * (self.reach + 1)))
        for first in range(0, count, at_once):
            piece = out[:, first : first + at_once]
            places = skip + self.step_in * (first + np.arange(piece.shape[1], dtype=np.int64))
            self._fill(piece, joined, places)
        after = skip + self.step_in * count
        used = min(inputs, after // self.step_out)
        return out, used, after - used * self.step_out

    def _fill(self, out: Float, joined: Float, places: NDArray[np.int64]) -> None:
        windows = np.lib.stride_tricks.sliding_window_view(joined, self.reach + 1, axis=1)
        phase = places % self.step_out * (len(self.phases) - 1) / self.step_out
        lower = phase.astype(np.intp)
        share = (phase - lower).astype(np.float32)[:, None]
        filters = self.phases[lower] * (1 - share) + self.phases[lower + 1] * share
        np.einsum("sot,ot->so", windows[:, places // self.step_out], filters, out=out)


@lru_cache(maxsize=32)
def _kernel(from_hz: int, to_hz: int) -> _Matrix | _Table:
    divisor = gcd(from_hz, to_hz)
    step_in, step_out = from_hz // divisor, to_hz // divisor
    half = ceil(_ZERO_CROSSINGS * max(1.0, from_hz / to_hz))
    repeats = ceil(_MIN_BLOCK_OUTPUTS / step_out)
    block_in, block_out = step_in * repeats, step_out * repeats
    if (2 * half + block_in) * block_out <= _MAX_MATRIX_ELEMENTS:
        centre = np.arange(block_out) * step_in / step_out + half
        weights = _impulse(np.arange(2 * half + block_in)[:, None] - centre, from_hz, to_hz, half)
        return _Matrix(2 * half, block_in, block_out, weights)
    count = min(step_out, _TABLE_PHASES)
    phase = np.arange(count + 1)[:, None] / count
    phases = _impulse(np.arange(2 * half + 1) - half - phase, from_hz, to_hz, half)
    return _Table(2 * half, step_in, step_out, phases)


def _impulse(offset: NDArray[Any], from_hz: int, to_hz: int, half: int) -> Float:
    """The filter's response ``offset`` samples from its centre: a sinc under a Kaiser window, for inputs as int16s."""
    cutoff = _CUTOFF * min(1.0, to_hz / from_hz)
    inside = np.clip(1.0 - (offset / half) ** 2, 0.0, None)
    window = np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA)
    response = cutoff * np.sinc(cutoff * offset) * window / INT16_SCALE
    return np.where(np.abs(offset) <= half, response, 0.0).astype(np.float32)


class OutputResampler:
    """Resamples replies with soxr ("HQ"). A clip given in chunks comes out as the clip given at once would.

    Silence stays silence: soxr runs on floats here, because to ``int16`` it adds dither, and a codec then has noise to
    send where it would have sent nothing.

    Args:
        from_hz: Rate of the input, 4000 to 384000.
        to_hz: Rate of the output, 4000 to 384000.

    Raises:
        AudioFormatError: A rate outside that range.
    """

    __slots__ = ("_stream", "from_hz", "to_hz")

    def __init__(self, from_hz: int, to_hz: int) -> None:
        _check_rates(from_hz, to_hz)
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._stream: soxr.ResampleStream | None = None

    def process(self, pcm: PCM, last: bool = False) -> PCM:
        """Resample the next chunk.

        Args:
            pcm: ``int16``, shape ``(n,)``, any ``n``.
            last: The clip ends here: give what is still inside. The next call starts a new clip.

        Returns:
            ``int16``, 1-D; may be empty while soxr collects.

        Raises:
            AudioFormatError: Another dtype or shape.
        """
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise AudioFormatError(f"expected int16 samples of shape (n,), got {pcm.dtype} of shape {pcm.shape}")
        if self.from_hz == self.to_hz:
            return pcm
        if self._stream is None:
            import soxr

            self._stream = soxr.ResampleStream(self.from_hz, self.to_hz, 1, dtype="float32")
        resampled: Float = self._stream.resample_chunk(pcm.astype(np.float32), last=last)
        if last:
            self.reset()
        return np.clip(np.rint(resampled, out=resampled), -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)

    def reset(self) -> None:
        """Forget the clip so far, as after an interruption."""
        self._stream = None


def resample_clip(pcm: AnyPCM, from_hz: int, to_hz: int) -> Float:
    """Resample a whole clip with soxr.

    Args:
        pcm: ``int16``, or ``float32`` in [-1, 1); shape ``(n,)``.
        from_hz: Rate of the input, 4000 to 384000.
        to_hz: Rate of the output, 4000 to 384000.

    Returns:
        ``float32``, 1-D, without delay.

    Raises:
        AudioFormatError: A rate outside that range, another dtype or shape.
    """
    _check_rates(from_hz, to_hz)
    _check_frame(pcm)
    samples = np.empty(pcm.size, np.float32)
    _copy_as_float(pcm, samples)
    if from_hz == to_hz:
        return samples
    import soxr

    resampled: Float = soxr.resample(samples, from_hz, to_hz)
    return resampled


def _check_rates(*rates_hz: int) -> None:
    for rate_hz in rates_hz:
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise AudioFormatError(f"sample rates must be from 4000 to 384000 Hz, got {rate_hz!r}")


def _check_frame(frame: AnyPCM) -> None:
    if frame.ndim != 1 or (frame.dtype is not _INT16 and frame.dtype not in (np.int16, np.float32)):
        raise AudioFormatError(
            f"expected int16 or float32 samples of shape (n,), got {frame.dtype} of shape {frame.shape}"
        )

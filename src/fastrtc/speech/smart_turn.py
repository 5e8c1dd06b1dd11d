"""Smart Turn v3: an optional end-of-turn model of 8.7 MB, run on ONNX Runtime.

The model (Daily, BSD-2-Clause) hears the last eight seconds of a turn and costs some 20-50 ms of CPU an ask. It comes
by path, from an installed ``pipecat-ai`` (whose code is not imported), or as a download at first use into the user's
cache; see :func:`find_smart_turn` and :func:`download_smart_turn`. The default detector, in
:mod:`fastrtc.speech.end_of_turn`, needs none of this.

The features are Whisper's log-mel spectrogram as its paper and its published settings define it (Radford et al. 2022,
section 2.2: 80 bands, windows of 25 ms, steps of 10 ms), over audio scaled to zero mean and unit variance.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.speech.download import Progress, Weights, cache_folder, fetched

if TYPE_CHECKING:
    from os import PathLike

Float = NDArray[np.float32]

RATE_HZ = 16_000
SECONDS = 8
SAMPLES = SECONDS * RATE_HZ
MEL_BANDS, FFT_SAMPLES, HOP_SAMPLES = 80, 400, 160
FRAMES = SAMPLES // HOP_SAMPLES

FILE_NAME = "smart-turn-v3.2-cpu.onnx"
FILE_URL = f"https://huggingface.co/pipecat-ai/smart-turn-v3/resolve/main/{FILE_NAME}"
FILE_SHA256 = "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f"
REMEDY = (
    f"get {FILE_NAME} where there is a network and pass its path, SmartTurn(path), or install pipecat-ai, which "
    "carries it; the built-in detector needs no download"
)


def find_smart_turn() -> Path | None:
    """The model's file if this machine has it: in an installed ``pipecat-ai``, or downloaded before."""
    spec = importlib.util.find_spec("pipecat")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        carried = Path(folder, "audio", "turn", "smart_turn", "data", FILE_NAME)
        if carried.is_file():
            return carried
    cached = cache_folder() / FILE_NAME
    return cached if cached.is_file() else None


def download_smart_turn(
    url: str = FILE_URL,
    *,
    sha256: str = FILE_SHA256,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """The model's file, downloaded if it is not there: resumed, checked, and only then given its name.

    Args:
        url: Where it is.
        sha256: Its checksum, in hexadecimal digits.
        folder: Where to put it; :func:`cache_folder` by default.
        progress: Called with the bytes so far and the bytes expected (0: unknown); by default it is shown on standard
            error.

    Returns:
        The file's path.

    Raises:
        ModelDownloadError: No network, the server's refusal, no room, or another file than expected.
    """
    return fetched(Weights(FILE_NAME, url, None, sha256, folder, REMEDY), "Smart Turn", progress)


class SmartTurn:
    """An end-of-turn detector (:class:`fastrtc.turns.detector.TurnDetector`) that runs Smart Turn v3.

    Args:
        path: The model's file. Without one it is looked for on this machine, then downloaded.
        threads: Threads of the model; one ask then takes less time but no less CPU.

    Raises:
        MissingExtraError: ``onnxruntime`` is not installed.
        ConfigurationError: There is no file at ``path``.
        ModelDownloadError: The file is not here and cannot be downloaded; the message says what to do.
    """

    def __init__(self, path: str | PathLike[str] | None = None, *, threads: int = 1) -> None:
        file = Path(path) if path is not None else find_smart_turn() or download_smart_turn()
        if not file.is_file():
            raise ConfigurationError(f"there is no Smart Turn model at {str(file)!r}")
        self._session = _open(file, threads)
        self._input: str = self._session.get_inputs()[0].name

    def probability(self, audio: Float, silence_ms: float) -> float:
        """Probability that the user is done.

        Args:
            audio: The turn so far with the silence at its end: 16 kHz, mono, shape ``(n,)``, in [-1, 1].
            silence_ms: Length of that silence; the model hears it by itself.
        """
        output = self._session.run(None, {self._input: log_mel(audio)[None]})[0]
        return float(np.asarray(output).reshape(-1)[0])


def _open(file: Path, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("SmartTurn", "vad") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def log_mel(audio: Float) -> Float:
    """Whisper's log-mel spectrogram of the last eight seconds.

    Args:
        audio: 16 kHz, mono, shape ``(n,)``. Less than eight seconds is preceded by zeros.

    Returns:
        Shape ``(80, 800)``.
    """
    samples = np.zeros(SAMPLES, np.float64)
    tail = audio[-SAMPLES:]
    if tail.size:
        samples[-tail.size :] = tail
    samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    padded = np.pad(samples, FFT_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES][:FRAMES]
    window, filters = _tables()
    spectrum = np.fft.rfft(frames * window, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    logarithm = np.log10(np.maximum(filters @ power.T, 1e-10))
    clipped = np.maximum(logarithm, logarithm.max() - 8.0)
    return np.asarray((clipped + 4.0) / 4.0, np.float32)


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The periodic Hann window and the mel filters: shapes ``(400,)`` and ``(80, 201)``."""
    window = np.hanning(FFT_SAMPLES + 1)[:-1]
    top_mel = _mel(np.array([RATE_HZ / 2.0]))[0]
    edges = _hertz(np.linspace(0.0, top_mel, MEL_BANDS + 2))
    bins = np.fft.rfftfreq(FFT_SAMPLES, 1.0 / RATE_HZ)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - low) / (middle - low)
    falling = (high - bins) / (high - middle)
    filters = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (high - low))
    return window, filters


# Slaney's mel scale (Auditory Toolbox, 1998): 200/3 Hz a mel below 1 kHz, 27 steps from there to 6.4 kHz.
_HZ_PER_MEL, _KNEE_HZ, _KNEE_MEL, _STEP = 200.0 / 3.0, 1000.0, 15.0, np.log(6.4) / 27.0


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _KNEE_MEL + np.log(np.maximum(hertz, _KNEE_HZ) / _KNEE_HZ) / _STEP
    return np.where(hertz < _KNEE_HZ, hertz / _HZ_PER_MEL, above)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _KNEE_HZ * np.exp(_STEP * (np.maximum(mel, _KNEE_MEL) - _KNEE_MEL))
    return np.where(mel < _KNEE_MEL, mel * _HZ_PER_MEL, above)

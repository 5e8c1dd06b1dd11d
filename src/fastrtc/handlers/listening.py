"""From a session's audio to judged windows: streaming detectors for all sessions of a tick at once, others alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import PCM
from fastrtc.handlers.screen import Judged, Screen
from fastrtc.handlers.supervisor import run_supervised
from fastrtc.media.resample import LiveResampler, process_many
from fastrtc.turns.gate import SpeechWindow
from fastrtc.vad.protocol import StreamingModel

OnWindow = Callable[[SpeechWindow], None]
OnError = Callable[[BaseException], None]


class Listener:
    """One session's ear for a streaming detector: resamples, cuts windows, remembers positions.

    Args:
        model: The detector.
        rate_hz: Rate of the session's audio.
        on_window: Gets each judged window, in order; positions are in samples of ``rate_hz``.
        on_error: Told when the detector raises; the windows concerned are lost.
        screen: What the windows pass through before and after they are judged.
        memory_s: How much of what was judged :meth:`recent` remembers.

    Attributes:
        due: Whether what was received completes a window; nothing is resampled before.
    """

    def __init__(
        self,
        model: StreamingModel,
        rate_hz: int,
        on_window: OnWindow,
        on_error: OnError,
        screen: Screen | None = None,
        memory_s: float = 0.0,
    ) -> None:
        self.model = model
        self.on_window = on_window
        self.on_error = on_error
        self._rate_hz, self._model_hz = rate_hz, model.rate_hz
        self._window_samples = model.window_samples
        self.stream = model.new_stream()
        self.resampler = LiveResampler(rate_hz, model.rate_hz)
        self._delay = self.resampler.delay_samples
        self.inbox: list[PCM] = []
        self.windows: deque[NDArray[np.float32]] = deque()
        self._left = np.zeros(0, np.float32)
        self._heard = self._taken = 0
        self._due_at = self._complete_at(1)
        self.due = False
        self._cut = self._position_cut = 0
        self._screen = screen
        self._judged: deque[NDArray[np.float32]] = deque(maxlen=int(memory_s * model.rate_hz / model.window_samples))

    def recent(self, seconds: float) -> NDArray[np.float32]:
        """The newest ``seconds`` of what was judged, at the detector's rate, shape ``(n,)``, or what there is."""
        count = min(len(self._judged), round(seconds * self._model_hz / self._window_samples))
        if not count:
            return np.zeros(0, np.float32)
        return np.concatenate(list(self._judged)[-count:])

    def hear(self, pcm: PCM) -> None:
        """Add what was received; it is judged by the next :func:`judge_all` that finds a whole window of it."""
        self.inbox.append(pcm)
        self._heard += pcm.size
        self.due = self._heard >= self._due_at

    def take_due(self) -> PCM:
        """What lasts as long as the windows that are whole, so that all streams of a rate stand at the same phase."""
        pcm = self.inbox[0] if len(self.inbox) == 1 else np.concatenate(self.inbox)
        size, from_hz, to_hz = self._window_samples, self._rate_hz, self._model_hz
        whole = -(-self._heard * to_hz // from_hz) // size
        self._due_at = self._complete_at(whole + 1)
        self.due = False
        count = min(-(-whole * size * from_hz // to_hz) - self._taken, pcm.size)
        self._taken += count
        self.inbox = [pcm[count:]] if count < pcm.size else []
        return pcm[:count]

    def add_resampled(self, samples: NDArray[np.float32]) -> None:
        """Cut windows from what the resampler gave."""
        size = self._window_samples
        if self._left.size:
            samples = np.concatenate([self._left, samples])
        elif samples.size == size:
            self.windows.append(samples)
            return
        for end in range(size, samples.size + 1, size):
            self.windows.append(samples[end - size : end])
        self._left = samples[samples.size // size * size :]

    def _complete_at(self, windows: int) -> int:
        """Samples received that make ``windows`` whole: of ``n``, ``ceil(n * to / from)`` are resampled."""
        return (windows * self._window_samples - 1) * self._rate_hz // self._model_hz + 1

    def prepared(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """The window as the detector is to hear it."""
        return window if self._screen is None else self._screen.before(window)

    def judged(self, window: NDArray[np.float32], probability: float) -> None:
        """The verdict on the oldest window that was cut."""
        self._judged.append(window)
        size = self._window_samples
        decided = [Judged(probability)] if self._screen is None else self._screen.after(window, probability)
        for probability, doubtful, beginning in decided:
            self._cut += size
            start, self._position_cut = self._position_cut, self._position(self._cut)
            self.on_window(SpeechWindow(start, self._position_cut, probability, doubtful, beginning))

    def skip(self, window: NDArray[np.float32]) -> None:
        """Give up the oldest window that was cut."""
        decided = 1 if self._screen is None else len(self._screen.after(window, 0.0))
        self._cut += decided * self._window_samples
        self._position_cut = self._position(self._cut)

    def _position(self, resampled: int) -> int:
        return max(0, resampled * self._rate_hz // self._model_hz - self._delay)


def judge_all(listeners: Sequence[Listener]) -> None:
    """Resample and judge what all sessions have heard since the last call."""
    heard = [listener for listener in listeners if listener.due]
    if not heard:
        return
    frames = [listener.take_due() for listener in heard]
    by_model: dict[int, list[Listener]] = {}
    for listener, samples in zip(heard, process_many([one.resampler for one in heard], frames), strict=True):
        listener.add_resampled(samples)
        by_model.setdefault(id(listener.model), []).append(listener)
    for group in by_model.values():
        ready = group
        while ready:
            _judge_round(ready)
            ready = [listener for listener in ready if listener.windows]


def _judge_round(ready: list[Listener]) -> None:
    heard = [listener.windows.popleft() for listener in ready]
    prepared = [listener.prepared(window) for listener, window in zip(ready, heard, strict=True)]
    windows = np.stack(prepared) if len(prepared) > 1 else prepared[0].reshape(1, -1)
    verdicts: list[float] = []
    if run_supervised(partial(_judge, ready, windows, verdicts), partial(_tell_all, ready, heard)):
        for listener, window, probability in zip(ready, heard, verdicts, strict=True):
            run_supervised(partial(listener.judged, window, probability), listener.on_error)


def _judge(ready: list[Listener], windows: NDArray[np.float32], verdicts: list[float]) -> None:
    verdicts += map(float, ready[0].model.judge([listener.stream for listener in ready], windows))
    if len(verdicts) != len(ready):
        raise ValueError(f"the detector gave {len(verdicts)} probabilities for {len(ready)} windows")


def _tell_all(listeners: list[Listener], heard: list[NDArray[np.float32]], error: BaseException) -> None:
    for listener, window in zip(listeners, heard, strict=True):
        listener.skip(window)
        listener.on_error(error)


class ChunkListener:
    """One session's ear for a detector that judges pieces of audio (``PauseDetectionModel``).

    The newest ``window_samples`` of audio are judged again each time that the last judgement is back and at least
    ``STEP_S`` of audio has come since; FastRTC's thresholds decide about each piece as a whole.

    Args:
        judge: Gives the seconds of speech in ``(rate, int16 array)``; runs where ``compute`` runs it.
        compute: Runs work away from the media clock, and then what is to be done with its result back on it.
        rate_hz: Rate of the session's audio.
        window_samples: Length of a piece.
        is_speech: Whether that much speech in a piece counts, given where the turn stands.
        on_window: Gets a window of probability 1 or 0 for each piece.
    """

    STEP_S = 0.096

    def __init__(
        self,
        judge: Callable[[tuple[int, PCM]], float],
        compute: Callable[[Callable[[], float], Callable[[float], None]], None],
        rate_hz: int,
        window_samples: int,
        is_speech: Callable[[float], bool],
        on_window: OnWindow,
    ) -> None:
        self._judge = judge
        self._compute = compute
        self._rate_hz = rate_hz
        self._is_speech = is_speech
        self._on_window = on_window
        self._recent: PCM = np.zeros(0, np.int16)
        self._window_samples = window_samples
        self._received = 0
        self._judged_upto = 0
        self._waiting = False

    def hear(self, pcm: PCM) -> None:
        """Add what was received."""
        self._recent = np.concatenate([self._recent, pcm])[-self._window_samples :]
        self._received += pcm.size
        due = self._received - self._judged_upto >= self.STEP_S * self._rate_hz
        if due and not self._waiting and self._recent.size == self._window_samples:
            self._ask()

    def _ask(self) -> None:
        self._waiting = True
        piece, end = self._recent, self._received

        def take(seconds: float) -> None:
            start, self._judged_upto, self._waiting = self._judged_upto, end, False
            probability = 1.0 if self._is_speech(seconds) else 0.0
            self._on_window(SpeechWindow(max(start, end - self._window_samples), end, probability))

        self._compute(lambda: self._judge((self._rate_hz, piece)), take)

    def failed(self) -> None:
        """The judgement that was asked for will not come."""
        self._judged_upto = self._received
        self._waiting = False

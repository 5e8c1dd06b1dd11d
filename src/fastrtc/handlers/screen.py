"""Between what is heard and what counts as the user's speech: the detector's gain, and the bot's own echo."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrtc.audio import INT16_SCALE, PCM
from fastrtc.media.bands import BANDS, FRAME_S, BandMeter, Powers
from fastrtc.media.gain import DetectorGain, is_silent
from fastrtc.media.hiss import HissMeter
from fastrtc.turns.echo import Coupling, EchoGuard, Heard
from fastrtc.turns.options import AlgoOptions

Float = NDArray[np.float32]

DOUBTFUL = 0.3
SOME_VOICE = 0.15
HISS_WINDOWS = 4
LATE_FRAMES = 4
WAITING = 6
REMEMBERED_S = 1.0
MEASURE_EVERY_S = 0.5


class Judged(NamedTuple):
    """The verdict on a window.

    Attributes:
        probability: That it holds the user's speech.
        doubtful: Whether that speech may as well be an echo of the reply.
        beginning: Whether it is the beginning of a word whose voice is hardly heard yet.
    """

    probability: float
    doubtful: bool = False
    beginning: bool = False


class Screen:
    """What one session's windows pass through before and after the detector judges them.

    Args:
        options: ``echo_guard`` and ``detector_gain_db`` count.
        rate_hz: Rate of the detector's windows.
        window_samples: Their length.
        played_rate_hz: Rate of what is played; None where nobody knows what is.
    """

    def __init__(self, options: AlgoOptions, rate_hz: int, window_samples: int, played_rate_hz: int | None) -> None:
        most_db = options.detector_gain_db
        self._gain = DetectorGain(window_samples / rate_hz, most_db) if most_db > 0 else None
        self._waiting: deque[float] = deque()
        self._echo: EchoEar | None = None
        self._hiss: HissMeter | None = None
        self._since_hiss = HISS_WINDOWS + 1
        if options.echo_guard and played_rate_hz is not None:
            self._echo = EchoEar(rate_hz, window_samples, played_rate_hz)
            self._hiss = HissMeter(rate_hz, window_samples) if options.interruption == "hold" else None

    def played(self, pcm: PCM | None, at_s: float) -> None:
        """What the session plays, from ``at_s`` on.

        Args:
            pcm: The audio; None: what was given last and is still on its way will not be heard.
            at_s: Seconds of audio received so far.
        """
        if self._echo is not None:
            self._echo.played(pcm, at_s)

    def before(self, window: Float) -> Float:
        """The window as the detector is to hear it."""
        return window if self._gain is None else self._gain.amplify(window)

    def after(self, window: Float, probability: float) -> list[Judged]:
        """Judge the next window again: is the speech in it the user's?

        What seems to be an echo waits for up to ``WAITING`` windows: if the user is heard then, he began where the
        evidence did.

        Args:
            window: As it was heard.
            probability: That it holds anybody's speech.

        Returns:
            The verdict on each window that is decided now, in order.
        """
        if self._echo is None:
            return [Judged(probability)]
        waiting = self._waiting
        heard = self._echo.judge(window, probability)
        if heard is Heard.ECHO:
            waiting.append(probability)
            if len(waiting) <= WAITING:
                return []
            waiting.popleft()
            return [Judged(0.0)]
        doubtful = heard is Heard.DOUBTFUL
        this = Judged(probability, doubtful, self._begins(window, probability))
        if not waiting:
            return [this]
        echoes = len(waiting) - (self._echo.guard.rising - 1 if probability >= DOUBTFUL else 0)
        decided = [Judged(one, doubtful) if i >= echoes else Judged(0.0) for i, one in enumerate(waiting)]
        waiting.clear()
        return [*decided, this]

    def _begins(self, window: Float, probability: float) -> bool:
        """Whether there was a hiss just now, and something of a voice: so words begin like "six" and "stop".

        Looked for only over a reply that leaves no echo, in which there would be hisses as well.
        """
        if self._hiss is None or self._echo is None:
            return False
        if not self._echo.harmless:
            self._hiss.forget()
            self._since_hiss = HISS_WINDOWS + 1
            return False
        self._since_hiss = 0 if self._hiss.hears(window) else self._since_hiss + 1
        return self._since_hiss <= HISS_WINDOWS and probability >= SOME_VOICE


class EchoEar:
    """Feeds an :class:`EchoGuard` with what is played and heard; nothing is measured before somebody has to know.

    The clock of echoes is the audio that was received, in frames of 16 ms.

    Args:
        rate_hz: Rate of what is heard.
        window_samples: Length of a window of it.
        played_rate_hz: Rate of what is played.
    """

    def __init__(self, rate_hz: int, window_samples: int, played_rate_hz: int) -> None:
        self.guard = EchoGuard()
        self._near_meter = BandMeter(rate_hz)
        self._far_meter = BandMeter(played_rate_hz)
        window_s = window_samples / rate_hz
        self._heard_frames = 0.0
        self._frames_each = window_s / FRAME_S
        self._near: deque[Float] = deque(maxlen=max(1, round(REMEMBERED_S / window_s)))
        self._measure_at = round(MEASURE_EVERY_S / window_s)
        self._unmeasured = 0
        self._newest: Powers = np.zeros((0, BANDS))
        self._verdict = Heard.USER
        self._far: list[PCM] = []
        self._far_samples = 0
        self._far_start = 0
        self._far_active = False

    def played(self, pcm: PCM | None, at_s: float) -> None:
        """See :meth:`Screen.played`."""
        now = round(at_s / FRAME_S)
        if pcm is None:
            self._measure_far()
            self._far, self._far_samples = [], 0
            self.guard.drop(now)
            self._far_start = now
            return
        if now - self._far_start - self._far_samples / self._far_meter.frame_samples > LATE_FRAMES:
            self._measure_far()
            self._far, self._far_samples, self._far_start = [], 0, now
        self._far.append(pcm)
        self._far_samples += pcm.size
        self._far_active = True

    def judge(self, window: Float, probability: float) -> Heard:
        """Take the next window that was heard; whether it holds nothing but the bot's voice."""
        frame = int(self._heard_frames)
        self._heard_frames += self._frames_each
        self._near.append(window)
        self._unmeasured += 1
        if not self._far_active:
            return Heard.USER
        certain = probability < DOUBTFUL or self.guard.coupling is Coupling.ABSENT
        if certain and self._unmeasured < self._measure_at:
            self._verdict = Heard.USER
            return Heard.USER
        if self._far_start < self.guard.needs_played(int(self._heard_frames)):
            self._measure_far()
        self._measure_near()
        if not self.guard.may_hear_echo(frame):
            self._far_active = False
            self._verdict = Heard.USER
        elif probability < DOUBTFUL:
            self._verdict = Heard.USER
        elif self._verdict is Heard.DOUBTFUL or not is_silent(window):
            self._verdict = self.guard.judge(frame, self._newest)
        # No echo is as silent as this: a detector that still finds speech knows it from elsewhere, or from just before.
        return self._verdict

    @property
    def harmless(self) -> bool:
        """Whether something is being played, and no echo of it is heard."""
        return self._far_active and self.guard.coupling is Coupling.ABSENT

    def _measure_near(self) -> None:
        count = min(self._unmeasured, len(self._near))
        size = self._near_meter.frame_samples
        each = self._near[-1].size // size
        if not each:
            return
        windows = [self._near[i][: each * size] for i in range(-count, 0)]
        powers = self._near_meter.measure((windows[0] if count == 1 else np.concatenate(windows)).reshape(-1, size))
        self._newest = powers[-each:]
        self._unmeasured = 0
        self.guard.hear(round(self._heard_frames - count * self._frames_each), powers)

    def _measure_far(self) -> None:
        size = self._far_meter.frame_samples
        whole = self._far_samples // size
        if not whole:
            return
        pcm = np.concatenate(self._far) if len(self._far) > 1 else self._far[0]
        frames = pcm[: whole * size].reshape(whole, size) * np.float32(1.0 / INT16_SCALE)
        self.guard.play(self._far_start, self._far_meter.measure(frames))
        self._far, self._far_samples = [pcm[whole * size :]], pcm.size - whole * size
        self._far_start += whole

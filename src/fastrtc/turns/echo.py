"""Tells the bot's own voice, come back through the user's microphone, from the user: band powers in, a verdict out.

An echo follows what was played: later by the connection's delay, softer by the loudspeaker's and the room's coupling,
and smeared by the room. Both are learnt from the powers alone, which neither clock drift nor a codec disturbs: the
delay is where the logarithmic powers of what was played and of what was heard correlate best over the last seconds,
the coupling in each band is the median of their difference there. What is then louder than the expected echo, in
enough bands, is somebody else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Powers = NDArray[np.float64]
Decibels = NDArray[np.float32]

MIN_FRAMES = 12
SILENCE = 2e-9
"""Power in a band of noise at -65 dBFS."""
_MOST_DECADES = 200.0


@dataclass(frozen=True, slots=True)
class EchoSettings:
    """What is believed of an echo. The defaults were chosen with ``bench/false_interruptions.py``.

    Attributes:
        frame_s: Length of a frame.
        bands: Number of bands.
        longest_lag_s: Delay beyond which nothing is looked for.
        reverberation_s: Time in which the room's sound falls by 60 dB; a longer one than real hides soft speech
            after loud words of the bot, a shorter one takes the room for the user.
        ahead_frames: The echo may come this much sooner than the estimated delay, ...
        behind_frames: ... or this much later.
        memory_s: What the estimates are made of.
        learn_every_s: Between two estimates.
        first_learn_s: Played speech before the first estimate.
        doubt_s: Played speech after which, without any sign of an echo, there is taken to be none.
        quiet_s: The same where nothing but steady noise was heard meanwhile, ...
        quiet_db: ... whose levels differ by no more than this.
        usual_lag_s: Delay that an echo hardly exceeds.
        unanswered_s: Silence where the echo of loud speech would have been shows that there is none with that delay.
        pause_s: Silence that separates two sounds, or two stretches of what is played.
        ringing_s: An echo ends so long after its delay.
        worst_gain_db: The echo's level against what was played, while nothing is known.
        correlation: Of the logarithmic powers, that shows an echo.
        margin_db: A band counts from this much above the expected echo, at least.
        widest_margin_db: The same, at most, where the echo's level in the band is uncertain.
        margin_per_spread: Margin for each decibel between the echo's median level and its upper fifth.
        young_db: Added to the margin of an estimate without any experience, ...
        young_s: ... less and less, until this much has been played.
        band_most_db: What a band has above its margin counts up to here: a voice is above in many bands, an echo that
            is not as expected in few. Four times as much while nothing is known.
        usual_excess_db: Mean over the bands of what counts, in a window; what is more is evidence of a voice. It adds
            up from window to window, and what is less takes away from it.
        doubt_db: Evidence that may be a voice.
        sure_db: Evidence that is one.
        most_db: Evidence at most, so that it is forgotten in time.
    """

    frame_s: float = 0.016
    bands: int = 16
    longest_lag_s: float = 1.0
    reverberation_s: float = 0.7
    ahead_frames: int = 2
    behind_frames: int = 1
    memory_s: float = 4.0
    learn_every_s: float = 0.5
    first_learn_s: float = 0.4
    doubt_s: float = 2.5
    quiet_s: float = 0.9
    quiet_db: float = 12.0
    usual_lag_s: float = 0.6
    unanswered_s: float = 0.08
    pause_s: float = 0.3
    ringing_s: float = 0.25
    worst_gain_db: float = -6.0
    correlation: float = 0.4
    margin_db: float = 4.0
    widest_margin_db: float = 9.0
    margin_per_spread: float = 1.1
    young_db: float = 3.0
    young_s: float = 3.0
    band_most_db: float = 3.0
    usual_excess_db: float = 0.45
    doubt_db: float = 1.0
    sure_db: float = 1.75
    most_db: float = 4.0


class Coupling(Enum):
    """What is known of the echo; see the table of :class:`EchoGuard`."""

    UNKNOWN = "unknown"
    FOUND = "found"
    ABSENT = "absent"


class Heard(Enum):
    """What a window holds besides noise."""

    ECHO = "echo"
    USER = "user"
    DOUBTFUL = "doubtful"
    """One of the two: whether it ends soon after the reply has fallen silent will tell."""


class EchoGuard:
    """Follows what is played and what is heard, in frames that count from the session's start.

    ==========  ===============================================  ==========  =========================================
    coupling    input                                            next        what is heard counts as echo
    ==========  ===============================================  ==========  =========================================
    UNKNOWN     two estimates of the same delay                  FOUND       unless louder than the worst echo
    UNKNOWN     for each delay, silence where an echo of loud    ABSENT
                words would have been heard
    UNKNOWN     speech that outlives its echo, had it been one   ABSENT
    UNKNOWN     ``doubt_s`` played without them, or ``quiet_s``  ABSENT
                with nothing but steady noise heard
    FOUND       a new estimate                                   FOUND       unless louder than the learnt echo
    ABSENT      two estimates of the same delay                  FOUND       never
    ==========  ===============================================  ==========  =========================================

    The first sound over a reply that nothing is known about is doubtful: a reply that falls silent for it finds out.
    An echo that came back after a delay ends that long after the reply fell silent; the user does not care. That is
    done once; what seems to be an echo is one from then on.
    """

    def __init__(self, settings: EchoSettings | None = None) -> None:
        self.settings = settings = settings or EchoSettings()
        self.coupling = Coupling.UNKNOWN
        self.lag_frames = 0
        self.gains_db: Powers = np.full(settings.bands, settings.worst_gain_db)
        self._lags = round(settings.longest_lag_s / settings.frame_s)
        self._memory = round(settings.memory_s / settings.frame_s)
        self._decay = 10.0 ** (-6.0 * settings.frame_s / settings.reverberation_s)
        # So few rows at once that no number gets too large.
        at_once = max(1, int(_MOST_DECADES / -math.log10(self._decay)))
        self._ages: Powers = self._decay ** np.arange(min(at_once, self._lags))[:, None]
        self._far = Track(settings.bands, self._memory + 2 * self._lags)
        self._near = Track(settings.bands, self._memory)
        self._tail: Powers = np.zeros(settings.bands)
        self._floor: Powers = np.full(settings.bands, 1e-9)
        self._gains: Powers = 10.0 ** (self.gains_db / 10.0)
        self._margins: Powers = np.full(settings.bands, settings.margin_db)
        self._loudest = 0.0
        self._last_loud = -self._lags - 1
        self._played = 0
        self._learn_at = round(settings.first_learn_s / settings.frame_s)
        self._candidate: int | None = None
        self._evidence = 0.0
        self.rising = 0
        self._began = 0
        self._after_silence = True
        self._heard_first: int | None = None
        self._heard_last = 0
        self._doubted = False
        self._tried = False

    def play(self, frame: int, powers: Powers) -> None:
        """What is played.

        Args:
            frame: Number of the first frame, not before the last one given, unless that was dropped.
            powers: Shape ``(n, bands)``.
        """
        missing = frame - self._far.end
        if missing > 0:
            self._far.put(frame - min(missing, self._lags), self._played_rows(frame - min(missing, self._lags), frame))
            self._tail = self._tail * self._decay**missing
        self._far.put(frame, self._smear(powers))
        totals = np.maximum.reduce(powers, axis=1)
        self._loudest = max(self._loudest, float(np.maximum.reduce(totals)))
        loud = (totals > max(self._loudest * 1e-3, 1e-8)).nonzero()[0]
        if loud.size:
            paused = frame + int(loud[0]) - self._last_loud
            if paused > self._frames(self.settings.pause_s):
                self._began, self._heard_first = frame + int(loud[0]), None
                self._after_silence = paused > self._frames(self.settings.usual_lag_s)
            self._last_loud = frame + int(loud[-1])
            self._played += int(loud.size)

    def _smear(self, powers: Powers) -> Powers:
        """Each row, or what is left of the rows before it where that is more; ``decay`` of it is, a row later."""
        smeared = np.empty_like(powers)
        for first in range(0, len(powers), len(self._ages)):
            rows = powers[first : first + len(self._ages)]
            # Brought to the time of the first row, what is left is the largest so far.
            ages = self._ages[: len(rows)]
            grown = rows / ages
            np.maximum(grown[0], self._tail * self._decay, out=grown[0])
            np.maximum.accumulate(grown, axis=0, out=grown)
            grown *= ages
            smeared[first : first + len(rows)] = grown
            self._tail = grown[-1]
        return smeared

    def drop(self, frame: int) -> None:
        """What was to be played from ``frame`` on never was."""
        self._far.cut(frame)
        self._last_loud = min(self._last_loud, frame)

    def may_hear_echo(self, frame: int) -> bool:
        """Whether anything was played so lately that its echo may be heard now."""
        return frame - self._last_loud <= self._lags

    def needs_played(self, frame: int) -> int:
        """End of what has to have been given to :meth:`play` before what is heard up to ``frame`` is."""
        if self.coupling is not Coupling.FOUND or self._played >= self._learn_at:
            return frame
        return frame - self.lag_frames + self.settings.ahead_frames

    def hear(self, frame: int, powers: Powers) -> None:
        """What is heard, with or without speech: frames to learn from; see :meth:`play` for the arguments."""
        if frame > self._near.end:
            self._near.restart(frame)
        self._near.put(frame, powers)
        if self._played >= self._learn_at and self.may_hear_echo(frame):
            self._learn(self._near.end)

    def judge(self, frame: int, powers: Powers) -> Heard:
        """Whether what is heard holds more than echo and noise. To be asked about each speech-like window in order.

        Args:
            frame: Number of the first frame.
            powers: Shape ``(n, bands)``.
        """
        if self.coupling is Coupling.UNKNOWN and self._finds_out(frame):
            self.coupling = Coupling.ABSENT
        if self.coupling is Coupling.ABSENT or not self.may_hear_echo(frame):
            self._evidence, self.rising = 0.0, 0
            return Heard.USER
        self._weigh_evidence(self.excess_db(frame, powers))
        if self._evidence >= self.settings.sure_db:
            return Heard.USER
        if self.coupling is Coupling.FOUND or self._tried:
            return Heard.DOUBTFUL if self._evidence >= self.settings.doubt_db else Heard.ECHO
        self._doubted = True
        return Heard.DOUBTFUL

    def _weigh_evidence(self, excess_db: float) -> None:
        evidence = self._evidence + excess_db - self.settings.usual_excess_db
        self._evidence = min(max(evidence, 0.0), self.settings.most_db)
        self.rising = self.rising + 1 if self._evidence else 0

    def _finds_out(self, frame: int) -> bool:
        """While nothing is known: whether the speech at ``frame`` cannot be an echo, given when it came and ends."""
        settings = self.settings
        if self._heard_first is None:
            self._heard_first = frame
        if self._doubted and frame - self._heard_last > self._frames(settings.pause_s):
            self._tried = True
        self._heard_last = frame
        usual = self._frames(settings.usual_lag_s)
        if self._no_lag_fits():
            return True
        # What was heard first may be the end of an earlier word, unless there was none.
        lag = usual
        if self._after_silence:
            lag = min(max(self._heard_first - self._began, self._frames(settings.pause_s)), usual)
        return not self._tried and frame - self._last_loud > lag + self._frames(settings.ringing_s)

    def _no_lag_fits(self) -> bool:
        """Whether at each lag nothing was heard where an echo of loud words would have been."""
        usual, start, end = self._frames(self.settings.usual_lag_s), self._began, self._near.end
        if start < self._near.start or start >= end:
            return False
        near = self._near.get(self._near.start, end).max(axis=1)
        # The quietest frame of steady noise is some decibels below the others.
        quiet = near[start - self._near.start :] <= max(8.0 * float(near.min()), SILENCE)
        loud = self._played_rows(start - usual, end).max(axis=1) > 0.1 * self._loudest
        unanswered = np.correlate(loud.astype(np.float32), quiet.astype(np.float32), "valid")
        return float(unanswered.min()) >= self._frames(self.settings.unanswered_s)

    def _frames(self, seconds: float) -> int:
        return round(seconds / self.settings.frame_s)

    def excess_db(self, frame: int, powers: Powers) -> float:
        """How far what is heard is above the echo that is expected; shape ``(n, bands)``."""
        expected = self._expected(frame, len(powers)) + self._floor
        above = 10.0 * np.log10(powers / expected) - self._margins
        youth = 1.0 - self._played * self.settings.frame_s / self.settings.young_s
        if youth > 0.0 and self.coupling is Coupling.FOUND:
            above -= self.settings.young_db * youth
        most_db = self.settings.band_most_db * (4.0 if self.coupling is Coupling.UNKNOWN else 1.0)
        counted = np.minimum(np.maximum(above, 0.0), most_db)
        return float(np.add.reduce(counted, axis=None)) / counted.size

    def _expected(self, frame: int, count: int) -> Powers:
        if self.coupling is Coupling.UNKNOWN:
            loudest: Powers = self._played_rows(frame - self._lags, frame + count).max(axis=0, keepdims=True)
            return loudest * self._gains
        around = self.settings.behind_frames + self.settings.ahead_frames
        first = frame - self.lag_frames - self.settings.behind_frames
        rows = self._played_rows(first, first + count + around)
        most: Powers = rows[:count]
        for i in range(1, around + 1):
            most = np.maximum(most, rows[i : i + count])
        return most * self._gains

    def _played_rows(self, start: int, end: int) -> Powers:
        """What was played, smeared; after its end the room's sound decays."""
        rows = self._far.get(start, end)
        beyond = end - max(start, self._far.end)
        if beyond > 0:
            since = np.arange(beyond)[:, None] + (end - beyond - self._far.end + 1)
            rows = rows.copy()
            rows[-beyond:] = self._tail * self._decay**since
        return rows

    # ---- learning ---------------------------------------------------------------------------------------------

    def _learn(self, end: int) -> None:
        settings = self.settings
        every_s = settings.learn_every_s if self.coupling is not Coupling.UNKNOWN else settings.learn_every_s / 3
        self._learn_at = self._played + round(every_s / settings.frame_s)
        start = max(end - self._memory, self._near.start)
        near = self._near.get(start, end)
        far = self._played_rows(start - self._lags, end)
        near_db, far_db = _decibels(near), _decibels(far)
        ordered = np.sort(near_db, axis=1)
        self._floor = np.maximum(3.0 * 10.0 ** (_quantile(ordered, 0.05) / 10.0), 1e-10)
        lag = self._confirmed(self._best_lag(far_db, near_db))
        if lag is not None:
            self.lag_frames = lag
            before = slice(self._lags - lag, len(far) - lag)
            self._weigh(far[before], far_db[:, before], near_db)
            self.coupling = Coupling.FOUND
        elif self.coupling is Coupling.UNKNOWN:
            enough_s = settings.quiet_s if self._is_quiet(ordered) else settings.doubt_s
            if self._played * settings.frame_s >= enough_s:
                self.coupling = Coupling.ABSENT

    def _is_quiet(self, near: Decibels) -> bool:
        """Whether nothing but steady noise was heard (in order of level), so that an echo could be no louder."""
        spread = _quantile(near, 0.95) - _quantile(near, 0.1)
        return float(spread.mean()) < self.settings.quiet_db

    def _confirmed(self, lag: int | None) -> int | None:
        """The lag to believe in, given a new estimate: a lag unlike the known one has to be found twice."""
        before, self._candidate = self._candidate, lag
        if lag is None or (before is not None and abs(lag - before) <= 1):
            return lag
        if self.coupling is not Coupling.FOUND:
            return None
        return lag if abs(lag - self.lag_frames) <= 1 else self.lag_frames

    def _best_lag(self, far: Decibels, near: Decibels) -> int | None:
        """The lag at which ``far`` (which begins ``lags`` frames sooner) is most like ``near``, both in decibels."""
        count, heard = far.shape[1], near.shape[1]
        loudest = far.max(axis=0)
        audible = loudest > loudest.max() - 40.0
        # Whether anything audible was played in the longest lag before each frame that was heard.
        since = np.concatenate([[0], np.cumsum(audible)])
        reached = since[self._lags + 1 :] > since[: count - self._lags]
        if np.count_nonzero(reached) < self._lags // 4:
            return None
        far = np.maximum(far, far.max(axis=1, keepdims=True) - 40.0)
        far = far - far.mean(axis=1, keepdims=True)
        near = np.where(reached, near - near[:, reached].mean(axis=1, keepdims=True), np.float32(0.0))
        # As long as `far`: what would be wrapped around is not looked at.
        size = _fast_length(count)
        spectra = np.fft.rfft(far, size).conj() * np.fft.rfft(near, size)
        begins = self._lags - np.arange(self._lags + 1)
        alike = np.fft.irfft(spectra.sum(axis=0), size)[-begins]
        energy = np.concatenate([[0.0], np.cumsum((far**2).sum(axis=0))])
        energies = (energy[begins + heard] - energy[begins]) * (near**2).sum()
        alike = alike / np.sqrt(np.maximum(energies, 1e-9))
        best = int(alike.argmax())
        return best if alike[best] >= self.settings.correlation else None

    def _weigh(self, far: Powers, far_db: Decibels, near_db: Decibels) -> None:
        """Learn each band's coupling from frames that belong together."""
        settings = self.settings
        # Where the room only rings on, a drier one than expected would make the coupling look weaker than it is.
        audible = (far[1:] > far[:-1] * (1.01 * self._decay)) & (far[1:] > far.max(axis=0) * 1e-3) & (far[1:] > 1e-10)
        counts = np.count_nonzero(audible, axis=0)
        known = counts >= MIN_FRAMES
        if known.any():
            differences = near_db[known, 1:] - far_db[known, 1:]
            ordered = np.sort(np.where(audible.T[known], differences, np.float32(np.inf)), axis=1)
            typical, upper = (_quantile(ordered, share, counts[known]) for share in (0.5, 0.8))
            margins = settings.margin_per_spread * (upper - typical)
            self._margins[known] = np.clip(margins, settings.margin_db, settings.widest_margin_db)
            was_found = self.coupling is Coupling.FOUND
            self.gains_db[known] = 0.5 * (typical + self.gains_db[known]) if was_found else typical
            self._gains = 10.0 ** (self.gains_db / 10.0)


class Track:
    """The newest frames of one sound, at least ``memory`` of them; frames that were never given are silence."""

    def __init__(self, bands: int, memory: int) -> None:
        self._memory = memory
        self._rows: Powers = np.zeros((4 * memory, bands))
        self.start = 0
        self.end = 0

    def put(self, frame: int, rows: Powers) -> None:
        """Add frames from number ``frame`` on; those between the last ones and these are silence."""
        if frame < self.end:
            rows = rows[self.end - frame :]
            frame = self.end
        if frame + len(rows) - self.start > len(self._rows):
            self._make_room(frame + len(rows))
        at = frame - self.start
        self._rows[self.end - self.start : at] = 0.0
        self._rows[at : at + len(rows)] = rows
        self.end = frame + len(rows)

    def restart(self, frame: int) -> None:
        """Forget everything; the next frame is number ``frame``."""
        self.start = self.end = frame

    def cut(self, frame: int) -> None:
        """Forget the frames from ``frame`` on."""
        self.end = max(self.start, min(self.end, frame))

    def get(self, start: int, end: int) -> Powers:
        """The frames from ``start`` to ``end``, shape ``(end - start, bands)``."""
        if self.start <= start and end <= self.end:
            return self._rows[start - self.start : end - self.start]
        rows = np.zeros((end - start, self._rows.shape[1]))
        low, high = max(start, self.start), min(end, self.end)
        if low < high:
            rows[low - start : high - start] = self._rows[low - self.start : high - self.start]
        return rows

    def _make_room(self, end: int) -> None:
        kept = self.get(end - self._memory, max(end - self._memory, self.end)).copy()
        self.start = end - self._memory
        self._rows[: len(kept)] = kept
        self.end = self.start + len(kept)


def _decibels(powers: Powers) -> Decibels:
    """A row for each band."""
    decibels: Decibels = np.log(powers.T.astype(np.float32, order="C") + np.float32(1e-12))
    decibels *= np.float32(10.0 / math.log(10.0))
    return decibels


def _quantile(ordered: Decibels, share: float, counts: NDArray[np.intp] | None = None) -> Powers:
    """The quantile of each row, whose first ``counts`` numbers are in order, as ``np.quantile`` has it."""
    rows = np.arange(len(ordered))
    at = share * ((ordered.shape[1] if counts is None else counts) - 1) * np.ones(len(ordered))
    low = at.astype(np.intp)
    below = ordered[rows, low].astype(np.float64)
    above = ordered[rows, np.ceil(at).astype(np.intp)]
    quantile: Powers = below + (above - below) * (at - low)
    return quantile


def _fast_length(least: int) -> int:
    """A length from ``least`` on that a Fourier transform likes: a power of two, or three halves of one."""
    power = 1 << (least - 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= least else power

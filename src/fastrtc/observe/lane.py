"""One channel of a recording: pieces of audio with the time at which they came, made one gapless line."""

from __future__ import annotations

import numpy as np

from fastrtc.audio import PCM
from fastrtc.media.resample import OutputResampler

SLACK_S = 0.06


class Lane:
    """Puts audio where it belongs in time.

    Audio that follows on what came before is joined to it without a seam, however irregularly it arrives; where more
    than ``SLACK_S`` are missing, the line is silent so that what comes is at its time again.

    Args:
        from_hz: Rate of the audio.
        to_hz: Rate of the line.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._from_hz = from_hz
        self._resampler = OutputResampler(from_hz, to_hz) if from_hz != to_hz else None
        self._pending: list[PCM] = []
        self._pending_samples = 0
        self._start = 0  # of what is pending, in samples from the beginning
        self._settled: list[PCM] = []
        self._settled_samples = 0

    @property
    def end_s(self) -> float:
        """How far the line reaches."""
        return (self._start + self._pending_samples) / self._from_hz

    @property
    def settled_samples(self) -> int:
        """Samples at the line's rate that :meth:`take` can give."""
        return self._settled_samples

    def put(self, at_s: float, pcm: PCM) -> None:
        """Append audio that came, or began to be played, at ``at_s``."""
        self._silence_until(at_s - SLACK_S, at_s)
        self._pending.append(pcm)
        self._pending_samples += pcm.size

    def cut(self, at_s: float) -> None:
        """Drop what would be played after ``at_s``."""
        over = self._start + self._pending_samples - max(self._start, round(at_s * self._from_hz))
        while over > 0 and self._pending:
            last = self._pending.pop()
            kept = last[: max(0, last.size - over)]
            self._pending_samples -= last.size - kept.size
            over -= last.size - kept.size
            if kept.size:
                self._pending.append(kept)

    def settle(self, until_s: float, *, last: bool = False) -> None:
        """What is before ``until_s`` does not change any more; with ``last`` everything."""
        self._silence_until(until_s, until_s)
        count = self._pending_samples if last else round(until_s * self._from_hz) - self._start
        if count <= 0 and not last:
            return
        line = np.concatenate(self._pending) if self._pending else np.zeros(0, np.int16)
        head, rest = line[:count], line[count:]
        self._start += head.size
        self._pending, self._pending_samples = ([rest] if rest.size else []), rest.size
        out = head if self._resampler is None else self._resampler.process(head, last=last)
        if out.size:
            self._settled.append(out)
            self._settled_samples += out.size

    def take(self, count: int) -> PCM:
        """The next settled samples; as many as there are, silence for the rest."""
        line = np.concatenate(self._settled) if self._settled else np.zeros(0, np.int16)
        head, rest = line[:count], line[count:]
        self._settled, self._settled_samples = ([rest] if rest.size else []), rest.size
        return head

    def _silence_until(self, if_before_s: float, until_s: float) -> None:
        end = self._start + self._pending_samples
        if end < round(if_before_s * self._from_hz):
            missing = round(until_s * self._from_hz) - end
            self._pending.append(np.zeros(missing, np.int16))
            self._pending_samples += missing

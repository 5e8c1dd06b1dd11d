"""How late a server hands audio to its connections, as a histogram that never grows."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from fastrtc.observe import SessionObserver
from fastrtc.observe.recorder import RecordingLink

LONGEST_MS = 1000
MEMORY_TICKS = 50


class LateAudio(SessionObserver):
    """``counts[ms]``: ticks of audio of all sessions that were so many ms later than their rhythm of 20 ms.

    The rhythm is that of the soonest tick of the last second, so that a tick that was left out does not count for ever.
    """

    def __init__(self) -> None:
        self.counts = [0] * (LONGEST_MS + 1)

    def wrap_link(self, link: Any, context: Any) -> Any:
        return _TimedLink(link, self.counts)


class _TimedLink(RecordingLink):
    def __init__(self, inner: Any, counts: list[int]) -> None:
        super().__init__(inner, None)  # type: ignore[arg-type]
        self._counts = counts
        self._due_s = 0.0
        self._ahead_s: deque[float] = deque(maxlen=MEMORY_TICKS)

    def read(self) -> Any:
        return self.inner.read()

    def write(self, pcm: Any) -> None:
        if pcm is None:
            self._ahead_s.clear()
            self._due_s = 0.0
        else:
            now_s = time.monotonic()
            self._due_s += 0.02
            self._ahead_s.append(now_s - self._due_s)
            late_ms = 1000 * (self._ahead_s[-1] - min(self._ahead_s))
            self._counts[min(LONGEST_MS, int(late_ms))] += 1
        self.inner.write(pcm)

    def flush(self) -> bool:
        return self.inner.flush()

"""Python's garbage collector, which stops every thread while it goes through the objects of the process."""

from __future__ import annotations

import gc
import time
from threading import Lock

OLDEST = 2
"""The generation whose collection goes through everything; the younger ones are small."""

SHARE = 0.02
"""Of the time, that collections between sessions may take."""


class Collector:
    """What is there when sessions begin is left out of collections until they are over, and pauses are noted.

    A process that has imported a web framework, some clients and a model holds half a million objects that stay. A full
    collection goes through all of them and lasts 0.1 to 0.4 s, in which nobody hears anything. ``gc.freeze`` takes them
    out of it until ``gc.unfreeze``. What earlier sessions have left is among them, so that one collection is made up
    for when the last session is over. Where the app has frozen objects itself, or turned the collector off, that stands
    as it is.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._sparing = 0
        self._frozen = 0
        self._began_s = 0.0
        self._longest_s = 0.0
        self._rested_at_s = 0.0

    def spare(self) -> None:
        """Sessions begin; any thread. Calls are counted: each asks for one of :meth:`resume`."""
        with self._lock:
            self._sparing += 1
            if self._sparing > 1:
                return
            gc.callbacks.append(self._note)
            if gc.isenabled() and gc.get_freeze_count() == 0:
                gc.freeze()
                self._frozen = gc.get_freeze_count()

    def resume(self) -> None:
        """Sessions are over; any thread. Objects' finalizers may run in this call."""
        with self._lock:
            self._sparing -= 1
            if self._sparing > 0:
                return
            gc.callbacks.remove(self._note)
            frozen, self._frozen = self._frozen, 0
            # More than were frozen here: the app has frozen what it loaded meanwhile.
            if not frozen or gc.get_freeze_count() > frozen:
                return
            gc.unfreeze()
        self._make_up_for_it()

    def _make_up_for_it(self) -> None:
        began_s = time.perf_counter()
        if began_s >= self._rested_at_s:
            gc.collect()
            ended_s = time.perf_counter()
            self._rested_at_s = ended_s + (ended_s - began_s) / SHARE

    def take_longest_s(self) -> float:
        """The longest full collection since this was asked last, in seconds."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] != OLDEST:
            return
        now_s = time.perf_counter()
        if phase == "start":
            self._began_s = now_s
        else:
            self._longest_s = max(self._longest_s, now_s - self._began_s)


the_collector = Collector()

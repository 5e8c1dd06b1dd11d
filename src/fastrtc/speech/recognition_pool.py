"""The threads that recognise speech for all sessions of a process, and the bounded queue in front of them."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache

Job = Callable[[], object]

MOST_THREADS = 4
IDLE_S = 30.0  # after which a thread that had nothing to do ends
CLOSE_S = 5.0  # that the process waits for what is being recognised when it ends
NICENESS = 5  # Recognition waits for the media clock and the app, never the other way round.
TELL_EVERY_S = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PoolStats:
    """What became of the pieces of speech that were to be recognised.

    Attributes:
        waiting: How many wait now; at most one for each session.
        running: How many are being recognised now.
        done: How many have been recognised.
        dropped: How many gave way to a newer one of the same session while they waited.
        busy_s: Seconds that the threads have worked, together.
    """

    waiting: int
    running: int
    done: int
    dropped: int
    busy_s: float


class RecognitionPool:
    """Runs jobs on a few threads: one at a time for each key, and keys take turns.

    At most one job of a key waits. A newer one takes its place (a newer piece of speech holds the end of the older
    one), which is counted. The queue therefore never holds more jobs than there are sessions, and when the machine is
    too slow for all of them, all of them are asked less often.

    Jobs must not raise: whoever submits them wraps foreign code in a supervisor.

    Args:
        threads: How many run at once.
    """

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._waiting: OrderedDict[Hashable, Job] = OrderedDict()
        self._running: set[Hashable] = set()
        self._threads = 0
        self._idle = 0
        self._changed = threading.Condition()
        self._done = 0
        self._dropped = 0
        self._busy_s = 0.0
        self._told_s = -TELL_EVERY_S
        self._told_dropped = 0
        self._closed = False

    def submit(self, key: Hashable, job: Job) -> None:
        """Run ``job`` when it is this key's turn, in place of the one of it that waits; any thread, returns at once."""
        with self._changed:
            if self._closed:
                return
            if key in self._waiting:
                self._dropped += 1
            self._waiting[key] = job  # In place of the older one, where that stood in the queue.
            if self._idle:
                self._changed.notify()
            elif self._threads < self._most:
                self._threads += 1
                name = f"fastrtc-recognition-{self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        self._tell()

    def forget(self, key: Hashable) -> None:
        """Drop what waits for this key, uncounted: nobody wants to know any more."""
        with self._changed:
            self._waiting.pop(key, None)

    def close(self) -> None:
        """Take no more jobs, drop those that wait, and wait for those that run.

        A process that ends while a native library computes for one of its threads is aborted.
        """
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._running, CLOSE_S)

    @property
    def stats(self) -> PoolStats:
        """Counters since the process began."""
        with self._changed:
            return PoolStats(len(self._waiting), len(self._running), self._done, self._dropped, self._busy_s)

    def _work(self) -> None:
        with contextlib.suppress(AttributeError, OSError):  # Linux gives each thread its own; others have none.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while (taken := self._take()) is not None:
            key, job = taken
            began_s = time.perf_counter()
            job()
            del job, taken
            with self._changed:
                self._running.discard(key)
                self._done += 1
                self._busy_s += time.perf_counter() - began_s
                if self._closed:
                    self._changed.notify_all()
                elif self._idle and self._waiting:
                    self._changed.notify()

    def _take(self) -> tuple[Hashable, Job] | None:
        """The next job, None if there was none for a while."""
        until_s = time.monotonic() + IDLE_S
        with self._changed:
            while not self._closed:
                for key in self._waiting:
                    if key not in self._running:
                        self._running.add(key)
                        return key, self._waiting.pop(key)
                self._idle += 1
                in_time = self._changed.wait(until_s - time.monotonic())
                self._idle -= 1
                if not in_time and not self._waiting:
                    break
            self._threads -= 1
            return None

    def _tell(self) -> None:
        now_s = time.monotonic()
        dropped = self._dropped
        if dropped > self._told_dropped and now_s - self._told_s >= TELL_EVERY_S:
            _log.warning(
                "recognition cannot keep up: %d pieces of speech were dropped for newer ones",
                dropped - self._told_dropped,
            )
            self._told_s, self._told_dropped = now_s, dropped


@lru_cache(maxsize=1)
def recognition_pool() -> RecognitionPool:
    """The process's pool: a thread for each core, at most four."""
    pool = RecognitionPool(max(1, min(MOST_THREADS, os.cpu_count() or 1)))
    atexit.register(pool.close)
    return pool

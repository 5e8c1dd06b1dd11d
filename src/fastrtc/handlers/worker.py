"""A thread of a session's own for code that may block."""

from __future__ import annotations

import contextlib
import ctypes
import queue
import threading
from collections.abc import Callable
from contextvars import Context as VarContext

Job = Callable[[], object]


class _Abandoned(BaseException):
    """Raised inside a thread that nobody waits for any more, so that its endless loop ends."""


class Worker:
    """Runs jobs one after another on a daemon thread, which starts with the first job.

    Jobs must not raise: whoever submits them wraps user code in a supervisor.

    Args:
        name: Of the thread, for stack dumps.
        variables: Context variables that the jobs see; the worker takes a copy.
    """

    def __init__(self, name: str, variables: VarContext) -> None:
        self._name = name
        self._variables = variables.copy()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._unfinished = 0
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether a job is running or waiting."""
        return self._unfinished > 0

    def submit(self, job: Job) -> None:
        """Run ``job`` after those submitted before."""
        with self._lock:
            self._unfinished += 1
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._variables.run, args=(self._run,), name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread after the jobs that were submitted."""
        self._jobs.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; False if it is still busy then."""
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def interrupt(self) -> None:
        """Raise inside a thread that will not end by itself, at its next Python instruction.

        A thread inside a C call (a lock, a socket) notices when that call returns.
        """
        if self._thread is not None and self._thread.ident is not None and self._thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), ctypes.py_object(_Abandoned))

    def _run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                job()
                del job
                with self._lock:
                    self._unfinished -= 1
        except _Abandoned:
            self._unfinished = 0


def wake_waiting(handler: object) -> None:
    """Put None into the queues that an object holds, for code that waits for them and would wait for ever."""
    for value in list(vars(handler).values()):
        if isinstance(value, queue.Queue | queue.SimpleQueue):
            with contextlib.suppress(queue.Full):
                value.put(None, block=False)

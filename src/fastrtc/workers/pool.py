"""The workers of one server: started, restarted when one dies, and ended together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from typing import Any

from fastrtc.workers.placement import Placement
from fastrtc.workers.process import WorkerProcess

logger = logging.getLogger(__name__)

SHORT_LIFE_S = 10.0
MAX_PAUSE_S = 30.0
KILL_AFTER_S = 15.0


class WorkerPool:
    """Keeps ``count`` workers running. App loop.

    Args:
        count: How many.
        settings: For each process; see :class:`fastrtc.serving.ServeSettings`.
        placement: Told which worker has which session.
        drain_s: How long their sessions may go on after :meth:`drain`.
    """

    def __init__(self, count: int, settings: dict[str, Any], placement: Placement, drain_s: float) -> None:
        self._settings = settings
        self._placement = placement
        self._drain_s = drain_s
        self._workers: dict[int, WorkerProcess] = {}
        self._keeping = [
            asyncio.create_task(self._keep(number), name=f"fastrtc-keep-{number}") for number in range(count)
        ]
        self._started = False
        self._stop = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether the workers are to end."""
        return self._stop.is_set()

    @property
    def alive(self) -> list[WorkerProcess]:
        """Those that take connections."""
        return [worker for worker in self._workers.values() if worker.alive]

    def worker(self, number: int) -> WorkerProcess | None:
        """One of them."""
        return self._workers.get(number)

    async def started(self) -> bool:
        """Wait until all are up; False if one cannot start, and then all have been stopped."""
        while len(self.alive) < len(self._keeping):
            if any(task.done() for task in self._keeping):
                await self.stop(signal.SIGTERM, 0.0)
                return False
            await asyncio.sleep(0.02)
        self._started = True
        return True

    async def stop(self, number: signal.Signals, patience_s: float) -> None:
        """End all workers; those that are still there ``KILL_AFTER_S`` after ``patience_s`` are killed."""
        self._stop.set()
        for worker in list(self._workers.values()):
            worker.stop(number)
        _, late = await asyncio.wait(self._keeping, timeout=patience_s + KILL_AFTER_S)
        if late:
            for worker in list(self._workers.values()):
                logger.warning("worker %d (pid %d) does not end and is killed", worker.number, worker.pid)
                worker.stop(signal.SIGKILL)
            await asyncio.wait(late)

    async def drain(self) -> None:
        """Have all workers refuse new sessions and end with their last one."""
        await self.stop(signal.SIGTERM, self._drain_s)

    async def _keep(self, number: int) -> None:
        pause_s = 0.0
        while not self.stopping:
            worker = WorkerProcess(number, self._settings, self._on_report)
            self._workers[number] = worker
            began_s = time.monotonic()
            try:
                end = _in_words(await worker.run())
            except OSError as error:  # no process, memory or file descriptor to be had
                logger.error("worker %d cannot be started: %s", number, error)  # noqa: TRY400 - a traceback says no more
                end = "nothing begun"
            del self._workers[number]
            lost = self._placement.forget(number)
            if not self._goes_on():
                return
            pause_s = 0.0 if time.monotonic() - began_s > SHORT_LIFE_S else min(MAX_PAUSE_S, 2 * pause_s or 0.5)
            logger.error(
                "worker %d (pid %d) ended with %s; %d sessions are lost; another starts in %g s",
                number, worker.pid, end, lost, pause_s,
            )  # fmt: skip
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause_s)

    def _goes_on(self) -> bool:
        """Whether a worker that has ended is replaced: not while stopping, nor one that could not even start."""
        return self._started and not self.stopping

    def _on_report(self, worker: WorkerProcess, report: dict[str, Any]) -> None:
        now_s = time.monotonic()
        if "opened" in report:
            if not self._placement.opened(worker.number, report["opened"], now_s):
                worker.end_session(report["opened"], "connection_already_exists")
        elif "closed" in report:
            self._placement.closed(worker.number, report["closed"], now_s)


def _in_words(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"

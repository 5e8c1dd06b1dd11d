"""``fastrtc serve --workers N``: the front and its workers, from start to end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from typing import Any

from fastrtc.workers.front import Front
from fastrtc.workers.placement import Placement
from fastrtc.workers.pool import WorkerPool

logger = logging.getLogger(__name__)


def run_workers(
    listener: socket.socket,
    count: int,
    settings: dict[str, Any],
    *,
    drain_s: float,
    metrics_path: str | None,
    on_started: Callable[[], None],
) -> int:
    """Serve until SIGINT, or SIGTERM and the end of the last session.

    Args:
        listener: A listening socket.
        count: Number of workers.
        settings: For each worker.
        drain_s: How long sessions may go on after SIGTERM.
        metrics_path: Where all workers' metrics are answered as one.
        on_started: Called when all workers are up.

    Returns:
        The exit status: 0, or 2 if the workers cannot start (they have said why).
    """
    return asyncio.run(_serve(listener, count, settings, drain_s, metrics_path, on_started))


async def _serve(
    listener: socket.socket,
    count: int,
    settings: dict[str, Any],
    drain_s: float,
    metrics_path: str | None,
    on_started: Callable[[], None],
) -> int:
    listener.setblocking(False)
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signals.put_nowait, number)
    placement = Placement()
    pool = WorkerPool(count, settings, placement, drain_s)
    asked = asyncio.create_task(signals.get(), name="fastrtc-signals")
    starting = asyncio.create_task(pool.started(), name="fastrtc-start")
    await asyncio.wait([asked, starting], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await pool.stop(signal.SIGINT, 0.0)
        return 0
    if not starting.result():
        asked.cancel()
        return 2
    front = asyncio.create_task(Front(listener, pool, placement, metrics_path).serve(), name="fastrtc-front")
    on_started()
    ending = asyncio.create_task(_end(pool, await asked, signals), name="fastrtc-end")
    await asyncio.wait([ending])
    front.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await front
    return 0


async def _end(pool: WorkerPool, first: signal.Signals, signals: asyncio.Queue[signal.Signals]) -> None:
    if first is signal.SIGTERM:
        logger.info("SIGTERM: no new sessions; waiting for those that run")
        draining = asyncio.create_task(pool.drain(), name="fastrtc-drain")
        again = asyncio.create_task(signals.get(), name="fastrtc-signals")
        await asyncio.wait([draining, again], return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        if draining.done():
            return
    await pool.stop(signal.SIGINT, 0.0)

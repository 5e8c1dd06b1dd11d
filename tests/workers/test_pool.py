"""Workers are kept, and end when they are to, in the moments that are rare, too."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from fastrtc.workers import pool as pool_module
from fastrtc.workers import process as process_module
from fastrtc.workers.placement import Placement
from fastrtc.workers.pool import WorkerPool
from fastrtc.workers.process import WorkerProcess

make_process = asyncio.create_subprocess_exec


def test_a_process_that_cannot_be_had_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0
    enough = asyncio.Event()

    async def no_process(*_arguments: Any, **_options: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries > 1:
            enough.set()
        raise BlockingIOError(11, "Resource temporarily unavailable")

    async def scenario() -> None:
        monkeypatch.setattr(process_module.asyncio, "create_subprocess_exec", no_process)
        pool = WorkerPool(1, {}, Placement(), 0.0)
        pool._started = True
        await asyncio.wait_for(enough.wait(), 10)
        await pool.stop(signal.SIGTERM, 0.0)

    asyncio.run(scenario())
    assert "worker 0 cannot be started: [Errno 11]" in caplog.text


def test_a_pause_between_two_lives_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class ShortLived(WorkerProcess):
        async def run(self) -> int:
            died.set()
            return 1

    died = asyncio.Event()

    async def scenario() -> None:
        monkeypatch.setattr(pool_module, "WorkerProcess", ShortLived)
        monkeypatch.setattr(pool_module, "min", lambda *_: 3_600.0, raising=False)  # the pause
        pool = WorkerPool(1, {}, Placement(), 0.0)
        pool._started = True
        await asyncio.wait_for(died.wait(), 10)
        await asyncio.wait_for(pool.stop(signal.SIGINT, 0.0), 10)

    asyncio.run(scenario())


def shell(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Workers are processes that run this Python instead."""

    async def make(*_arguments: Any, **options: Any) -> Any:
        return await make_process(sys.executable, "-c", script, **options)

    monkeypatch.setattr(process_module.asyncio, "create_subprocess_exec", make)


def test_a_worker_that_is_stopped_while_it_is_made_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    shell(monkeypatch, "import time; time.sleep(60)")

    async def scenario() -> int:
        worker = WorkerProcess(0, {}, lambda *_: None)
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(0)
        assert worker.pid == 0
        worker.stop(signal.SIGTERM)
        return await asyncio.wait_for(running, 20)

    assert asyncio.run(scenario()) == -signal.SIGTERM


def test_a_worker_whose_children_live_on_is_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flag = tmp_path / "live"
    flag.touch()
    script = f"import os, time\nif os.fork() == 0:\n    while os.path.exists({str(flag)!r}): time.sleep(0.05)"
    shell(monkeypatch, script)

    async def scenario() -> int:
        try:
            return await asyncio.wait_for(WorkerProcess(0, {}, lambda *_: None).run(), 10)
        finally:
            flag.unlink()

    assert asyncio.run(scenario()) == 0

"""Encoder threads have the priority of the process, also where libwebrtc may make them real-time ones."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from fastrtc.transports.webrtc.engine import PeerOptions, PeerState, load_engine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc and scheduling policies are Linux's")


class Watcher:
    def __init__(self) -> None:
        self.connected = asyncio.Event()

    def on_state(self, state: PeerState) -> None:
        if state is PeerState.CONNECTED:
            self.connected.set()

    def on_channel_open(self) -> None:
        pass

    def on_message(self, text: str) -> None:
        pass

    def on_candidate(self, candidate: object) -> None:
        pass


def encoder_policies() -> list[int]:
    tasks = Path("/proc/self/task")
    return [
        os.sched_getscheduler(int(task.name))
        for task in tasks.iterdir()
        if (task / "comm").read_text().startswith("AudioEncoder")
    ]


async def policies_of_a_call() -> list[int]:
    engine = load_engine("wrtc")
    watcher = Watcher()
    caller = await engine.offer(PeerOptions(), watcher)
    listener = await engine.answer(caller.offer_sdp, PeerOptions(), Watcher())
    try:
        await caller.set_answer(listener.answer_sdp)
        await asyncio.wait_for(watcher.connected.wait(), 20)
        return encoder_policies()
    finally:
        await caller.close()
        await listener.close()


def test_encoders_of_a_connection_do_not_push_the_clock_aside() -> None:
    pytest.importorskip("wrtc")
    policies = asyncio.run(policies_of_a_call())
    assert len(policies) >= 2
    assert set(policies) == {os.sched_getscheduler(0)}


def test_a_thread_that_is_no_encoder_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from fastrtc.transports.webrtc import priorities

    for number, name in ((11, "AudioEncoderQue"), (12, "rtc-low-prio"), (13, "AudioEncoderQue"), (14, "gone")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comm").write_text(name)
    policies = {11: os.SCHED_FIFO, 12: os.SCHED_FIFO, 13: os.SCHED_OTHER, os.getpid(): os.SCHED_OTHER}

    def policy(pid: int) -> int:
        if pid not in policies:
            raise ProcessLookupError(pid)
        return policies[pid]

    changed: list[tuple[int, int]] = []
    monkeypatch.setattr(priorities, "_TASKS", tmp_path)
    monkeypatch.setattr(os, "sched_getscheduler", policy)
    monkeypatch.setattr(os, "sched_setscheduler", lambda pid, to, _parameters: changed.append((pid, to)))
    assert priorities.calm_encoders() == 1
    assert changed == [(11, os.SCHED_OTHER)]

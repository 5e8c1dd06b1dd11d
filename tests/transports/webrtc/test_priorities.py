"""Encoder threads have the priority of the process, also where libwebrtc may make them real-time ones."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.transports.webrtc.caller import connect

from fastrtc.transports.webrtc import priorities
from fastrtc.transports.webrtc.engine import PeerState, load_engine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc and scheduling policies are Linux's")


def encoder_policies() -> list[int]:
    tasks = Path("/proc/self/task")
    return [
        os.sched_getscheduler(int(task.name))
        for task in tasks.iterdir()
        if (task / "comm").read_text().startswith("AudioEncoder")
    ]


async def policies_of_a_call() -> list[int]:
    engine = load_engine("wrtc")
    caller, listener = await connect(engine, engine)
    try:
        await caller.until(lambda: PeerState.CONNECTED in caller.states)
        return encoder_policies()
    finally:
        await caller.close()
        await listener.close()


def test_encoders_of_a_connection_do_not_push_the_clock_aside() -> None:
    pytest.importorskip("wrtc")
    policies = asyncio.run(policies_of_a_call())
    assert len(policies) >= 2
    assert set(policies) == {os.sched_getscheduler(0)}


class Tasks:
    """Threads, by number, of which some have a scheduling policy; what is made of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, names: dict[int, str], policies: dict[int, int]):
        for number, name in names.items():
            (folder / str(number)).mkdir()
            (folder / str(number) / "comm").write_text(name)
        self.asked: list[int] = []
        self.changed: list[tuple[int, int]] = []
        self.policies = policies
        monkeypatch.setattr(priorities, "_TASKS", folder)
        monkeypatch.setattr(priorities, "_may_be_real_time", lambda: True)
        monkeypatch.setattr(os, "sched_getscheduler", self.policy)
        monkeypatch.setattr(os, "sched_setscheduler", lambda pid, to, _parameters: self.changed.append((pid, to)))

    def policy(self, pid: int) -> int:
        self.asked.append(pid)
        if pid not in self.policies:
            raise ProcessLookupError(pid)
        return self.policies[pid]


NAMES = {11: "AudioEncoderQue", 12: "rtc-low-prio", 13: "AudioEncoderQue", 14: "gone"}
POLICIES = {11: 1, 12: 1, 13: 0}  # SCHED_FIFO, SCHED_OTHER


def test_a_thread_that_is_no_encoder_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tasks = Tasks(monkeypatch, tmp_path, NAMES, {**POLICIES, os.getpid(): os.SCHED_OTHER})
    assert priorities.calm_encoders() == 1
    assert tasks.changed == [(11, os.SCHED_OTHER)]


def test_nobody_is_looked_at_where_encoders_may_not_be_real_time_threads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tasks = Tasks(monkeypatch, tmp_path, NAMES, {**POLICIES, os.getpid(): os.SCHED_OTHER})
    monkeypatch.setattr(priorities, "_may_be_real_time", lambda: False)
    assert priorities.calm_encoders() == 0
    assert tasks.asked == [os.getpid()]


def test_nobody_is_looked_at_in_a_real_time_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tasks = Tasks(monkeypatch, tmp_path, NAMES, {**POLICIES, os.getpid(): os.SCHED_FIFO})
    assert priorities.calm_encoders() == 0
    assert tasks.asked == [os.getpid()]


@pytest.mark.parametrize(
    ("limit", "status", "may"),
    [
        (0, "Name:\tpython\nCapEff:\t0000000000000000\n", False),
        (0, "CapEff:\t00000000a80425fb\n", False),  # what a container has
        (0, "CapEff:\t000001ffffffffff\n", True),
        (0, "CapEff:\t0000000000800000\n", True),
        (50, "CapEff:\t0000000000000000\n", True),
        (-1, "CapEff:\t0000000000000000\n", True),
        (0, "", True),
        (0, "CapEff:\tnone\n", True),
        (0, None, True),
    ],
)
def test_who_may_make_real_time_threads(
    limit: int, status: str | None, may: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if status is not None:
        (tmp_path / "status").write_text(status)
    monkeypatch.setattr(priorities, "_STATUS", tmp_path / "status")
    monkeypatch.setattr("resource.getrlimit", lambda _which: (limit, limit))
    assert priorities._may_be_real_time.__wrapped__() is may

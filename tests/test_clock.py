"""The media clock: one thread for all, ticks in time, lost ticks counted, errors that stay with their member."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrtc.clock
from fastrtc.clock import CATCH_UP_S, IDLE_TICKS, SWITCH_S, TICK_S, MediaClock, Ticker

TIMEOUT_S = 20.0


class Member:
    """Counts its ticks; leaves after some."""

    listener = None
    idle = False

    def __init__(
        self, clock: MediaClock | None = None, ticks: int = 0, on_pull: Callable[[], None] | None = None
    ) -> None:
        self.calls: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.done = threading.Event()
        self._clock = clock
        self._ticks = ticks
        self._on_pull = on_pull

    def pull(self) -> None:
        self.calls.append("pull")
        self.threads.add(threading.current_thread())
        if self._on_pull is not None:
            self._on_pull()

    def push(self) -> None:
        self.calls.append("push")
        if self._clock is not None and self.calls.count("push") == self._ticks:
            self._clock.leave(self)
            self.done.set()


ENDS_IN_A_TICK = """
import threading, time
from fastrtc.clock import MediaClock

class Member:
    listener, idle = None, False
    begun = threading.Event()

    def pull(self):
        self.begun.set()
        time.sleep(0.2)
        print("a whole tick", flush=True)

    def push(self):
        pass

MediaClock().join(Member())
Member.begun.wait()
"""


def test_the_end_of_the_process_lets_a_tick_finish() -> None:
    command = [sys.executable, "-c", ENDS_IN_A_TICK]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "a whole tick\n", "")


SPARED = """
import gc, threading

from fastrtc.clock import MediaClock

class Member:
    listener, idle = None, False
    driven = threading.Event()

    def pull(self):
        self.driven.set()

    def push(self):
        pass

clock, member = MediaClock(), Member()
clock.join(member)
member.driven.wait()
while_it_runs = gc.get_freeze_count()
thread = clock._thread
clock.leave(member)
thread.join()
print(while_it_runs > 10_000, gc.get_freeze_count())
"""


def test_while_it_runs_collections_leave_out_what_was_there() -> None:
    ended = subprocess.run([sys.executable, "-c", SPARED], check=False, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True 0\n", "")


class FakeTime:
    """Stands in for the module ``time``; work takes what :meth:`spend` says.

    Threads that were there before, such as the process's own clock when another test has left it a session, keep the
    real time.
    """

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self._strangers = {*threading.enumerate()} - {threading.current_thread()}

    def monotonic(self) -> float:
        return time.monotonic() if threading.current_thread() in self._strangers else self.now

    def sleep(self, seconds: float) -> None:
        if threading.current_thread() in self._strangers:
            time.sleep(seconds)
            return
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds

    def spend(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(fastrtc.clock, "time", fake)
    return fake


def drive(clock: MediaClock, *members: Member) -> None:
    for member in members:
        clock.join(member)
    for member in members:
        assert member.done.wait(TIMEOUT_S)


def settle(clock: MediaClock) -> None:
    thread = clock._thread
    if thread is not None:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


def test_a_tick_pulls_from_all_then_pushes_to_all() -> None:
    order: list[str] = []

    class Named(Member):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def pull(self) -> None:
            order.append("pull " + self.name)

        def push(self) -> None:
            order.append("push " + self.name)

    ticker = Ticker()
    ticker.add(Named("a"))
    ticker.add(Named("b"))
    ticker.tick()
    assert order == ["pull a", "pull b", "push a", "push b"]


def test_an_idle_member_is_driven_now_and_then_and_gets_all_its_ticks() -> None:
    ticker = Ticker()
    idle, active = Member(), Member()
    idle.idle = True
    ticker.add(idle)
    ticker.add(active)
    for _ in range(3 * IDLE_TICKS - 1):
        ticker.tick()
    assert idle.calls == ["pull", *["push"] * IDLE_TICKS] * 2
    assert active.calls == ["pull", "push"] * (3 * IDLE_TICKS - 1)


def test_a_member_that_is_needed_is_driven_at_once_with_what_it_is_owed() -> None:
    ticker = Ticker()
    member = Member()
    member.idle = True
    ticker.add(member)
    ticker.tick()
    assert member.calls == []
    member.idle = False
    ticker.tick()
    assert member.calls == ["pull", "push", "push"]


@given(idle=st.lists(st.lists(st.booleans(), min_size=1, max_size=40), min_size=1, max_size=4))
def test_no_tick_is_lost_or_given_twice(idle: list[list[bool]]) -> None:
    ticker = Ticker()
    members = [Member() for _ in idle]
    for member in members:
        ticker.add(member)
    passed = 0
    for now in zip(*idle, strict=False):
        for member, is_idle in zip(members, now, strict=True):
            member.idle = is_idle
        ticks = ticker.restful_ticks
        assert ticks == 1 or all(now)
        ticker.tick(ticks)
        passed += ticks
        for member in members:
            owed = passed - member.calls.count("push")
            assert 0 <= owed < IDLE_TICKS
            assert owed == 0 or member.idle


def test_one_thread_for_all_that_ends_with_the_last() -> None:
    clock = MediaClock()
    first, second = Member(clock, 3), Member(clock, 6)
    drive(clock, first, second)
    assert first.threads == second.threads
    assert len(first.threads) == 1
    settle(clock)
    assert clock.members == ()
    assert clock._thread is None


def test_a_thread_that_computes_cannot_hold_the_interpreter_for_long() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    try:
        clock = MediaClock()
        member = Member(clock, ticks=1)
        clock.join(member)
        assert member.done.wait(TIMEOUT_S)
        assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
    finally:
        sys.setswitchinterval(before)


def test_it_starts_again() -> None:
    clock = MediaClock()
    for _ in range(5):
        member = Member(clock, 2)
        drive(clock, member)
        assert member.calls[:4] == ["pull", "push", "pull", "push"]
    settle(clock)


def test_joining_and_leaving_from_many_threads() -> None:
    clock = MediaClock()
    members = [Member(clock, 2) for _ in range(30)]
    threads = [threading.Thread(target=clock.join, args=(member,)) for member in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    for member in members:
        assert member.done.wait(TIMEOUT_S)
    settle(clock)
    assert len({thread for member in members for thread in member.threads}) <= len(members)


def test_ticks_are_20_ms_apart_however_long_they_take(fake_time: FakeTime) -> None:
    clock = MediaClock()
    began = fake_time.now
    member = Member(clock, 50, on_pull=lambda: fake_time.spend(0.007))
    drive(clock, member)
    settle(clock)
    assert all(slept == pytest.approx(0.013) for slept in fake_time.slept[:49])
    assert fake_time.now - began == pytest.approx(50 * TICK_S, abs=TICK_S)
    assert clock.skipped_ticks == 0


def test_a_late_tick_is_made_up_for(fake_time: FakeTime) -> None:
    clock = MediaClock()
    began = fake_time.now
    delays = iter([0.15] + [0.0] * 100)
    member = Member(clock, 20, on_pull=lambda: fake_time.spend(next(delays)))
    drive(clock, member)
    settle(clock)
    assert clock.skipped_ticks == 0
    assert fake_time.now - began == pytest.approx(20 * TICK_S, abs=TICK_S)


def test_a_very_late_tick_is_not(fake_time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    clock = MediaClock()
    delays = iter([1.0] + [0.0] * 100)
    member = Member(clock, 20, on_pull=lambda: fake_time.spend(next(delays)))
    drive(clock, member)
    settle(clock)
    assert clock.skipped_ticks == pytest.approx((1.0 - TICK_S) / TICK_S, abs=1)
    assert "late" in caplog.text
    assert CATCH_UP_S < 1.0


@pytest.mark.parametrize(
    ("collected_s", "reason"),
    [(0.9, "Python's garbage collector held the interpreter for 900 ms"), (0.1, "something holds the interpreter")],
)
def test_a_very_late_tick_says_what_held_it(
    collected_s: float,
    reason: str,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(fastrtc.clock.the_collector, "take_longest_s", lambda: collected_s)
    delays = iter([1.0] + [0.0] * 100)
    clock = MediaClock()
    drive(clock, Member(clock, 20, on_pull=lambda: fake_time.spend(next(delays))))
    settle(clock)
    assert reason in caplog.text


def test_a_collection_of_long_ago_is_not_what_held_it(
    fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    collections_s = iter([0.9] + [0.0] * 100)
    monkeypatch.setattr(fastrtc.clock.the_collector, "take_longest_s", lambda: next(collections_s))
    delays = iter([0.0] * 5 + [1.0] + [0.0] * 100)
    clock = MediaClock()
    drive(clock, Member(clock, 20, on_pull=lambda: fake_time.spend(next(delays))))
    settle(clock)
    assert "something holds the interpreter" in caplog.text


def test_while_all_are_idle_it_wakes_now_and_then(fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = MediaClock()
    rests: list[float] = []

    def rest(timeout: float) -> bool:
        rests.append(timeout)
        fake_time.spend(timeout)
        return False

    monkeypatch.setattr(clock._wanted, "wait", rest)
    began = fake_time.now
    member = Member(clock, 30)
    member.idle = True
    drive(clock, member)
    settle(clock)
    assert rests[1:] == pytest.approx([IDLE_TICKS * TICK_S] * len(rests[1:]))
    assert fake_time.now - began == pytest.approx(30 * TICK_S, abs=IDLE_TICKS * TICK_S)


def test_it_is_woken_for_the_next_tick(fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = MediaClock()
    member = Member(clock, 30)
    member.idle = True
    woken: list[float] = []
    driven: list[float] = []

    def something_happens(timeout: float) -> bool:
        fake_time.spend(min(timeout, 0.3 * TICK_S))
        woken.append(fake_time.now)
        member.idle = False
        return True

    def settle_down() -> None:
        driven.append(fake_time.now)
        member.idle = True

    monkeypatch.setattr(clock._wanted, "wait", something_happens)
    member._on_pull = settle_down
    drive(clock, member)
    settle(clock)
    assert len(woken) >= 15
    delays = [min(at for at in driven if at > wake) - wake for wake in woken if wake < driven[-1]]
    assert delays == pytest.approx([0.7 * TICK_S] * len(delays))


def test_what_is_posted_wakes_an_idle_clock() -> None:
    clock = MediaClock()
    pulled = threading.Event()
    member = Member(on_pull=pulled.set)
    member.idle = True
    clock.join(member)
    try:
        assert pulled.wait(TIMEOUT_S)
        pulled.clear()
        member.idle = False
        clock.wake()
        assert pulled.wait(TIMEOUT_S)
    finally:
        clock.leave(member)
    settle(clock)


def test_a_member_that_breaks_a_tick_does_not_stop_the_clock(caplog: pytest.LogCaptureFixture) -> None:
    clock = MediaClock()
    failures = iter([ValueError("broken"), ValueError("broken")])

    def fail() -> None:
        error = next(failures, None)
        if error is not None:
            raise error

    member = Member(clock, 3, on_pull=fail)
    drive(clock, member)
    settle(clock)
    assert caplog.text.count("broken") >= 2


# ---- calls on the app's loop ----------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_calls_of_a_tick_reach_the_loop_in_order_and_wake_it_once() -> None:
    loop = asyncio.get_running_loop()
    clock = MediaClock()
    got: list[int] = []
    over = asyncio.Event()
    wakes = 0
    call_soon = loop.call_soon_threadsafe

    def counting(*args: Any, **options: Any) -> Any:
        nonlocal wakes
        wakes += 1
        return call_soon(*args, **options)

    loop.call_soon_threadsafe = counting  # type: ignore[method-assign]
    try:

        def ask() -> None:
            for number in range(5):
                clock.on_loop(loop, lambda number=number: got.append(number))  # type: ignore[misc]
            clock.on_loop(loop, over.set)

        member = Member(clock, 1, on_pull=ask)
        clock.join(member)
        async with asyncio.timeout(TIMEOUT_S):
            await over.wait()
    finally:
        del loop.call_soon_threadsafe  # type: ignore[attr-defined]
    assert got == [0, 1, 2, 3, 4]
    assert wakes == 1


@pytest.mark.anyio
async def test_a_call_that_fails_takes_no_other_along(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    clock = MediaClock()
    over = asyncio.Event()

    def fail() -> None:
        raise ValueError("somebody's on_event")

    def ask() -> None:
        clock.on_loop(loop, fail)
        clock.on_loop(loop, over.set)

    clock.join(Member(clock, 1, on_pull=ask))
    async with asyncio.timeout(TIMEOUT_S):
        await over.wait()
    assert "somebody's on_event" in caplog.text


@pytest.mark.anyio
async def test_a_call_from_another_thread_arrives_at_once() -> None:
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    thread = threading.Thread(target=MediaClock().on_loop, args=(loop, arrived.set))
    thread.start()
    async with asyncio.timeout(TIMEOUT_S):
        await arrived.wait()
    thread.join(TIMEOUT_S)


def test_a_closed_loop_is_no_error() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    clock = MediaClock()
    drive(clock, Member(clock, 1, on_pull=lambda: clock.on_loop(loop, lambda: None)))
    clock.on_loop(loop, lambda: None)
    settle(clock)

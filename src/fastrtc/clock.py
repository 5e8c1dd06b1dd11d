"""The media clock: one thread, one tick every 20 ms, for all sessions of the process."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Protocol

from fastrtc.collector import the_collector
from fastrtc.handlers.listening import Listener, judge_all
from fastrtc.handlers.supervisor import run_supervised

logger = logging.getLogger(__name__)

TICK_MS = 20
TICK_S = TICK_MS / 1000
CATCH_UP_S = 0.2
SWITCH_S = 0.0005
"""How long a thread may hold the interpreter while the clock waits for it; Python's 5 ms, several times a tick, are too
long (ADR 001)."""
IDLE_TICKS = 5
"""While nothing happens in a session, so many ticks are driven at once: most of a tick's cost is waking up for it."""

END_S = 2.0
"""How long the end of the process waits for the tick that is going on."""

Call = Callable[[], None]


class Member(Protocol):
    """What the clock drives; none of these may block or raise."""

    @property
    def listener(self) -> Listener | None:
        """The session's ear, None if it does not listen for turns."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if the next ticks were driven together, a little late."""
        ...

    def pull(self) -> None:
        """Take in what arrived since the last tick."""
        ...

    def push(self) -> None:
        """Give out the next 20 ms."""
        ...


@dataclass(slots=True)
class _Seat:
    member: Member
    owed_ticks: int = 0


class Ticker:
    """One tick's work for all members; has no thread and no notion of time, so tests and simulations drive it.

    A member that is idle is driven every ``IDLE_TICKS``, one pull and then a push for each of those ticks.
    """

    def __init__(self) -> None:
        self._seats: tuple[_Seat, ...] = ()
        self._phase = 0

    @property
    def members(self) -> tuple[Member, ...]:
        """Who is driven."""
        return tuple(seat.member for seat in self._seats)

    def add(self, member: Member) -> None:
        """Drive ``member`` from the next tick on."""
        self._seats = (*self._seats, _Seat(member))

    def remove(self, member: Member) -> None:
        """Stop driving ``member``; a tick that is going on may still reach it."""
        self._seats = tuple(seat for seat in self._seats if seat.member is not member)

    def tick(self, ticks: int = 1) -> None:
        """Pull from every member whose turn it is, judge all their speech at once, push to each of them.

        Args:
            ticks: How many ticks have passed since the last call.
        """
        self._phase += ticks
        everyone = self._phase >= IDLE_TICKS
        if everyone:
            self._phase = 0
        due: list[_Seat] = []
        for seat in self._seats:
            seat.owed_ticks += ticks
            if everyone or not seat.member.idle:
                due.append(seat)
        listeners: list[Listener] = []
        for seat in due:
            seat.member.pull()
            listener = seat.member.listener
            if listener is not None and listener.due:
                listeners.append(listener)
        if listeners:
            judge_all(listeners)
        for seat in due:
            owed, seat.owed_ticks = seat.owed_ticks, 0
            for _ in range(owed):
                seat.member.push()

    @property
    def restful_ticks(self) -> int:
        """How many ticks may pass before :meth:`tick` has something to do, as far as one can see now."""
        seats = self._seats
        return IDLE_TICKS - self._phase if seats and all(seat.member.idle for seat in seats) else 1


class MediaClock:
    """A thread that ticks while it has members, every 20 ms, or every 100 ms while all of them are idle.

    A tick that comes late is made up for at once, as far as ``CATCH_UP_S``; beyond that ticks are left out and counted.
    """

    def __init__(self) -> None:
        self._ticker = Ticker()
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None
        self._calls: dict[asyncio.AbstractEventLoop, list[Call]] = {}
        self._ending = False
        self.skipped_ticks = 0

    @property
    def members(self) -> Sequence[Member]:
        """Who is driven now."""
        return self._ticker.members

    def join(self, member: Member) -> None:
        """Drive ``member`` from the next tick on."""
        with self._lock:
            self._ticker.add(member)
            self.wake()
            if self._thread is None:
                sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_S))
                the_collector.spare()
                self._thread = threading.Thread(target=self._run, name="fastrtc-clock", daemon=True)
                self._thread.start()
                atexit.register(self._end)

    def leave(self, member: Member) -> None:
        """Stop driving ``member``; a tick that is going on may still reach it."""
        with self._lock:
            self._ticker.remove(member)

    def wake(self) -> None:
        """Something has happened in an idle member: drive it at the next tick. Any thread."""
        if not self._wanted.is_set():
            self._wanted.set()

    def _end(self) -> None:
        """Finish the tick that is going on: a process that ends while the detector computes for a thread is aborted."""
        self._ending = True
        self.wake()
        thread = self._thread
        if thread is not None:
            thread.join(END_S)

    def on_loop(self, loop: asyncio.AbstractEventLoop, call: Call) -> None:
        """Run ``call`` on ``loop``. What one tick asks for wakes the loop once."""
        if threading.current_thread() is self._thread:
            self._calls.setdefault(loop, []).append(call)
        else:
            _hand_over(loop, [call])

    def _run(self) -> None:
        due = time.monotonic()
        passed = 1
        while not self._is_over():
            tick = partial(self._ticker.tick, passed)
            run_supervised(tick, _log_failed_tick)
            self._flush_calls()
            passed = self._rest(due)
            due += passed * TICK_S
            late = time.monotonic() - due
            collected_s = the_collector.take_longest_s()
            if late > CATCH_UP_S:
                skipped = int(late / TICK_S)
                self.skipped_ticks += skipped
                due += skipped * TICK_S
                logger.warning("the media clock was late by %.0f ms; %s", 1000 * late, _what_held_it(late, collected_s))

    def _is_over(self) -> bool:
        if self._is_wanted():
            return False
        # While this is still a thread that the end of the process waits for.
        the_collector.resume()
        with self._lock:
            if self._is_wanted():
                the_collector.spare()
                return False
            self._thread = None
            atexit.unregister(self._end)
            return True

    def _is_wanted(self) -> bool:
        return bool(self._ticker.members) and not self._ending

    def _rest(self, due: float) -> int:
        """Wait for the next tick that has something to do; how many ticks have passed then since ``due``."""
        # Cleared before the members are asked, so that what happens from here on is not overlooked.
        self._wanted.clear()
        ticks = self._ticker.restful_ticks
        if ticks > 1 and self._wanted.wait(max(0.0, due + ticks * TICK_S - time.monotonic())):
            ticks = min(ticks, max(1, ceil((time.monotonic() - due) / TICK_S)))
        ahead = due + ticks * TICK_S - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        return ticks

    def _flush_calls(self) -> None:
        if self._calls:
            calls, self._calls = self._calls, {}
            for loop, waiting in calls.items():
                _hand_over(loop, waiting)


def _what_held_it(late_s: float, collected_s: float) -> str:
    if collected_s < late_s / 2:
        return "something holds the interpreter"
    return f"Python's garbage collector held the interpreter for {1000 * collected_s:.0f} ms"


def _log_failed_tick(error: BaseException) -> None:
    logger.error("a session broke a tick of the media clock; this is a bug", exc_info=error)


def _log_failed_call(error: BaseException) -> None:
    logger.error("a session's callback failed", exc_info=error)


def _hand_over(loop: asyncio.AbstractEventLoop, calls: list[Call]) -> None:
    def run() -> None:
        for call in calls:
            run_supervised(call, _log_failed_call)

    try:
        loop.call_soon_threadsafe(run)
    except RuntimeError:
        logger.debug("a session's event loop is closed; %d calls dropped", len(calls))


the_clock = MediaClock()
"""The process's clock."""

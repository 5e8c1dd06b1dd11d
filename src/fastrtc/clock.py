"""The media clock: one thread, one tick every 20 ms, for all sessions of the process."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from fastrtc.handlers.listening import Listener, judge_all
from fastrtc.handlers.supervisor import run_supervised

logger = logging.getLogger(__name__)

TICK_MS = 20
TICK_S = TICK_MS / 1000
CATCH_UP_S = 0.2

Call = Callable[[], None]


class Member(Protocol):
    """What the clock drives; none of these may block or raise."""

    @property
    def listener(self) -> Listener | None:
        """The session's ear, None if it does not listen for turns."""
        ...

    def pull(self) -> None:
        """Take in what arrived since the last tick."""
        ...

    def push(self) -> None:
        """Give out the next 20 ms."""
        ...


class Ticker:
    """One tick's work for all members; has no thread and no notion of time, so tests and simulations drive it."""

    def __init__(self) -> None:
        self.members: tuple[Member, ...] = ()

    def tick(self) -> None:
        """Pull from every member, judge all their speech at once, push to every member."""
        members = self.members
        for member in members:
            member.pull()
        judge_all([member.listener for member in members if member.listener is not None])
        for member in members:
            member.push()


class MediaClock:
    """A thread that ticks while it has members.

    A tick that comes late is made up for at once, as far as ``CATCH_UP_S``; beyond that ticks are left out and counted.
    """

    def __init__(self) -> None:
        self._ticker = Ticker()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._calls: dict[asyncio.AbstractEventLoop, list[Call]] = {}
        self.skipped_ticks = 0

    @property
    def members(self) -> Sequence[Member]:
        """Who is driven now."""
        return self._ticker.members

    def join(self, member: Member) -> None:
        """Drive ``member`` from the next tick on."""
        with self._lock:
            self._ticker.members = (*self._ticker.members, member)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fastrtc-clock", daemon=True)
                self._thread.start()

    def leave(self, member: Member) -> None:
        """Stop driving ``member``; a tick that is going on may still reach it."""
        with self._lock:
            self._ticker.members = tuple(one for one in self._ticker.members if one is not member)

    def on_loop(self, loop: asyncio.AbstractEventLoop, call: Call) -> None:
        """Run ``call`` on ``loop``. What one tick asks for wakes the loop once."""
        if threading.current_thread() is self._thread:
            self._calls.setdefault(loop, []).append(call)
        else:
            _hand_over(loop, [call])

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            with self._lock:
                if not self._ticker.members:
                    self._thread = None
                    return
            run_supervised(self._ticker.tick, _log_failed_tick)
            self._flush_calls()
            due += TICK_S
            ahead = due - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            elif ahead < -CATCH_UP_S:
                skipped = int(-ahead / TICK_S)
                self.skipped_ticks += skipped
                due += skipped * TICK_S
                logger.warning("the media clock was late by %.0f ms; something holds the interpreter", -1000 * ahead)

    def _flush_calls(self) -> None:
        if self._calls:
            calls, self._calls = self._calls, {}
            for loop, waiting in calls.items():
                _hand_over(loop, waiting)


def _log_failed_tick(error: BaseException) -> None:
    logger.error("a session broke a tick of the media clock; this is a bug", exc_info=error)


def _hand_over(loop: asyncio.AbstractEventLoop, calls: list[Call]) -> None:
    def run() -> None:
        for call in calls:
            call()

    try:
        loop.call_soon_threadsafe(run)
    except RuntimeError:
        logger.debug("a session's event loop is closed; %d calls dropped", len(calls))


the_clock = MediaClock()
"""The process's clock."""

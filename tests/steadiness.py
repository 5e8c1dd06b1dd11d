"""Tests that keep time are void while the machine stands still, and are run again.

A test marked ``keeps_time`` hears audio as it comes. Where the machine gives its processes no time for longer than
jitter buffers hold (a virtual machine that is moved, a container at its CPU limit), what it hears has a gap, and says
nothing about the code. A process that does nothing but sleep notices such moments (a thread of ours would take whatever
blocks our interpreter for one). Only a failure beside such a moment is run again, and each is listed at the end.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from _pytest.runner import runtestprotocol

STANDSTILL_S = 0.06  # less passes unnoticed: what is played to the browser and back is buffered longer
ATTEMPTS = 3
LONGEST_S = 40.0  # of a test that is run again, for the time limit counts all its attempts
PROPERTY = "standstill_ms"

_SLEEPER = """
import select, sys, time
longest_s, then = 0.0, time.monotonic()
while True:
    asked, _, _ = select.select([sys.stdin], [], [], 0.01)
    now = time.monotonic()
    longest_s, then = max(longest_s, now - then), now
    if asked:
        if not sys.stdin.readline():
            break
        print(longest_s, flush=True)
        longest_s = 0.0
"""


class Sleeper:
    """A process that notices when it was not woken in time."""

    def __init__(self) -> None:
        command = [sys.executable, "-S", "-c", _SLEEPER]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def longest_s(self) -> float:
        """For how long at most it was not woken since this was asked last, in seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.communicate()


class Steadiness:
    """The plugin."""

    def __init__(self, sleeper: Sleeper) -> None:
        self._sleeper = sleeper

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if item.get_closest_marker("keeps_time") is None:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._steady_reports(item, nextitem):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _steady_reports(self, item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
        stood_still_ms: list[int] = []
        while True:
            began_s = time.monotonic()
            self._sleeper.longest_s()
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            standstill_s = self._sleeper.longest_s()
            if not any(report.failed for report in reports) or standstill_s < STANDSTILL_S:
                break
            stood_still_ms.append(round(1000 * standstill_s))
            if len(stood_still_ms) == ATTEMPTS or time.monotonic() - began_s > LONGEST_S:
                break
            item._initrequest()  # fixtures as for an item that was never run
        reports[0].user_properties.extend((PROPERTY, each) for each in stood_still_ms)
        return reports


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Iterator[None]:
    """Watch where tests are run: not in the process that hands them out to others."""
    yield
    if session.config.getoption("dist", "no") == "no":
        sleeper = Sleeper()
        session.config.pluginmanager.register(Steadiness(sleeper))
        session.config.add_cleanup(sleeper.stop)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what was void."""
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        for name, milliseconds in getattr(report, "user_properties", []):
            if name == PROPERTY:
                terminalreporter.write_line(f"VOID {report.nodeid}: the machine stood still for {milliseconds} ms")

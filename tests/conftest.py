"""Fixtures that more than one test file uses, and the rule that a run without a test is a failure."""

from __future__ import annotations

import gc
import os
import shutil
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.steadiness"]

ROOT = Path(__file__).resolve().parent.parent
SPEECH = ROOT.parent / "shared" / "speech"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REAL_TIME = ("examples", "guide", "migration", "network", "transports/webrtc", "ui")
"""Folders whose tests play audio at its own pace between real peers: one of the two processes runs them all."""
ALONE = ("interop",)
"""Folders whose tests listen to what a browser plays, and would hear it stutter if anything ran beside them."""
KEEP_TIME = (*REAL_TIME, *ALONE, "client", "stream")
"""Folders whose tests are void where the machine stands still (tests/steadiness.py)."""
MAC_BROWSER = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"

# A machine that stalls makes no example wrong; everything else stays as it is, in CI as well.
settings.register_profile("any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-tests", action="store_true", help="fail a run in which no test was executed")


@pytest.hookimpl(tryfirst=True)  # before -m is applied
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _is_below(item.path, REAL_TIME):
            item.add_marker(pytest.mark.xdist_group("real-time"))
        if _is_below(item.path, ALONE):
            item.add_marker(pytest.mark.alone)
        if _is_below(item.path, KEEP_TIME):
            item.add_marker(pytest.mark.keeps_time)


def pytest_collection_finish() -> None:
    """Leave the tests themselves out of garbage collections: half a million objects, 0.4 s of silence each time."""
    gc.collect()
    gc.freeze()


def _is_below(path: Path, folders: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(ROOT / "tests" / folder) for folder in folders)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not session.config.getoption("--require-tests") or exitstatus != pytest.ExitCode.OK:
        return
    if not any(reporter.stats.get(outcome) for outcome in ("passed", "failed", "xfailed", "xpassed")):
        reporter.write_line("no test was executed: every one was skipped or deselected", red=True)
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def speech() -> Path:
    """The folder of recorded speech; the test is skipped where it is absent."""
    if not SPEECH.is_dir():
        pytest.skip("there is no recorded speech beside the checkout (../shared/speech)")
    return SPEECH


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium for Playwright's ``executable_path``; the test is skipped where there is none."""
    for name in (os.environ.get("CHROMIUM"), *BROWSERS, MAC_BROWSER):
        path = shutil.which(name) if name else None
        if path is not None:
            return path
    pytest.skip("there is no Chromium (set CHROMIUM to its path, or install Debian's package chromium)")


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, the only loop that the package supports."""
    return "asyncio"

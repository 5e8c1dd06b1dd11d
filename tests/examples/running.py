"""Runs an example as its docstring says: ``python examples/name.py``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
START_S, STOP_S = 60.0, 20.0


@dataclass(slots=True)
class Example:
    """A running example.

    Attributes:
        url: Where it serves.
        log: What it has written, once it is over.
    """

    url: str
    log: str = field(default="")


@contextmanager
def running(name: str, log: Path, *, tracebacks: bool = False, **variables: str) -> Iterator[Example]:
    """Run ``examples/<name>.py`` on a free port; the test fails if it does not stop.

    Args:
        name: Of the file.
        log: Where its output goes.
        tracebacks: Whether it may write some; if not, the test fails where there is one.
        **variables: Further environment variables.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")}
    environment |= {"PORT": str(port), "PYTHONUNBUFFERED": "1"} | variables
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / f"{name}.py")], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    example = Example(f"http://127.0.0.1:{port}")
    try:
        _wait_until_up(example.url, process, log)
        yield example
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        finally:
            process.kill()
            process.wait()
            example.log = log.read_text()
    assert tracebacks or "Traceback" not in example.log, example.log


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + START_S
    while True:
        try:
            httpx.get(url, timeout=5).raise_for_status()
        except httpx.TransportError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, f"the example does not answer: {log.read_text()}"
            time.sleep(0.05)  # Nothing tells when another process listens.
        else:
            return

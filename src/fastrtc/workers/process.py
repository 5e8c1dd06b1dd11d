"""One worker process, as the front sees it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from fastrtc.workers.handover import Sender

logger = logging.getLogger(__name__)

SILENT_S = 5.0
MAX_ANSWER_BYTES = 16_000_000


class WorkerProcess:
    """A worker from its start to its exit. App loop.

    Args:
        number: Of the worker; one that replaces another gets the same.
        settings: For the process; see :class:`fastrtc.workers.worker.WorkerSettings`.
        on_report: Gets each report: a mapping with ``opened``, ``closed`` or ``up``.
    """

    def __init__(
        self, number: int, settings: dict[str, Any], on_report: Callable[[WorkerProcess, dict[str, Any]], None]
    ) -> None:
        self.number = number
        self.up = asyncio.Event()
        self.started_s = time.monotonic()
        self._settings = settings
        self._on_report = on_report
        self._process: asyncio.subprocess.Process | None = None
        self._sender: Sender | None = None
        self._stopped_by: signal.Signals | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._heard_s = time.monotonic()
        self._told_silent = False

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid if self._process is not None else 0

    @property
    def alive(self) -> bool:
        """Whether connections can be handed to it."""
        return self.up.is_set() and self._sender is not None

    @property
    def responsive(self) -> bool:
        """Whether its event loop has run lately; a worker that hangs gets no new sessions."""
        silent = time.monotonic() - self._heard_s > SILENT_S
        if silent and not self._told_silent and self.alive:
            logger.warning("worker %d (pid %d) does not respond: its event loop is blocked", self.number, self.pid)
        self._told_silent = silent
        return self.alive and not silent

    async def run(self) -> int:
        """Start it; returns its exit status when it is over."""
        ours, theirs = socket.socketpair()
        our_reports, their_reports = socket.socketpair()
        ours.setblocking(False)
        try:
            settings = {**self._settings, "number": self.number}
            settings["connections_fd"], settings["reports_fd"] = theirs.fileno(), their_reports.fileno()
            # A session of its own: Ctrl-C is for the front, which passes it on in order.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "fastrtc.workers.worker", json.dumps(settings),
                pass_fds=(theirs.fileno(), their_reports.fileno()), start_new_session=True,
            )  # fmt: skip
        except OSError:
            ours.close()
            our_reports.close()
            raise
        finally:
            theirs.close()
            their_reports.close()
        if self._stopped_by is not None:
            self.stop(self._stopped_by)
        self._sender = Sender(ours)
        reader, self._writer = await asyncio.open_connection(sock=our_reports)
        reading = asyncio.create_task(self._read(reader), name=f"fastrtc-worker-{self.number}-reports")
        try:
            return await self._process.wait()
        finally:
            self.up.clear()
            self._sender = None
            # Not waited for: a process that the worker forked may hold its end open.
            reading.cancel()
            self._writer.close()
            ours.close()

    async def hand_over(self, connection: socket.socket, read: bytes) -> None:
        """Give it a connection.

        Raises:
            OSError: It is gone, or hangs.
        """
        if self._sender is None:
            raise ConnectionError("the worker is gone")
        await self._sender.send(connection, read)

    def end_session(self, session_id: str, reason: str) -> None:
        """Have it end one of its sessions."""
        if self._writer is not None:
            self._writer.write(json.dumps({"end": session_id, "reason": reason}).encode() + b"\n")

    def stop(self, number: signal.Signals) -> None:
        """Send a signal, if the process is just being made as soon as it is there; one that is gone is no error."""
        self._stopped_by = number
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def ask(self, path: str, timeout_s: float) -> tuple[int, bytes]:
        """GET a path of this worker's app; status and body.

        Raises:
            OSError: It is gone.
            TimeoutError: It did not answer in time.
        """
        ours, theirs = socket.socketpair()
        try:
            async with asyncio.timeout(timeout_s):
                request = f"GET {path} HTTP/1.1\r\nhost: worker\r\nconnection: close\r\n\r\n"
                # Not to be cancelled half-way, see Sender.send.
                await asyncio.shield(self.hand_over(theirs, request.encode()))
                theirs.close()
                reader, writer = await asyncio.open_connection(sock=ours)
                try:
                    answer = await reader.read(MAX_ANSWER_BYTES)
                    while more := await reader.read(MAX_ANSWER_BYTES):
                        answer += more
                finally:
                    writer.close()
        finally:
            theirs.close()
            ours.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        status = head.split(b" ")[1:2]
        if not status:
            raise ConnectionError("the worker closed the connection")
        return int(status[0]), body

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := await reader.readline():
                self._heard_s = time.monotonic()
                report = json.loads(line)
                if report.get("up"):
                    self.up.set()
                if report.get("down") and self._sender is not None:
                    self.up.clear()
                    await self._sender.finish()
                self._on_report(self, report)

"""A worker process: the app behind an HTTP server that gets its connections from the front.

``python -m fastrtc.workers.worker '{"target": ..., ...}'``: started by :mod:`fastrtc.workers.process`, nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import uvicorn

from fastrtc.errors import MissingExtraError
from fastrtc.observe.observer import SessionObserver, observe_all
from fastrtc.serving import CommandError, ServeSettings, load_app, set_up, uvicorn_config
from fastrtc.workers.handover import Receiver

if TYPE_CHECKING:
    from fastrtc.session import Session

BEAT_S = 1.0
FRONT_TIMEOUT_S = 2.0


class Resumed(asyncio.Protocol):
    """Gives a protocol what was read of its connection before it was made.

    Args:
        protocol: Takes over.
        read: The bytes.
    """

    def __init__(self, protocol: Any, read: bytes) -> None:
        self._protocol = protocol
        self._read = read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.set_protocol(self._protocol)
        self._protocol.connection_made(transport)
        self._protocol.data_received(self._read)


class HandedServer(uvicorn.Server):
    """Serves connections that somebody else has accepted.

    Args:
        config: Of uvicorn; where to listen is of no account.
        connections: Brings the connections.
        on_up: Called when the app has started.
        on_down: Called when no more connections are wanted; the front then ends its side.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        connections: socket.socket,
        on_up: Callable[[], None],
        on_down: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._receiver = Receiver(connections, self._take, self._front_is_done)
        self._on_up = on_up
        self._on_down = on_down
        self._has_all = asyncio.Event()
        self._resuming: set[asyncio.Task[Any]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn: start the app; then take connections."""
        await super().startup(sockets=[])
        if not self.should_exit:
            self._receiver.start()
            self._on_up()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn: take what the front has sent, end all connections, stop the app."""
        self._on_down()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FRONT_TIMEOUT_S):
                await self._has_all.wait()
        self._receiver.stop()
        if self._resuming:
            await asyncio.wait(self._resuming)
        await super().shutdown(sockets=[])

    def _front_is_done(self) -> None:
        self._has_all.set()
        if not self.should_exit:  # it has died
            os.kill(os.getpid(), signal.SIGTERM)

    def _take(self, connection: socket.socket, read: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._resume(connection, read), name="fastrtc-resume")
        self._resuming.add(task)
        task.add_done_callback(self._resuming.discard)

    async def _resume(self, connection: socket.socket, read: bytes) -> None:
        connection.setblocking(False)
        protocol: Any = self.config.http_protocol_class
        made = protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        with contextlib.suppress(OSError):  # the client is gone already
            await asyncio.get_running_loop().connect_accepted_socket(lambda: Resumed(made, read), connection)


class Reporter(SessionObserver):
    """Tells the front which sessions there are, and ends those that it does not want.

    Args:
        channel: A connected Unix socket.
    """

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._sessions: dict[str, Session] = {}
        self._unsent = b""
        self._unread = b""
        self._ending: set[asyncio.Task[None]] = set()
        self._beating: asyncio.Task[None] | None = None

    def up(self) -> None:
        """The worker can be given connections."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel, self._read)
        self._beating = loop.create_task(self._beat(), name="fastrtc-beat")
        self._report({"up": os.getpid()})

    def down(self) -> None:
        """The worker wants no more connections."""
        self._report({"down": os.getpid()})

    def session_opened(self, session: Session) -> None:
        self._sessions[session.id] = session
        self._report({"opened": session.id})

    def session_closed(self, session: Session) -> None:
        if self._sessions.get(session.id) is session:
            del self._sessions[session.id]
            self._report({"closed": session.id})

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self._report({})

    def _report(self, report: dict[str, Any]) -> None:
        self._unsent += json.dumps(report).encode() + b"\n"
        self._flush()

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._unsent = self._unsent[self._channel.send(self._unsent) :]
        except BlockingIOError:
            loop.add_writer(self._channel, self._flush)
            return
        except OSError:  # the front is gone; the other channel tells
            self._unsent = b""
        loop.remove_writer(self._channel)
        if self._unsent:
            loop.add_writer(self._channel, self._flush)

    def _read(self) -> None:
        try:
            data = self._channel.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._channel)
            return
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            session = self._sessions.get(order["end"])
            if session is not None:
                task = asyncio.get_running_loop().create_task(session.close(order["reason"]))
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)


def main() -> int:
    """Serve until the front says so; returns the exit status."""
    given = json.loads(sys.argv[1])
    connections = socket.socket(fileno=given.pop("connections_fd"))
    connections.setblocking(False)
    reporter = Reporter(socket.socket(fileno=given.pop("reports_fd")))
    settings = ServeSettings(**given)
    try:
        set_up(settings)
        observe_all(reporter)
        app = load_app(settings)
    except (CommandError, MissingExtraError) as error:
        sys.stderr.write(f"fastrtc: {error}\n")
        return 2
    HandedServer(uvicorn_config(app, settings), connections, reporter.up, reporter.down).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

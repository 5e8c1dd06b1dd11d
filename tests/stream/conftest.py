"""A real server for real clients."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from websockets.sync.client import ClientConnection, connect


class Server:
    """A served app: ``http`` for requests, :meth:`socket` for WebSockets."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.http = httpx.Client(base_url=f"http://{self.address}", timeout=20)

    @contextmanager
    def socket(self, path: str) -> Iterator["Socket"]:
        with connect(f"ws://{self.address}{path}", compression=None) as connection:
            yield Socket(connection)


class Socket:
    """A WebSocket client that speaks JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def say(self, message: object) -> None:
        self.connection.send(json.dumps(message))

    def hear(self) -> dict[str, Any]:
        """The next message."""
        message: dict[str, Any] = json.loads(self.connection.recv(timeout=20))
        return message

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next message that is wanted; the others are dropped."""
        while True:
            message = self.hear()
            if wanted(message):
                return message

    def close(self) -> None:
        self.connection.close()


Serve = Callable[[Any], AbstractContextManager[Server]]


@pytest.fixture
def serve() -> Serve:
    """Serve an app with uvicorn on a port of its own for as long as the context lasts."""

    @contextmanager
    def run(app: Any) -> Iterator[Server]:
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=5)
        uvicorn_server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [listener]})
            thread.start()
            server = Server(listener.getsockname()[1])
            try:
                # Answered once the app has started.
                server.http.get("/")
                yield server
            finally:
                server.http.close()
                uvicorn_server.should_exit = True
                thread.join(20)
                assert not thread.is_alive()

    return run

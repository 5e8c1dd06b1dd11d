"""Applications served by uvicorn, in threads of their own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

START_S = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """An application that can be reached.

    Attributes:
        port: On 127.0.0.1.
        tls: Whether over TLS only.
    """

    port: int
    tls: bool = False

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"


class _Server(uvicorn.Server):
    """Says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@contextmanager
def serving(app: Any, certificate: tuple[Path, Path] | None = None) -> Iterator[Served]:
    """Serve an ASGI application for as long as the context lasts; its lifespan runs.

    Args:
        app: The application.
        certificate: Its file and its key's: serve over TLS.
    """
    config = uvicorn.Config(app, log_level="error", ws="websockets-sansio", timeout_graceful_shutdown=5)
    if certificate is not None:
        config.ssl_certfile, config.ssl_keyfile = map(str, certificate)
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="served")
        thread.start()
        try:
            assert server.up.wait(START_S), "the application did not start"
            yield Served(listener.getsockname()[1], tls=certificate is not None)
        finally:
            server.should_exit = True
            thread.join(START_S)
            assert not thread.is_alive(), "the application did not stop"

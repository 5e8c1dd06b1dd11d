"""The process in front of the workers: accepts connections, looks which session each is about, and hands it over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import time
from typing import TYPE_CHECKING

from fastrtc.errors import ProtocolError
from fastrtc.observe.exposition import merge_expositions
from fastrtc.workers.request import (
    END_OF_HEAD,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    RequestHead,
    is_offer,
    parse_head,
    session_id_of,
)

if TYPE_CHECKING:
    from fastrtc.workers.placement import Placement
    from fastrtc.workers.pool import WorkerPool
    from fastrtc.workers.process import WorkerProcess

logger = logging.getLogger(__name__)

READ_TIMEOUT_S = 10.0
UNKNOWN_ID_S = 0.5
NO_WORKER_S = 15.0
ASK_TIMEOUT_S = 5.0
MAX_UNREAD = 1_000
FULL_S = 0.1
_CHUNK_BYTES = 65_536
_POLL_S = 0.02


class Front:
    """See the module.

    Args:
        listener: A listening, non-blocking socket.
        pool: The workers.
        placement: Which worker has which session.
        metrics_path: Where all workers' metrics are answered as one; None: nowhere.
    """

    def __init__(
        self, listener: socket.socket, pool: WorkerPool, placement: Placement, metrics_path: str | None
    ) -> None:
        self._listener = listener
        self._pool = pool
        self._placement = placement
        self._metrics_path = metrics_path
        self._connections: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(MAX_UNREAD)

    async def serve(self) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._room.acquire()
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:  # out of file descriptors, say
                self._room.release()
                logger.error("cannot accept a connection: %s", error)  # noqa: TRY400 - a traceback says no more
                await asyncio.sleep(FULL_S)
                continue
            task = asyncio.create_task(self._serve_one(connection), name="fastrtc-front")
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
            task.add_done_callback(lambda _: self._room.release())

    async def _serve_one(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        with connection:
            try:
                async with asyncio.timeout(READ_TIMEOUT_S):
                    head, body = await read_request(connection)
            except ProtocolError as error:
                await _answer(connection, "400 Bad Request", str(error))
                return
            except (TimeoutError, OSError):
                return
            if head.method == "GET" and head.path == self._metrics_path:
                await _answer(connection, "200 OK", await self._metrics(), "text/plain; version=0.0.4; charset=utf-8")
                return
            await self._pass_on(connection, head, body)

    async def _pass_on(self, connection: socket.socket, head: RequestHead, body: bytes) -> None:
        session_id = session_id_of(head, body)
        opens = head.is_websocket or is_offer(head, body)
        deadline_s = time.monotonic() + NO_WORKER_S
        while True:
            worker = await self._choose(session_id, opens=opens)
            if worker is not None:
                with contextlib.suppress(OSError):
                    await worker.hand_over(connection, head.for_one_request() + body)
                    return
            if time.monotonic() >= deadline_s or (self._pool.stopping and not self._pool.alive):
                break
            await asyncio.sleep(_POLL_S)
        status = "draining" if self._pool.stopping else "starting"
        await _answer(connection, "503 Service Unavailable", json.dumps({"status": status}), "application/json")

    async def _choose(self, session_id: str | None, *, opens: bool) -> WorkerProcess | None:
        if session_id is not None:
            owner = self._placement.owner(session_id, time.monotonic())
            if owner is None and not opens:
                owner = await self._await_owner(session_id)
            worker = None if owner is None else self._pool.worker(owner)
            if worker is not None and worker.alive:
                return worker
        free = [worker.number for worker in self._pool.alive if worker.responsive]
        free = free or [worker.number for worker in self._pool.alive]
        if self._pool.stopping:
            # Those with sessions stay for a while and say why they take no more; the others are gone at any moment.
            free = [number for number in free if self._placement.sessions(number)] or free
        if not free:
            return None
        return self._pool.worker(self._placement.place(free, time.monotonic(), session_id, opens=opens))

    async def _await_owner(self, session_id: str) -> int | None:
        """The owner of a session that may be opening just now: candidates overtake offers, inputs a WebSocket."""
        deadline_s = time.monotonic() + UNKNOWN_ID_S
        while time.monotonic() < deadline_s:
            await asyncio.sleep(_POLL_S)
            owner = self._placement.owner(session_id, time.monotonic())
            if owner is not None:
                return owner
        return None

    async def _metrics(self) -> str:
        async def ask(worker: WorkerProcess) -> tuple[str, str]:
            status, body = 0, b""
            with contextlib.suppress(OSError, TimeoutError):
                status, body = await worker.ask(self._metrics_path or "", ASK_TIMEOUT_S)
            return str(worker.number), body.decode("utf-8", "replace") if status == 200 else ""

        return merge_expositions(dict(await asyncio.gather(*map(ask, self._pool.alive))), "worker")


async def read_request(connection: socket.socket) -> tuple[RequestHead, bytes]:
    """Read the head of a request and, where it may name a session, its body.

    Raises:
        ProtocolError: It is no HTTP/1.x request, or its head is too long.
        OSError: The connection broke.
    """
    loop = asyncio.get_running_loop()
    read = b""
    while END_OF_HEAD not in read:
        if len(read) > MAX_HEAD_BYTES:
            raise ProtocolError("the headers are too long")
        read += await _more(loop, connection)
    raw, _, body = read.partition(END_OF_HEAD)
    head = parse_head(raw + END_OF_HEAD)
    if head.awaits_continue and (head.body_bytes or head.is_chunked_json) and not body:
        await loop.sock_sendall(connection, b"HTTP/1.1 100 Continue\r\n\r\n")
    while len(body) < head.body_bytes:
        body += await _more(loop, connection)
    while head.is_chunked_json and b"0\r\n\r\n" not in body[-64:] and len(body) < MAX_BODY_BYTES:
        body += await _more(loop, connection)
    return head, body


async def _more(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes:
    data = await loop.sock_recv(connection, _CHUNK_BYTES)
    if not data:
        raise ConnectionResetError("the client closed the connection")
    return data


async def _answer(connection: socket.socket, status: str, text: str, kind: str = "text/plain; charset=utf-8") -> None:
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\ncache-control: no-store\r\n"
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(READ_TIMEOUT_S):
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(connection, head.encode() + b"connection: close\r\n\r\n" + body)

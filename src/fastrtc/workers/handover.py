"""Accepted connections on their way from the front to a worker: the socket itself, and what was read of it.

Each is one frame on a Unix socket: four bytes of length with the descriptor beside them (``SCM_RIGHTS``), then that
many bytes that the front has read already. What the client sends later, the worker reads itself.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections import deque
from collections.abc import Callable

logger = logging.getLogger(__name__)

_HEADER = struct.Struct("!I")
_READ_BYTES = 262_144
_MAX_DESCRIPTORS = 64
_MAX_WAITING = 128


class Sender:
    """The front's end.

    Args:
        channel: A connected, non-blocking Unix socket.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def send(self, connection: socket.socket, read: bytes) -> None:
        """Hand over a connection; the caller's copy can be closed afterwards. Must not be cancelled.

        Raises:
            OSError: The worker is gone, or has not taken any for so long that too many wait.
        """
        if self._waiting >= _MAX_WAITING:
            raise BlockingIOError("the worker takes no connections")
        self._waiting += 1
        try:
            async with self._turn:
                await self._send(connection, read)
        finally:
            self._waiting -= 1

    async def finish(self) -> None:
        """Send no more; the worker sees that it has got all."""
        async with self._turn:
            with contextlib.suppress(OSError):
                self._channel.shutdown(socket.SHUT_WR)

    async def _send(self, connection: socket.socket, read: bytes) -> None:
        loop = asyncio.get_running_loop()
        header = _HEADER.pack(len(read))
        while True:
            try:
                sent = socket.send_fds(self._channel, [header], [connection.fileno()])
                break
            except BlockingIOError:
                await self._writable(loop)
        # The descriptor went with the first byte; a frame that has begun must be completed.
        await loop.sock_sendall(self._channel, header[sent:] + read)

    async def _writable(self, loop: asyncio.AbstractEventLoop) -> None:
        ready = loop.create_future()

        def tell() -> None:
            if not ready.done():
                ready.set_result(None)

        loop.add_writer(self._channel, tell)
        try:
            await ready
        finally:
            loop.remove_writer(self._channel)


class Receiver:
    """The worker's end; reads on the running loop once :meth:`start` was called.

    Args:
        channel: A connected, non-blocking Unix socket.
        take: Gets each connection and what was read of it.
        over: Called when the front is gone.
    """

    def __init__(
        self, channel: socket.socket, take: Callable[[socket.socket, bytes], None], over: Callable[[], None]
    ) -> None:
        self._channel = channel
        self._take = take
        self._over = over
        self._bytes = bytearray()
        self._descriptors: deque[int | None] = deque()

    def start(self) -> None:
        """Begin to read."""
        asyncio.get_running_loop().add_reader(self._channel, self._read)

    def stop(self) -> None:
        """Read no more."""
        asyncio.get_running_loop().remove_reader(self._channel)

    def _read(self) -> None:
        try:
            data, descriptors = _receive(self._channel)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self.stop()
            self._over()
            return
        self._bytes += data
        self._descriptors.extend(descriptors)
        while (frame := self._next()) is not None:
            descriptor, read = frame
            if descriptor is None:
                logger.error("a connection is lost: this process is out of file descriptors")
            else:
                self._take(socket.socket(fileno=descriptor), read)

    def _next(self) -> tuple[int | None, bytes] | None:
        if len(self._bytes) < _HEADER.size:
            return None
        (length,) = _HEADER.unpack_from(self._bytes)
        end = _HEADER.size + length
        if len(self._bytes) < end:
            return None
        read = bytes(self._bytes[_HEADER.size : end])
        del self._bytes[:end]
        return self._descriptors.popleft(), read


def _receive(channel: socket.socket) -> tuple[bytes, list[int | None]]:
    """Bytes and descriptors; None stands for a descriptor for which this process had no room."""
    data, ancillary, flags, _ = channel.recvmsg(
        _READ_BYTES, socket.CMSG_LEN(_MAX_DESCRIPTORS * array.array("i").itemsize)
    )
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.set_inheritable(descriptor, False)
    # The system reads no further than one frame's descriptor at a time, so what it left out was one.
    is_lost = bool(flags & socket.MSG_CTRUNC) and not descriptors
    return data, [None] if is_lost else list(descriptors)

"""The front answers everybody in time, whatever its workers do."""

import asyncio
import socket

import pytest

from fastrtc.workers import front
from fastrtc.workers.front import Front
from fastrtc.workers.placement import Placement


class HangingWorker:
    """Its event loop is blocked: what waits for it is as much as it may be."""

    number = 0
    alive = True
    responsive = False

    async def hand_over(self, connection: socket.socket, read: bytes) -> None:
        raise BlockingIOError("the worker takes no connections")


class Pool:
    """Of one worker."""

    stopping = False

    def __init__(self, worker: HangingWorker) -> None:
        self.alive = [worker]

    def worker(self, number: int) -> HangingWorker:
        return self.alive[number]


def test_a_request_for_a_worker_that_hangs_is_answered_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "NO_WORKER_S", 0.1)

    async def scenario() -> bytes:
        client, accepted = socket.socketpair()
        client.sendall(b"GET /outputs?webrtc_id=a HTTP/1.1\r\nhost: here\r\n\r\n")
        server = Front(accepted, Pool(HangingWorker()), Placement(), None)  # type: ignore[arg-type]
        await asyncio.wait_for(server._serve_one(accepted), 10)
        with client:
            return client.recv(1_000)

    answer = asyncio.run(scenario())
    assert answer.startswith(b"HTTP/1.1 503 ")

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


class Worker:
    """Takes what it is given."""

    alive = True
    responsive = True

    def __init__(self, number: int) -> None:
        self.number = number
        self.taken = 0

    async def hand_over(self, connection: socket.socket, read: bytes) -> None:
        self.taken += 1


class Pool:
    """Of these workers."""

    def __init__(self, *workers: HangingWorker | Worker, stopping: bool = False) -> None:
        self.alive = list(workers)
        self.stopping = stopping

    def worker(self, number: int) -> HangingWorker | Worker:
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


def test_while_it_drains_those_who_come_hear_why_from_a_worker_that_stays() -> None:
    idle, busy = Worker(0), Worker(1)

    async def scenario() -> None:
        placement = Placement()
        placement.opened(1, "running", 0.0)
        for _ in range(3):
            client, accepted = socket.socketpair()
            client.sendall(b"GET /websocket/offer HTTP/1.1\r\nupgrade: websocket\r\n\r\n")
            server = Front(accepted, Pool(idle, busy, stopping=True), placement, None)  # type: ignore[arg-type]
            await asyncio.wait_for(server._serve_one(accepted), 10)
            client.close()

    asyncio.run(scenario())
    assert (idle.taken, busy.taken) == (0, 3)

"""A connection arrives whole: what was read of it, then what its client sends later."""

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fastrtc.workers import handover
from fastrtc.workers.handover import Receiver, Sender


async def pair() -> tuple[Sender, socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    return Sender(ours), ours, theirs


def test_connections_and_their_bytes_stay_together() -> None:
    async def scenario() -> None:
        sender, ours, theirs = await pair()
        taken: asyncio.Queue[tuple[socket.socket, bytes]] = asyncio.Queue()
        receiver = Receiver(theirs, lambda *frame: taken.put_nowait(frame), lambda: None)
        receiver.start()
        sizes = [0, 1, 70_000, 500_000, 3]
        clients = [socket.socketpair() for _ in sizes]
        await asyncio.gather(
            *(
                sender.send(client[1], bytes([n]) * size)
                for n, (size, client) in enumerate(zip(sizes, clients, strict=True))
            )
        )
        for number, (size, (client, handed)) in enumerate(zip(sizes, clients, strict=True)):
            handed.close()
            connection, read = await asyncio.wait_for(taken.get(), 10)
            assert read == bytes([number]) * size
            client.sendall(b"later %d" % number)
            assert connection.recv(100) == b"later %d" % number
            assert not connection.get_inheritable()
            connection.close()
            client.close()
        receiver.stop()
        ours.close()
        theirs.close()

    asyncio.run(scenario())


def test_a_connection_for_which_there_is_no_descriptor_is_lost_and_no_other_takes_its_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        sender, ours, theirs = await pair()
        taken: list[tuple[socket.socket, bytes]] = []
        receiver = Receiver(theirs, lambda *frame: taken.append(frame), lambda: None)
        (first, first_handed), (second, second_handed) = socket.socketpair(), socket.socketpair()
        await sender.send(first_handed, b"of the first")
        with no_descriptors_left():
            receiver._read()
        await sender.send(second_handed, b"of the second")
        while not taken:
            receiver._read()
        ((connection, read),) = taken
        assert read == b"of the second"
        second.sendall(b"more")
        assert connection.recv(100) == b"more"
        first_handed.close()
        assert first.recv(100) == b""
        for one in (connection, first, second, second_handed, ours, theirs):
            one.close()

    asyncio.run(scenario())
    assert "out of file descriptors" in caplog.text


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(int(one.name) for one in Path("/dev/fd").iterdir()) + 1, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


def test_a_front_that_is_gone_is_noticed() -> None:
    async def scenario() -> None:
        _, ours, theirs = await pair()
        gone = asyncio.Event()
        Receiver(theirs, lambda *_: None, gone.set).start()
        ours.close()
        await asyncio.wait_for(gone.wait(), 10)
        theirs.close()

    asyncio.run(scenario())


def test_a_worker_that_takes_nothing_holds_up_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "_MAX_WAITING", 2)

    async def scenario() -> None:
        sender, ours, theirs = await pair()
        client, handed = socket.socketpair()
        waiting = [asyncio.create_task(sender.send(handed, bytes(5_000_000))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            await sender.send(handed, b"")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for end in (ours, theirs, client, handed):
            end.close()

    asyncio.run(scenario())

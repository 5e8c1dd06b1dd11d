from __future__ import annotations

import asyncio
import threading

from fastrtc.transports.webrtc.outbox import MAX_QUEUED, MAX_QUEUED_CHARS, Outbox


def test_messages_wait_in_order_until_the_channel_is_open():
    async def scenario():
        outbox, got = Outbox(asyncio.get_running_loop()), []
        senders = [threading.Thread(target=outbox.send, args=(text,)) for text in "ab"]
        for sender in senders:
            sender.start()
            await asyncio.to_thread(sender.join)
        outbox.send("c")
        await asyncio.sleep(0)
        assert got == []
        outbox.open(got.append)
        assert got == ["a", "b", "c"]
        outbox.send("d")
        await asyncio.sleep(0)
        assert got == ["a", "b", "c", "d"]

    asyncio.run(scenario())


def test_after_close_nothing_is_delivered():
    async def scenario():
        outbox, got = Outbox(asyncio.get_running_loop()), []
        outbox.open(got.append)
        outbox.send("a")
        outbox.close()
        outbox.send("b")
        await asyncio.sleep(0)
        assert got == []

    asyncio.run(scenario())


def test_a_client_that_takes_nothing_costs_bounded_memory(caplog):
    async def scenario():
        outbox, got = Outbox(asyncio.get_running_loop()), []
        for number in range(MAX_QUEUED + 10):
            outbox.send(str(number))
        outbox.open(got.append)
        assert got == [str(number) for number in range(MAX_QUEUED)]

    asyncio.run(scenario())
    assert len([record for record in caplog.records if "dropped" in record.message]) == 1


def test_few_long_messages_are_as_bounded_as_many_short_ones():
    async def scenario():
        outbox, got = Outbox(asyncio.get_running_loop()), []
        for _ in range(9):
            outbox.send("x" * (MAX_QUEUED_CHARS // 4))
        outbox.open(lambda text: got.append(len(text)))
        assert got == [MAX_QUEUED_CHARS // 4] * 4
        outbox.send("y" * MAX_QUEUED_CHARS)
        await asyncio.sleep(0)
        assert got[-1] == MAX_QUEUED_CHARS

    asyncio.run(scenario())


def test_sending_after_the_loop_has_ended_is_no_error():
    loop = asyncio.new_event_loop()
    outbox = Outbox(loop)
    loop.close()
    outbox.send("a")
    outbox.send("b")
    assert loop.is_closed()

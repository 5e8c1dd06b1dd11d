import asyncio
import threading

import pytest

from fastrtc.outputs import AdditionalOutputs
from fastrtc.server.outputs import OutputQueue, OutputQueues


def put(queue: OutputQueue, *values: object) -> None:
    for value in values:
        queue.put(AdditionalOutputs(value))


async def values_of(queues: OutputQueues, session_id: str) -> list[object]:
    return [outputs.args[0] async for outputs in queues.listen(session_id)]


def test_outputs_come_in_order_and_end_with_the_session() -> None:
    async def scenario() -> None:
        queues = OutputQueues()
        queue = queues.open("a")
        put(queue, 1, 2)
        listening = asyncio.create_task(values_of(queues, "a"))
        await asyncio.sleep(0)
        thread = threading.Thread(target=put, args=(queue, 3, 4))
        thread.start()
        await asyncio.to_thread(thread.join)
        queues.close("a")
        assert await listening == [1, 2, 3, 4]
        assert await values_of(queues, "a") == []
        assert dict(queues) == {}

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_an_app_may_listen_before_the_session_begins() -> None:
    async def scenario() -> None:
        queues = OutputQueues()
        listening = asyncio.create_task(values_of(queues, "a"))
        await asyncio.sleep(0)
        put(queues.open("a"), "hi")
        queues.close("a")
        assert await listening == ["hi"]

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_an_id_may_come_back() -> None:
    async def scenario() -> None:
        queues = OutputQueues()
        queues.open("a")
        queues.close("a")
        put(queues.open("a"), "again")
        assert (await queues.fetch("a", 5)).args == ("again",)

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_what_a_session_left_can_be_read_once_and_soon() -> None:
    async def scenario() -> None:
        queues = OutputQueues(keep_left_s=0.0)
        for values, waits in (((1, 2), 0), ((3,), 1)):
            put(queues.open("a"), *values)
            queues.close("a")
            for _ in range(waits * 3):
                await asyncio.sleep(0)
            assert await values_of(queues, "a") == ([] if waits else [1, 2])
            assert await values_of(queues, "a") == []
        put(queues.open("a"), "old")
        queues.close("a")
        queues.open("a")
        listening = asyncio.create_task(values_of(queues, "a"))
        await asyncio.sleep(0)
        put(queues["a"], "new")
        queues.close("a")
        assert await listening == ["new"]

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_waiting_for_a_session_that_never_comes_ends_and_leaves_nothing() -> None:
    async def scenario() -> None:
        queues = OutputQueues(unknown_session_timeout_s=0.01)
        assert await values_of(queues, "nobody") == []
        with pytest.raises(TimeoutError):
            await queues.fetch("nobody", 0.01)
        assert dict(queues) == {}

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_a_quiet_session_is_listened_to_for_longer_than_an_unknown_one() -> None:
    async def scenario() -> None:
        queues = OutputQueues(unknown_session_timeout_s=0.01)
        listening = asyncio.create_task(values_of(queues, "a"))
        await asyncio.sleep(0)
        queue = queues.open("a")
        await asyncio.sleep(0.05)
        put(queue, "late")
        queues.close("a")
        assert await listening == ["late"]

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_fetching_from_a_session_that_is_over_fails_at_once() -> None:
    async def scenario() -> None:
        queues = OutputQueues()
        queue = queues.open("a")
        fetching = asyncio.create_task(queues.fetch("a", 60))
        await asyncio.sleep(0)
        queues.close("a")
        for fetch in (fetching, queues.fetch("a", 60)):
            with pytest.raises(TimeoutError, match="over"):
                await fetch
        assert queue.ended

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_what_nobody_fetches_is_bounded() -> None:
    queue = OutputQueue(max_items=3)
    put(queue, *range(10))
    assert len(queue) == 3

    async def scenario() -> list[object]:
        queue.end()
        return [outputs.args[0] for outputs in [await queue.get() for _ in range(3)] if outputs is not None]

    assert asyncio.run(scenario()) == [7, 8, 9]


def test_who_uses_an_id_again_gets_nothing_of_the_session_before() -> None:
    async def scenario() -> None:
        queues = OutputQueues()
        first = queues.open("a")
        put(first, "of the first")
        listening = asyncio.create_task(values_of(queues, "a"))
        await asyncio.sleep(0)
        second = queues.open("a")
        put(first, "late")
        put(second, "of the second")
        assert await listening == ["of the first", "late"]
        queues.close("a")
        assert await values_of(queues, "a") == ["of the second"]

    asyncio.run(asyncio.wait_for(scenario(), 10))

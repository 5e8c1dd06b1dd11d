import asyncio
import threading

import numpy as np

from fastrtc.transports.inbox import Inbox
from fastrtc.transports.memory import MemoryLink
from fastrtc.transports.outbox import Outbox

RATE = 8_000
TICK = np.arange(160, dtype=np.int16)


def test_many_threads_lose_nothing() -> None:
    sent: list[str] = []

    async def send(text: str) -> None:
        sent.append(text)

    async def scenario() -> None:
        outbox = Outbox(send, lambda pcm: f"audio {pcm.size}", RATE)
        running = asyncio.create_task(outbox.run())

        def work(name: str) -> None:
            for number in range(100):
                outbox.put_text(f"{name} {number}")
                outbox.put_audio(TICK)

        threads = [threading.Thread(target=work, args=(name,)) for name in "xyz"]
        for thread in threads:
            thread.start()
        await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
        await outbox.drained()
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())
    for name in "xyz":
        assert [text for text in sent if text.startswith(name)] == [f"{name} {number}" for number in range(100)]
    assert sum(int(text.split()[1]) for text in sent if text.startswith("audio")) == 300 * 160


def test_a_backlog_of_text_overflows() -> None:
    async def scenario() -> None:
        async def never(_: str) -> None:
            await asyncio.Event().wait()

        outbox = Outbox(never, lambda _: "", RATE, max_backlog_bytes=1_000)
        outbox.put_text("x" * 900)
        await asyncio.sleep(0)
        assert not outbox.overflow.done()
        outbox.put_text("x" * 200)
        async with asyncio.timeout(5):
            await outbox.overflow

    asyncio.run(scenario())


def test_dropped_audio_is_not_sent_and_text_is() -> None:
    sent: list[str] = []

    async def send(text: str) -> None:
        sent.append(text)

    async def scenario() -> None:
        outbox = Outbox(send, lambda pcm: f"audio {pcm[0]}", RATE)
        running = asyncio.create_task(outbox.run())
        outbox.put_audio(TICK)
        outbox.put_text("text")
        outbox.put_audio(TICK)
        assert outbox.drop_audio() == 320
        assert outbox.ahead_ms() == 0.0
        outbox.put_audio(TICK + 7)
        await outbox.drained()
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())
    assert sent == ["text", "audio 7"]


def test_an_outbox_of_a_dead_loop_takes_nothing() -> None:
    async def make() -> Outbox:
        async def send(_: str) -> None: ...

        return Outbox(send, lambda _: "", RATE)

    outbox = asyncio.run(make())
    outbox.put_audio(TICK)
    outbox.put_text("late")
    assert outbox.drop_audio() == 160


def test_an_inbox_keeps_the_newest() -> None:
    inbox = Inbox(RATE, max_ms=100)
    assert inbox.take() is None
    for number in range(10):
        inbox.put(TICK + number)
    taken = inbox.take()
    assert taken is not None
    np.testing.assert_array_equal(taken, np.concatenate([TICK + number for number in range(5, 10)]))
    assert inbox.dropped_samples == 5 * 160
    assert inbox.take() is None


def test_a_memory_link_gives_each_side_what_the_other_said() -> None:
    link = MemoryLink(16_000, 24_000, lead_ms=40, delay_ms=30.0)
    assert link.read() is None
    link.push(TICK)
    link.push(TICK)
    heard = link.read()
    assert heard is not None
    np.testing.assert_array_equal(heard, np.concatenate([TICK, TICK]))
    played = TICK.copy()
    link.write(played)
    played[:] = 0
    link.write(None)
    link.send('{"type": "log", "data": "hi"}')
    assert link.silent_ticks == 1
    np.testing.assert_array_equal(link.take(), TICK)
    assert link.take().size == 0
    assert link.parsed_messages() == [{"type": "log", "data": "hi"}]
    assert link.flush() is False
    assert (link.flushes, link.playout_delay_ms(), link.closed) == (1, 30.0, False)
    asyncio.run(link.close())
    assert link.closed

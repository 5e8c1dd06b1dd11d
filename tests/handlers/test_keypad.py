"""Keys of a telephone reach ``on_dtmf``: where it runs, in which order, and what an error does."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from tests.handlers.kit import Host, replier, tone

from fastrtc.context import get_current_context
from fastrtc.handlers.base import AsyncStreamHandler, StreamHandler

pytestmark = pytest.mark.anyio


class Notes:
    """Takes down keys, with the thread and the session that they came in."""

    def __init__(self) -> None:
        self.digits = ""
        self.threads: set[threading.Thread] = set()
        self.sessions: set[str] = set()

    def take(self, digit: str) -> None:
        self.digits += digit
        self.threads.add(threading.current_thread())
        self.sessions.add(get_current_context().webrtc_id)

    async def take_later(self, digit: str) -> None:
        await asyncio.sleep(0)
        self.take(digit)


class Plain(StreamHandler):
    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self.notes = notes

    def receive(self, frame: Any) -> None: ...

    def emit(self) -> None: ...

    def copy(self) -> Plain:
        return Plain(self.notes)

    def on_dtmf(self, digit: str) -> None:
        self.notes.take(digit)


class PlainWithCoroutine(Plain):
    async def on_dtmf(self, digit: str) -> None:  # type: ignore[override]
        await self.notes.take_later(digit)


class Async(AsyncStreamHandler):
    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self.notes = notes

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> None: ...

    def copy(self) -> Async:
        return Async(self.notes)

    async def on_dtmf(self, digit: str) -> None:
        await self.notes.take_later(digit)


class AsyncWithFunction(Async):
    def on_dtmf(self, digit: str) -> None:  # type: ignore[override]
        self.notes.take(digit)


def silent(audio: Any) -> Any:
    yield tone(1)


MAKE = {
    "plain": Plain,
    "plain with coroutine": PlainWithCoroutine,
    "async": Async,
    "async with function": AsyncWithFunction,
    "reply function": lambda notes: replier(silent, on_dtmf=notes.take).copy(),
    "reply coroutine": lambda notes: replier(silent, on_dtmf=notes.take_later).copy(),
}


@pytest.mark.parametrize("kind", MAKE)
async def test_keys_reach_the_handler_in_order(kind: str) -> None:
    notes = Notes()
    async with Host(MAKE[kind](notes)) as host:
        for digit in "0123456789*#":
            host.session.press_key(digit)
        await host.event("dtmf_received", digit="#")
        await host.until(lambda: len(notes.digits) == 12)
    assert notes.digits == "0123456789*#"
    assert notes.sessions == {"test"}
    # Blocking code must not run on the app's loop.
    on_loop = kind not in ("plain", "reply function")
    assert (threading.current_thread() in notes.threads) == on_loop
    assert len(notes.threads) == 1


async def test_a_handler_that_ignores_keys_goes_on() -> None:
    async with Host(replier(silent)) as host:
        host.session.press_key("1")
        assert (await host.event("dtmf_received"))["digit"] == "1"
        host.speak()
        await host.event("playback_finished", turn=1)


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_error_is_reported_and_the_session_goes_on(is_async: bool) -> None:
    async def broken_later(digit: str) -> None:
        raise ValueError(f"no {digit}")

    def broken(digit: str) -> None:
        raise ValueError(f"no {digit}")

    async with Host(replier(silent, on_dtmf=broken_later if is_async else broken)) as host:
        host.session.press_key("7")
        await host.event("handler_failed", message="no 7", turn=None)
        host.speak()
        await host.event("playback_finished", turn=1)

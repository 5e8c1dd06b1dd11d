"""Generator functions as handlers of audio that only goes to the client."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from tests.handlers.kit import OUT_HZ, Host

from fastrtc.context import get_current_context
from fastrtc.handlers.generator import AsyncGeneratorHandler, GeneratorHandler, generator_handler, has_parameters
from fastrtc.outputs import AdditionalOutputs

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_thread_left")]


def beep(level: int) -> tuple[int, Any]:
    return OUT_HZ, np.full((1, OUT_HZ // 10), level, np.int16)


def count(start: int, step: int) -> Iterator[Any]:
    for number in range(3):
        yield beep(start + step * number), AdditionalOutputs(number)


async def count_async(start: int, step: int) -> AsyncIterator[Any]:
    for number in range(3):
        yield beep(start + step * number), AdditionalOutputs(number)


@pytest.mark.parametrize("fn", [count, count_async])
async def test_it_waits_for_inputs_plays_everything_and_ends_the_session(fn: Any) -> None:
    async with Host(generator_handler(fn)) as host:
        await host.until(lambda: host.messages("send_input"))
        assert host.link.heard.size == 0
        host.session.set_args([1000, 500])
        await host.event("session_closed")
    assert {int(level) for level in host.link.heard} >= {1000, 1500, 2000}
    assert host.link.heard.size == pytest.approx(0.3 * OUT_HZ, abs=OUT_HZ // 50)
    assert [outputs.args for outputs in host.outputs] == [(0,), (1,), (2,)]


def names_its_session() -> Iterator[Any]:
    assert get_current_context().webrtc_id
    yield beep(700)


async def names_its_session_async() -> AsyncIterator[Any]:
    assert get_current_context().webrtc_id
    yield beep(700)


@pytest.mark.parametrize("fn", [names_its_session, names_its_session_async])
async def test_a_function_without_parameters_begins_at_once(fn: Any) -> None:
    async with Host(generator_handler(fn)) as host:
        await host.event("session_closed")
    assert not host.messages("send_input")
    assert np.abs(host.link.heard).max() == 700


closed = threading.Event()


def endless() -> Iterator[Any]:
    try:
        while True:
            yield beep(900)
    finally:
        closed.set()


async def endless_async() -> AsyncIterator[Any]:
    try:
        while True:
            yield beep(900)
    finally:
        closed.set()


@pytest.mark.parametrize("fn", [endless, endless_async])
async def test_a_generator_is_closed_when_the_client_goes(fn: Any) -> None:
    closed.clear()
    async with Host(generator_handler(fn)) as host:
        await host.until(lambda: host.link.heard.size > OUT_HZ // 10)
    assert closed.wait(5)


def test_each_session_calls_the_function_anew() -> None:
    for fn, kind in [(count, GeneratorHandler), (count_async, AsyncGeneratorHandler)]:
        handler = generator_handler(fn)
        assert type(handler) is type(handler.copy()) is kind
        assert handler.copy() is not handler
    assert has_parameters(count)
    assert not has_parameters(endless)
    assert not has_parameters(dict)

"""What collections leave out while sessions run, and what is noted of them."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from fastrtc.collector import SHARE, Collector


@pytest.fixture(autouse=True)
def nothing_frozen() -> Iterator[None]:
    """As in an app; here the tests themselves are frozen (``conftest.py``)."""
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.freeze()


class Node:
    """Garbage that only a collection finds, once nothing else refers to it."""

    def __init__(self) -> None:
        self.itself = self


def test_what_was_there_waits_and_what_came_later_does_not() -> None:
    collector = Collector()
    before = Node()
    there = weakref.ref(before)
    collector.spare()
    after = Node()
    came = weakref.ref(after)
    del before, after
    gc.collect()
    assert came() is None
    assert there() is not None
    collector.resume()
    assert there() is None


def test_what_one_session_after_another_leaves_is_found_without_taking_much_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s, collected_s = 100.0, [100.0]
    collector = Collector()

    def collect() -> None:
        nonlocal now_s
        collected_s.append(now_s)
        now_s += 0.3

    monkeypatch.setattr("fastrtc.collector.time", SimpleNamespace(perf_counter=lambda: now_s))
    monkeypatch.setattr("gc.collect", collect)
    while now_s < 1000.0:
        collector.spare()
        now_s += 4.0
        collector.resume()
    pauses = [after - before for before, after in itertools.pairwise(collected_s)]
    assert len(pauses) > 10
    assert all(0.3 / SHARE <= pause <= 0.3 / SHARE + 5.0 for pause in pauses[1:])


def test_it_is_resumed_by_the_last() -> None:
    collector = Collector()
    collector.spare()
    collector.spare()
    collector.resume()
    assert gc.get_freeze_count() > 0
    collector.resume()
    assert gc.get_freeze_count() == 0


def test_what_the_app_had_frozen_stays_frozen() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    collector = Collector()
    collector.spare()
    collector.resume()
    assert gc.get_freeze_count() == pytest.approx(frozen, rel=0.01)


def test_an_app_without_collections_gets_none() -> None:
    before = Node()
    there = weakref.ref(before)
    del before
    gc.disable()
    try:
        collector = Collector()
        collector.spare()
        assert gc.get_freeze_count() == 0
        collector.resume()
        assert there() is not None
    finally:
        gc.enable()


def test_what_the_app_freezes_meanwhile_stays_frozen() -> None:
    collector = Collector()
    collector.spare()
    kept = [Node() for _ in range(100)]
    gc.freeze()
    collector.resume()
    assert gc.get_freeze_count() > len(kept)


def test_full_collections_are_noted_while_sessions_run() -> None:
    collector = Collector()
    callbacks = len(gc.callbacks)
    gc.collect()
    assert collector.take_longest_s() == 0
    collector.spare()
    gc.collect(0)
    gc.collect(1)
    assert collector.take_longest_s() == 0
    gc.collect()
    assert collector.take_longest_s() > 0
    assert collector.take_longest_s() == 0
    collector.resume()
    assert len(gc.callbacks) == callbacks

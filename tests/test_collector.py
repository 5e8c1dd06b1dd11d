"""What collections leave out while sessions run, and what is noted of them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from fastrtc.collector import Collector


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
    gc.collect()
    assert there() is None


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

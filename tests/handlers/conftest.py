from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from tests.handlers.kit import new_threads


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Fails the test if a thread that it started is still there afterwards."""
    before = set(threading.enumerate())
    yield
    assert [thread.name for thread in new_threads(before)] == []

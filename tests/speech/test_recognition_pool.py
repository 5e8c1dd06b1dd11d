"""The shared threads of recognition: in turn, bounded, and never two jobs of one session at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from fastrtc.speech.recognition_pool import RecognitionPool, recognition_pool

WAIT_S = 20


class Gate:
    """Jobs that hold their thread until they are let go."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.open.wait(WAIT_S)


def noting(seen: list[str], what: str, done: threading.Event | None = None) -> Callable[[], None]:
    def job() -> None:
        seen.append(what)
        if done is not None:
            done.set()

    return job


def test_a_newer_job_takes_the_place_of_the_one_that_waits() -> None:
    pool, gate, seen, done = RecognitionPool(1), Gate(), [], threading.Event()
    pool.submit("a", gate)
    assert gate.begun.wait(WAIT_S)
    for number in range(5):
        pool.submit("a", noting(seen, f"a{number}"))
    pool.submit("b", noting(seen, "b"))
    pool.submit("a", noting(seen, "a5"))
    pool.submit("c", noting(seen, "c", done))
    stats = pool.stats
    assert (stats.waiting, stats.running, stats.dropped) == (3, 1, 5)
    gate.open.set()
    assert done.wait(WAIT_S)
    assert seen == ["a5", "b", "c"]


def test_keys_take_turns_and_never_run_twice_at_once() -> None:
    pool, gate, seen, done = RecognitionPool(2), Gate(), [], threading.Event()
    pool.submit("a", gate)
    assert gate.begun.wait(WAIT_S)
    pool.submit("a", noting(seen, "a"))
    pool.submit("b", noting(seen, "b", done))
    assert done.wait(WAIT_S)
    assert seen == ["b"]
    last = threading.Event()
    pool.submit("a", noting(seen, "newer a", last))
    gate.open.set()
    assert last.wait(WAIT_S)
    assert seen == ["b", "newer a"]
    assert pool.stats.dropped == 1


def test_what_nobody_wants_is_dropped_uncounted() -> None:
    pool, gate, seen, done = RecognitionPool(1), Gate(), [], threading.Event()
    pool.submit("a", gate)
    pool.submit("b", noting(seen, "b"))
    pool.submit("c", noting(seen, "c", done))
    pool.forget("b")
    pool.forget("nobody")
    gate.open.set()
    assert done.wait(WAIT_S)
    assert seen == ["c"]
    assert pool.stats.dropped == 0


def test_that_it_cannot_keep_up_is_said_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    pool, gate, done = RecognitionPool(1), Gate(), threading.Event()
    pool.submit("a", gate)
    assert gate.begun.wait(WAIT_S)
    with caplog.at_level(logging.WARNING, "fastrtc"):
        for _ in range(50):
            pool.submit("a", done.set)
    gate.open.set()
    assert done.wait(WAIT_S)
    assert [record.getMessage() for record in caplog.records] == [
        "recognition cannot keep up: 1 pieces of speech were dropped for newer ones"
    ]


def test_many_sessions_are_all_served() -> None:
    pool, seen, lock, left = RecognitionPool(3), {}, threading.Lock(), threading.Semaphore(0)

    def job(key: int) -> Callable[[], None]:
        def run() -> None:
            with lock:
                seen[key] = seen.get(key, 0) + 1
            left.release()

        return run

    for key in range(100):
        pool.submit(key, job(key))
    for _ in range(100):
        assert left.acquire(timeout=WAIT_S)
    assert seen == dict.fromkeys(range(100), 1)


def test_closing_waits_for_what_runs_and_takes_no_more() -> None:
    pool, gate, seen, closed = RecognitionPool(2), Gate(), [], threading.Event()
    pool.submit("a", gate)
    assert gate.begun.wait(WAIT_S)
    pool.submit("a", noting(seen, "waited"))

    def close() -> None:
        pool.close()
        closed.set()

    threading.Thread(target=close, daemon=True).start()
    assert not closed.wait(0.05)
    gate.open.set()
    assert closed.wait(WAIT_S)
    pool.submit("b", noting(seen, "late"))
    stats = pool.stats
    assert (seen, stats.waiting, stats.running, stats.done) == ([], 0, 0, 1)


def test_a_process_has_one() -> None:
    assert recognition_pool() is recognition_pool()

"""A seeded share of ``bench/fuzz.py``: whatever comes in, it is understood or refused with an error of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.loop import LOOP
from tests.fuzz.targets import TARGETS, no_errors_logged

SHARES = {"websocket_conversation": 150, "telephone_conversation": 150, "signaling": 150, "session_messages": 150}
SHARES |= {"turn_messages": 40, "paced_socket": 100}


@pytest.fixture(scope="module", autouse=True)
def one_loop() -> Iterator[None]:
    yield
    LOOP.close()


def share(name: str) -> int:
    return SHARES.get(name, 300)


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_in_is_understood_or_refused(name: str) -> None:
    seen: set[str] = set()

    @given(st.binary(max_size=96))
    @settings(
        max_examples=share(name),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def run(raw: bytes) -> None:
        with no_errors_logged():
            seen.add(TARGETS[name](raw))

    run()
    assert len(seen) > 1, "an input that is always answered in the same way tests nothing"


@pytest.mark.parametrize("name", TARGETS)
def test_right_messages_are_among_the_inputs(name: str) -> None:
    assert TARGETS[name](b"")

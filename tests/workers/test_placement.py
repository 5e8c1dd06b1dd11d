"""Sessions stay where they are, and load is spread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.workers import placement
from fastrtc.workers.placement import EXPECTED_S, LEFT_S, Placement


def test_what_comes_later_goes_where_the_offer_went() -> None:
    table = Placement()
    first = table.place([0, 1], 0.0, "a")
    assert table.owner("a", 1.0) == first
    assert table.opened(first, "a", 1.0)
    assert table.owner("a", 10_000.0) == first
    table.closed(first, "a", 10_000.0)
    assert table.owner("a", 10_000.0 + LEFT_S - 1) == first
    assert table.owner("a", 10_000.0 + LEFT_S) is None
    assert table.sessions(first) == 0


def test_an_offer_that_comes_to_nothing_is_forgotten() -> None:
    table = Placement()
    worker = table.place([0, 1], 0.0, "a")
    assert table.load(worker, 0.0) == 1
    assert table.load(worker, placement.ARRIVING_S) == 0
    assert table.owner("a", EXPECTED_S) is None
    assert len(table) == 0


def test_sessions_are_spread_before_they_are_reported() -> None:
    table = Placement()
    chosen = [table.place([0, 1, 2], 0.0, str(number)) for number in range(9)]
    assert sorted(chosen) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_socket_without_an_id_counts_until_its_session_is_reported() -> None:
    table = Placement()
    worker = table.place([0, 1], 0.0)
    assert table.load(worker, 0.0) == 1
    table.opened(worker, "of the socket", 0.1)
    assert table.load(worker, 0.1) == 1
    assert table.owner("of the socket", 0.2) == worker


def test_the_second_session_of_an_id_is_not_wanted() -> None:
    table = Placement()
    assert table.opened(0, "a", 0.0)
    assert not table.opened(1, "a", 0.0)
    table.closed(1, "a", 0.0)
    assert table.owner("a", 0.0) == 0
    assert (table.sessions(0), table.sessions(1)) == (1, 0)


def test_a_lost_worker_takes_only_its_own_sessions_along() -> None:
    table = Placement()
    table.opened(0, "a", 0.0)
    table.opened(1, "b", 0.0)
    assert table.forget(0) == 1
    assert table.owner("a", 0.0) is None
    assert table.owner("b", 0.0) == 1


def test_requests_for_ids_that_nobody_has_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "MAX_CLAIMS", 200)
    table = Placement()
    table.opened(0, "kept", 0.0)
    for number in range(700):
        table.place([0, 1], 0.0, str(number), opens=False)
    assert len(table) <= 201
    assert table.owner("kept", 0.0) == 0
    assert table.load(1, 0.0) == 0


STEPS = st.lists(
    st.tuples(st.sampled_from(["place", "opened", "closed", "forget", "wait"]), st.integers(0, 2), st.integers(0, 5))
)


@given(STEPS)
def test_the_counts_are_those_of_the_sessions(steps: list[tuple[str, int, int]]) -> None:
    table, now_s = Placement(), 0.0
    sessions: dict[str, int] = {}
    for step, worker, number in steps:
        session_id = str(number)
        if step == "place":
            if session_id not in sessions and table.owner(session_id, now_s) is None:
                table.place([0, 1, 2], now_s, session_id)
        elif step == "opened":
            wanted = table.opened(worker, session_id, now_s)
            assert wanted == (sessions.get(session_id, worker) == worker)
            sessions.setdefault(session_id, worker)
        elif step == "closed":
            table.closed(worker, session_id, now_s)
            if sessions.get(session_id) == worker:
                del sessions[session_id]
        elif step == "forget":
            lost = [key for key, where in sessions.items() if where == worker]
            assert table.forget(worker) == len(lost)
            for key in lost:
                del sessions[key]
        else:
            now_s += 7.0
        for key, where in sessions.items():
            assert table.owner(key, now_s) == where
        for each in range(3):
            assert table.sessions(each) == sum(where == each for where in sessions.values())

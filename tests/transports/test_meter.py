"""A bucket that refills, in a time of the test's own."""

from hypothesis import given
from hypothesis import strategies as st

from fastrtc.transports.lobby import Lobby
from fastrtc.transports.meter import Meter


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    meter = Meter(10, 3, clock)
    assert [meter.take() for _ in range(4)] == [True, True, True, False]
    clock.now_s = 0.1
    assert [meter.take() for _ in range(2)] == [True, False]
    clock.now_s = 100.0
    assert [meter.take() for _ in range(4)] == [True, True, True, False]


def test_a_debt_is_paid_with_time() -> None:
    clock = Clock()
    meter = Meter(10, 3, clock)
    assert meter.owe(3) == 0
    assert meter.owe(5) == 0.5
    clock.now_s = 0.5
    assert meter.owe(0) == 0
    assert not meter.take()


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 3)), max_size=50))
def test_never_more_than_burst_and_rate(steps: list[tuple[float, float]]) -> None:
    clock = Clock()
    meter = Meter(2, 5, clock)
    taken = 0.0
    for wait_s, amount in steps:
        clock.now_s += wait_s
        taken += amount if meter.take(amount) else 0.0
        assert taken <= 5 + 2 * clock.now_s + 1e-6


def test_the_oldest_leaves_a_full_lobby() -> None:
    lobby = Lobby(2)
    gone: list[tuple[str, str]] = []
    for name in ("a", "b", "c"):
        lobby.enter(name, lambda reason, name=name: gone.append((name, reason)))  # type: ignore[misc]
    assert gone == [("a", "too_many_pending_connections")]
    lobby.leave("b")
    lobby.leave("b")
    assert len(lobby) == 1

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fastrtc.errors import SignalingError
from fastrtc.server.registry import Registry


def run(scenario: Callable[[Registry[str], list[tuple[str, str]]], Awaitable[None]], **options: float) -> None:
    async def play() -> None:
        dropped: list[tuple[str, str]] = []

        async def drop(session: str, reason: str) -> None:
            dropped.append((session, reason))

        await scenario(Registry(2, drop, **options), dropped)  # type: ignore[arg-type]

    asyncio.run(play())


def test_connected_sessions_take_places() -> None:
    async def scenario(registry: Registry[str], _: object) -> None:
        registry.add_connected("a", "A")
        registry.add_connected("b", "B")
        assert dict(registry) == {"a": "A", "b": "B"}
        with pytest.raises(SignalingError) as refused:
            registry.check("c")
        assert refused.value.as_json() == {
            "status": "failed",
            "meta": {"error": "concurrency_limit_reached", "limit": 2},
        }
        registry.remove("a")
        registry.add_connected("c", "C")

    run(scenario)


def test_an_id_is_used_once() -> None:
    async def scenario(registry: Registry[str], _: object) -> None:
        registry.add_pending("a", "A")
        for add in (registry.add_pending, registry.add_connected):
            with pytest.raises(SignalingError, match="connection_already_exists"):
                add("a", "again")

    run(scenario)


def test_pending_connections_take_no_place() -> None:
    async def scenario(registry: Registry[str], _: object) -> None:
        for number in range(10):
            registry.add_pending(f"p{number}", "P")
        registry.add_connected("a", "A")
        registry.connect("p3")
        registry.connect("p3")
        assert sorted(registry.connected_ids) == ["a", "p3"]
        with pytest.raises(SignalingError, match="concurrency_limit_reached"):
            registry.connect("p4")
        with pytest.raises(SignalingError, match="unknown_connection"):
            registry.connect("nobody")

    run(scenario)


def test_a_flood_of_offers_drops_the_oldest() -> None:
    async def scenario(registry: Registry[str], dropped: list[tuple[str, str]]) -> None:
        for number in range(5):
            registry.add_pending(str(number), str(number))
        await asyncio.sleep(0)
        assert dropped == [("0", "too_many_pending_connections"), ("1", "too_many_pending_connections")]
        assert list(registry) == ["2", "3", "4"]

    run(scenario, pending_limit=3)


def test_a_connection_that_never_comes_up_is_dropped() -> None:
    async def play() -> None:
        dropped: list[tuple[str, str]] = []
        first_drop = asyncio.Event()

        async def drop(session: str, reason: str) -> None:
            dropped.append((session, reason))
            first_drop.set()

        registry: Registry[str] = Registry(2, drop, pending_timeout_s=0.01)
        registry.add_pending("slow", "S")
        registry.add_pending("quick", "Q")
        registry.add_pending("given up", "G")
        registry.connect("quick")
        registry.remove("given up")
        await asyncio.wait_for(first_drop.wait(), 5)
        assert dropped == [("S", "connection_timeout")]
        assert list(registry) == ["quick"]

    asyncio.run(play())


def test_one_can_wait_for_those_that_were_dropped() -> None:
    async def play() -> None:
        may_close, closed = asyncio.Event(), []

        async def drop(session: str, _reason: str) -> None:
            await may_close.wait()
            closed.append(session)

        registry: Registry[str] = Registry(2, drop, pending_limit=1)
        await registry.dropped()
        registry.add_pending("a", "A")
        registry.add_pending("b", "B")
        waiting = asyncio.create_task(registry.dropped())
        await asyncio.sleep(0)
        assert not waiting.done()
        may_close.set()
        await asyncio.wait_for(waiting, 5)
        assert closed == ["A"]

    asyncio.run(play())


def test_a_lost_client_gives_up_its_place_only_to_who_connects() -> None:
    async def scenario(registry: Registry[str], dropped: list[tuple[str, str]]) -> None:
        registry.add_connected("a", "A")
        registry.add_connected("b", "B")
        registry.mark_lost("b", True)
        registry.check("c")
        registry.add_pending("c", "C")
        await asyncio.sleep(0)
        assert sorted(registry.connected_ids) == ["a", "b"]
        assert dropped == []
        registry.connect("c")
        await asyncio.sleep(0)
        assert sorted(registry.connected_ids) == ["a", "c"]
        assert dropped == [("B", "connection_lost")]
        with pytest.raises(SignalingError, match="concurrency_limit_reached"):
            registry.add_connected("d", "D")

    run(scenario)


def test_a_client_that_is_there_again_keeps_its_place() -> None:
    async def scenario(registry: Registry[str], dropped: list[tuple[str, str]]) -> None:
        registry.add_connected("a", "A")
        registry.add_connected("b", "B")
        registry.mark_lost("b", True)
        registry.add_pending("c", "C")
        registry.mark_lost("b", False)
        registry.mark_lost("nobody", True)
        with pytest.raises(SignalingError, match="concurrency_limit_reached"):
            registry.connect("c")
        assert sorted(registry.connected_ids) == ["a", "b"]
        assert dropped == []

    run(scenario)

"""Who is let in."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from fastrtc.errors import AccessDeniedError, ConfigurationError, SignalingError
from fastrtc.limits import Limits
from fastrtc.server import entrance as module
from fastrtc.server.entrance import Entrance
from fastrtc.server.ids import is_ours, new_session_id
from fastrtc.server.memory import resident_mb
from fastrtc.visitor import Visitor

ANN = Visitor(via="webrtc", webrtc_id="a", given_token="ann")


def admit(hook: Any, visitor: Visitor = ANN, **options: Any) -> Any:
    async def ask() -> Any:
        return await Entrance(hook, **options).admit(visitor)

    return asyncio.run(ask())


def denial(hook: Any) -> AccessDeniedError:
    with pytest.raises(AccessDeniedError) as refused:
        admit(hook)
    return refused.value


async def async_hook(visitor: Visitor) -> Any:
    await asyncio.sleep(0)
    return {"token": visitor.token}


class Hook:
    async def __call__(self, visitor: Visitor) -> str:
        return f"object {visitor.webrtc_id}"


@pytest.mark.parametrize(
    ("hook", "user"),
    [
        (None, None),
        (lambda visitor: visitor.token, "ann"),
        (async_hook, {"token": "ann"}),
        (Hook(), "object a"),
        (lambda visitor: async_hook(visitor), {"token": "ann"}),
        (lambda _: 0, 0),
        (lambda _: "", ""),
    ],
)
def test_what_the_hook_returns_is_the_user(hook: Any, user: Any) -> None:
    assert admit(hook) == user


@pytest.mark.parametrize("nobody", [None, False])
def test_nobody_is_let_in_by_accident(nobody: Any) -> None:
    error = denial(lambda _: nobody)
    assert (error.status, error.as_json()) == (401, {"status": "failed", "meta": {"error": "unauthorized"}})


def raising(error: Exception) -> Callable[[Visitor], Any]:
    def hook(_: Visitor) -> Any:
        raise error

    return hook


def test_a_refusal_says_why() -> None:
    error = denial(raising(AccessDeniedError("your trial is over", status=403)))
    assert error.as_json() == {"status": "failed", "meta": {"error": "forbidden", "detail": "your trial is over"}}
    assert denial(raising(HTTPException(401, "log in first"))).detail == {"detail": "log in first"}
    assert denial(raising(HTTPException(429))).code == "too_many_requests"
    assert denial(raising(HTTPException(451))).status == 451


def test_a_hook_that_breaks_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    error = denial(raising(KeyError("the secret of ann")))
    assert (error.status, error.code) == (500, "authorization_failed")
    assert "secret" not in str(error.as_json())
    assert "authorize hook failed" in caplog.text


def test_a_hook_that_hangs_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AUTHORIZE_TIMEOUT_S", 0.01)

    async def hook(_: Visitor) -> None:
        await asyncio.Event().wait()

    assert denial(hook).code == "authorization_failed"


def test_offers_are_counted() -> None:
    async def play() -> None:
        entrance = Entrance(limits=Limits(offers_per_s=0.001, offer_burst=2))
        await entrance.admit(ANN)
        await entrance.admit(ANN)
        with pytest.raises(SignalingError, match="too_many_offers"):
            await entrance.admit(ANN)

    asyncio.run(play())


def test_no_session_beyond_the_memory(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert admit(None, limits=Limits(max_memory_mb=1e9)) is None
    if resident_mb() is None:
        pytest.skip("this system does not tell")
    with pytest.raises(SignalingError, match="server_overloaded"):
        admit(None, limits=Limits(max_memory_mb=0.5))


def test_ids_are_ours_or_the_clients() -> None:
    made = {new_session_id() for _ in range(100)}
    assert len(made) == 100
    assert all(is_ours(one) for one in made)
    assert not any(is_ours(one) for one in ("", "s.", "k3j9x", "s.short", "MZ" + "0" * 32, "x" * 26))


@pytest.mark.parametrize("wrong", ["hook", 7])
def test_a_hook_has_to_be_callable(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="authorize"):
        Entrance(wrong)

"""TURN credentials, asked from services of our own that answer as the real ones do."""

from __future__ import annotations

import asyncio
import base64
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from tests.fakes.serving import Served, serving

import fastrtc
from fastrtc import credentials
from fastrtc.errors import ConfigurationError, MissingExtraError, TurnCredentialsError
from fastrtc.stream import Stream

SERVER = {"urls": ["turn:turn.example:3478"], "username": "u", "credential": "c"}
VARIABLES = (
    "HF_TOKEN",
    "CLOUDFLARE_TURN_KEY_ID",
    "CLOUDFLARE_TURN_KEY_API_TOKEN",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
)

Ask = Callable[..., Any]


def bearer(request: Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


async def community(request: Request) -> Response:
    if bearer(request) != "hf_good":
        return PlainTextResponse("who are you?", 401)
    return JSONResponse({"iceServers": [SERVER], "ttl": request.query_params["ttl"]})


async def cloudflare(request: Request) -> Response:
    if request.path_params["key"] == "broken":
        return PlainTextResponse("<html>", 200)
    if request.path_params["key"] == "list":
        return JSONResponse([SERVER])
    if bearer(request) != "cf_good":
        return PlainTextResponse("forbidden", 403)
    return JSONResponse({"iceServers": [SERVER], "ttl": (await request.json())["ttl"]}, 201)


async def twilio(request: Request) -> Response:
    given = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
    if given != f"{request.path_params['sid']}:tw_good":
        return JSONResponse({"code": 20003, "message": "Authenticate", "status": 401}, 401)
    return JSONResponse({"username": "u", "ttl": "86400", "ice_servers": [{"url": SERVER["urls"][0], **SERVER}]}, 201)


@pytest.fixture(scope="module")
def services() -> Iterator[Served]:
    routes = [
        Route("/credentials", community),
        Route("/v1/turn/keys/{key}/credentials/generate-ice-servers", cloudflare, methods=["POST"]),
        Route("/2010-04-01/Accounts/{sid}/Tokens.json", twilio, methods=["POST"]),
    ]
    with serving(Starlette(routes=routes)) as served:
        yield served


@pytest.fixture(autouse=True)
def at_home(services: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request leaves the machine, and no credentials of whoever runs the tests are used."""
    monkeypatch.setattr(credentials, "CLOUDFLARE_FASTRTC_TURN_URL", f"{services.url}/credentials")
    monkeypatch.setattr(credentials, "CLOUDFLARE_TURN_URL", f"{services.url}/v1/turn/keys")
    monkeypatch.setattr(credentials, "TWILIO_URL", f"{services.url}/2010-04-01/Accounts")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def both(name: str) -> list[Ask]:
    """The plain function, and the coroutine function as a plain one."""
    plain: Ask = getattr(fastrtc, name, None) or getattr(credentials, name)
    waiting: Callable[..., Awaitable[Any]] = getattr(credentials, f"{name}_async")

    def ask(*args: Any, **kwargs: Any) -> Any:
        async def run() -> Any:
            return await waiting(*args, **kwargs)

        return asyncio.run(run())

    return [plain, ask]


@pytest.mark.parametrize("ask", both("get_cloudflare_turn_credentials"))
def test_cloudflare_lends_servers_for_a_key(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask("key", "cf_good", ttl=77) == {"iceServers": [SERVER], "ttl": 77}
    monkeypatch.setenv("CLOUDFLARE_TURN_KEY_ID", "key")
    monkeypatch.setenv("CLOUDFLARE_TURN_KEY_API_TOKEN", "cf_good")
    assert ask() == {"iceServers": [SERVER], "ttl": 600}


@pytest.mark.parametrize("ask", both("get_cloudflare_turn_credentials"))
def test_a_hugging_face_token_goes_before_a_key(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask("key", "cf_good", hf_token="hf_good")["ttl"] == "600"
    monkeypatch.setenv("HF_TOKEN", " hf_good\n")
    assert ask(ttl=5) == {"iceServers": [SERVER], "ttl": "5"}


@pytest.mark.parametrize("ask", both("get_hf_turn_credentials"))
def test_the_old_function_of_hugging_face_still_works(ask: Ask) -> None:
    with pytest.warns(UserWarning, match="get_cloudflare_turn_credentials"):
        assert ask("hf_good", 60) == {"iceServers": [SERVER], "ttl": "60"}


@pytest.mark.parametrize("ask", both("get_twilio_turn_credentials"))
def test_twilio_lends_servers_and_wants_all_media(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"iceServers": [{"url": SERVER["urls"][0], **SERVER}], "iceTransportPolicy": "relay"}
    assert ask("AC1", "tw_good") == wanted
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC2")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "tw_good")
    assert ask() == wanted


@pytest.mark.parametrize("ask", both("get_turn_credentials"))
def test_the_method_chooses_the_service(ask: Ask) -> None:
    keys = {"turn_key_id": "key", "turn_key_api_token": "cf_good", "twilio_sid": "AC1", "twilio_token": "tw_good"}
    assert ask(**keys)["ttl"] == 600
    assert ask("twilio", **keys)["iceTransportPolicy"] == "relay"
    with pytest.warns(UserWarning, match="deprecated"):
        assert ask(method="hf", token="hf_good", ttl=9)["ttl"] == "9"


@pytest.mark.parametrize("ask", both("get_turn_credentials"))
def test_wrong_arguments_are_named(ask: Ask) -> None:
    with pytest.raises(ConfigurationError, match="'stun'"):
        ask("stun")
    with pytest.raises(TypeError, match="'turn_key'"):
        ask(turn_key="key")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("get_hf_turn_credentials", "HF_TOKEN"),
        ("get_cloudflare_turn_credentials", "CLOUDFLARE_TURN_KEY_ID"),
        ("get_twilio_turn_credentials", "TWILIO_ACCOUNT_SID"),
    ],
)
@pytest.mark.filterwarnings("ignore:get_hf_turn_credentials")
def test_missing_tokens_are_named(name: str, wanted: str) -> None:
    for ask in both(name):
        with pytest.raises(ValueError, match=wanted):
            ask()


def test_a_refusal_says_who_refused_and_why_but_no_secret() -> None:
    for ask in both("get_cloudflare_turn_credentials"):
        with pytest.raises(TurnCredentialsError, match=r"Cloudflare .*403.*forbidden") as refused:
            ask("key", "cf_secret")
        assert "cf_secret" not in str(refused.value)
    with pytest.raises(TurnCredentialsError, match=r"Twilio .*401.*Authenticate"):
        credentials.get_twilio_turn_credentials("AC1", "tw_bad")
    assert "cf_secret" not in repr(credentials._cloudflare("key", "cf_secret", None, 1))


@pytest.mark.parametrize("key", ["broken", "list"])
def test_nonsense_is_no_answer(key: str) -> None:
    with pytest.raises(TurnCredentialsError, match="answered with no"):
        credentials.get_cloudflare_turn_credentials(key, "cf_good")


def test_a_service_that_is_not_there_is_named(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "CLOUDFLARE_FASTRTC_TURN_URL", f"http://127.0.0.1:{free_port}/credentials")
    for ask in both("get_cloudflare_turn_credentials"):
        with pytest.raises(TurnCredentialsError, match="cannot be reached"):
            ask(hf_token="hf_good")


def test_a_client_of_the_app_is_used_and_left_open() -> None:
    asked = []

    async def run() -> bool:
        hooks = {"request": [_remember]}
        async with httpx.AsyncClient(event_hooks=hooks) as client:
            await credentials.get_turn_credentials_async(hf_token="hf_good", client=client)
            return client.is_closed

    async def _remember(request: httpx.Request) -> None:
        asked.append(request.url.path)

    assert asyncio.run(run()) is False
    assert asked == ["/credentials"]


def test_without_httpx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingExtraError, match=r"fastrtc\[turn\]"):
        credentials.get_cloudflare_turn_credentials(hf_token="hf_good")


@pytest.mark.parametrize("name", ["get_cloudflare_turn_credentials", "get_cloudflare_turn_credentials_async"])
def test_a_stream_takes_the_function_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    stream = Stream(None, modality="audio", rtc_configuration=getattr(credentials, name), verbose=False)
    assert asyncio.run(stream.resolve_rtc_configuration())["iceServers"] == [SERVER]


def test_all_parameters_are_optional() -> None:
    for name in credentials.__all__:
        parameters = inspect.signature(getattr(credentials, name)).parameters.values()
        assert all(p.default is not p.empty or p.kind is p.VAR_KEYWORD for p in parameters)

"""Which pages may open sessions."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection

from fastrtc.errors import ConfigurationError
from fastrtc.server.origins import Origins


def connection(origin: str | None, host: str = "voice.example.org", app: Any = None, **headers: str) -> HTTPConnection:
    given = {"host": host, **({"origin": origin} if origin is not None else {}), **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
    return HTTPConnection({"type": "websocket", "headers": raw, "app": app})


def cors(**options: Any) -> FastAPI:
    app = FastAPI()
    app.add_middleware(CORSMiddleware, **options)
    return app


@pytest.mark.parametrize(
    ("request_", "allowed"),
    [
        (connection(None), True),
        (connection("https://voice.example.org"), True),
        (connection("http://voice.example.org"), True),
        (connection("https://voice.example.org:8443"), False),
        (connection("https://voice.example.org:8443", host="voice.example.org:8443"), True),
        (connection("https://voice.example.org", host="voice.example.org:443"), True),
        (connection("https://VOICE.example.org"), True),
        (connection("https://evil.example"), False),
        (connection("https://voice.example.org.evil.example"), False),
        (connection("https://evil.example/voice.example.org"), False),
        (connection("null"), False),
        (connection(""), False),
        (connection("https://["), False),
        (connection("https://a:99999999"), False),
        (connection("http://localhost:3000"), True),
        (connection("capacitor://localhost"), True),
        (connection("http://127.0.0.1:5173"), True),
        (connection("http://[::1]:5173"), True),
        (connection("http://localhost.evil.example"), False),
        (connection("http://127.0.0.1.evil.example"), False),
        (connection("https://voice.example.org", host="127.0.0.1:7860"), False),
        (connection("https://voice.example.org", host="127.0.0.1:7860", x_forwarded_host="voice.example.org"), True),
        (connection("https://a.example", app=FastAPI()), False),
        (connection("https://a.example", app=cors(allow_origins=["https://a.example"])), True),
        (connection("https://b.example", app=cors(allow_origins=["https://a.example"])), False),
        (connection("https://b.example", app=cors(allow_origins=["*"])), True),
        (connection("https://b.example", app=cors(allow_origin_regex=r"https://\w\.example")), True),
        (connection("https://bb.example", app=cors(allow_origin_regex=r"https://\w\.example")), False),
    ],
)
def test_sockets_by_default(request_: HTTPConnection, allowed: bool) -> None:
    assert Origins().allow_socket(request_) is allowed


def test_a_list_of_ones_own() -> None:
    origins = Origins(["https://app.example.org", "http://10.0.0.2:8080"])
    for origin, allowed in {
        "https://app.example.org": True,
        "https://app.example.org:443": True,
        "http://app.example.org": False,
        "http://10.0.0.2:8080": True,
        "http://10.0.0.2": False,
        "https://voice.example.org": True,
        "http://localhost:3000": True,
    }.items():
        assert origins.allow_socket(connection(origin)) is allowed, origin
    # The list is all that counts then, not the app's middleware.
    assert not origins.allow_socket(connection("https://b.example", app=cors(allow_origins=["*"])))
    assert Origins(["*"]).allow_socket(connection("https://b.example"))
    assert Origins(["null"]).allow_socket(connection("null"))
    assert not Origins([]).allow_socket(connection("https://b.example"))


def test_posts() -> None:
    # A browser asks before it sends JSON across origins; what it sends unasked is refused.
    default, listed = Origins(), Origins(["https://a.example"])
    for kind, allowed in {
        "application/json": True,
        "Application/JSON; charset=utf-8": True,
        "text/plain": False,
    }.items():
        assert default.allow_post(connection("https://b.example", content_type=kind)) is allowed
        assert not listed.allow_post(connection("https://b.example", content_type=kind))
        assert listed.allow_post(connection("https://a.example", content_type=kind))
        assert default.allow_post(connection(None, content_type=kind))
    assert not default.allow_post(connection("https://b.example"))


@pytest.mark.parametrize(
    "wrong",
    [
        "https://a.example",
        ["a.example"],
        ["https://a.example/"],
        ["https://"],
        [""],
        [7],
        ["//a.example"],
        ["https://[::1"],
        ["https://a.example:99999"],
        ["https://a.example:port"],
    ],
)
def test_what_is_no_origin_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=re.compile("origin")):
        Origins(wrong)

"""Which requests count as Twilio's, behind which proxies."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import HTTPConnection, Request

from fastrtc.server.telephone import incoming_call, may_stream
from fastrtc.wire.twilio import sign

TOKEN = "12345"
FORM = {"CallSid": "CA1", "From": "+4930 123", "To": "+1555", "CallerName": ""}


def scope(path: str, headers: dict[str, str], *, scheme: str = "http", query: str = "", kind: str = "http") -> Any:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": kind,
        "method": "POST",
        "scheme": scheme,
        "server": ("10.0.0.1", 8000),
        "path": path,
        "query_string": query.encode(),
        "headers": raw,
    }


def answer(signed_url: str, headers: dict[str, str], *, path: str = "/telephone/incoming", **where: Any) -> Any:
    """The answer to a webhook that Twilio sent to ``signed_url``."""

    async def receive() -> Any:
        return {"type": "http.request", "body": urlencode(FORM).encode(), "more_body": False}

    headers = {**headers, "X-Twilio-Signature": sign(TOKEN, signed_url, FORM.items())}
    return asyncio.run(incoming_call(Request(scope(path, headers, **where), receive), TOKEN))


PROXIED = {"Host": "10.0.0.1:8000", "X-Forwarded-Host": "voice.example", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("signed_url", "headers", "where"),
    [
        ("http://voice.example/telephone/incoming", {"Host": "voice.example"}, {}),
        ("https://voice.example/telephone/incoming", {"Host": "voice.example"}, {"scheme": "https"}),
        ("https://voice.example:443/telephone/incoming", {"Host": "voice.example"}, {"scheme": "https"}),
        ("https://voice.example/telephone/incoming", {"Host": "voice.example:443"}, {"scheme": "https"}),
        ("https://voice.example:8443/telephone/incoming", {"Host": "voice.example:8443"}, {"scheme": "https"}),
        ("https://[::1]/telephone/incoming", {"Host": "[::1]"}, {"scheme": "https"}),
        ("https://voice.example/telephone/incoming", PROXIED, {}),
        ("https://voice.example/telephone/incoming", {**PROXIED, "X-Forwarded-Host": "voice.example, inner"}, {}),
        # A proxy that ends TLS, passes on the host and says nothing else.
        ("https://voice.example/telephone/incoming", {"Host": "voice.example"}, {}),
        ("https://voice.example/telephone/incoming?a=1&b=x%20y", PROXIED, {"query": "a=1&b=x%20y"}),
        ("https://voice.example/talk/telephone/incoming", PROXIED, {"path": "/talk/telephone/incoming"}),
    ],
)
def test_what_twilio_signed_is_answered(signed_url: str, headers: dict[str, str], where: dict[str, Any]) -> None:
    response = answer(signed_url, headers, **where)
    assert response.status_code == 200
    assert 'name="from" value="+4930 123"' in response.body.decode()


@pytest.mark.parametrize(
    ("signed_url", "headers", "where"),
    [
        ("https://other.example/telephone/incoming", {"Host": "voice.example"}, {}),
        ("https://voice.example/telephone/other", {"Host": "voice.example"}, {}),
        ("https://voice.example/telephone/incoming", {"Host": "voice.example"}, {"query": "more=1"}),
        ("https://voice.example:8443/telephone/incoming", {"Host": "voice.example"}, {}),
    ],
)
def test_what_twilio_did_not_sign_is_refused(
    signed_url: str, headers: dict[str, str], where: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    response = answer(signed_url, headers, **where)
    assert response.status_code == 403
    assert "wrong X-Twilio-Signature for https://voice.example" in caplog.text or "http://voice.example" in caplog.text


def test_a_changed_form_is_refused() -> None:
    headers = {"Host": "voice.example", "X-Twilio-Signature": sign(TOKEN, "https://voice.example/telephone/incoming")}

    async def receive() -> Any:
        return {"type": "http.request", "body": urlencode(FORM).encode(), "more_body": False}

    request = Request(scope("/telephone/incoming", headers, scheme="https"), receive)
    assert asyncio.run(incoming_call(request, TOKEN)).status_code == 403


def test_an_endless_body_is_refused() -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"x" * 600_000, "more_body": True}

    request = Request(scope("/telephone/incoming", {"Host": "voice.example"}), receive)
    assert asyncio.run(incoming_call(request, None)).status_code == 413


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("headers", [{"Host": "voice.example"}, PROXIED])
def test_a_stream_is_signed_by_its_wss_address(headers: dict[str, str], slash: str) -> None:
    signature = sign(TOKEN, f"wss://voice.example/telephone/handler{slash}")
    signed = {**headers, "X-Twilio-Signature": signature}
    socket = HTTPConnection(scope("/telephone/handler", signed, scheme="ws", kind="websocket"))
    assert may_stream(socket, TOKEN)
    assert not may_stream(socket, "another")
    assert not may_stream(HTTPConnection(scope("/telephone/handler", headers, kind="websocket")), TOKEN)
    assert may_stream(HTTPConnection(scope("/telephone/handler", headers, kind="websocket")), None)


def test_an_address_that_is_not_utf_8_is_refused_and_not_an_error() -> None:
    where = {**scope("/telephone/handler", {}, scheme="ws", kind="websocket"), "query_string": b"\x80"}
    assert not may_stream(HTTPConnection(where), TOKEN)

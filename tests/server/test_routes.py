"""Bodies of requests, as far as they come."""

import asyncio
from typing import Any

from starlette.requests import Request

from fastrtc.server.routes import json_endpoint


def answer_to(*messages: dict[str, Any]) -> tuple[int, bytes]:
    async def echo(body: Any, _request: Request) -> Any:
        return body

    async def scenario() -> tuple[int, bytes]:
        waiting = iter(messages)

        async def receive() -> dict[str, Any]:
            return next(waiting)

        request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
        response = await json_endpoint(echo)(request)
        return response.status_code, bytes(response.body)

    return asyncio.run(scenario())


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_parts() -> None:
    assert answer_to(part(b'{"a"'), part(b":1}", more=False)) == (200, b'{"a":1}')


def test_a_body_that_is_too_long() -> None:
    status, body = answer_to(*[part(bytes(100_000))] * 11)
    assert status == 422
    assert b"longer than" in body


def test_a_client_that_goes_away_in_the_middle_is_no_error_of_the_server() -> None:
    status, _ = answer_to(part(b'{"a"'), {"type": "http.disconnect"})
    assert status == 422

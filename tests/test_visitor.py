"""What an ``authorize`` hook can know about a client."""

from typing import Any

import pytest
from starlette.requests import HTTPConnection

from fastrtc.visitor import Visitor


def visitor(headers: dict[str, str] | None = None, query: str = "", **more: Any) -> Visitor:
    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "headers": raw, "query_string": query.encode(), "client": ("192.0.2.7", 5)}
    return Visitor(via="webrtc", webrtc_id="a", connection=HTTPConnection(scope), **more)


@pytest.mark.parametrize(
    ("who", "token"),
    [
        (visitor(), None),
        (visitor({"authorization": "Bearer abc"}), "abc"),
        (visitor({"authorization": "bearer  abc "}), "abc"),
        (visitor({"authorization": "Basic abc"}), None),
        (visitor({"authorization": "Bearer "}), None),
        (visitor(query="token=q"), "q"),
        (visitor(call={"token": "c"}), "c"),
        (visitor(call={"token": 7}), None),
        (visitor({"authorization": "Bearer h"}, "token=q", given_token="m"), "m"),
        (visitor({"authorization": "Bearer h"}, "token=q"), "h"),
        (Visitor(via="webrtc", webrtc_id="a"), None),
    ],
)
def test_where_a_token_may_be(who: Visitor, token: str | None) -> None:
    assert who.token == token


def test_what_the_request_tells() -> None:
    who = visitor({"cookie": "session=7", "x-user": "ann"}, "room=2")
    assert (who.cookies["session"], who.headers["X-User"], who.query["room"]) == ("7", "ann", "2")
    assert who.host == "192.0.2.7"
    nobody = Visitor(via="telephone", webrtc_id="a")
    assert (nobody.cookies, nobody.headers, nobody.query, nobody.host) == ({}, {}, {}, None)

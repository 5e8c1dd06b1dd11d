"""Which session a request is about, whatever else is in it."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.errors import ProtocolError
from fastrtc.workers.request import END_OF_HEAD, dechunked, is_offer, parse_head, session_id_of

JSON = b"content-type: application/json\r\n"


def head_of(line: str = "POST /webrtc/offer HTTP/1.1", headers: bytes = JSON) -> bytes:
    return line.encode("latin-1") + b"\r\nhost: a\r\n" + headers + b"\r\n"


@pytest.mark.parametrize(
    ("line", "body", "wanted"),
    [
        ("POST /webrtc/offer HTTP/1.1", {"webrtc_id": "a", "type": "offer"}, "a"),
        ("POST /hook HTTP/1.1", {"webrtc_id": "ä b"}, "ä b"),
        ("GET /outputs?webrtc_id=a%20b HTTP/1.1", None, "a b"),
        ("GET /websocket/offer?websocket_id=s HTTP/1.1", None, "s"),
        ("POST /hook?webrtc_id=query HTTP/1.1", {"webrtc_id": "body"}, "query"),
        ("POST /webrtc/offer HTTP/1.1", {"webrtc_id": 7}, None),
        ("POST /webrtc/offer HTTP/1.1", ["webrtc_id"], None),
        ("POST /webrtc/offer HTTP/1.1", {"webrtc_id": ""}, None),
        ("POST /webrtc/offer HTTP/1.1", {"webrtc_id": "x" * 2000}, None),
        ("GET / HTTP/1.1", None, None),
    ],
)
def test_the_id_is_found(line: str, body: object, wanted: str | None) -> None:
    raw = b"" if body is None else json.dumps(body).encode()
    assert session_id_of(parse_head(head_of(line)), raw) == wanted


@pytest.mark.parametrize("target", ["//[?webrtc_id=a", "http://[::1?webrtc_id=a", "/x?webrtc_id=a#b?c", "?webrtc_id=a"])
def test_a_target_that_is_no_address_still_has_its_query(target: str) -> None:
    assert session_id_of(parse_head(head_of(f"GET {target} HTTP/1.1")), b"") == "a"


def test_many_small_chunks_cost_no_more_than_their_length() -> None:
    def cost_s(chunks: int) -> float:
        body = b"1\r\n \r\n" * chunks + b"0\r\n\r\n"
        took = []
        for _ in range(3):
            start = time.process_time()
            dechunked(body)
            took.append(time.process_time() - start)
        return min(took)

    assert cost_s(160_000) < 25 * cost_s(20_000)


def test_a_chunk_of_negative_length_is_no_body() -> None:
    with pytest.raises(ValueError, match=r".*"):
        dechunked(b"-2\r\nab\r\n0\r\n\r\n")


def test_a_chunked_body_is_read() -> None:
    head = parse_head(head_of(headers=JSON + b"transfer-encoding: chunked\r\n"))
    body = b'6;x=y\r\n{"webr\r\n10\r\ntc_id": "chunk"}\r\n0\r\n\r\n'
    assert head.is_chunked_json
    assert session_id_of(head, body) == "chunk"


def test_an_offer_is_told_from_a_candidate() -> None:
    head = parse_head(head_of())
    assert is_offer(head, b'{"type": "offer", "webrtc_id": "a"}')
    assert not is_offer(head, b'{"type": "ice-candidate", "webrtc_id": "a"}')
    assert not is_offer(head, b"{")


def test_the_length_of_a_body_that_is_looked_into() -> None:
    assert parse_head(head_of(headers=JSON + b"content-length: 12\r\n")).body_bytes == 12
    assert parse_head(head_of(headers=JSON + b"content-length: 99999999\r\n")).body_bytes == 0
    assert parse_head(head_of(headers=JSON + b"content-length: " + b"9" * 5000 + b"\r\n")).body_bytes == 0
    assert parse_head(head_of(headers=b"content-type: image/png\r\ncontent-length: 12\r\n")).body_bytes == 0


def test_a_connection_carries_one_request() -> None:
    given = JSON + b"Connection: keep-alive\r\nExpect: 100-continue\r\n"
    head = parse_head(head_of(headers=given))
    assert head.awaits_continue
    passed = head.for_one_request()
    assert passed == head_of(headers=JSON + b"connection: close\r\n")


def test_the_head_of_a_websocket_is_left_as_it_is() -> None:
    raw = head_of("GET /websocket/offer HTTP/1.1", b"Connection: Upgrade\r\nUpgrade: WebSocket\r\n")
    head = parse_head(raw)
    assert head.is_websocket
    assert head.for_one_request() == raw


@pytest.mark.parametrize("raw", [b"", b"GET /\r\n", b"\x16\x03\x01", b"GET / HTTP/2\r\n", b"GET / HTTP/1.1\r\nbad\r\n"])
def test_what_is_no_request(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_head(raw + END_OF_HEAD)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_no_bytes_break_the_reading(head: bytes, body: bytes) -> None:
    try:
        parsed = parse_head(b"POST /a HTTP/1.1\r\n" + head + END_OF_HEAD)
    except ProtocolError:
        return
    assert session_id_of(parsed, body) is None or isinstance(session_id_of(parsed, body), str)
    assert parsed.for_one_request().endswith(END_OF_HEAD)


@given(st.lists(st.binary(min_size=1, max_size=40)))
def test_dechunking_gives_the_content_back(parts: list[bytes]) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    assert dechunked(body) == b"".join(parts)
    with pytest.raises(ValueError, match=r".*"):
        dechunked(body[:-5])

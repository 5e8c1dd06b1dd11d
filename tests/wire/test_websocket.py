import base64
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.errors import ProtocolError
from fastrtc.wire import websocket as w


def read(parse: Callable[[str], object], text: str) -> object:
    """What was read, or why not: never empty."""
    try:
        return parse(text)
    except ProtocolError as error:
        return str(error)


client_frames = st.one_of(
    st.builds(
        w.Start,
        websocket_id=st.text(max_size=128).filter(str.isprintable),
        hello=st.booleans(),
        token=st.none() | st.text(),
    ),
    st.builds(w.Media, payload=st.binary()),
    st.just(w.Stop()),
    st.just(w.Ping()),
)
server_frames = st.one_of(
    st.builds(w.Media, payload=st.binary()),
    st.just(w.Pong()),
    st.just(w.Clear()),
    st.builds(w.Failed, meta=st.dictionaries(st.text(), st.integers() | st.text())),
)


@given(client_frames)
def test_client_frames_survive_the_wire(frame: w.ClientFrame) -> None:
    assert w.parse_client_frame(w.encode_frame(frame)) == frame


@given(server_frames)
def test_server_frames_survive_the_wire(frame: w.ServerFrame) -> None:
    assert w.parse_server_frame(w.encode_frame(frame)) == frame


@given(
    st.text() | st.dictionaries(st.sampled_from(["event", "media", "type", "websocket_id"]), st.text()).map(json.dumps)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (w.parse_client_frame, w.parse_server_frame):
        assert read(parse, text)


def test_a_frame_with_a_type_is_a_message() -> None:
    text = '{"type": "hello", "data": {"version": 1}}'
    assert w.parse_client_frame(text) == w.DataMessage(text)
    assert w.encode_frame(w.DataMessage(text)) == text


def test_media_has_the_form_that_fastrtc_clients_read() -> None:
    sent = json.loads(w.encode_frame(w.Media(b"\xff\x00")))
    assert sent == {"event": "media", "media": {"payload": base64.b64encode(b"\xff\x00").decode()}}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{", "must be JSON"),
        ("[]", "JSON object"),
        ("{}", '"start", "media", "stop" or "ping"'),
        ('{"event": "hang-up"}', "hang-up"),
        ('{"event": "start", "websocket_id": 7}', '"websocket_id"'),
        ('{"event": "start", "websocket_id": "a", "token": []}', '"token"'),
        ('{"event": "media"}', '"media"'),
        ('{"event": "media", "media": {}}', '"payload"'),
        ('{"event": "media", "media": {"payload": "???"}}', "not base64"),
        ('{"event": "media", "media": {"payload": "ä"}}', "not base64"),
    ],
)
def test_refusals_say_what_to_do(text: str, wanted: str) -> None:
    with pytest.raises(ProtocolError, match=wanted):
        w.parse_client_frame(text)


def test_start_may_say_hello() -> None:
    assert w.parse_client_frame('{"event": "start", "websocket_id": "a"}') == w.Start("a", hello=False)
    assert w.parse_client_frame('{"event": "start", "websocket_id": "a", "hello": true}') == w.Start("a", hello=True)
    assert w.parse_client_frame(w.encode_frame(w.Start("a", hello=True))) == w.Start("a", hello=True)
    with pytest.raises(ProtocolError, match="hello"):
        w.parse_client_frame('{"event": "start", "websocket_id": "a", "hello": 1}')

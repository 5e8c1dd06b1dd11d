import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.errors import ProtocolError
from fastrtc.wire import messages as m


def read(parse: Callable[[str], object], text: str) -> object:
    """What was read, or why not: never empty."""
    try:
        return parse(text)
    except ProtocolError as error:
        return str(error)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
names = st.text(min_size=1)
counts = st.integers(0, 10**9)

client_messages = st.one_of(
    st.builds(m.ClientHello, version=counts, events=st.booleans()),
    st.builds(m.ClientInput, data=st.lists(json_values, max_size=4).map(tuple)),
    st.builds(m.ClientText, text=names),
    st.just(m.TriggerResponse()),
    st.builds(m.Mute, muted=st.booleans()),
    st.builds(m.PlayoutReport, turn=counts, played_ms=st.floats(0, 1e9)),
    st.just(m.StopReply()),
    st.just(m.DiscardTurn()),
)
server_messages = st.one_of(
    st.builds(m.ServerHello, session_id=names, input_sample_rate=counts, output_sample_rate=counts, version=counts),
    st.builds(m.SessionEvent, event=st.dictionaries(st.text(), json_values, max_size=4)),
    st.builds(m.ServerOutput, data=st.lists(json_values, max_size=4).map(tuple)),
    st.just(m.SendInput()),
    st.just(m.FetchOutput()),
    st.builds(m.StopWord, word=st.text()),
    st.builds(
        m.TranscriptMessage,
        text=st.text(),
        final=st.booleans(),
        turn=st.none() | st.integers(0, 1000),
        start_s=st.floats(0, 1e6),
        end_s=st.floats(0, 1e6),
    ),
    st.builds(m.EndStream, reason=st.text()),
    st.builds(m.Log, text=st.text()),
    st.builds(m.UpdateConnection, state=st.text()),
    st.builds(m.ErrorMessage, message=st.text()),
    st.builds(m.WarningMessage, message=st.text()),
)


@given(client_messages)
def test_client_messages_survive_the_wire(message: m.ClientMessage) -> None:
    assert m.parse_client_message(m.encode_client_message(message)) == message


@given(server_messages)
def test_server_messages_survive_the_wire(message: m.ServerMessage) -> None:
    assert m.parse_server_message(m.encode_server_message(message)) == message


@given(st.text() | st.dictionaries(st.text(), json_values).map(json.dumps))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (m.parse_client_message, m.parse_server_message):
        assert read(parse, text)


@given(st.sampled_from(["hello", "input", "text", "mute", "playout", "event", "output", "log", "error"]), json_values)
def test_known_types_with_any_data_are_read_or_refused(kind: str, data: object) -> None:
    text = json.dumps({"type": kind, "data": data})
    for parse in (m.parse_client_message, m.parse_server_message):
        message = read(parse, text)
        assert not isinstance(message, str) or kind in message


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (m.SendInput(), {"type": "send_input", "data": []}),
        (m.FetchOutput(), {"type": "fetch_output", "data": []}),
        (m.StopWord(), {"type": "stopword", "data": ""}),
        (
            m.TranscriptMessage("turn on", False, None, 1.0, 1.5),
            {
                "type": "transcript",
                "data": {"text": "turn on", "final": False, "turn": None, "start_s": 1.0, "end_s": 1.5},
            },
        ),
        (m.EndStream("bye"), {"type": "end_stream", "data": "bye"}),
        (m.Log("pause_detected"), {"type": "log", "data": "pause_detected"}),
        (m.UpdateConnection("closed"), {"type": "update_connection", "data": "closed"}),
        (m.ErrorMessage("no"), {"type": "error", "message": "no"}),
        (m.WarningMessage("hm"), {"type": "warning", "message": "hm"}),
        (m.ServerOutput((1, "a")), {"type": "output", "data": [1, "a"]}),
    ],
)
def test_messages_have_the_form_that_fastrtc_clients_read(message: m.ServerMessage, text: dict[str, object]) -> None:
    assert json.loads(m.encode_server_message(message)) == text


def test_create_message() -> None:
    assert json.loads(m.create_message("log", "hi")) == {"type": "log", "data": "hi"}


def test_the_handshake_of_fastrtc_clients_means_nothing() -> None:
    assert m.parse_client_message("handshake") == m.FreeText("handshake")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ({"type": "hello"}, '"data"'),
        ({"type": "hello", "data": {"version": "one"}}, '"version"'),
        ({"type": "hello", "data": {"version": 1, "events": 1}}, '"events"'),
        ({"type": "input", "data": "x"}, "a list of values"),
        ({"type": "text", "data": ""}, "non-empty string"),
        ({"type": "mute", "data": "yes"}, "true or false"),
        ({"type": "playout", "data": {"turn": 1, "played_ms": -1}}, '"played_ms"'),
        ({"type": "playout", "data": {"turn": True, "played_ms": 1}}, '"turn"'),
    ],
)
def test_refusals_name_the_field(text: dict[str, object], wanted: str) -> None:
    with pytest.raises(ProtocolError, match=wanted):
        m.parse_client_message(json.dumps(text))


def test_deep_nesting_is_no_crash() -> None:
    text = '{"type": "input", "data": ' + "[" * 15_000 + "]" * 15_000 + "}"
    assert isinstance(m.parse_client_message(text), m.FreeText)


@pytest.mark.parametrize("part", ["[],", '{"a": 1},', "1,", '"x", '])
def test_a_message_of_very_many_values_is_not_read(part: str) -> None:
    begin, end = '{"type": "input", "data": [', "0]}"
    few = begin + part * 6_000 + end
    assert len(m.parse_client_message(few).data) == 6_001  # type: ignore[union-attr]
    with pytest.raises(ProtocolError, match="at most 20000 values"):
        m.parse_client_message(begin + part * 20_000 + end)


def test_a_long_text_with_commas_is_read() -> None:
    text = json.dumps({"type": "text", "data": "Well, yes, " * 5_000})
    assert m.parse_client_message(text) == m.ClientText("Well, yes, " * 5_000)


def test_numbers_of_very_many_digits_are_not_read() -> None:
    assert m.parse_client_message('{"type": "input", "data": [' + "9" * 100 + "]}") == m.ClientInput((int("9" * 100),))
    assert isinstance(m.parse_client_message('{"type": "input", "data": [' + "9" * 101 + "]}"), m.FreeText)


def test_outputs_of_any_kind_reach_the_page() -> None:
    loop: list[object] = []
    loop.append(loop)
    value = m.as_jsonable(
        {
            "array": np.arange(3),
            "scalar": np.float32(0.5),
            "nan": float("nan"),
            1: {2},
            "dc": m.Mute(True),
            "obj": object,
        }
    )
    assert value == {
        "array": [0, 1, 2],
        "scalar": 0.5,
        "nan": None,
        "1": [2],
        "dc": {"muted": True},
        "obj": repr(object),
    }
    assert json.dumps(m.as_jsonable(loop)).count("[") == 33


def test_what_is_too_much_for_a_message_is_only_named() -> None:
    picture = np.zeros((480, 640, 3), np.uint8)
    assert m.as_jsonable([picture]) == ["array of shape (480, 640, 3), uint8"]
    assert len(m.as_jsonable(np.zeros(m.MAX_ARRAY_VALUES))) == m.MAX_ARRAY_VALUES
    assert len(m.as_jsonable(bytes(1_000_000))) <= 1_000
    assert m.as_jsonable(b"ab") == "b'ab'"

import base64
import json
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.errors import ProtocolError
from fastrtc.wire import twilio as t


def read(text: str) -> object:
    """What was read, or why not: never empty."""
    try:
        return t.parse_call_message(text)
    except ProtocolError as error:
        return str(error)


xml_text = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cn", "Co"]), max_size=40)


def test_a_call_from_start_to_end() -> None:
    texts = [
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        {
            "event": "start",
            "sequenceNumber": "1",
            "streamSid": "MZ1",
            "start": {
                "streamSid": "MZ1",
                "callSid": "CA1",
                "accountSid": "AC1",
                "customParameters": {"name": "Ann", "n": 3},
            },
        },
        {"event": "media", "streamSid": "MZ1", "media": {"track": "inbound", "payload": "/wA="}},
        {"event": "mark", "streamSid": "MZ1", "mark": {"name": "160"}},
        {"event": "dtmf", "streamSid": "MZ1", "dtmf": {"track": "inbound_track", "digit": "#"}},
        {"event": "stop", "streamSid": "MZ1", "stop": {"callSid": "CA1"}},
    ]
    assert [t.parse_call_message(json.dumps(text)) for text in texts] == [
        t.Connected(),
        t.CallStarted("MZ1", "CA1", {"name": "Ann", "n": "3"}, "AC1"),
        t.CallAudio(b"\xff\x00"),
        t.MarkReached("160"),
        t.KeyPressed("#"),
        t.CallEnded(),
    ]


@given(st.binary(), st.text(min_size=1))
def test_audio_that_we_send_can_be_read_back(payload: bytes, sid: str) -> None:
    sent = json.loads(t.encode_audio(sid, payload))
    assert sent["event"] == "media"
    assert sent["streamSid"] == sid
    assert base64.b64decode(sent["media"]["payload"]) == payload
    assert t.parse_call_message(t.encode_audio(sid, payload)) == t.CallAudio(payload)


@given(st.text(min_size=1))
def test_a_mark_comes_back_with_its_name(name: str) -> None:
    assert t.parse_call_message(t.encode_mark("MZ1", name)) == t.MarkReached(name)


def test_clear_names_the_stream() -> None:
    assert json.loads(t.encode_clear("MZ1")) == {"event": "clear", "streamSid": "MZ1"}


@given(st.text() | st.dictionaries(st.sampled_from(["event", "start", "media", "mark"]), st.text()).map(json.dumps))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert read(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [('{"event": "start"}', "streamSid"), ('{"event": "dtmf"}', "dtmf"), ('{"event": "video"}', "video")],
)
def test_refusals_name_the_field(text: str, wanted: str) -> None:
    with pytest.raises(ProtocolError, match=wanted):
        t.parse_call_message(text)


@given(xml_text, xml_text, xml_text)
def test_twiml_is_xml_whatever_it_carries(greeting: str, name: str, value: str) -> None:
    url = 'wss://example.org/telephone/handler?a=1&b="2"'
    root = ElementTree.fromstring(t.connect_twiml(url, greeting=greeting, parameters={name: value}).encode())
    stream = root.find("Connect/Stream")
    assert root.tag == "Response"
    assert stream is not None
    assert stream.get("url") == url
    parameter = stream.find("Parameter")
    assert parameter is not None
    assert (parameter.get("name"), parameter.get("value")) == (name, value)
    assert root.findtext("Say") == (greeting or "The call is over.")


def test_twiml_without_words() -> None:
    text = t.connect_twiml("wss://a/telephone/handler", greeting="", farewell="")
    assert "<Say>" not in text
    assert '<Connect><Stream url="wss://a/telephone/handler">' in text


def test_the_example_of_twilios_documentation() -> None:
    form = {
        "To": "+18005551212",
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "From": "+14158675309",
        "Digits": "1234",
    }
    signature = t.sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form.items())
    assert signature == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


@given(st.text(min_size=1), st.text(), st.lists(st.tuples(st.text(), st.text())), st.text(min_size=1), st.text())
def test_only_the_signature_of_a_request_fits_it(
    token: str, url: str, form: list[tuple[str, str]], more: str, other: str
) -> None:
    try:
        signature = t.sign(token, url, form)
    except UnicodeEncodeError:
        return
    assert t.is_signed(token, signature, [url + more, url], reversed(form))
    assert not t.is_signed(token, signature, [url + more], form)
    assert not t.is_signed(token, signature, [url], [*form, ("more", more)])
    assert t.is_signed(token, other, [url], form) == (other == signature)
    assert not t.is_signed(token, "", [url], form)

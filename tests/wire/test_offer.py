import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.errors import ProtocolError
from fastrtc.wire import offer as o

CHROME = (
    "candidate:2393089663 1 udp 2122260223 192.168.86.60 63692 typ host generation 0 ufrag LkZb network-id 1 "
    "network-cost 10"
)
CHROME_MDNS = (
    "candidate:841398104 1 udp 2113937151 2f0d7a5c-1b0c-4f0e-8a5e-5f0f6f4b1a11.local 51472 typ host generation 0 "
    "ufrag nQ2H network-cost 999"
)
FIREFOX = "candidate:0 1 UDP 2122252543 10.0.0.7 40912 typ host"
FIREFOX_TCP = "candidate:2 1 TCP 2105524479 10.0.0.7 9 typ host tcptype active"
SAFARI_RELAY = (
    "candidate:842163049 1 udp 33562367 203.0.113.9 61000 typ relay raddr 198.51.100.2 rport 4000 generation 0 "
    "ufrag X network-cost 50"
)
IPV6 = "candidate:1 1 udp 2122262783 2001:db8::1 50000 typ srflx raddr :: rport 0"


def body(candidate: object) -> dict[str, object]:
    return {"type": "ice-candidate", "webrtc_id": "a", "candidate": candidate}


def test_an_offer() -> None:
    assert o.parse_offer_body({"type": "offer", "webrtc_id": "a", "sdp": "v=0"}) == o.Offer("a", "v=0")


@pytest.mark.parametrize("line", [CHROME, CHROME_MDNS, FIREFOX, FIREFOX_TCP, SAFARI_RELAY, IPV6])
def test_candidates_of_all_browsers(line: str) -> None:
    read = o.parse_offer_body(body({"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "x"}))
    assert isinstance(read, o.Candidate)
    assert (read.candidate, read.sdp_mid, read.sdp_mline_index, read.address) == (line, "0", 0, line.split()[4])
    assert read.is_mdns is (line is CHROME_MDNS)


@pytest.mark.parametrize("extra", [{}, {"sdpMid": None}, {"sdpMid": None, "sdpMLineIndex": None}])
def test_a_candidate_without_a_section_belongs_to_the_first(extra: dict[str, object]) -> None:
    read = o.parse_offer_body(body({"candidate": FIREFOX, **extra}))
    assert isinstance(read, o.Candidate)
    assert (read.sdp_mid, read.sdp_mline_index) == (None, 0)


def test_a_candidate_may_be_the_bare_line() -> None:
    read = o.parse_offer_body(body("a=" + FIREFOX))
    assert isinstance(read, o.Candidate)
    assert read.candidate == FIREFOX


@pytest.mark.parametrize(
    "candidate",
    [
        None,
        {},
        "",
        {"candidate": ""},
        {"candidate": None, "sdpMid": "0"},
        {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "8f3a"},
        {"candidate": "end-of-candidates"},
        {"candidate": "a=end-of-candidates"},
    ],
)
def test_end_of_candidates_in_all_its_forms(candidate: object) -> None:
    assert o.parse_offer_body(body(candidate)) == o.EndOfCandidates("a")


@pytest.mark.parametrize(
    "candidate",
    [
        {"candidate": "hello"},
        {"candidate": 7},
        [CHROME],
        {"candidate": FIREFOX.replace("40912", "70000")},
        {"candidate": FIREFOX.replace("host", "guest")},
    ],
)
def test_candidates_that_cannot_be_read(candidate: object) -> None:
    read = o.parse_offer_body(body(candidate))
    assert isinstance(read, o.MalformedCandidate)
    assert read.reason


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ([], "JSON object"),
        ({}, "webrtc_id"),
        ({"webrtc_id": "a"}, '"type"'),
        ({"webrtc_id": "a", "type": "offer"}, '"sdp"'),
        ({"webrtc_id": "a", "type": "answer", "sdp": "v=0"}, "answer"),
        ({"webrtc_id": 7, "type": "offer", "sdp": "v=0"}, "webrtc_id"),
    ],
)
def test_refusals_name_the_field(value: object, wanted: str) -> None:
    with pytest.raises(ProtocolError, match=wanted):
        o.parse_offer_body(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
any_body = st.dictionaries(
    st.sampled_from(["type", "webrtc_id", "sdp", "candidate", "x"]),
    json_values | st.sampled_from(["offer", "ice-candidate"]) | st.builds(lambda c: {"candidate": c}, st.text()),
)


@given(any_body | json_values)
def test_any_body_is_read_or_refused(value: object) -> None:
    try:
        outcome = o.parse_offer_body(json.loads(json.dumps(value))).webrtc_id
    except ProtocolError as error:
        outcome = str(error)
    assert outcome

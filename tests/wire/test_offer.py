import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.errors import ProtocolError
from fastrtc.wire import offer as o


def test_an_offer() -> None:
    assert o.parse_offer_body({"type": "offer", "webrtc_id": "a", "sdp": "v=0"}) == o.Offer("a", "v=0")


@pytest.mark.parametrize("value", [None, "", {"candidate": ""}, {"candidate": "candidate:1", "sdpMid": "0"}])
def test_a_candidate_is_passed_on_as_it_came(value: object) -> None:
    body = {"type": "ice-candidate", "webrtc_id": "a", "candidate": value, "sdp": None}
    assert o.parse_offer_body(body) == o.Candidate("a", value)


@pytest.mark.parametrize("kind", ["ice-candidate", "end-of-candidates"])
def test_no_candidate_at_all_is_the_end_of_them(kind: str) -> None:
    assert o.parse_offer_body({"type": kind, "webrtc_id": "a"}) == o.Candidate("a", None)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ([], "JSON object"),
        ({}, '"type"'),
        ({"type": "ice-candidate"}, "webrtc_id"),
        ({"webrtc_id": "a" * 129, "type": "offer", "sdp": "v=0"}, "128 printable"),
        ({"webrtc_id": "a\nb", "type": "offer", "sdp": "v=0"}, "printable"),
        ({"webrtc_id": "a", "type": "offer", "sdp": "v=0", "token": 7}, "token"),
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
    json_values | st.sampled_from(["offer", "ice-candidate"]),
)


@given(any_body | json_values)
def test_any_body_is_read_or_refused(value: object) -> None:
    try:
        outcome = o.parse_offer_body(json.loads(json.dumps(value)))
    except ProtocolError as error:
        assert str(error)
    else:
        assert outcome.webrtc_id or isinstance(outcome, o.Offer)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.errors import ProtocolError
from fastrtc.transports.webrtc.candidate import IceCandidate

CHROME = "candidate:842163049 1 udp 1677729535 198.51.100.7 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag Xk"
FIREFOX = "candidate:0 1 UDP 2122252543 192.0.2.14 52341 typ host"
MDNS = "candidate:1 1 udp 2113937151 8a1b7d9e-30a1-4a2e-9b3f-5d5a7a1b2c3d.local 54321 typ host"
TCP = "candidate:3 1 TCP 2105524479 192.0.2.14 9 typ host tcptype active"
IPV6 = "candidate:1 1 udp 2122197247 2001:db8::1 40000 typ host"


# As browsers send them today, whole; addresses are those of documentation.
BROWSERS = {
    "Chrome": {
        "candidate": "candidate:2881416459 1 udp 2113937151 8a1b7d9e-30a1-4a2e-9b3f-5d5a7a1b2c3d.local 61025 typ host "
        "generation 0 ufrag dXoP network-cost 999",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": "dXoP",
    },
    "Chrome, relayed": {
        "candidate": "candidate:3969408305 1 udp 58597375 198.51.100.9 40063 typ relay raddr 192.0.2.2 rport 58769 "
        "generation 0 ufrag y2jK network-id 1 network-cost 10",
        "sdpMid": "audio",
        "sdpMLineIndex": 0,
        "usernameFragment": "y2jK",
    },
    "Android": {
        "candidate": "candidate:1467250027 1 udp 2122260223 192.0.2.31 46243 typ host generation 0 ufrag EsAw "
        "network-id 3 network-cost 10",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
    },
    "Firefox": {
        "candidate": "candidate:0 1 UDP 2122187007 5c7e1b3a-0d31-4f0f-8f1b-0f7a9c3f2f10.local 52731 typ host",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": "1a9b6f0d",
    },
    "Firefox, TCP": {
        "candidate": "candidate:4 1 TCP 2105458943 192.0.2.14 9 typ host tcptype active",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": "1a9b6f0d",
    },
    "Safari": {
        "candidate": "candidate:2442523459 1 udp 2113937151 192.0.2.20 50312 typ host generation 0 ufrag Ze4r "
        "network-cost 999",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": "Ze4r",
    },
    "Safari, IPv6": {
        "candidate": "candidate:3158171451 1 udp 2113939711 2001:db8::20 61234 typ host generation 0 ufrag Ze4r "
        "network-cost 999",
        "sdpMid": "0",
        "sdpMLineIndex": "0",
        "usernameFragment": "Ze4r",
    },
}


@pytest.mark.parametrize("browser", BROWSERS)
def test_every_browsers_form_is_kept_whole(browser):
    given = BROWSERS[browser]
    candidate = IceCandidate.from_json(given)
    assert candidate.line == given["candidate"]
    assert (candidate.sdp_mid, candidate.sdp_m_line_index) == (given["sdpMid"], 0)
    assert candidate.username_fragment == given.get("usernameFragment")
    assert not candidate.is_end


@pytest.mark.parametrize("line", [CHROME, FIREFOX, MDNS, TCP, IPV6])
@pytest.mark.parametrize("prefix", ["", "a="])
def test_lines_of_browsers_are_kept(line, prefix):
    candidate = IceCandidate.from_json({"candidate": prefix + line, "sdpMid": "0", "sdpMLineIndex": 0})
    assert candidate == IceCandidate(line=line, sdp_mid="0", sdp_m_line_index=0)
    assert not candidate.is_end


def test_fields_of_the_line():
    candidate = IceCandidate.from_json(FIREFOX.removeprefix("candidate:"))
    assert (candidate.line, candidate.component, candidate.protocol) == (FIREFOX, 1, "udp")
    assert candidate.address == "192.0.2.14"
    assert IceCandidate.from_json(MDNS).address.endswith(".local")
    assert IceCandidate.from_json(TCP).protocol == "tcp"
    assert IceCandidate.from_json("candidate:1 2 UDP 1 192.0.2.1 5 typ host").component == 2


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        {},
        {"candidate": ""},
        {"candidate": None},
        {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "4a6f"},
        {"candidate": "", "sdpMid": "", "sdpMLineIndex": None},
        {"candidate": "a=end-of-candidates"},
        {"candidate": "candidate:"},
    ],
)
def test_every_form_of_the_end_of_candidates(value):
    candidate = IceCandidate.from_json(value)
    assert candidate.is_end
    assert (candidate.protocol, candidate.address, candidate.component) == ("", "", 1)


def test_the_index_may_be_text_and_the_fragment_is_kept():
    candidate = IceCandidate.from_json({"candidate": FIREFOX, "sdpMLineIndex": "1", "usernameFragment": "4a6f"})
    assert (candidate.sdp_mid, candidate.sdp_m_line_index, candidate.username_fragment) == (None, 1, "4a6f")
    assert IceCandidate.from_json(candidate.as_json()) == candidate


@pytest.mark.parametrize(
    "value",
    [
        7,
        [],
        {"candidate": 7},
        {"candidate": "hello"},
        {"candidate": FIREFOX.replace("typ", "type")},
        {"candidate": FIREFOX.replace("52341", "99999")},
        {"candidate": FIREFOX.replace("52341", "x")},
        {"candidate": FIREFOX + "\r\na=candidate:0 1 UDP 1 192.0.2.1 1 typ host"},
        {"candidate": FIREFOX + " x" * 2_000},
        {"candidate": FIREFOX, "sdpMLineIndex": -1},
        {"candidate": FIREFOX, "sdpMLineIndex": "one"},
        {"candidate": FIREFOX, "sdpMLineIndex": True},
        {"candidate": FIREFOX, "sdpMLineIndex": 1.5},
    ],
)
def test_what_is_no_candidate_is_a_protocol_error(value):
    with pytest.raises(ProtocolError):
        IceCandidate.from_json(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["candidate", "sdpMid", "sdpMLineIndex"]), inner),
)


@given(json_values)
def test_any_json_is_a_candidate_or_a_protocol_error(value):
    try:
        candidate = IceCandidate.from_json(value)
    except ProtocolError:
        return
    assert candidate.is_end or candidate.line.startswith("candidate:")
    assert candidate.component >= 0

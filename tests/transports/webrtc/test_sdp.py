from __future__ import annotations

import pytest

from fastrtc.errors import EngineError
from fastrtc.transports.webrtc.sdp import (
    MAX_SDP_CHARS,
    candidate_addresses,
    check_description,
    fingerprints,
    media_kinds,
    speech_parameters,
    with_media_stream,
    with_opus_parameters,
)

SDP = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n"
    "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:0 PCMU/8000\r\n"
)


def test_parameters_are_merged_into_those_of_opus_only():
    tuned = with_opus_parameters(SDP, {"usedtx": "1", "useinbandfec": "0"})
    assert "a=fmtp:111 minptime=10;useinbandfec=0;usedtx=1\r\n" in tuned
    assert tuned.replace("useinbandfec=0;usedtx=1", "useinbandfec=1") == SDP


def test_opus_without_parameters_gets_a_line_of_its_own():
    bare = SDP.replace("a=fmtp:111 minptime=10;useinbandfec=1\r\n", "")
    assert "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 usedtx=1\r\n" in with_opus_parameters(bare, {"usedtx": "1"})


def test_tuning_twice_is_tuning_once():
    once = with_opus_parameters(SDP, speech_parameters(32_000))
    assert with_opus_parameters(once, speech_parameters(32_000)) == once
    assert "maxaveragebitrate=32000" in once


def test_tracks_without_a_stream_get_one_and_others_keep_theirs():
    described = SDP + "a=msid:- track1\r\na=msid:mine track2\r\na=msid-semantic: WMS\r\n"
    assert with_media_stream(described) == described.replace("msid:- ", "msid:fastrtc ")
    assert with_media_stream(SDP) == SDP


def test_line_feeds_alone_become_proper_line_ends():
    assert with_opus_parameters(SDP.replace("\r\n", "\n"), {}) == SDP


@pytest.mark.parametrize("sdp", [None, 7, "", "v=1\r\nm=audio", "v=0\r\n", "v=0\nm=" + "x" * MAX_SDP_CHARS])
def test_what_cannot_be_a_description_is_refused(sdp):
    with pytest.raises(EngineError):
        check_description(sdp)


def test_a_description_passes():
    assert check_description(SDP) == SDP


DESCRIBED = (
    SDP + "a=fingerprint:sha-256 AA:BB\r\na=candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host\r\n"
    "a=candidate:2 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=fingerprint:SHA-256 aa:bb\r\n"
    "a=candidate:1 1 UDP 2122260223 192.0.2.7 50000 typ host\r\n"
    "a=candidate:3 1 udp 1686052607 198.51.100.4 50000 typ srflx raddr 192.0.2.7 rport 50000\r\na=candidate:4 1\r\n"
)


def test_who_describes_which_media_and_where_it_can_be_reached():
    assert media_kinds(DESCRIBED) == ["audio", "application"]
    assert fingerprints(DESCRIBED) == {"sha-256 aa:bb"}
    assert fingerprints(SDP) == frozenset()
    assert candidate_addresses(DESCRIBED) == ["192.0.2.7 (host)", "198.51.100.4 (srflx)"]
    assert candidate_addresses(SDP) == []

from __future__ import annotations

import pytest

from fastrtc.errors import EngineError
from fastrtc.transports.webrtc.sdp import (
    MAX_SDP_CHARS,
    check_description,
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

"""Right messages, for the fuzzers to spoil."""

from __future__ import annotations

from typing import Any

SDP = "\r\n".join(
    (
        "v=0",
        "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1 2",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS 9f3c",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=candidate:2999745851 1 udp 2122260223 192.0.2.7 56143 typ host generation 0 network-id 1",
        "a=ice-ufrag:EsAw",
        "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1",
        "a=ice-options:trickle",
        "a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:"
        "2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F",
        "a=setup:actpass",
        "a=mid:0",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=sendrecv",
        "a=msid:9f3c 1aa2",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=rtpmap:111 opus/48000/2",
        "a=rtcp-fb:111 transport-cc",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:63 red/48000/2",
        "a=fmtp:63 111/111",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:13 CN/8000",
        "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000",
        "a=ssrc:3570614608 cname:4TOk42mSjXCkVIa6",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:EsAw",
        "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1",
        "a=setup:actpass",
        "a=mid:1",
        "a=recvonly",
        "a=rtcp-mux",
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 nack pli",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:EsAw",
        "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1",
        "a=setup:actpass",
        "a=mid:2",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        "",
    )
)
CANDIDATES: tuple[Any, ...] = (
    {"candidate": "candidate:1 1 udp 2122260223 192.0.2.7 63692 typ host generation 0", "sdpMid": "0"},
    {"candidate": "candidate:2 1 UDP 1 a3f4.local 5353 typ host", "sdpMid": "", "sdpMLineIndex": 0},
    {
        "candidate": "a=candidate:3 2 tcp 9 2001:db8::1 9 typ srflx raddr 10.0.0.1 rport 9 tcptype active",
        "usernameFragment": "EsAw",
        "sdpMLineIndex": "1",
    },
    {"candidate": "", "sdpMid": "0"},
    None,
    "candidate:1 1 udp 2122260223 192.0.2.7 63692 typ host",
)
OFFERS: tuple[Any, ...] = (
    {"type": "offer", "webrtc_id": "a", "sdp": SDP, "token": "t"},
    {"type": "offer", "sdp": SDP},
    {"type": "offer", "webrtc_id": "s." + "A" * 24, "sdp": SDP},
    *({"type": "ice-candidate", "webrtc_id": "a", "candidate": one} for one in CANDIDATES),
    {"type": "end-of-candidates", "webrtc_id": "a"},
    {"type": "local-candidates", "webrtc_id": "a", "token": "t"},
)
MESSAGES: tuple[Any, ...] = (
    {"type": "hello", "data": {"version": 1, "events": True}},
    {"type": "input", "data": [0.5, "value"]},
    {"type": "text", "data": "typed"},
    {"type": "trigger_response"},
    {"type": "mute", "data": True},
    {"type": "playout", "data": {"turn": 3, "played_ms": 420}},
    {"type": "stop_reply"},
    {"type": "discard_turn"},
    {"type": "handshake"},
    "handshake",
)
TURN_MESSAGES: tuple[Any, ...] = (
    *MESSAGES,
    *({"type": "playout", "data": {"turn": turn, "played_ms": ms}} for turn in (0, 1, 2) for ms in (0, 5, 9_999)),
    {"type": "text", "data": "typed"},
    {"type": "trigger_response"},
    {"type": "mute", "data": False},
)
FRAMES: tuple[Any, ...] = (
    {"event": "start", "websocket_id": "a", "hello": True, "token": "t"},
    {"event": "start"},
    {"event": "media", "media": {"payload": "/////w==" * 8}},
    {"event": "ping"},
    {"event": "stop"},
    *MESSAGES,
)
CALLS: tuple[Any, ...] = (
    {"event": "connected", "protocol": "Call", "version": "1.0.0"},
    {
        "event": "start",
        "streamSid": "MZ1",
        "start": {
            "streamSid": "MZ1",
            "accountSid": "AC1",
            "callSid": "CA1",
            "tracks": ["inbound"],
            "customParameters": {"from": "+15550100", "token": "t"},
        },
    },
    {"event": "media", "streamSid": "MZ1", "media": {"track": "inbound", "chunk": "2", "payload": "/////w==" * 8}},
    {"event": "mark", "streamSid": "MZ1", "mark": {"name": "0:4000"}},
    {"event": "dtmf", "streamSid": "MZ1", "dtmf": {"digit": "5", "track": "inbound_track"}},
    {"event": "stop", "streamSid": "MZ1"},
)
SERVER: tuple[Any, ...] = (
    {
        "type": "hello",
        "data": {"version": 1, "session_id": "a", "input_sample_rate": 48000, "output_sample_rate": 24000},
    },
    {"type": "event", "data": {"name": "turn_committed", "turn": 1}},
    {"type": "output", "data": [1, {"a": []}]},
    {"type": "end_stream", "data": "over"},
    {"type": "error", "message": "no"},
    {"type": "log", "data": "pause_detected"},
    {"event": "media", "media": {"payload": "/////w=="}},
    {"event": "clear"},
    {"status": "failed", "meta": {"error": "concurrency_limit_reached", "limit": 1}},
)
HEADS = (
    "POST /webrtc/offer?webrtc_id=a HTTP/1.1\r\nHost: voice.example.org\r\nContent-Type: application/json\r\n"
    "Content-Length: 40\r\nExpect: 100-continue\r\nConnection: keep-alive",
    "POST /webrtc/offer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked",
    "GET /websocket/offer HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AA==",
    "GET /outputs?webrtc_id=%00&websocket_id= HTTP/1.0\r\nHost:",
)
FORMS = (
    "From=%2B15550100&To=%2B15550101&CallSid=CA1",
    "From=&From=a&%00=%ff&=",
    "a" * 300,
)

"""Whatever a client sends, the conversation ends in order and its session is closed."""

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastrtc.transports.telephone import TelephoneConversation
from fastrtc.transports.websocket import WebSocketConversation

AUDIO = base64.b64encode(b"\xff" * 160).decode()
websocket_frames = st.sampled_from(
    [
        {"event": "start", "websocket_id": "a"},
        {"event": "start", "websocket_id": "b", "hello": True},
        {"event": "media", "media": {"payload": AUDIO}},
        {"event": "ping"},
        {"event": "stop"},
        {"type": "hello", "data": {"version": 1}},
        {"type": "input", "data": [1]},
        {"type": "refuse"},
    ]
)
telephone_frames = st.sampled_from(
    [
        {"event": "connected"},
        {"event": "start", "streamSid": "MZ1"},
        {"event": "media", "media": {"payload": AUDIO}},
        {"event": "media", "media": {"payload": AUDIO, "track": "outbound"}},
        {"event": "mark", "mark": {"name": "0:1"}},
        {"event": "dtmf", "dtmf": {"digit": "5"}},
        {"event": "stop"},
    ]
)
nonsense = st.text() | st.binary() | st.dictionaries(st.sampled_from(["event", "type", "media"]), st.text())


@pytest.mark.parametrize(
    ("conversation", "frames"), [(WebSocketConversation, websocket_frames), (TelephoneConversation, telephone_frames)]
)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_frames_ends_well(with_line, conversation, frames, data):
    sequence = data.draw(st.lists(frames | nonsense, max_size=12))
    stop = next((place for place, item in enumerate(sequence) if item == {"event": "stop"}), len(sequence))
    begun = any("websocket_id" in item or "streamSid" in item for item in sequence[:stop] if isinstance(item, dict))

    async def scenario(line):
        for item in sequence:
            if isinstance(item, bytes):
                line.socket.say_bytes(item)
            else:
                line.socket.say(item if isinstance(item, str) else json.dumps(item))
        line.socket.vanish()
        await line.serving
        assert len(line.switchboard.sessions) == begun
        for session in line.switchboard.sessions.values():
            assert session.closes in (["stopped"], ["disconnected"])

    with_line(conversation, scenario)

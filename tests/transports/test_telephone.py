import base64

import numpy as np

from fastrtc.errors import SignalingError
from fastrtc.media.g711 import decode_ulaw, encode_ulaw
from fastrtc.transports import telephone
from fastrtc.transports.telephone import TelephoneConversation

CONNECTED = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
START = {
    "event": "start",
    "streamSid": "MZ1",
    "start": {
        "streamSid": "MZ1",
        "callSid": "CA1",
        "accountSid": "AC1",
        "customParameters": {"from": "+4930", "call_sid": "of somebody else"},
    },
}
TICK = (8000 * np.sin(np.arange(160) / 7)).astype(np.int16)


def media(pcm, track="inbound"):
    payload = base64.b64encode(encode_ulaw(pcm)).decode()
    return {"event": "media", "streamSid": "MZ1", "media": {"track": track, "payload": payload}}


def test_a_call_from_start_to_stop(with_line):
    async def scenario(line):
        line.socket.say(CONNECTED)
        line.socket.say(START)
        line.socket.say(media(TICK))
        line.socket.say(media(-TICK, track="outbound"))
        line.socket.say({"event": "dtmf", "streamSid": "MZ1", "dtmf": {"digit": "1"}})
        session = await line.session()
        await session.started.wait()
        assert session.handler.phone_mode is True
        assert session.context.webrtc_id == "MZ1"
        call = {"call_sid": "CA1", "stream_sid": "MZ1", "account_sid": "AC1", "from": "+4930"}
        assert session.context.call == call
        line.socket.say({"event": "stop", "streamSid": "MZ1"})
        await line.serving
        np.testing.assert_array_equal(session.link.read(), decode_ulaw(encode_ulaw(TICK)))
        assert session.closes == ["stopped"]
        assert session.keys == ["1"]

    with_line(TelephoneConversation, scenario)


def test_the_caller_gets_mulaw_with_the_streams_name_and_a_mark_every_half_second(with_line):
    async def scenario(line):
        line.socket.say(START)
        link = (await line.session()).link
        for _ in range(50):
            link.write(TICK)
        link.write(None)
        link.send('{"type": "log", "data": "a telephone has no screen"}')
        await line.socket.wait_for(lambda message: message.get("mark") == {"name": "0:8000"})
        sent = line.socket.sent
        assert {message["streamSid"] for message in sent} == {"MZ1"}
        assert [message["mark"]["name"] for message in sent if message["event"] == "mark"] == ["0:4000", "0:8000"]
        audio = b"".join(base64.b64decode(message["media"]["payload"]) for message in sent if "media" in message)
        assert audio == encode_ulaw(np.tile(TICK, 50))
        line.socket.vanish()

    with_line(TelephoneConversation, scenario)


def test_a_flush_clears_what_twilio_has_not_played(with_line):
    async def scenario(line):
        line.socket.say(START)
        link = (await line.session()).link
        link.write(TICK)
        assert link.flush() is True
        await line.socket.wait_for(lambda message: message == {"event": "clear", "streamSid": "MZ1"})
        assert not any("media" in message for message in line.socket.sent)
        line.socket.vanish()

    with_line(TelephoneConversation, scenario)


def test_marks_tell_how_far_the_caller_is_behind(with_line, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(telephone.time, "monotonic", lambda: now[0])

    async def scenario(line):
        line.socket.say(START)
        link = (await line.session()).link
        assert link.playout_delay_ms() == link.client_delay_ms
        for _ in range(50):
            link.write(TICK)
        now[0] += 0.9
        link.mark_reached("0:4000")
        # Half a second is left at Twilio, of which the head start is 100 ms: the rest is the network's.
        assert round(link.playout_delay_ms() - link.client_delay_ms) == 400
        now[0] += 0.2
        assert round(link.playout_delay_ms() - link.client_delay_ms) == 300
        link.flush()
        link.mark_reached("0:8000")
        link.mark_reached("nonsense")
        assert link.playout_delay_ms() == link.client_delay_ms
        line.socket.vanish()

    with_line(TelephoneConversation, scenario)


def test_a_full_server_hangs_up(with_line):
    async def scenario(line):
        line.switchboard.refusal = SignalingError("concurrency_limit_reached", limit=1)
        line.socket.say(START)
        await line.serving
        assert line.socket.sent == [{"status": "failed", "meta": {"error": "concurrency_limit_reached", "limit": 1}}]

    with_line(TelephoneConversation, scenario)


def test_nonsense_does_not_end_the_call(with_line, caplog):
    async def scenario(line):
        line.socket.say(media(TICK))
        line.socket.say({"event": "dtmf", "streamSid": "MZ1", "dtmf": {"digit": "1"}})
        first = await line.socket.wait_for(lambda message: message.get("type") == "error")
        assert '"start"' in first["message"]
        line.socket.say(START)
        line.socket.say({"event": "video"})
        line.socket.say(START)
        line.socket.say({"event": "stop"})
        await line.serving
        session = await line.session()
        assert (session.closes, session.keys) == (["stopped"], [])

    with_line(TelephoneConversation, scenario)
    assert "video" in caplog.text
    assert "started already" in caplog.text

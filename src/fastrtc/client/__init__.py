"""A caller in Python: speaks to a server as a browser would, and keeps what it heard.

::

    async with connect("http://127.0.0.1:7860") as call:
        await call.speak(pcm, 16_000)
        await call.wait_for(lambda message: message.event == "playback_finished", timeout_s=10)
        call.heard.pcm  # int16 at call.heard.rate_hz
"""

from __future__ import annotations

from fastrtc.client.call import Call, connect
from fastrtc.client.record import CallRecord, Message, Sound, Spoken, read_audio, write_stereo
from fastrtc.client.turns import TurnTimes, measure_turns

__all__ = [
    "Call",
    "CallRecord",
    "Message",
    "Sound",
    "Spoken",
    "TurnTimes",
    "connect",
    "measure_turns",
    "read_audio",
    "write_stereo",
]

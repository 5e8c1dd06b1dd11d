"""Recorded speech to the demo's stream and back, over every transport."""

import asyncio
import base64
import csv
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastrtc.audio import float_to_int16
from fastrtc.cli import make_app
from fastrtc.client.call import Call, connect
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.media.g711 import decode_ulaw, encode_ulaw
from fastrtc.media.resample import resample_clip
from fastrtc.stream import Stream

pytestmark = pytest.mark.speech

COMPARE_HZ = 8_000
WINDOW = COMPARE_HZ // 5


@dataclass(frozen=True)
class Word:
    """A recorded word, and where in the file it is."""

    pcm: Any
    rate_hz: int
    start_s: float
    end_s: float

    def spoken(self) -> Any:
        """The word itself at 8 kHz."""
        clip = resample_clip(self.pcm, self.rate_hz, COMPARE_HZ)
        return clip[int(self.start_s * COMPARE_HZ) : int(self.end_s * COMPARE_HZ)]


@pytest.fixture(scope="module")
def word(speech: Path) -> Word:
    soundfile = pytest.importorskip("soundfile")
    with (speech / "turns.tsv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file, delimiter="\t") if row["kind"] == "word")
    pcm, rate_hz = soundfile.read(speech / row["file"], dtype="int16")
    return Word(pcm, rate_hz, float(row["true_start"]), float(row["true_end"]))


def likeness(heard: Any, wanted: Any) -> float:
    """The best normalized correlation of ``wanted`` anywhere in ``heard``, 1 for a copy."""
    sums = np.correlate(heard, wanted, "valid")
    energy = np.convolve(np.square(heard, dtype=np.float64), np.ones(len(wanted)), "valid")
    return float(np.max(sums / np.sqrt(np.maximum(energy, 1e-9) * np.dot(wanted, wanted))))


def echo(audio: tuple[int, Any]) -> Any:
    yield audio


async def say(url: str, word: Word, **options: Any) -> Call:
    """Call, say the word, and stay until the reply has been heard."""
    async with connect(url, **options) as call:
        await call.speak(word.pcm, word.rate_hz)
        if options.get("hello", True):
            await call.wait_for(lambda message: message.event == "playback_finished")
        else:
            await call.wait_for(lambda message: message.fields == {} and "response_starting" in str(message.data))
            await asyncio.sleep(len(word.pcm) / word.rate_hz)
    return call


def heard(call: Call) -> Any:
    sound = call.heard
    return resample_clip(sound.pcm, sound.rate_hz, COMPARE_HZ)


@pytest.mark.parametrize("hello", [True, False])
def test_a_word_comes_back_over_a_websocket(serve: Any, word: Word, hello: bool) -> None:
    with serve(make_app(Stream(ReplyOnPause(echo), verbose=False))) as server:
        call = asyncio.run(say(f"http://{server.address}", word, transport="websocket", hello=hello))
    assert likeness(heard(call), word.spoken()) > 0.98
    committed = [message for message in call.messages if message.event == "turn_committed"]
    assert len(committed) == hello


def test_a_word_comes_back_over_the_telephone(serve: Any, word: Word) -> None:
    said = float_to_int16(resample_clip(word.pcm, word.rate_hz, COMPARE_HZ))
    line = np.concatenate([said, np.zeros(COMPARE_HZ, np.int16)])
    reply, marks = [], 0
    with (
        serve(make_app(Stream(ReplyOnPause(echo), verbose=False))) as server,
        server.socket("/telephone/handler") as phone,
    ):
        phone.say({"event": "connected"})
        phone.say({"event": "start", "streamSid": "MZ1", "start": {"streamSid": "MZ1", "callSid": "CA1"}})
        for start in range(0, len(line), 160):
            payload = base64.b64encode(encode_ulaw(line[start : start + 160])).decode()
            phone.say({"event": "media", "streamSid": "MZ1", "media": {"track": "inbound", "payload": payload}})
        # The reply begins with the half second before the word.
        wanted = int((word.end_s - word.start_s + 0.5) * COMPARE_HZ)
        while sum(map(len, reply)) < wanted:
            message = phone.hear()
            assert message["streamSid"] == "MZ1"
            if message["event"] == "mark":
                marks += 1
            elif message["event"] == "media":
                reply.append(decode_ulaw(base64.b64decode(message["media"]["payload"])))
        phone.say({"event": "stop"})
    spoken = word.spoken()[: len(word.spoken()) // 2]
    assert likeness(np.concatenate(reply).astype(np.float32), spoken) > 0.95
    assert marks == sum(map(len, reply)) // (COMPARE_HZ // 2)


@pytest.mark.parametrize("engine", ["wrtc", "aiortc"])
def test_a_word_comes_back_over_webrtc(serve: Any, word: Word, engine: str) -> None:
    pytest.importorskip(engine)
    with serve(make_app(Stream(ReplyOnPause(echo), engine=engine, verbose=False))) as server:
        call = asyncio.run(say(f"http://{server.address}", word, transport="webrtc"))
    assert sum(message.event == "turn_committed" for message in call.messages) == 1
    # Jitter buffers stretch time a little, so short windows are compared, each where it fits best.
    spoken, reply = word.spoken(), heard(call)
    windows = [spoken[start : start + WINDOW] for start in range(0, len(spoken) - WINDOW + 1, WINDOW)]
    assert np.median([likeness(reply, window) for window in windows]) > 0.6


def test_a_server_that_stops_ends_webrtc_sessions(serve: Any) -> None:
    stream = Stream(ReplyOnPause(echo), verbose=False)

    async def hold(url: str) -> Call:
        async with connect(url) as call:
            await call.wait_for(lambda message: message.type == "hello")
            up.set()
            async for _ in call.stream_messages():
                pass
        return call

    up = threading.Event()
    ended: list[str | None] = []
    with serve(make_app(stream)) as server:
        caller = threading.Thread(target=lambda: ended.append(asyncio.run(hold(f"http://{server.address}")).ended))
        caller.start()
        assert up.wait(20)
        assert list(stream.connections)
    caller.join(20)
    assert not stream.connections
    assert ended != [None]
    assert len(ended) == 1

"""Video sessions of a stream, with an engine as the client."""

from __future__ import annotations

import asyncio
import queue
import time
from typing import Any

import numpy as np
import pytest
from tests.transports.webrtc.caller import WAIT_S, Side, likeness, speech_like

from fastrtc import AudioVideoStreamHandler, Stream
from fastrtc.context import Context
from fastrtc.errors import SignalingError
from fastrtc.transports.memory import MemoryLink
from fastrtc.transports.webrtc.engine import TICK_SAMPLES, PeerOptions, load_engine

pytest.importorskip("wrtc", reason="wrtc is not installed")

pytestmark = pytest.mark.timeout(120)


async def joined(stream: Stream, **options: Any) -> Side:
    side = Side()
    side.peer = peer = await load_engine("wrtc").offer(PeerOptions(**options), side)
    answer = await stream.offer({"type": "offer", "webrtc_id": "a", "sdp": peer.offer_sdp})  # type: ignore[arg-type]
    assert "sdp" in answer, answer
    await peer.set_answer(answer["sdp"])
    return side


class Sleepy(AudioVideoStreamHandler):
    """An echo whose eyes take half a second for each picture."""

    looks = 0

    def __init__(self) -> None:
        super().__init__(output_sample_rate=48_000, input_sample_rate=48_000, fps=10)
        self.sounds: queue.Queue[Any] = queue.Queue()

    def copy(self) -> Sleepy:
        return Sleepy()

    def receive(self, frame: Any) -> None:
        self.sounds.put(frame)

    def emit(self) -> Any:
        return self.sounds.get()

    def video_receive(self, frame: Any) -> None:
        time.sleep(0.5)
        type(self).looks += 1

    def video_emit(self) -> Any:
        time.sleep(0.5)
        return np.full((120, 160, 3), 99, np.uint8)


def test_slow_video_does_not_delay_sound() -> None:
    async def scenario() -> None:
        stream = Stream(Sleepy(), modality="audio-video")
        side = await joined(stream, has_video_in=True, has_video_out=True)
        assert side.peer is not None
        side.start()
        await side.until_heard(TICK_SAMPLES)
        said = speech_like(3.0)
        side.say(said)
        before = len(side.sound)
        camera = np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8)
        async with asyncio.timeout(WAIT_S):
            while len(side.sound) < before + len(said) + 48_000 or Sleepy.looks < 2:
                await asyncio.to_thread(side.peer.write_video, camera)
                await asyncio.sleep(1 / 30)
        score, delay = likeness(side.sound[before:], said)
        assert score > 0.9
        assert 0 <= delay < 24_000, "half a second would mean that sound waited for the pictures"
        assert side.peer.read_video() is not None
        await side.close()
        await stream.close()

    asyncio.run(scenario())


def test_a_function_of_video_has_no_websocket() -> None:
    async def scenario() -> None:
        stream = Stream(lambda image: image, modality="video")
        handler = await stream._host.new_handler()
        with pytest.raises(SignalingError, match="unsupported_modality"):
            stream._host.open("a", handler, MemoryLink(), Context(webrtc_id="a"))
        assert not stream.connections

    asyncio.run(scenario())

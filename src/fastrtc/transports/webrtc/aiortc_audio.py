"""Audio in and out of ``aiortc``: our own Opus encoder in front of its sender, a queue behind its receiver."""

from __future__ import annotations

import asyncio
import fractions
from collections import deque
from typing import Any

import aiortc
import av
import numpy as np
from aiortc.mediastreams import MediaStreamError

from fastrtc.audio import PCM
from fastrtc.transports.webrtc.engine import RATE_HZ, TICK_SAMPLES

RECEIVE_FRAMES = 50  # of 20 ms
TAIL_TICKS = 10  # of encoded silence after speech, so that the receiver fades out on silence
GAP_TICKS = 5  # without a packet until silence is put in its place

_TIME_BASE = fractions.Fraction(1, RATE_HZ)
_SILENCE = np.zeros(TICK_SAMPLES, np.int16)


class OpusEncoder:
    """Mono Opus for one voice, by libopus.

    ``aiortc`` itself would encode stereo at 96 kb/s. A track may also deliver packets, so this encodes before it.
    """

    def __init__(self, bitrate_bps: int) -> None:
        codec: Any = av.CodecContext.create("libopus", "w")
        codec.bit_rate = bitrate_bps
        codec.format = "s16"
        codec.layout = "mono"
        codec.sample_rate = RATE_HZ
        codec.time_base = _TIME_BASE
        codec.options = {"application": "voip", "fec": "1", "packet_loss": "5", "frame_duration": "20"}
        self._codec = codec

    def encode(self, pcm: PCM, position: int) -> list[Any]:
        """Encode one tick.

        Args:
            pcm: 960 samples.
            position: Of the first sample since the connection began; it becomes the RTP timestamp.
        """
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.time_base = _TIME_BASE
        frame.pts = position
        packets = self._codec.encode(frame)
        for packet in packets:
            packet.pts, packet.time_base = position, _TIME_BASE
        return list(packets)


class TickTrack(aiortc.MediaStreamTrack):
    """The track that is sent: one packet per tick while there is something to play, nothing otherwise.

    The position counts every tick, so the receiver sees a gap of the right length and no delay builds up.
    """

    kind = "audio"

    def __init__(self, loop: asyncio.AbstractEventLoop, bitrate_bps: int) -> None:
        super().__init__()
        self._app_loop = loop
        self._encoder = OpusEncoder(bitrate_bps)
        self._packets: asyncio.Queue[Any] = asyncio.Queue(maxsize=RECEIVE_FRAMES)
        self._position = 0
        self._tail_ticks = TAIL_TICKS
        self._live = True

    def write(self, pcm: PCM | None) -> None:
        """Encode and hand over one tick. Media clock thread."""
        position, self._position = self._position, self._position + TICK_SAMPLES
        if pcm is not None:
            self._tail_ticks = TAIL_TICKS
        elif self._tail_ticks > 0:
            self._tail_ticks -= 1
            pcm = _SILENCE
        if pcm is None or not self._live:
            return
        packets = self._encoder.encode(pcm, position)
        try:
            self._app_loop.call_soon_threadsafe(self._put, packets)
        except RuntimeError:  # the loop has ended
            self._live = False

    def end(self) -> None:
        """Let the sender leave :meth:`recv`. Loop thread."""
        self._live = False
        self.stop()

    async def recv(self) -> Any:
        """The next packet, for aiortc's sender."""
        packet = await self._packets.get()
        if not self._live:
            raise MediaStreamError
        return packet

    def _put(self, packets: list[Any]) -> None:
        for packet in packets:
            if self._packets.full():
                self._packets.get_nowait()
            self._packets.put_nowait(packet)


class Receiver:
    """Collects what a remote track decodes; :meth:`read` fills gaps so that the received time never stands still."""

    def __init__(self) -> None:
        self._frames: deque[PCM] = deque(maxlen=RECEIVE_FRAMES)
        self._task: asyncio.Task[None] | None = None
        self._empty_ticks = 0
        self._started = False
        self.concealed_samples = 0
        self.dropped_samples = 0

    def receive_from(self, track: Any) -> None:
        """Start to collect. Loop thread."""
        self._task = asyncio.get_running_loop().create_task(self._collect(track))

    def read(self) -> PCM | None:
        """What came since the last call, or silence once a gap is longer than the jitter buffer. Media clock."""
        frames: list[PCM] = []
        while self._frames:
            frames.append(self._frames.popleft())
        if frames:
            self._started, self._empty_ticks = True, 0
            return np.concatenate(frames)
        self._empty_ticks += 1
        if not self._started or self._empty_ticks <= GAP_TICKS:
            return None
        self.concealed_samples += TICK_SAMPLES
        return _SILENCE.copy()

    async def close(self) -> None:
        """Stop collecting."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._frames.clear()

    async def _collect(self, track: Any) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            samples = frame.to_ndarray().reshape(-1)
            channels = len(frame.layout.channels)
            if channels > 1:
                samples = samples.reshape(-1, channels).mean(axis=1).astype(np.int16)
            if len(self._frames) == RECEIVE_FRAMES:
                self.dropped_samples += TICK_SAMPLES
            self._frames.append(samples)

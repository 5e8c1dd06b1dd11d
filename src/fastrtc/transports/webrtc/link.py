"""A WebRTC peer as a session's :class:`~fastrtc.link.MediaLink`."""

from __future__ import annotations

import asyncio
import time

from fastrtc.audio import PCM
from fastrtc.link import Picture, VideoFrame
from fastrtc.transports.webrtc.engine import RATE_HZ, TICK_MS, PeerStats, RtcPeer

# From write() to the other side's loudspeaker on a quiet network: a tick of packetization, libwebrtc's jitter buffer at
# its usual 20-30 ms, and 20 ms of a sound device.
BASE_DELAY_MS = TICK_MS + 25.0 + 20.0
REFRESH_S = 5.0


class WebRtcLink:
    """Carries a session's audio, images and messages over a peer.

    Args:
        peer: A peer whose observer is the session's owner.
    """

    rate_in_hz = RATE_HZ
    rate_out_hz = RATE_HZ
    lead_ms = 0

    def __init__(self, peer: RtcPeer) -> None:
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._stats = PeerStats()
        self._refresh_due_s = 0.0
        self._refresh: asyncio.Task[None] | None = None

    @property
    def peer(self) -> RtcPeer:
        """The connection below."""
        return self._peer

    def read(self) -> PCM | None:
        """Everything received since the last call, or None. Media clock thread."""
        return self._peer.read()

    def write(self, pcm: PCM | None) -> None:
        """Play one tick of 960 samples, or None. Media clock thread."""
        self._peer.write(pcm)

    def flush(self) -> bool:
        """Drop what is not yet encoded. False: what was written before cannot be taken back from the client."""
        self._peer.flush()
        return False

    def read_video(self) -> VideoFrame | None:
        """The oldest image that waits, or None. Media clock thread."""
        return self._peer.read_video()

    def write_video(self, picture: Picture) -> None:
        """Send an image. Any thread, one at a time."""
        self._peer.write_video(picture)

    def send(self, message: str) -> None:
        """Send a message over the data channel. Any thread."""
        self._peer.send(message)

    def playout_delay_ms(self) -> float:
        """Estimate from the round trip and the jitter that the other side reports; asking renews it every 5 s."""
        now_s = time.monotonic()
        if now_s >= self._refresh_due_s:
            self._refresh_due_s = now_s + REFRESH_S
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._start_refresh)
        return BASE_DELAY_MS + self._stats.round_trip_ms / 2 + 2 * self._stats.remote_jitter_ms

    async def stats(self) -> PeerStats:
        """How the network does."""
        return await self._peer.stats()

    async def close(self) -> None:
        """End the connection."""
        if self._refresh is not None:
            self._refresh.cancel()
            await asyncio.gather(self._refresh, return_exceptions=True)
        await self._peer.close()

    def _start_refresh(self) -> None:
        if self._refresh is None or self._refresh.done():
            self._refresh = self._loop.create_task(self._read_stats())

    async def _read_stats(self) -> None:
        self._stats = await self._peer.stats()

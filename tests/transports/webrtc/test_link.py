from __future__ import annotations

import asyncio

import numpy as np

from fastrtc.transports.webrtc.engine import PeerStats
from fastrtc.transports.webrtc.link import BASE_DELAY_MS, WebRtcLink


class FakePeer:
    def __init__(self):
        self.calls = []
        self.given = PeerStats(round_trip_ms=80.0, remote_jitter_ms=5.0)
        self.asked = asyncio.Event()

    def read(self):
        return np.arange(3, dtype=np.int16)

    def write(self, pcm):
        self.calls.append(("write", pcm))

    def flush(self):
        self.calls.append("flush")

    def send(self, text):
        self.calls.append(("send", text))

    async def stats(self):
        self.asked.set()
        return self.given

    async def close(self):
        self.calls.append("close")


def test_a_link_passes_everything_to_its_peer():
    async def scenario():
        peer = FakePeer()
        link = WebRtcLink(peer)
        assert (link.rate_in_hz, link.rate_out_hz, link.lead_ms) == (48_000, 48_000, 0)
        assert link.read().tolist() == [0, 1, 2]
        link.write(None)
        link.send("hello")
        assert link.flush() is False
        await link.close()
        assert peer.calls == [("write", None), ("send", "hello"), "flush", "close"]
        assert link.peer is peer

    asyncio.run(scenario())


def test_the_delay_is_estimated_from_what_the_other_side_reports():
    async def scenario():
        peer = FakePeer()
        link = WebRtcLink(peer)
        assert link.playout_delay_ms() == BASE_DELAY_MS
        await peer.asked.wait()
        await asyncio.sleep(0)
        assert link.playout_delay_ms() == BASE_DELAY_MS + 40.0 + 10.0
        await link.close()

    asyncio.run(scenario())

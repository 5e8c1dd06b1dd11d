"""A caller whose network changes, or lets no UDP through, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from starlette.applications import Starlette
from tests.fakes.serving import serving
from tests.transports.webrtc.caller import likeness, speech_like

from fastrtc import AsyncStreamHandler, Stream
from fastrtc.client import connect, webrtc_line
from fastrtc.errors import ConfigurationError, EngineError, SignalingError

pytest.importorskip("wrtc", reason="wrtc is not installed")
pytestmark = pytest.mark.timeout(60)


class Echo(AsyncStreamHandler):
    """Says what it hears, at once."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=48_000, output_sample_rate=48_000)
        self.heard: asyncio.Queue = asyncio.Queue()

    def copy(self) -> Echo:
        return Echo()

    async def start_up(self) -> None:
        self.heard = asyncio.Queue()

    async def receive(self, frame) -> None:
        self.heard.put_nowait(frame)

    async def emit(self):
        return await self.heard.get()


def app_of(stream: Stream) -> Starlette:
    app = Starlette()
    stream.mount(app)
    return app


def echo(**options) -> Stream:
    return Stream(Echo(), modality="audio", mode="send-receive", concurrency_limit=10, verbose=False, **options)


@pytest.fixture(scope="module")
def stream() -> Stream:
    return echo()


@pytest.fixture(scope="module")
def url(stream) -> Iterator[str]:
    with serving(app_of(stream)) as served:
        yield served.url


def test_a_call_goes_on_over_another_path_in_the_same_session(stream, url):
    async def scenario():
        async with connect(url) as call:
            session = stream.connections[call.session_id]
            await call.restart_ice()
            said = speech_like(1.0)
            spoken = await call.speak(said, 48_000)
            await call.listen(0.8)
            assert likeness(call.heard.between(spoken.start_s, spoken.end_s + 0.8), said)[0] > 0.9
            assert stream.connections[call.session_id] is session
            assert call.ended is None

    asyncio.run(scenario())


def test_who_cannot_restart_says_so_and_the_call_goes_on(url):
    pytest.importorskip("aiortc")

    async def scenario():
        async with connect(url, engine="aiortc") as call:
            with pytest.raises(EngineError, match="aiortc"):
                await call.restart_ice()
            assert call.ended is None
        async with connect(url, "websocket") as call:
            with pytest.raises(ConfigurationError, match="WebSocket"):
                await call.restart_ice()
        with serving(app_of(echo(engine="aiortc"))) as served:
            async with connect(served.url) as call:
                with pytest.raises(SignalingError) as refused:
                    await call.restart_ice()
                assert refused.value.code == "restart_failed"
                assert "aiortc" in str(refused.value.detail["detail"])
                assert call.ended is None

    asyncio.run(scenario())


def test_without_a_way_the_reason_is_told_and_auto_takes_the_websocket(url, monkeypatch):
    monkeypatch.setattr(webrtc_line, "PATH_TIMEOUT_S", 0.5)

    async def scenario():
        # A policy of relays without a relay: this side has no address at all.
        with pytest.raises(ConnectionError, match=r"no way .* UDP .* offered .*\(host\).* WebSocket"):
            async with connect(url, ice_transport_policy="relay"):
                pass
        async with connect(url, "auto", ice_transport_policy="relay") as call:
            said = speech_like(0.5)
            spoken = await call.speak(said, 48_000)
            await call.listen(0.6)
            assert np.abs(call.heard.between(spoken.start_s, spoken.end_s + 0.6)).max() > 3_000

    asyncio.run(scenario())


def test_auto_does_not_try_again_where_the_server_is_full():
    stream = Stream(Echo(), modality="audio", mode="send-receive", concurrency_limit=1, verbose=False)

    async def scenario(url):
        async with connect(url, "auto"):
            with pytest.raises(SignalingError) as refused:
                async with connect(url, "auto"):
                    pass
            assert refused.value.code == "concurrency_limit_reached"

    with serving(app_of(stream)) as served:
        asyncio.run(scenario(served.url))


def test_the_servers_late_candidates_reach_the_caller(monkeypatch):
    """A server that describes itself before it has looked for addresses."""
    from fastrtc.server import signaling
    from fastrtc.transports.webrtc.engine import PeerOptions

    def hasty(**options):
        return PeerOptions(**options, gather_timeout_ms=0)

    monkeypatch.setattr(signaling, "PeerOptions", hasty)
    asked = []
    followed = webrtc_line.WebRtcLine._follow_candidates

    async def follow(self, peer):
        asked.append(peer)
        await followed(self, peer)

    monkeypatch.setattr(webrtc_line.WebRtcLine, "_follow_candidates", follow)

    async def scenario(url):
        async with connect(url) as call:
            assert call.ended is None

    with serving(app_of(echo())) as served:
        asyncio.run(scenario(served.url))
    assert asked

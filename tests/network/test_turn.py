"""Relayed calls through a real TURN server (Debian's coturn): only relays are allowed, so who connects used one."""

from __future__ import annotations

import asyncio
import re

import pytest
from tests.fakes.coturn import coturn, find_coturn
from tests.transports.webrtc.caller import connect, likeness, speech_like

from fastrtc.transports.webrtc.engine import TICK_SAMPLES, IceServer, PeerOptions, PeerState, load_engine

pytest.importorskip("wrtc", reason="wrtc is not installed")
pytest.importorskip("aiortc", reason="the extra aiortc is not installed")

pytestmark = pytest.mark.timeout(60)

TYPE = re.compile(r"^a=candidate:.* typ (\w+)", re.MULTILINE)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    program = find_coturn()
    if program is None:
        pytest.skip("there is no TURN server (Debian's package coturn)")
    with coturn(program, tmp_path_factory.mktemp("coturn")) as running:
        yield running


def relay_only(server, transport, **changes):
    given = {"urls": (server.url(transport),), "username": server.username, "credential": server.password}
    return PeerOptions(ice_servers=(IceServer(**{**given, **changes}),), ice_transport_policy="relay")


# wrtc trusts the authorities built into it and no others, so its TLS cannot be tried with a certificate of ours.
@pytest.mark.parametrize(
    ("kind", "transport"),
    [("wrtc", "udp"), ("wrtc", "tcp"), ("aiortc", "udp"), ("aiortc", "tcp"), ("aiortc", "tls")],
)
def test_a_call_over_a_relay(server, kind, transport, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))

    async def scenario():
        options = relay_only(server, transport)
        caller, answerer = await connect(load_engine("wrtc"), load_engine(kind), relay_only(server, "udp"), options)
        try:
            assert set(TYPE.findall(answerer.peer.answer_sdp)) == {"relay"}
            assert set(TYPE.findall(caller.peer.offer_sdp)) == {"relay"}
            caller.start()
            answerer.start()
            await answerer.until(lambda: answerer.peer.state is PeerState.CONNECTED)
            await answerer.until_heard(TICK_SAMPLES)
            said = speech_like(0.6)
            start = len(answerer.sound)
            caller.say(said)
            await answerer.until_heard(start + len(said) + 24_000)
            assert likeness(answerer.sound[start:], said)[0] > 0.9
        finally:
            await caller.close()
            await answerer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["wrtc", "aiortc"])
def test_a_wrong_password_gives_no_relay(server, kind):
    async def scenario():
        options = relay_only(server, "udp", credential="wrong")
        caller, answerer = await connect(load_engine("wrtc"), load_engine(kind), PeerOptions(), options)
        try:
            assert TYPE.findall(answerer.peer.answer_sdp) == []
        finally:
            await caller.close()
            await answerer.close()

    asyncio.run(scenario())

"""A seeded share of ``bench/impairments.py``: bad networks between two peers, and a whole call whose path dies."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import count

import numpy as np
import pytest
from bench._recovered import Heard, pieces_of, summary
from bench._udp_relay import CLEAN, Impairment, Path, Relay
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from tests.client.test_network import echo
from tests.fakes.serving import serving
from tests.transports.webrtc.caller import Side, call, likeness, speech_like

from fastrtc.client import connect
from fastrtc.transports.webrtc.engine import TICK_SAMPLES, PeerOptions, PeerState, load_engine

pytest.importorskip("wrtc", reason="wrtc is not installed")
pytestmark = pytest.mark.timeout(90)


# ------------------------------------------------------------------ the instruments


def fates(impairment, packets=20_000, seed=1):
    path = Path(seed)
    path.impairment = impairment
    return [path.due_s(number * 0.02) for number in range(packets)]


@pytest.mark.parametrize("burst", [1, 5])
@pytest.mark.parametrize("loss", [0.01, 0.05, 0.2])
def test_the_relay_loses_as_much_as_it_is_told_in_bursts_of_that_length(loss, burst):
    lost = [due is None for due in fates(Impairment(loss=loss, burst=burst), 100_000)]
    assert abs(np.mean(lost) - loss) < 0.2 * loss
    starts = sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    expected = burst if burst > 1 else 1 / (1 - loss)
    assert abs(sum(lost) / starts - expected) < 0.25 * expected


def test_jitter_keeps_the_order_and_reordering_does_not():
    late = [due - number * 0.02 for number, due in enumerate(fates(Impairment(jitter_ms=30)))]
    assert min(late) >= 0
    assert 0.02 < np.mean(late) < 0.06
    assert all(np.diff(fates(Impairment(jitter_ms=100))) >= 0)
    assert any(np.diff(fates(Impairment(reorder=0.05))) < 0)
    stalled = fates(Impairment(stall_every_s=1.0), 100)
    assert [number for number, due in enumerate(stalled) if due > number * 0.02 + 1e-9] == [*range(10), *range(50, 60)]
    assert stalled[50:60] == pytest.approx([1.2] * 10)
    assert fates(CLEAN, 10) == [number * 0.02 for number in range(10)]
    assert fates(Impairment(is_out=True), 10) == [None] * 10


def recorded(pcm, start_s=0.0):
    """As if a frame of 20 ms came every 20 ms."""
    ends = np.arange(960, len(pcm) + 1, 960)
    return Heard(pcm, ends, start_s + ends / 48_000)


def test_the_judge_finds_what_is_missing_and_how_late_the_rest_is():
    said = speech_like(5.0)
    silence = np.zeros(48_000, np.int16)
    heard = np.concatenate([silence[:2_400], said[:96_000], silence, silence[:9_600], said[144_000:]])
    figures = summary(pieces_of(said, 100.0, recorded(heard, 100.0)), 102.0, 103.0, 103.5)
    assert figures["clean_percent"] == figures["after_percent"] == 100
    assert figures["bad_percent"] < 30
    assert abs(figures["clean_delay_ms"] - 50) < 1
    assert abs(figures["after_delay_ms"] - 200) < 1


def test_the_judge_does_not_take_other_speech_for_what_was_said():
    pieces = pieces_of(speech_like(4.0, seed=1), 0.0, recorded(speech_like(4.0, seed=2)))
    assert len(pieces) > 20
    assert np.mean([piece.delay_s is not None for piece in pieces]) < 0.1


# ------------------------------------------------------------------ two peers


LEAD_S = 1.0


class Measured(Side):
    """A side that notes when it says and hears."""

    def __init__(self):
        super().__init__()
        self.heard_at = []
        self.said_at = None

    def start(self):
        read, write = self.peer.read, self.peer.write

        def noting_read():
            pcm = read()
            if pcm is not None:
                self.heard_at.append((time.monotonic(), len(pcm)))
            return pcm

        def noting_write(pcm):
            if pcm is not None and self.said_at is None:
                self.said_at = time.monotonic()
            write(pcm)

        self.peer.read, self.peer.write = noting_read, noting_write
        super().start()

    def recording(self):
        lengths = np.array([length for _, length in self.heard_at])
        pcm = self.sound
        return Heard(pcm, np.cumsum(lengths)[: len(lengths)], np.array([at for at, _ in self.heard_at]))


async def talk(impairment, bad_s, after_s, change_address=False, called="wrtc"):
    """What a server would hear of a caller: a second on a clean network, the bad ones, and a clean end."""
    engine = load_engine("wrtc")
    caller, answerer = Side(), Measured()
    said = speech_like(LEAD_S + bad_s + after_s)
    with Relay(seed=3) as relay:
        caller.peer = await engine.offer(PeerOptions(), caller)
        offer = relay.offer(caller.peer.offer_sdp)
        answerer.peer = await load_engine(called).answer(offer, PeerOptions(), answerer)
        await caller.peer.set_answer(relay.answer(answerer.peer.answer_sdp))
        try:
            caller.start()
            answerer.start()
            await caller.until(lambda: caller.peer.state is PeerState.CONNECTED)
            await answerer.until_heard(TICK_SAMPLES)
            spoken_at = time.monotonic()
            caller.say(said)
            await asyncio.sleep(LEAD_S)
            if change_address:
                relay.change_address()
            relay.impair(impairment)
            await asyncio.sleep(bad_s)
            relay.impair(CLEAN)
            await asyncio.sleep(after_s + 0.5)
            stats = await answerer.peer.stats()
        finally:
            await caller.close()
            await answerer.close()
    pieces = pieces_of(said, spoken_at, answerer.recording())
    bad_at = spoken_at + LEAD_S
    last_at = bad_at + bad_s + after_s / 2
    return summary(pieces, bad_at, bad_at + bad_s, last_at), stats, relay.up


def test_lost_packets_are_repaired_or_concealed():
    figures, stats, path = asyncio.run(talk(Impairment(loss=0.12), bad_s=6.0, after_s=0.5))
    assert path.lost > 3
    assert stats.packets_lost > 3
    assert stats.fec_packets > 3, "the sender was told of losses and sends no repair"
    assert figures["clean_percent"] >= 80, "all but what was still on its way when the network became bad"
    assert figures["bad_percent"] > 60, "as little as where nothing is repaired: 0.88 ** 5"


def test_aiortc_loses_what_is_lost_and_keeps_no_delay_of_it():
    pytest.importorskip("aiortc")
    figures, _, path = asyncio.run(talk(Impairment(loss=0.2), bad_s=4.0, after_s=1.5, called="aiortc"))
    assert path.lost > 5
    assert figures["bad_percent"] > 30
    assert figures["after_percent"] > 80
    assert figures["after_delay_ms"] < 150, "its own buffer would keep 200 ms"


def test_silence_costs_few_packets():
    async def scenario():
        engine = load_engine("wrtc")
        async with call(engine, engine) as (caller, answerer):
            await answerer.until_heard(TICK_SAMPLES)
            received = []
            for sound in (speech_like(1.5), np.zeros(72_000, np.int16)):
                before = (await answerer.peer.stats()).packets_received
                caller.say(sound)
                await asyncio.sleep(1.5)
                received.append((await answerer.peer.stats()).packets_received - before)
            assert received[0] > 30
            assert received[1] < received[0] / 2, received

    asyncio.run(scenario())


def test_after_an_outage_and_another_address_the_call_goes_on_without_its_delay():
    figures, _, path = asyncio.run(talk(Impairment(is_out=True), bad_s=0.6, after_s=2.0, change_address=True))
    assert path.lost > 10
    assert figures["after_percent"] > 80
    assert figures["after_delay_ms"] < 500, "what was not heard in the outage must not delay what comes after it"


# ------------------------------------------------------------------ a call whose path dies


class Detour:
    """A route for offers that leads each of them over a relay of its own."""

    def __init__(self, stream):
        self._stream = stream
        self.relays = []
        self.asked_again = threading.Event()

    async def answer(self, request):
        body = await request.json()
        if body["type"] != "offer":
            return JSONResponse({"status": "success", "candidates": [], "more_candidates": False})
        relay = Relay(seed=len(self.relays))
        self.relays.append(relay)
        relay.start()
        if len(self.relays) > 1:
            self.asked_again.set()
        answer = await self._stream.offer({**body, "sdp": relay.offer(body["sdp"])})
        return JSONResponse({"type": "answer", "sdp": relay.answer(answer["sdp"])} if "sdp" in answer else answer)

    def close(self):
        for relay in self.relays:
            relay.__exit__()


def test_a_caller_whose_path_dies_goes_on_over_another_one_by_itself():
    stream = echo()
    detour = Detour(stream)
    app = Starlette(routes=[Route("/webrtc/offer", detour.answer, methods=["POST"])])
    stream.mount(app)

    async def scenario(url):
        async with connect(url) as made:
            session = stream.connections[made.session_id]
            detour.relays[0].impair(Impairment(is_out=True))
            async with asyncio.timeout(30):
                while not detour.asked_again.is_set():
                    await asyncio.to_thread(detour.asked_again.wait, 1.0)
            said = speech_like(0.5)
            for attempt in count(1):
                spoken = await made.speak(said, 48_000)
                await made.listen(0.8)
                score, _ = likeness(made.heard.between(spoken.start_s, spoken.end_s + 0.8), said)
                if score > 0.8 or attempt == 5:
                    break
            assert score > 0.8
            assert made.ended is None
            assert stream.connections[made.session_id] is session

    try:
        with serving(app) as served:
            asyncio.run(scenario(served.url))
    finally:
        detour.close()

"""Images through every pair of engines, in a real call over this machine's network."""

from __future__ import annotations

import asyncio
import logging

import numpy as np
import pytest
from tests.transports.webrtc.caller import WAIT_S, Side, connect

from fastrtc.errors import ConfigurationError
from fastrtc.server.signaling import video_limits
from fastrtc.transports.webrtc.engine import PeerOptions, VideoLimits, load_engine
from fastrtc.transports.webrtc.sdp import sent_kinds

pytest.importorskip("wrtc", reason="wrtc is not installed")
pytest.importorskip("aiortc", reason="the extra aiortc is not installed")

from fastrtc.transports.webrtc.wrtc_video import WrtcFrame, native_buffer

pytestmark = pytest.mark.timeout(120)

PAIRS = [("wrtc", "wrtc"), ("wrtc", "aiortc"), ("aiortc", "wrtc"), ("aiortc", "aiortc")]
BOTH = PeerOptions(has_video_in=True, has_video_out=True)
ONLY_PICTURES = PeerOptions(has_audio_in=False, has_audio_out=False, has_video_in=True, has_video_out=True)


@pytest.fixture(autouse=True)
def quiet():
    logging.getLogger("aioice").setLevel(logging.WARNING)


def picture(blue, green, red, width=320, height=240):
    """One colour, with a black upper half."""
    image = np.empty((height, width, 3), np.uint8)
    image[...] = (blue, green, red)
    image[: height // 2] = 0
    return image


async def watch(peer, other, shown):
    """Show ``shown`` to ``peer`` until it has seen about that; gives what it saw. 30 images a second."""
    async with asyncio.timeout(WAIT_S):
        while True:
            await asyncio.to_thread(other.write_video, shown)
            while (frame := peer.read_video()) is not None:
                seen = frame.to_picture()
                assert seen.dtype == np.uint8
                assert seen.flags.c_contiguous
                middle = seen.shape[1] // 2
                if np.abs(seen[-20, middle].astype(int) - shown[-20, middle]).max() < 12 and seen[20].max() < 12:
                    return seen
            await asyncio.sleep(1 / 30)


async def closed(*sides):
    for side in sides:
        await side.close()


@pytest.mark.parametrize(("calling", "called"), PAIRS)
def test_images_arrive_both_ways(calling, called):
    async def scenario():
        caller, answerer = await connect(load_engine(calling), load_engine(called), BOTH, BOTH)
        there = await watch(answerer.peer, caller.peer, picture(200, 40, 90))
        back = await watch(caller.peer, answerer.peer, picture(30, 180, 120))
        assert there.shape == back.shape == (240, 320, 3)
        await closed(caller, answerer)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["wrtc", "aiortc"])
def test_odd_sizes_and_changes_of_size(kind):
    async def scenario():
        caller, answerer = await connect(load_engine(kind), load_engine("wrtc"), ONLY_PICTURES, ONLY_PICTURES)
        for blue, width, height in ((200, 160, 120), (120, 321, 243), (40, 200, 300)):
            seen = await watch(answerer.peer, caller.peer, picture(blue, 40, 90, width, height))
            assert abs(seen.shape[0] - height) <= 1
            assert abs(seen.shape[1] - width) <= 1
        await closed(caller, answerer)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["wrtc", "aiortc"])
@pytest.mark.parametrize(
    ("options", "direction"),
    [
        (PeerOptions(), "inactive"),
        (PeerOptions(has_video_in=True), "recvonly"),
        (PeerOptions(has_video_out=True), "sendonly"),
        (BOTH, "sendrecv"),
    ],
)
def test_the_answer_says_which_way_images_go(kind, options, direction):
    async def scenario():
        caller, answerer = await connect(load_engine("wrtc"), load_engine(kind), BOTH, options)
        video = answerer.peer.answer_sdp.partition("m=video")[2]
        assert f"a={direction}\r\n" in video.partition("\r\nm=")[0]
        assert "a=sendrecv\r\n" in answerer.peer.answer_sdp.partition("m=audio")[2].partition("\r\nm=")[0]
        await closed(caller, answerer)

    asyncio.run(scenario())


def test_only_the_first_section_of_a_kind_is_used():
    async def scenario():
        engine = load_engine("wrtc")
        caller, answerer = Side(), Side()
        caller.peer = await engine.offer(ONLY_PICTURES, caller)
        caller.peer._pc.add_transceiver("video")
        await caller.peer._pc.set_local_description(await caller.peer._pc.create_offer())
        answerer.peer = await engine.answer(caller.peer.offer_sdp, ONLY_PICTURES, answerer)
        sections = answerer.peer.answer_sdp.split("m=video")[1:]
        assert ["a=sendrecv" in section for section in sections] == [True, False]
        await closed(caller, answerer)

    asyncio.run(scenario())


def test_the_encoder_takes_its_limits():
    async def scenario():
        limits = video_limits(
            {
                "degradationPreference": "maintain-resolution",
                "encodings": [{"maxBitrate": 90_000, "scaleResolutionDownBy": 2}],
            }
        )
        options = PeerOptions(has_video_in=True, has_video_out=True, video=limits)
        engine = load_engine("wrtc")
        caller, answerer = await connect(engine, engine, BOTH, options)
        seen = await watch(caller.peer, answerer.peer, picture(200, 40, 90))
        assert seen.shape == (120, 160, 3)
        (sender,) = [one for one in answerer.peer._pc.get_senders() if one.track.kind == "video"]
        parameters = sender.get_parameters()
        assert [one.max_bitrate for one in parameters.encodings] == [90_000]
        assert parameters.degradation_preference == "maintain-resolution"
        await closed(caller, answerer)

    asyncio.run(scenario())


@pytest.mark.parametrize(("rotation", "corner"), [(0, (0, 0)), (90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
def test_what_a_phone_sends_turned_is_upright(rotation, corner):
    image = np.zeros((40, 60, 3), np.uint8)
    image[:10, :10] = 250  # to be turned clockwise by the rotation
    seen = WrtcFrame(native_buffer(image), rotation).to_picture()
    assert seen.shape == ((40, 60, 3) if rotation % 180 == 0 else (60, 40, 3))
    corners = {(row, column): int(seen[row, column, 0]) for row in (0, -1) for column in (0, -1)}
    assert max(corners, key=corners.get) == corner


def test_nothing_is_written_or_read_after_the_end():
    async def scenario():
        for kind in ("wrtc", "aiortc"):
            caller, answerer = await connect(load_engine(kind), load_engine(kind), BOTH, BOTH)
            await closed(caller, answerer)
            for side in (caller, answerer):
                side.peer.write_video(picture(1, 2, 3))
                assert side.peer.read_video() is None

    asyncio.run(scenario())


def test_limits_of_rtp_parameters():
    assert video_limits(None) == VideoLimits()
    assert video_limits({"maxBitrate": 5}) == VideoLimits(max_bitrate_bps=5)
    assert video_limits({"encodings": [{"maxFramerate": 10}]}) == VideoLimits(max_framerate=10)
    for wrong in ({"maxBitrate": 0}, {"maxBitrate": "1"}, {"scaleResolutionDownBy": 0.5}, {"degradationPreference": 1}):
        with pytest.raises(ConfigurationError):
            video_limits(wrong)


@pytest.mark.parametrize(
    ("lines", "kinds"),
    [
        (["m=audio 9 X 1"], {"audio"}),
        (["m=audio 9 X 1", "a=recvonly", "m=video 9 X 1", "a=sendonly"], {"video"}),
        (["a=inactive", "m=audio 9 X 1", "m=video 9 X 1", "a=sendrecv"], {"video"}),
        (["m=application 9 X 1", "a=sendrecv"], set()),
        ([], set()),
    ],
)
def test_which_kinds_a_description_sends(lines, kinds):
    assert sent_kinds("\r\n".join(["v=0", *lines, ""])) == kinds

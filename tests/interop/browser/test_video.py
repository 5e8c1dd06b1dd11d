"""A browser's camera through a Python function and back: what the page receives is what the function made."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.types import ASGIApp
from tests.interop.browser.camera import write_camera

from fastrtc import AdditionalOutputs, AsyncAudioVideoStreamHandler, Stream, VideoStreamHandler, wait_for_item

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDTH, HEIGHT = 640, 480
SMALL = (32, 24)  # of the pictures that are compared

LOOK = """
window.look = (id) => {
  const video = document.getElementById(id);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = SMALL;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(video, 0, 0, canvas.width, canvas.height);
  return Array.from(pen.getImageData(0, 0, canvas.width, canvas.height).data);
};
window.shows = (id) => document.getElementById(id).videoWidth > 2;
""".replace("SMALL", str(list(SMALL)))


@pytest.fixture(scope="module")
def scene() -> NDArray[np.uint8]:
    """What the camera sees: a picture without any symmetry, as (height, width, 3) in red, green, blue."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[..., 0] = 255 * rows // HEIGHT
    picture[..., 1] = 255 * columns // WIDTH
    picture[60:180, 60:300] = (20, 20, 230)
    picture[300:440, 400:480] = (240, 230, 40)
    return picture


@pytest.fixture
def camera(scene: NDArray[np.uint8], tmp_path: Path) -> Path:
    """The scene as a file for the browser."""
    return write_camera(tmp_path / "camera.y4m", scene)


def seen_in(page: Page, element: str) -> NDArray[np.float64]:
    """What a video element shows, small, as (height, width, 3) in red, green, blue."""
    rgba = np.array(page.evaluate("(id) => look(id)", element), np.float64)
    return rgba.reshape(SMALL[1], SMALL[0], 4)[..., :3]


def shrunk(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    height, width = picture.shape[0] // SMALL[1], picture.shape[1] // SMALL[0]
    small: NDArray[np.float64] = picture.reshape(SMALL[1], height, SMALL[0], width, 3).mean(axis=(1, 3))
    return small


def difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.abs(one - other).mean())


@pytest.fixture
def watch(
    camera: Path, serve: Callable[[ASGIApp], str], launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> Callable[..., Page]:
    """Serve a stream and start it on its page; waits until ``element`` shows a picture."""

    def run(stream: Stream, element: str = "reply-video", **context: Any) -> Page:
        app = Starlette(routes=stream.page())
        stream.mount(app)
        tab = open_tab(launch(camera=camera), **context)
        tab.add_init_script(LOOK)
        tab.goto(serve(app))
        tab.click("#mic")
        tab.wait_for_function("(id) => shows(id)", arg=element)
        return tab

    return run


def wait_until(page: Page, element: str, wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wait until an element shows about what is wanted: the first pictures of a call are coarse."""
    page.wait_for_function(
        """([id, wanted]) => {
          const seen = look(id).filter((_, index) => index % 4 < 3);
          return seen.reduce((sum, value, index) => sum + Math.abs(value - wanted[index]), 0) / seen.length < 12;
        }""",
        arg=[element, wanted.ravel().tolist()],
        timeout=20_000,
    )
    return seen_in(page, element)


@pytest.mark.parametrize("engine", ["wrtc", "aiortc"])
def test_a_function_flips_the_camera(engine: str, watch: Callable[..., Page], scene: NDArray[np.uint8]) -> None:
    pytest.importorskip(engine)
    shapes = set()

    def flip(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        shapes.add((image.shape, str(image.dtype), image.flags.c_contiguous))
        return np.flip(image, axis=0)

    tab = watch(Stream(flip, modality="video", mode="send-receive", engine=engine))
    reply = wait_until(tab, "reply-video", shrunk(np.flipud(scene)))
    own = wait_until(tab, "own-video", shrunk(scene))
    assert difference(reply, np.flipud(own)) < 8
    assert difference(reply, own) > 30, "this measure would not see the difference"
    assert {(dtype, contiguous) for _, dtype, contiguous in shapes} == {("uint8", True)}
    expect(tab.locator("#state")).to_have_text("Live")


def test_colours_are_blue_green_red(watch: Callable[..., Page], scene: NDArray[np.uint8]) -> None:
    def blue_only(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image[..., 1:] = 0  # a function may write into what it gets
        return image

    tab = watch(Stream(blue_only, modality="video"))
    expected = scene.copy()
    expected[..., :2] = 0
    wait_until(tab, "reply-video", shrunk(expected))


def test_constraints_reach_the_camera(watch: Callable[..., Page]) -> None:
    sizes: list[tuple[int, ...]] = []
    arrived = threading.Event()

    def look(image: NDArray[np.uint8]) -> AdditionalOutputs:
        sizes.append(image.shape)
        if image.shape[1] == 320:
            arrived.set()
        return AdditionalOutputs(image.shape[1])

    constraints = {"width": {"exact": 320}, "height": {"exact": 240}, "frameRate": {"max": 10}}
    limits = {"degradationPreference": "maintain-resolution", "encodings": [{"maxBitrate": 150_000}]}
    stream = Stream(look, modality="video", mode="send", track_constraints=constraints, rtp_params=limits)
    tab = watch(stream, element="own-video")
    assert arrived.wait(20), f"no picture of that size came, but {set(sizes)}"
    settings = tab.evaluate("sessions[0].cameraStream.getVideoTracks()[0].getSettings()")
    assert (settings["width"], settings["height"]) == (320, 240)
    assert settings["frameRate"] <= 10
    expect(tab.locator("#reply-video")).to_be_hidden()
    tab.evaluate("() => sessions[0].on('output', ([width]) => { window.told = width; })")
    tab.wait_for_function("() => window.told === 320")


def test_a_generator_is_watched(watch: Callable[..., Page]) -> None:
    def colours() -> Iterator[NDArray[np.uint8]]:
        while True:
            yield np.full((240, 320, 3), (200, 60, 30), np.uint8)

    tab = watch(Stream(VideoStreamHandler(colours, fps=10), modality="video", mode="receive"))
    wait_until(tab, "reply-video", np.full((SMALL[1], SMALL[0], 3), (30, 60, 200), np.float64))
    expect(tab.locator("#own-video")).to_be_hidden()
    tab.click("#end")
    expect(tab.locator("#state")).to_have_text("Ended")


def test_the_camera_can_be_switched_off(watch: Callable[..., Page], scene: NDArray[np.uint8]) -> None:
    tab = watch(Stream(lambda image: image, modality="video"))
    wait_until(tab, "reply-video", shrunk(scene))
    tab.click("#camera-off")
    wait_until(tab, "reply-video", np.zeros((SMALL[1], SMALL[0], 3)))
    tab.click("#camera-off")
    wait_until(tab, "reply-video", shrunk(scene))


class Mirror(AsyncAudioVideoStreamHandler):
    """Sends sound and pictures back, the pictures mirrored."""

    def __init__(self) -> None:
        super().__init__("mono", output_sample_rate=24000, input_sample_rate=24000)
        self.sound: asyncio.Queue[Any] = asyncio.Queue()
        self.pictures: asyncio.Queue[Any] = asyncio.Queue(maxsize=2)

    def copy(self) -> Mirror:
        return Mirror()

    async def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        self.sound.put_nowait(frame)

    async def emit(self) -> Any:
        return await wait_for_item(self.sound)

    async def video_receive(self, frame: NDArray[np.uint8]) -> None:
        if not self.pictures.full():
            self.pictures.put_nowait(np.fliplr(frame))

    async def video_emit(self) -> Any:
        return await self.pictures.get()


def test_sound_and_pictures_together(watch: Callable[..., Page], scene: NDArray[np.uint8]) -> None:
    tab = watch(Stream(Mirror(), modality="audio-video"))
    wait_until(tab, "reply-video", shrunk(np.fliplr(scene)))
    tab.wait_for_function(
        "() => window.taps.outputStream.some((chunk) => chunk.some((sample) => Math.abs(sample) > 1000))"
    )
    expect(tab.locator("#mute")).to_be_visible()
    expect(tab.locator(".log")).to_be_visible()


# Every connection of the page, and what has gone through the newest one with media (others look for addresses).
PEERS = """
window.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) {
    super(...options);
    window.peers.push(this);
  }
};
window.videoStats = async () => {
  const found = {};
  const peer = window.peers.findLast((one) => one.getTransceivers().length > 0);
  for (const one of (await peer.getStats()).values())
    if (one.kind === "video" && ["outbound-rtp", "inbound-rtp"].includes(one.type)) {
      const { frameWidth, bytesSent, bytesReceived, timestamp } = one;
      found[one.type] = { frameWidth, bytes: bytesSent ?? bytesReceived, at_ms: timestamp };
    }
  return found;
};
window.bitrates = async (seconds) => {
  const before = await videoStats();
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  const after = await videoStats();
  return Object.fromEntries(Object.entries(after).map(([way, { bytes, at_ms, frameWidth }]) => [way,
    { frameWidth, kbps: (8 * (bytes - before[way].bytes)) / (at_ms - before[way].at_ms) }]));
};
"""


def test_bitrate_and_size_of_both_ways_are_limited(
    tmp_path: Path, serve: Callable[[ASGIApp], str], launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (10, HEIGHT, WIDTH, 3), dtype=np.uint8)
    browser = launch(camera=write_camera(tmp_path / "noise.y4m", *noise))

    def measured(limits: dict[str, Any] | None) -> dict[str, dict[str, float]]:
        """What goes through a call with these limits, by direction."""
        stream = Stream(lambda image: image, modality="video", rtp_params=limits, verbose=False)
        app = Starlette(routes=stream.page())
        stream.mount(app)
        tab = open_tab(browser)
        tab.add_init_script(PEERS)
        tab.add_init_script(LOOK)
        tab.goto(serve(app))
        tab.click("#mic")
        tab.wait_for_function("() => shows('reply-video')")
        tab.wait_for_timeout(2000)
        rates: dict[str, dict[str, float]] = tab.evaluate("() => bitrates(3)")
        tab.click("#end")
        tab.context.close()
        return rates

    # Otherwise a busy browser sends smaller pictures by itself.
    keep = {"degradationPreference": "maintain-resolution"}
    free = measured(keep)
    limited = measured({**keep, "encodings": [{"maxBitrate": 60_000, "scaleResolutionDownBy": 2}]})
    for way in ("outbound-rtp", "inbound-rtp"):
        assert limited[way]["kbps"] < 60 * 1.5 < free[way]["kbps"]
    widths = [rates[way]["frameWidth"] for rates in (free, limited) for way in ("outbound-rtp", "inbound-rtp")]
    # The function gets the smaller picture, and what it gives is made smaller once more.
    assert widths == [WIDTH, WIDTH, WIDTH // 2, WIDTH // 4]


OFFER_BOTH = """async () => {
  const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  const peer = (window.peer = new RTCPeerConnection());
  media.getTracks().forEach((track) => peer.addTrack(track, media));
  peer.createDataChannel("text");
  await peer.setLocalDescription(await peer.createOffer());
  await new Promise((done) => {
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
  });
  const body = JSON.stringify({ sdp: peer.localDescription.sdp, type: "offer", webrtc_id: "both" });
  const headers = { "Content-Type": "application/json" };
  const answer = await (await fetch("webrtc/offer", { method: "POST", headers, body })).json();
  if (answer.sdp) await peer.setRemoteDescription(answer);
  return answer.meta?.error ?? answer.type;
}"""


@pytest.mark.parametrize("allowed", [True, False])
def test_a_track_too_many_is_ignored_or_refused(
    allowed: bool, serve: Callable[[ASGIApp], str], launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> None:
    stream = Stream(lambda image: image, modality="video", allow_extra_tracks=allowed, verbose=False)
    app = Starlette(routes=stream.page())
    stream.mount(app)
    tab = open_tab(launch())
    tab.goto(serve(app))
    answered = tab.evaluate(OFFER_BOTH)
    if not allowed:
        assert answered == "unsupported_track"
        return
    assert answered == "answer"
    tab.wait_for_function("() => peer.connectionState === 'connected'")
    directions = tab.evaluate(
        "() => Object.fromEntries(peer.getTransceivers().map((one) => [one.sender.track.kind, one.currentDirection]))"
    )
    assert directions == {"audio": "inactive", "video": "sendrecv"}

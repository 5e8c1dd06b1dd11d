"""Firefox, whose SDP, candidates and audio processing are its own, speaks to the real server through our client."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi import FastAPI
from tests.fakes.serving import Served, serving
from tests.interop.firefox.bidi import Firefox

from fastrtc import ReplyOnPause, Stream

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REPLY_S = 1.0


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    names = (os.environ.get("FIREFOX"), "firefox", "firefox-esr")
    binary = next((path for name in names if name and (path := shutil.which(name))), None)
    if binary is None:
        pytest.skip("there is no Firefox (set FIREFOX to its path, or install Debian's package firefox-esr)")
    browser = Firefox(binary, tmp_path_factory.mktemp("firefox"))
    yield browser
    browser.close()


@pytest.fixture
def server() -> Iterator[tuple[Served, list[int]]]:
    """An app whose reply is a tone, and the lengths of what its function was given."""
    heard: list[int] = []

    def reply(audio: tuple[int, np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
        heard.append(audio[1].size)
        seconds = np.arange(int(24_000 * REPLY_S)) / 24_000
        yield 24_000, (8000 * np.sin(2 * np.pi * 500 * seconds)).astype(np.int16).reshape(1, -1)

    stream = Stream(ReplyOnPause(reply), modality="audio", mode="send-receive", verbose=False)
    app = FastAPI()
    stream.mount(app)
    app.router.routes.extend(stream.page())
    with serving(app) as served:
        yield served, heard


CONVERSE = """
  const connections = [];
  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(...given) { super(...given); connections.push(this); }
  };
  const { Session } = await import("/client/index.js");
  const session = new Session({ base: "/", transport: "webrtc" });
  const finished = new Promise((resolve) =>
    session.on("event", (event) => event.name === "playback_finished" && resolve(event)));
  await session.open();
  const stats = async (type) =>
    [...(await connections[0].getStats()).values()].find((one) => one.type === type && one.kind === "audio") ?? {};
  while (!((await stats("outbound-rtp")).packetsSent > 50)) await new Promise((resolve) => setTimeout(resolve, 50));
  session.triggerResponse();
  const { heard_s } = await finished;
  const { totalAudioEnergy, totalSamplesReceived } = await stats("inbound-rtp");
  const transport = session.transport;
  session.close();
  return { transport, heard_s, totalAudioEnergy, totalSamplesReceived };
"""


def test_it_is_heard_and_hears_the_reply(firefox: Firefox, server: tuple[Served, list[int]]) -> None:
    served, heard = server
    firefox.open(served.url)
    told = firefox.run(CONVERSE)
    assert told["transport"] == "webrtc"
    assert told["heard_s"] == pytest.approx(REPLY_S, abs=0.1)
    # The square of the level over time (webrtc-stats, totalAudioEnergy); libwebrtc's level is the peak of 10 ms.
    assert told["totalAudioEnergy"] == pytest.approx(REPLY_S * (8000 / 32768) ** 2, rel=0.4)
    assert told["totalSamplesReceived"] > 48_000 * REPLY_S
    assert len(heard) == 1

"""Applications written for FastRTC, served as they are, and Chromium with recorded speech as its microphone."""

from __future__ import annotations

import base64
import importlib.util
import itertools
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.fakes.serving import Served, serving
from tests.fakes.sound import COMPARE_HZ, Clip, labelled_clips, read_clip

from fastrtc.audio import PCM, float_to_int16
from fastrtc.media.resample import resample_clip

APPS = Path(__file__).parent / "apps"
WAIT_S = 30.0
BROWSER_HZ = 48_000
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-pings",
)

# Keeps what every connection of the page receives, as 16-bit samples at 48 kHz.
TAP = """
window.heard = [];
const Native = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Native {
  constructor(...options) {
    super(...options);
    this.addEventListener("track", ({ streams, track }) => {
      if (track.kind !== "audio") return;
      const context = new AudioContext({ sampleRate: 48000 });
      const tap = context.createScriptProcessor(4096, 1, 1);
      tap.onaudioprocess = ({ inputBuffer }) =>
        window.heard.push(Int16Array.from(inputBuffer.getChannelData(0), (x) => Math.round(x * 32767)));
      // A source that is made before the page plays the stream stays silent.
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState === "connected") context.createMediaStreamSource(streams[0]).connect(tap);
      });
      tap.connect(context.destination);
    });
  }
};
window.takeHeard = () => {
  let text = "";
  for (const samples of window.heard) text += String.fromCharCode(...new Uint8Array(samples.buffer));
  return btoa(text);
};
"""

_numbers = itertools.count(1)


def load_app(name: str) -> ModuleType:
    """Import ``apps/<name>/app.py`` afresh."""
    spec = importlib.util.spec_from_file_location(f"migrated_{name}_{next(_numbers)}", APPS / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def serve_app() -> Iterator[Callable[[str], tuple[ModuleType, Served]]]:
    """Import an application and serve it."""
    running: list[Any] = []

    def start(name: str) -> tuple[ModuleType, Served]:
        module = load_app(name)
        context = serving(module.app)
        running.append(context)
        return module, context.__enter__()

    yield start
    for context in running:
        context.__exit__(None, None, None)


@pytest.fixture(scope="session")
def clips(speech: Path) -> list[Clip]:
    """Labelled words over a telephone."""
    pytest.importorskip("soundfile")
    return labelled_clips(speech)


@pytest.fixture(scope="session")
def computer(speech: Path) -> Clip:
    """Somebody says "computer"."""
    pytest.importorskip("soundfile")
    return read_clip(min((speech / "picovoice-wake-word-benchmark" / "computer").glob("*.flac")))


def at_compare_hz(pcm: PCM, rate_hz: int) -> PCM:
    return float_to_int16(resample_clip(pcm, rate_hz, COMPARE_HZ))


def write_microphone(path: Path, *parts: Clip | float) -> Path:
    """Write what the microphone hears, once: clips, and seconds of silence."""
    sound = [
        part.at(BROWSER_HZ) if isinstance(part, Clip) else np.zeros(round(part * BROWSER_HZ), np.int16)
        for part in parts
    ]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(BROWSER_HZ)
        file.writeframes(np.concatenate(sound).tobytes())
    return path


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    # Not for longer: as long as it runs, no other event loop can run in this thread.
    with sync_api.sync_playwright() as running:
        yield running


@pytest.fixture
def open_page(playwright: Any, chromium: str) -> Iterator[Callable[..., Any]]:
    """Open an address in a Chromium whose microphone or camera is a file; the test fails if a script there raises."""
    browsers: list[Any] = []
    errors: list[str] = []

    def start(url: str, microphone: Path | None = None, camera: Path | None = None) -> Any:
        capture = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else []
        capture += [f"--use-file-for-fake-video-capture={camera}"] if camera else []
        browsers.append(playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, *capture]))
        page = browsers[-1].new_page()
        page.set_default_timeout(WAIT_S * 1000)
        page.add_init_script(TAP)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield start
    for browser in browsers:
        browser.close()
    assert errors == []


def heard_by(page: Any) -> PCM:
    """What the page's connections have received so far, at the rate for comparisons."""
    pcm = np.frombuffer(base64.b64decode(page.evaluate("takeHeard()")), np.int16)
    return at_compare_hz(pcm, BROWSER_HZ)

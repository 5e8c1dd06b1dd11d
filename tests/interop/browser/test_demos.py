"""The demos that hear and speak, in a real browser with recorded speech: what the page shows and plays."""

from __future__ import annotations

import argparse
import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.types import ASGIApp

from fastrtc import get_stt_model, get_tts_model
from fastrtc.demos.command import add_arguments, make_stream
from fastrtc.media.resample import resample_clip

pytestmark = [pytest.mark.browser, pytest.mark.speech, pytest.mark.slow]
pytest.importorskip("hibari", reason="the default voice is not installed (extra tts)")

RATE_HZ = 48_000
BEFORE_S = 2.5
SENTENCE = "pocketsphinx-testdata/goforward.flac"
COMPUTER = "picovoice-wake-word-benchmark/computer/c0bfdfc6-b66b-4671-a906-97096ef6f63c.flac"
ORDER = "picovoice-speech-to-intent/speech/clean/b6822824-5662-44e4-af15-2302b0fe2c47.flac"  # iced coffee, light roast

Wave = NDArray[np.float32]
Visit = Callable[..., Page]

FOLLOW = """
window.told = [];
document.addEventListener("fastrtc:session", ({ detail: session }) => {
  const tell = (event) => {
    window.told.push(event);
    document.body.dataset.told = window.told.map(({ name, turn }) => `${name}:${turn ?? ""}`).join(" ");
  };
  session.on("event", tell);
  session.on("stopword", () => tell({ name: "stopword" }));
});
"""


def spoken(path: Path) -> Wave:
    """The speech in a recording, without the silence around it, at 48 kHz."""
    samples, rate_hz = soundfile.read(path, dtype="float32")
    frames = np.abs(samples[: samples.size // 160 * 160].reshape(-1, 160)).max(axis=1)
    loud = np.flatnonzero(frames > 0.1 * frames.max())
    return resample_clip(samples[max(0, loud[0] - 10) * 160 : (loud[-1] + 10) * 160], rate_hz, RATE_HZ)


def silence(seconds: float) -> Wave:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def played(tab: Page) -> str:
    """What the recogniser makes of the sound that the page has played, one piece between pauses after the other."""
    pcm = np.frombuffer(base64.b64decode(tab.evaluate("takeAudio('outputStream')")), np.int16)
    hop, pause = RATE_HZ // 100, 40
    level = np.abs(pcm[: pcm.size // hop * hop].reshape(-1, hop).astype(np.int32)).max(axis=1)
    loud = np.flatnonzero(level > 300)
    pieces = np.split(loud, np.flatnonzero(np.diff(loud) > pause) + 1)
    texts = [get_stt_model().stt((RATE_HZ, pcm[one[0] * hop : (one[-1] + 1) * hop])) for one in pieces if one.size]
    return " ".join(texts).lower()


def told(tab: Page, name: str) -> list[dict[str, Any]]:
    return [event for event in tab.evaluate("told") if event["name"] == name]


def until_told(tab: Page, event: str) -> None:
    expect(tab.locator("body")).to_have_attribute("data-told", re.compile(rf"\b{event}\b"))


@pytest.fixture
def visit(
    tmp_path: Path, serve: Callable[[ASGIApp], str], launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> Visit:
    """Open a demo and let the browser's microphone hear these pieces, one after the other."""

    def start(demo: str, transport: str, *heard: Wave) -> Page:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        stream = make_stream(parser.parse_args([demo]))
        app = Starlette(routes=stream.page())
        stream.mount(app)
        microphone = tmp_path / "microphone.wav"
        soundfile.write(microphone, np.concatenate([*heard, silence(20)]), RATE_HZ, subtype="PCM_16")
        tab = open_tab(launch(microphone=microphone))
        tab.add_init_script(FOLLOW)
        tab.goto(f"{serve(app)}?transport={transport}")
        tab.click("#mic")
        return tab

    return start


def test_talk_shows_what_it_heard_and_answers_aloud(speech: Path, visit: Visit) -> None:
    tab = visit("talk", "webrtc", silence(BEFORE_S), spoken(speech / SENTENCE))
    expect(tab.locator(".turn-said").first).to_have_text("“Go forward ten meters.”")
    expect(tab.locator("#caption-text")).to_have_text("Go forward ten meters.")
    expect(tab.locator("body")).to_have_attribute("data-activity", "replying")
    expect(tab.locator(".turn").first.locator(".output").first).to_have_text("I heard: Go forward ten meters.")
    until_told(tab, "playback_finished:2")
    transcripts = told(tab, "user_transcript")
    partial = [one["text"] for one in transcripts if not one["final"]]
    assert partial, "nothing was shown while it was said"
    assert transcripts[-1]["final"]
    assert "forward" in played(tab)


def test_computer_hears_its_name_and_obeys(speech: Path, visit: Visit) -> None:
    tab = visit("computer", "webrtc", silence(1.0), spoken(speech / COMPUTER), silence(0.3), spoken(speech / ORDER))
    expect(tab.locator("#state")).to_have_text("Say “computer”")
    until_told(tab, "stopword")
    expect(tab.locator(".turn-said").first).to_contain_text("coffee", ignore_case=True)
    until_told(tab, "playback_finished:1")
    assert "computer" not in tab.locator(".turn-said").first.inner_text().lower(), "its name is no part of the command"
    assert "light roast" in played(tab)
    assert len(told(tab, "stopword")) == 1
    assert len(told(tab, "turn_committed")) == 1


def test_computer_turns_on_the_lights(speech: Path, visit: Visit) -> None:
    # "computer" is a recording; nobody recorded the order, so the default voice says it.
    rate_hz, pcm = get_tts_model().tts("Turn on the lights in the kitchen.")
    order = resample_clip(pcm, rate_hz, RATE_HZ)
    tab = visit("computer", "websocket", silence(1.0), spoken(speech / COMPUTER), silence(0.3), order)
    until_told(tab, "stopword")
    expect(tab.locator(".turn-said").first).to_contain_text("turn on the lights", ignore_case=True)
    until_told(tab, "playback_finished:1")
    assert "lights in the kitchen are on" in played(tab)

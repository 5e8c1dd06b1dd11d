"""A person speaks to the page, and hears the reply: real server, real browser, a recorded file as the microphone."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.types import ASGIApp

from fastrtc import ReplyOnPause, Stream

pytestmark = [pytest.mark.browser, pytest.mark.speech, pytest.mark.slow]

RATE_HZ = 16_000
SILENCE_BEFORE_S, SILENCE_AFTER_S = 4.0, 3.0


def echo(audio: tuple[int, NDArray[np.int16]]) -> Iterator[tuple[int, NDArray[np.int16]]]:
    yield audio


@pytest.fixture(scope="module")
def clip(speech: Path) -> NDArray[np.float64]:
    """A spoken command, from its first sound to its last, at ``RATE_HZ``."""
    samples, rate_hz = soundfile.read(speech / "asterisk-prompts-en" / "confbridge-has-joined.flac", dtype="float64")
    samples = soxr.resample(samples, rate_hz, RATE_HZ)
    return speech_in(samples)


@pytest.fixture
def microphone(clip: NDArray[np.float64], tmp_path: Path) -> Path:
    """The clip between silences, as a file for the browser."""
    before, after = np.zeros(int(SILENCE_BEFORE_S * RATE_HZ)), np.zeros(int(SILENCE_AFTER_S * RATE_HZ))
    path = tmp_path / "microphone.wav"
    soundfile.write(path, np.concatenate([before, clip, after]), RATE_HZ, subtype="PCM_16")
    return path


def telephone_band(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without what Opus filters away below and what says nothing about speech above."""
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(samples.size, 1 / RATE_HZ)
    spectrum[(frequencies < 300) | (frequencies > 3400)] = 0
    return np.fft.irfft(spectrum, samples.size)


def correlations(heard: NDArray[np.float64], clip: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised cross-correlation of the clip with every stretch of what was heard; 1 is the clip itself."""
    size = heard.size + clip.size
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(clip, size))
    products = np.fft.irfft(spectrum, size)[: heard.size - clip.size + 1]
    energy = np.concatenate([[0.0], np.cumsum(heard**2)])
    energies = (energy[clip.size :] - energy[: -clip.size]) * np.sum(clip**2)
    return products / np.sqrt(np.maximum(energies, 1e-9))


def similarity(heard: NDArray[np.float64], clip: NDArray[np.float64]) -> float:
    """How much of the clip was heard, as the mean correlation of its stretches, weighted by their energy.

    A stretch is 100 ms, sought within 100 ms of where the whole clip fits best: a jitter buffer may stretch or shorten
    the time at some places, as long as the sounds and their order are right.
    """
    margin, length = RATE_HZ // 10, RATE_HZ // 10
    heard = np.pad(telephone_band(heard), RATE_HZ)
    clip = telephone_band(clip)
    start = int(np.argmax(correlations(heard, clip)))
    best, weights = [], []
    for at in range(0, clip.size - length + 1, length):
        stretch = clip[at : at + length]
        around = heard[start + at - margin : start + at + length + margin]
        best.append(float(np.max(correlations(around, stretch))))
        weights.append(float(np.sum(stretch**2)))
    return float(np.average(best, weights=weights))


def audio_of(page: Page, stream: str) -> NDArray[np.float64]:
    """What went through the session's ``outputStream`` or ``inputStream``, at ``RATE_HZ``."""
    data = base64.b64decode(page.evaluate("(name) => takeAudio(name)", stream))
    return soxr.resample(np.frombuffer(data, np.int16) / 32768.0, 48_000, RATE_HZ)


def speech_in(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """From the first sound to the last."""
    frames = samples[: samples.size // 320 * 320].reshape(-1, 320)
    (loud,) = np.nonzero(np.sqrt(np.mean(frames**2, axis=1)) > 0.05 * np.max(np.abs(samples)))
    return samples[loud[0] * 320 : (loud[-1] + 1) * 320]


@pytest.fixture
def converse(
    microphone: Path, serve: Callable[[ASGIApp], str], launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> Callable[..., Page]:
    """Serve an echo and speak to it on its page until the reply has been played."""

    def run(transport: str, track_constraints: dict[str, Any] | None = None) -> Page:
        stream = Stream(ReplyOnPause(echo), modality="audio", mode="send-receive", track_constraints=track_constraints)
        app = Starlette(routes=stream.page())
        stream.mount(app)
        tab = open_tab(launch(microphone=microphone))
        tab.goto(f"{serve(app)}?transport={transport}")
        tab.click("#mic")
        expect(tab.locator(".turn[data-status=done]")).to_have_count(1, timeout=30_000)
        assert tab.evaluate("sessions[0].transport") == transport
        return tab

    return run


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_the_page_hears_what_was_said(transport: str, converse: Callable[..., Page], clip: NDArray[np.float64]) -> None:
    # Chromium's noise suppression and gain control change the recording before anyone else touches it.
    tab = converse(transport, {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False})
    (turn,) = tab.evaluate("sessions[0].turns")
    assert turn["latencyMs"]["total"] > 0
    assert turn["heardS"] >= clip.size / RATE_HZ
    heard = audio_of(tab, "outputStream")
    assert similarity(heard, clip) > 0.9
    assert similarity(heard, clip[::-1]) < 0.7, "this measure finds anything in anything"


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_with_the_browsers_own_processing(
    transport: str, converse: Callable[..., Page], clip: NDArray[np.float64]
) -> None:
    tab = converse(transport)
    heard = audio_of(tab, "outputStream")
    assert similarity(heard, speech_in(audio_of(tab, "inputStream"))) > 0.85
    # How much Chromium changes the recording, the less time it has the more, is its own affair; another clip, or this
    # one backwards, comes to 0.4 at most.
    assert similarity(heard, clip) > 0.5

"""The page's loudspeaker is heard by its microphone: real server, real browser, recorded speech, no echo cancellation.

``getUserMedia`` of the page gives a mixture: what the session plays, later and softer, and a person who speaks when
told to. Chromium's echo canceller works on its own microphones only, so that the server's guard is alone.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page
from starlette.applications import Starlette
from starlette.types import ASGIApp
from tests.interop.browser.interruption import HAPPENED, RATE_HZ, load

from fastrtc import AlgoOptions, ReplyOnPause, Stream

pytestmark = [pytest.mark.browser, pytest.mark.speech, pytest.mark.slow]

REMARK = "picovoice-speech-to-intent/speech/clean/7df4e4a0-b812-4d01-b1aa-8*.flac"
SAID = "fleurs-mini/fleurs-en-000.flac"
REPLY_S = 9.0
ALONE_S = 6.0
OFTEN = 5

LOUDSPEAKER = """
window.seen = [];
const context = new AudioContext({ sampleRate: 48000 });
const room = context.createMediaStreamDestination();
const distance = new DelayNode(context, { delayTime: 0.08 });
const loss = new GainNode(context, { gain: 0.4 });
distance.connect(loss).connect(room);
navigator.mediaDevices.getUserMedia = async () => { await context.resume(); return room.stream; };
document.addEventListener("fastrtc:session", ({ detail: session }) => {
  session.on("event", (event) => window.seen.push(event));
  session.on("connected", () => context.createMediaStreamSource(session.outputStream).connect(distance));
});
window.speak = (text, rate) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const samples = Float32Array.from(new Int16Array(bytes.buffer), (x) => x / 32768);
  const buffer = context.createBuffer(1, samples.length, rate);
  buffer.copyToChannel(samples, 0);
  const person = new AudioBufferSourceNode(context, { buffer });
  person.connect(room);
  person.start();
};
"""

HEARS_ITSELF = f"""() => {{
  const names = seen.map((event) => event.name);
  return names.includes("reply_interrupted") || names.filter((name) => name === "reply_held").length >= {OFTEN};
}}"""


@pytest.fixture
def talk(
    speech: Path, serve: Callable[[ASGIApp], str], launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> Callable[..., Page]:
    """Call a bot that speaks first, on loudspeakers; returns when it does."""
    said = load(next(speech.glob(SAID)))
    reply = (said[: round(REPLY_S * RATE_HZ)] * 32767).astype(np.int16).reshape(1, -1)

    def greet() -> Iterator[tuple[int, NDArray[np.int16]]]:
        yield RATE_HZ, reply

    def answer(_: Any) -> Iterator[None]:
        yield from ()

    def run(*, echo_guard: bool = True) -> Page:
        assert reply.size > 8 * RATE_HZ
        options = AlgoOptions(echo_guard=echo_guard)
        handler = ReplyOnPause(
            answer,
            startup_fn=greet,
            input_sample_rate=RATE_HZ,
            output_sample_rate=RATE_HZ,
            algo_options=options,
        )
        stream = Stream(handler, modality="audio", mode="send-receive")
        app = Starlette(routes=stream.page())
        stream.mount(app)
        tab = open_tab(launch())
        tab.add_init_script(LOUDSPEAKER)
        tab.goto(f"{serve(app)}?transport=webrtc")
        tab.click("#mic")
        tab.evaluate(HAPPENED, ["first_audio", 1])
        return tab

    return run


def speak(tab: Page, path: Path) -> None:
    """Let the person say a recording."""
    pcm = (load(path) * 32767).astype(np.int16)
    tab.evaluate("([text, rate]) => speak(text, rate)", [base64.b64encode(pcm.tobytes()).decode(), RATE_HZ])


def told(tab: Page) -> list[str]:
    """Names of the events of the first turn."""
    return [event["name"] for event in tab.evaluate("seen") if event.get("turn") == 1]


def test_the_bot_does_not_interrupt_itself_and_a_person_does(talk: Callable[..., Page], speech: Path) -> None:
    tab = talk()
    tab.wait_for_timeout(1000 * ALONE_S)
    alone = told(tab)
    speak(tab, next(speech.glob(REMARK)))
    tab.evaluate(HAPPENED, ["reply_interrupted", 1])
    assert "reply_interrupted" not in alone
    assert alone.count("reply_held") < OFTEN, "it has to be learnt once"


def test_without_the_guard_the_bot_hears_itself_again_and_again(talk: Callable[..., Page]) -> None:
    # Each time that it falls silent its echo does, too: whether that becomes an interruption is chance.
    talk(echo_guard=False).wait_for_function(HEARS_ITSELF)

"""A person speaks over a long reply on the page: the scene, what the page measures, and what the recording says.

One ``AudioContext`` of the page takes down three streams with one clock: the microphone (``inputStream``), the reply
(``outputStream``), and what a second session says to the same microphone: a tone that its handler stops at the first
20 ms of sound. That third one tells what the way to the server and back costs a decision that takes no time, engines,
network, jitter buffers and the browser's own buffers included, at the very moment of the interruption and on a machine
that is just as busy.
"""

from __future__ import annotations

import base64
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fastrtc import ReplyOnPause, Stream, StreamHandler

Samples = NDArray[np.float64]

PAGE_RATE_HZ = 48_000
RATE_HZ = 16_000
REPLY_RATE_HZ = 24_000
TICK_MS = 20
LEAD_IN_S, PAUSE_S, END_S = 5.0, 5.0, 6.0
REPLY_S = 20.0
#: Of the first reply and of those after it. Whole periods in 5 ms: one is not heard where the other is looked for.
TONES_HZ = (600, 1000)
FRAME_SAMPLES = PAGE_RATE_HZ // 200
#: Of everything that the user says: -10 dBFS.
PEAK = 10 ** (-10 / 20)
#: What counts as sound, against the loudest sound of its stream, or as trace of a tone, against the tone.
_SPEECH_LEVEL = 10 ** (-25 / 20)
_SILENCE_LEVEL = 10 ** (-30 / 20)
UNPROCESSED = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}


class Reflex(StreamHandler):
    """Plays a tone for ever and stops it by the crudest rule there is: at the first 20 ms that are not silent.

    After ``REST_S`` of silence the tone goes on. The time that its stop takes to reach the client is that of the
    connection: capture, packets, jitter buffers, the server's tick, and all of it back. Nothing is thought about.
    """

    REST_S = 1.0

    def __init__(self) -> None:
        super().__init__(input_sample_rate=RATE_HZ, output_sample_rate=REPLY_RATE_HZ)
        self._quiet_frames = 0
        self._may_sound = threading.Event()
        self._may_sound.set()
        self._tone = tone(TONES_HZ[0], 0.02)

    def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        if np.abs(frame[1].astype(np.int32)).max() > 32768 * PEAK * _SPEECH_LEVEL:
            self._quiet_frames = 0
            if self._may_sound.is_set():
                self._may_sound.clear()
                self.clear_queue()
        else:
            self._quiet_frames += 1
            if self._quiet_frames * TICK_MS >= 1000 * self.REST_S:
                self._may_sound.set()

    def emit(self) -> tuple[int, NDArray[np.int16]] | None:
        return (REPLY_RATE_HZ, self._tone) if self._may_sound.wait(0.1) else None

    def copy(self) -> Reflex:
        return Reflex()


def tone(hz: int, seconds: float) -> NDArray[np.int16]:
    """A steady sound of shape (1, n)."""
    times = np.arange(round(seconds * REPLY_RATE_HZ)) / REPLY_RATE_HZ
    return (8000 * np.sin(2 * np.pi * hz * times)).astype(np.int16).reshape(1, -1)


class Tones:
    """An app whose first reply is a long tone and whose others are a short one of another pitch.

    Args:
        reply_s: Length of the first reply.

    Attributes:
        app: The page at ``/``, the reflex at ``/reflex``.
        heard: What each call of the reply function was given.
        closed: Turns whose generator was closed before its end.
    """

    def __init__(self, reply_s: float = REPLY_S) -> None:
        self._reply_s = reply_s
        self.heard: list[NDArray[np.int16]] = []
        self.closed: list[int] = []
        handler = ReplyOnPause(self._answer, input_sample_rate=RATE_HZ, output_sample_rate=REPLY_RATE_HZ)
        stream = Stream(handler, modality="audio", mode="send-receive", track_constraints=UNPROCESSED)
        reflex = Stream(Reflex(), modality="audio", mode="send-receive")
        self.app = Starlette(routes=[Route("/recorder.js", _recorder), *stream.page()])
        stream.mount(self.app)
        reflex.mount(self.app, "/reflex")

    def _answer(self, audio: tuple[int, NDArray[np.int16]]) -> Iterator[tuple[int, NDArray[np.int16]]]:
        self.heard.append(audio[1].ravel())
        turn = len(self.heard)
        whole = tone(TONES_HZ[0], self._reply_s) if turn == 1 else tone(TONES_HZ[1], 1.0)
        step = REPLY_RATE_HZ // 10
        try:
            for start in range(0, whole.size, step):
                yield REPLY_RATE_HZ, whole[:, start : start + step]
        except GeneratorExit:
            self.closed.append(turn)
            raise


async def _recorder(_request: Request) -> Response:
    return Response(RECORDER, media_type="text/javascript")


# ---- the microphone -------------------------------------------------------------------------------------------------


def first_of(samples: Samples, seconds: float) -> Samples:
    """A loaded recording until ``seconds`` after its first sound, faded."""
    start = RATE_HZ // 5
    cut = samples[start - RATE_HZ // 20 : start + round(seconds * RATE_HZ)].copy()
    edge = np.linspace(1.0, 0.0, RATE_HZ // 50)
    cut[-edge.size :] *= edge
    return cut


def load(path: Path) -> Samples:
    """A recording at ``RATE_HZ`` with its peak at ``PEAK``, cut to 0.2 s before its first and after its last sound."""
    samples, rate_hz = soundfile.read(path, dtype="float64", always_2d=True)
    samples = soxr.resample(samples.mean(axis=1), rate_hz, RATE_HZ)
    loud = np.flatnonzero(levels(samples, RATE_HZ // 200) > _SPEECH_LEVEL * levels(samples, RATE_HZ // 200).max())
    margin = RATE_HZ // 5
    first, last = int(loud[0]) * RATE_HZ // 200, int(loud[-1] + 1) * RATE_HZ // 200
    cut = samples[max(0, first - margin) : last + margin].copy()
    edge = np.linspace(0.0, 1.0, RATE_HZ // 20)
    cut[: edge.size] *= edge
    cut[-edge.size :] *= edge[::-1]
    return cut / np.abs(cut).max() * PEAK


def cough(seed: int = 0, seconds: float = 0.18) -> Samples:
    """A burst of noise as a cough has it, by formula: a hard beginning, a fall, most of it between 0.4 and 3 kHz."""
    rng = np.random.default_rng(seed)
    size = round(seconds * RATE_HZ)
    times = np.arange(size) / RATE_HZ
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    spectrum *= np.exp(-(((hz - 1200) / 900) ** 2)) + 0.5 * np.exp(-(((hz - 500) / 200) ** 2))
    shape = np.minimum(times / 0.008, 1.0) * np.exp(-times / 0.06) * np.minimum((seconds - times) / 0.02, 1.0)
    burst = np.fft.irfft(spectrum, size) * shape
    return burst / np.abs(burst).max() * PEAK


def write_microphone(path: Path, question: Samples, over_reply: Samples) -> Path:
    """Silence, a question, silence for its reply, a sound over that reply, silence: a file for the browser."""
    silences = [np.zeros(round(seconds * RATE_HZ)) for seconds in (LEAD_IN_S, PAUSE_S, END_S)]
    line = np.concatenate([silences[0], question, silences[1], over_reply, silences[2]])
    soundfile.write(path, line, RATE_HZ, subtype="PCM_16")
    return path


# ---- the page -------------------------------------------------------------------------------------------------------

RECORDER = """
registerProcessor("recorder", class extends AudioWorkletProcessor {
  #taken = [];
  process(inputs) {
    const blocks = inputs.map(([left]) => Int16Array.from(left ?? new Float32Array(128), (x) =>
      Math.max(-32768, Math.min(32767, Math.round(x * 32768)))));
    this.#taken.push(blocks);
    if (this.#taken.length === 75) {
      this.port.postMessage({ frame: currentFrame, taken: this.#taken });
      this.#taken = [];
    }
    return true;
  }
});
"""

# The page announces its sessions; to run before its own scripts, where the usual tap of the tests does not.
SESSIONS = """
window.sessions = [];
document.addEventListener("fastrtc:session", ({ detail }) => window.sessions.push(detail));
"""

# Call it once the page's session is connected. It resolves when all three streams are being taken down.
RECORD = """
async (transport) => {
  const { Session } = await import(new URL("client/index.js", document.baseURI));
  const [session] = window.sessions;
  window.seen = [];
  session.on("event", (event) => window.seen.push(event));
  const reflex = new Session({ base: "reflex/", audio: session.inputStream, transport, play: false });
  await reflex.open();
  const context = new AudioContext({ sampleRate: 48000 });
  await context.audioWorklet.addModule("recorder.js");
  const recorder = new AudioWorkletNode(context, "recorder", { numberOfInputs: 3, outputChannelCount: [1] });
  window.recorded = [[], [], []];
  window.recordedTo = null;
  recorder.port.onmessage = ({ data: { frame, taken } }) => {
    window.gap ||= window.recordedTo !== null && frame !== window.recordedTo + 128 * taken.length;
    window.recordedTo = frame;
    for (const blocks of taken) blocks.forEach((block, input) => window.recorded[input].push(block));
  };
  [session.inputStream, session.outputStream, reflex.outputStream].forEach((stream, input) => {
    const source = context.createMediaStreamSource(stream);
    source.connect(recorder, 0, input);
  });
  recorder.connect(context.destination);
  await new Promise((resolve) => {
    const timer = setInterval(() => { if (window.recordedTo) { clearInterval(timer); resolve(); } }, 50);
  });
}
"""

# Resolves when the session has said so; the page's policy forbids Playwright's own way of waiting for a condition.
HAPPENED = """
async ([name, turn]) => {
  const deadline = performance.now() + 60_000;
  while (!window.seen.some((event) => event.name === name && event.turn === turn)) {
    if (performance.now() > deadline) throw new Error(`no ${name} of turn ${turn}: ${JSON.stringify(window.seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
"""

TAKE = """
() => window.recorded.map((blocks) => {
  let text = "";
  for (const block of blocks) text += String.fromCharCode(...new Uint8Array(block.buffer));
  return btoa(text);
})
"""


@dataclass(frozen=True, slots=True)
class Recording:
    """Three streams at ``PAGE_RATE_HZ``, of one length and one clock, and what the session said meanwhile."""

    microphone: Samples
    reply: Samples
    reflex: Samples
    events: list[dict[str, Any]]

    def turns_of(self, name: str) -> list[int]:
        """Turns of the events of one name."""
        return [event["turn"] for event in self.events if event["name"] == name]


def converse(page: Page, url: str, transport: str, last_turn: int) -> Recording:
    """Open the page, start talking, and record until the reply to ``last_turn`` has been played."""
    page.goto(f"{url}?transport={transport}")
    page.click("#mic")
    expect(page.locator("body")).to_have_attribute("data-activity", "listening")
    page.evaluate(RECORD, transport)
    page.evaluate(HAPPENED, ["playback_finished", last_turn])
    page.wait_for_timeout(500)  # what a reply leaves behind would be heard now
    assert page.evaluate("sessions[0].transport") == transport
    assert not page.evaluate("!!window.gap"), "the recorder lost a block: its clock is none"
    streams = [np.frombuffer(base64.b64decode(data), np.int16) / 32768.0 for data in page.evaluate(TAKE)]
    return Recording(*streams, events=page.evaluate("window.seen"))


# ---- what the recording says ----------------------------------------------------------------------------------------


def levels(samples: Samples, size: int = FRAME_SAMPLES) -> Samples:
    """Root mean square of successive frames."""
    return np.sqrt(np.mean(samples[: samples.size // size * size].reshape(-1, size) ** 2, axis=1))


def pitch_in(samples: Samples, hz: int) -> Samples:
    """Amplitude of one pitch in successive frames of 5 ms."""
    frames = samples[: samples.size // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    wave = np.exp(-2j * np.pi * hz * np.arange(FRAME_SAMPLES) / PAGE_RATE_HZ)
    return np.abs(frames @ wave) * 2 / FRAME_SAMPLES


def last_onset_s(samples: Samples, pause_s: float = 2.0) -> float:
    """Where the last sound begins that comes after a silence of ``pause_s``."""
    level = levels(samples)
    frames = np.flatnonzero(level > _SPEECH_LEVEL * level.max())
    after_silence = np.diff(frames, prepend=-math.inf) > pause_s * 200
    return float(frames[after_silence][-1]) / 200


def silence_after(samples: Samples, onset_s: float) -> tuple[float, float]:
    """When a steady sound that plays at ``onset_s`` falls silent for at least 200 ms, in ms from there.

    Returns:
        That time (infinite, if it never does) and the level of the sound before.
    """
    onset = round(onset_s * 200)
    level = levels(samples)
    steady = float(np.median(level[onset - 100 : onset]))
    assert steady > 0.05, f"nothing was playing {onset_s:.1f} s into the recording"
    loud = level[onset:] > _SILENCE_LEVEL * steady
    quiet = np.flatnonzero(np.convolve(loud, np.ones(40), "valid") == 0)
    return (5.0 * float(quiet[0]) if quiet.size else math.inf), steady


@dataclass(frozen=True, slots=True)
class Interruption:
    """Figures of one interruption, in milliseconds from the user's first sound in ``inputStream``.

    Attributes:
        silent_ms: To the last sound of the reply in ``outputStream``.
        connection_ms: The same for the reflex, at the same moment: what is spent without deciding anything.
        decision_ms: ``silent_ms`` less ``connection_ms``.
        last_ms: To the very last trace of the interrupted reply in the whole recording.
    """

    silent_ms: float
    connection_ms: float
    decision_ms: float
    last_ms: float


def interruption_in(recording: Recording) -> Interruption:
    """Measure the last sound of the microphone against the first tone of the reply."""
    onset_s = last_onset_s(recording.microphone)
    silent_ms, steady = silence_after(recording.reply, onset_s)
    connection_ms, _ = silence_after(recording.reflex, onset_s)
    heard = first_tone_in(recording.reply, steady)[round(onset_s * 200) :]
    # The edges of the other tone hold every pitch, for a frame; the least that a session plays is a tick.
    traces = np.flatnonzero(np.convolve(heard, np.ones(3), "valid") == 3)
    last_ms = 5.0 * float(traces[-1] + 3) if traces.size else 0.0
    return Interruption(silent_ms, connection_ms, silent_ms - connection_ms, last_ms)


def first_tone_in(samples: Samples, steady: float) -> NDArray[np.bool_]:
    """In which frames of 5 ms the tone of the first reply is heard, and more of it than of the other one."""
    first, other = (pitch_in(samples, hz) for hz in TONES_HZ)
    return (first > _SILENCE_LEVEL * steady) & (first > other)

"""Two peers in one process, each with a media clock of its own, for the engine tests."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import asynccontextmanager

import numpy as np

from fastrtc.transports.webrtc.engine import TICK_SAMPLES, PeerOptions, PeerState

WAIT_S = 15.0


class Side:
    """One peer's observer, and a thread that reads and writes it every 20 ms."""

    def __init__(self) -> None:
        self.peer = None
        self.states: list[PeerState] = []
        self.messages: list[str] = []
        self.candidates = []
        self.channel_open = False
        self.heard: list[np.ndarray] = []
        self.ticks = 0
        self.ticked = threading.Event()
        self._play: deque[np.ndarray] = deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._changed = asyncio.Event()

    def on_state(self, state):
        self.states.append(state)
        self._changed.set()

    def on_message(self, text):
        self.messages.append(text)
        self._changed.set()

    def on_channel_open(self):
        self.channel_open = True
        self._changed.set()

    def on_candidate(self, candidate):
        self.candidates.append(candidate)
        self._changed.set()

    async def until(self, predicate):
        """Wait until something that the observer was told makes the predicate true."""
        async with asyncio.timeout(WAIT_S):
            while not predicate():
                self._changed.clear()
                await self._changed.wait()

    async def until_heard(self, samples):
        async with asyncio.timeout(WAIT_S):
            while sum(map(len, self.heard)) < samples:
                self._changed.clear()
                await self._changed.wait()

    def say(self, pcm):
        for start in range(0, len(pcm) - TICK_SAMPLES + 1, TICK_SAMPLES):
            self._play.append(pcm[start : start + TICK_SAMPLES])

    @property
    def sound(self):
        return np.concatenate(self.heard) if self.heard else np.zeros(0, np.int16)

    def start(self):
        loop = asyncio.get_running_loop()

        def clock():
            due = time.monotonic()
            while not self._stop.is_set():
                pcm = self.peer.read()
                if pcm is not None:
                    self.heard.append(pcm)
                    loop.call_soon_threadsafe(self._changed.set)
                self.peer.write(self._play.popleft() if self._play else None)
                self.ticks += 1
                self.ticked.set()
                due += 0.02
                self._stop.wait(max(0.0, due - time.monotonic()))

        self._thread = threading.Thread(target=clock)
        self._thread.start()

    async def close(self):
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self.peer is not None:
            await self.peer.close()


async def connect(calling, called, calling_options=None, called_options=None):
    """The caller's and the called side, described to each other but perhaps not connected yet."""
    caller, answerer = Side(), Side()
    caller.peer = await calling.offer(calling_options or PeerOptions(), caller)
    answerer.peer = await called.answer(caller.peer.offer_sdp, called_options or PeerOptions(), answerer)
    await caller.peer.set_answer(answerer.peer.answer_sdp)
    return caller, answerer


@asynccontextmanager
async def call(calling, called):
    """A call that is up, with both media clocks running."""
    caller, answerer = await connect(calling, called)
    try:
        caller.start()
        answerer.start()
        for side in (caller, answerer):
            await side.until(lambda side=side: side.peer.state is PeerState.CONNECTED and side.channel_open)
        yield caller, answerer
    finally:
        await caller.close()
        await answerer.close()


def speech_like(seconds, seed=1):
    """Voiced sound: harmonics of a wandering pitch under two formants, in syllables."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(48_000 * seconds)) / 48_000
    steps = np.arange(0, seconds + 0.3, 0.15)
    pitch = 2 * np.pi * np.cumsum(110 + 90 * np.interp(t, steps, rng.random(len(steps)))) / 48_000
    voice = np.zeros(len(t))
    for number in range(1, 18):
        hz = 150 * number
        weight = np.exp(-(((hz - 550) / 350) ** 2)) + 0.5 * np.exp(-(((hz - 1_500) / 500) ** 2)) + 0.05
        voice += weight * np.sin(number * pitch + rng.random() * 6)
    envelope = 0.35 + 0.65 * np.abs(np.sin(2 * np.pi * 1.7 * t + rng.random()))
    return (9_000 * envelope * voice / np.abs(voice).max()).astype(np.int16)


def likeness(heard, said):
    """Normalized cross-correlation at the best lag, of 60 ms pieces, so that a jitter buffer's stretch does not matter.

    Returns:
        ``(median of the pieces' maxima, median of their lags in samples)``.
    """
    heard, said = heard.astype(np.float64), said.astype(np.float64)
    piece = 2_880
    scores, lags = [], []
    for start in range(0, len(said) - piece + 1, piece):
        part = said[start : start + piece]
        if part.std() < 0.3 * said.std():
            continue  # a pause, whose noise a codec does not keep
        size = 1 << (len(heard) + piece).bit_length()
        cross = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(part, size)), size)[: len(heard) - piece]
        power = np.concatenate([[0.0], np.cumsum(heard**2)])
        norm = np.sqrt((power[piece:] - power[:-piece])[: len(cross)] * (part**2).sum()) + 1e3 * piece
        score = cross / norm
        lags.append(int(np.argmax(score)) - start)
        scores.append(float(score.max()))
    return float(np.median(scores)), round(np.median(lags))

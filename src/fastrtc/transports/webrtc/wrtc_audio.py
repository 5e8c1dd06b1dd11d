"""Audio in and out of ``wrtc``: by its native objects from any thread, or by its public streams on the loop.

The native way costs a third and works while the event loop is blocked. It uses attributes that ``wrtc`` does not
promise, so :func:`native_audio_works` tries it for real when the engine is loaded.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import webrtc
import wrtc

from fastrtc.audio import PCM
from fastrtc.transports.webrtc.engine import RATE_HZ, TICK_SAMPLES
from fastrtc.transports.webrtc.silence import Order, SilenceGate

_log = logging.getLogger(__name__)

RECEIVE_CHUNKS = 100  # of 10 ms: as long as the interpreter may be busy elsewhere without a loss
SILENCE = bytes(TICK_SAMPLES * 2)

NATIVE_ERRORS = (wrtc.PythonWebRTCExceptionBase, ValueError, TypeError, RuntimeError, AttributeError)


class WrtcAudio(Protocol):
    """Audio of one connection."""

    def receive_from(self, track: webrtc.MediaStreamTrack) -> None: ...

    def read(self) -> PCM | None: ...

    def write(self, pcm: PCM | None) -> None: ...

    def flush(self) -> None: ...

    @property
    def dropped_samples(self) -> int: ...

    def close(self) -> None: ...


def native_audio_works() -> bool:
    """Send 20 ms through the native objects, without a connection, and see whether they come out."""
    try:
        generator = wrtc.TrackGenerator("audio")
        processor = wrtc.MediaStreamTrackProcessor(generator.track, RECEIVE_CHUNKS)
        tone = (np.arange(TICK_SAMPLES) % 100 * 50).astype(np.int16)
        generator.writeAudio(tone.tobytes(), RATE_HZ, 1, TICK_SAMPLES)
        heard = _drain(processor, deadline_s=time.monotonic() + 1.0)
        processor.cancel()
        generator.close()
        reaches = all(hasattr(cls, "_native_obj") for cls in (webrtc.MediaStreamTrack, webrtc.RTCRtpSender))
        has_generator = hasattr(webrtc.MediaStreamTrackGenerator, "_generator")
    except NATIVE_ERRORS:
        return False
    return reaches and has_generator and np.array_equal(heard, tone)


def _drain(processor: Any, deadline_s: float) -> PCM:
    chunks: list[PCM] = []
    while sum(map(len, chunks)) < TICK_SAMPLES and time.monotonic() < deadline_s:
        item = processor.read()
        if item is not None:
            chunks.append(_mono(*item[:4]))
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int16)


def _mono(data: bytes, bits: int, rate_hz: int, channels: int) -> PCM:
    """One chunk as mono; a chunk of another form than 16 bit at 48 kHz cannot be Opus and is passed over."""
    if bits != 16 or rate_hz != RATE_HZ:
        return np.zeros(0, np.int16)
    samples = np.frombuffer(data, np.int16)
    if channels == 1:
        return samples
    mixed: PCM = samples.reshape(-1, channels).mean(axis=1).astype(np.int16)
    return mixed


class NativeAudio:
    """Reads and writes native objects. :meth:`read` and :meth:`write` belong to the media clock thread.

    Args:
        generator: The track that is sent, or None.
        switch: Where the encoder is put to sleep and woken, away from the media clock.
    """

    def __init__(self, generator: webrtc.MediaStreamTrackGenerator | None, switch: ThreadPoolExecutor) -> None:
        self._generator: Any = generator._generator if generator is not None else None
        self._switch = switch
        self._processor: Any = None
        self._sender: Any = None
        self._gate: SilenceGate | None = None
        self._mailbox = wrtc.Mailbox()
        self._token = 0
        self._woke = threading.Event()
        self._closed = False

    def receive_from(self, track: webrtc.MediaStreamTrack) -> None:
        """Start to queue what arrives on the track."""
        self._processor = wrtc.MediaStreamTrackProcessor(track._native_obj, RECEIVE_CHUNKS)

    def control(self, sender: webrtc.RTCRtpSender) -> None:
        """Let the encoder behind a sender sleep while there is nothing to play."""
        self._sender = sender._native_obj
        self._gate = SilenceGate()

    def read(self) -> PCM | None:
        """What arrived since the last call."""
        processor = self._processor
        if processor is None or self._closed:
            return None
        chunks: list[PCM] = []
        while (item := processor.read()) is not None:
            chunks.append(_mono(*item[:4]))
        if not chunks:
            return None
        pcm = np.concatenate(chunks)
        if self._gate is not None and pcm.size:
            self._obey(self._gate.heard(max(int(pcm.max()), -int(pcm.min()))))
        return pcm

    def write(self, pcm: PCM | None) -> None:
        """Send one tick."""
        if self._generator is None or self._closed:
            return
        if self._gate is not None:
            if self._woke.is_set():
                self._woke.clear()
                self._gate.woke()
            pcm, order = self._gate.tick(pcm)
            if self._obey(order) is Order.WAKE:
                return  # the switch writes this tick, once the encoder is on
        self._write(SILENCE if pcm is None else pcm.tobytes())

    def flush(self) -> None:
        """Drop speech that waits for the encoder."""
        if self._gate is not None:
            self._gate.flush()

    @property
    def dropped_samples(self) -> int:
        """Samples that were not read in time."""
        return int(self._processor.discardedFrames) * (RATE_HZ // 100) if self._processor is not None else 0

    def close(self) -> None:
        """Let go of the native objects."""
        self._closed = True
        if self._processor is not None:
            self._processor.cancel()
        if self._generator is not None:
            self._generator.close()
        self._mailbox.close()

    def _write(self, data: bytes) -> None:
        self._generator.writeAudio(data, RATE_HZ, 1, len(data) // 2)

    def _obey(self, order: Order | None) -> Order | None:
        if order is Order.SLEEP:
            self._switch.submit(self._set_active, False)
        elif order is Order.WAKE:
            self._switch.submit(self._set_active, True)
        return order

    def _set_active(self, active: bool) -> None:
        """Turn the encoder on or off; about 0.5 ms, longer while the engine negotiates. Switch thread.

        Off, frames pass it by: nothing is encoded or sent, and the RTP timestamp moves on.
        """
        try:
            if not self._closed:
                self._token += 1
                parameters = self._sender.getParameters()
                encodings = parameters.encodings
                for encoding in encodings:
                    encoding.active = active
                parameters.encodings = encodings
                self._sender.setParameters(self._mailbox, self._token, parameters)
                self._sender._clearParameters()
                while self._mailbox.take() is not None:
                    pass
                if active:
                    # The first tick after a switch may still be passed by; let it be one of silence.
                    self._write(SILENCE)
        except NATIVE_ERRORS as error:
            if not self._closed:
                _log.warning("the encoder could not be turned %s: %s", "on" if active else "off", error)
        if active:
            self._woke.set()


class StreamAudio:
    """The same over the public streams: slower, and only while the event loop runs.

    Args:
        generator: The track that is sent, or None.
        loop: Where streams live.
    """

    def __init__(self, generator: webrtc.MediaStreamTrackGenerator | None, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._received: deque[PCM] = deque(maxlen=RECEIVE_CHUNKS)
        self._outgoing: deque[bytes] = deque(maxlen=RECEIVE_CHUNKS)
        self._wake = asyncio.Event()
        self._dropped_samples = 0
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []
        if generator is not None:
            self._tasks.append(loop.create_task(self._send(generator)))

    def receive_from(self, track: webrtc.MediaStreamTrack) -> None:
        """Start to queue what arrives on the track."""
        self._tasks.append(self._loop.create_task(self._receive(track)))

    def read(self) -> PCM | None:
        """What arrived since the last call."""
        chunks: list[PCM] = []
        while self._received:
            chunks.append(self._received.popleft())
        return np.concatenate(chunks) if chunks else None

    def write(self, pcm: PCM | None) -> None:
        """Send one tick."""
        if self._closed:
            return
        self._outgoing.append(SILENCE if pcm is None else pcm.tobytes())
        try:
            self._loop.call_soon_threadsafe(self._wake.set)
        except RuntimeError:  # the loop has ended
            self._closed = True

    def flush(self) -> None:
        """Drop what the loop has not yet taken."""
        self._outgoing.clear()

    @property
    def dropped_samples(self) -> int:
        """Samples that were not read in time."""
        return self._dropped_samples

    def close(self) -> None:
        """Stop the tasks."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        self._received.clear()

    async def _receive(self, track: webrtc.MediaStreamTrack) -> None:
        init = webrtc.MediaStreamTrackProcessorInit(track, max_buffer_size=RECEIVE_CHUNKS)
        async for data in webrtc.MediaStreamTrackProcessor(init).readable:
            if not isinstance(data, webrtc.AudioData):
                continue
            options = webrtc.AudioDataCopyToOptions(plane_index=0, format="s16")
            buffer = bytearray(data.allocation_size(options))
            data.copy_to(buffer, options)
            if len(self._received) == RECEIVE_CHUNKS:
                self._dropped_samples += RATE_HZ // 100
            self._received.append(_mono(bytes(buffer), 16, int(data.sample_rate), data.number_of_channels))
            data.close()

    async def _send(self, generator: webrtc.MediaStreamTrackGenerator) -> None:
        writer = generator.writable.get_writer()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outgoing:
                data = self._outgoing.popleft()
                init = webrtc.AudioDataInit(
                    format="s16",
                    sample_rate=RATE_HZ,
                    number_of_frames=len(data) // 2,
                    number_of_channels=1,
                    timestamp=0,
                    data=data,
                )
                await writer.write(webrtc.AudioData(init))

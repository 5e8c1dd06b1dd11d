"""The server that ``impairments.py`` calls: ``python _impaired_server.py PORT TEXT.npy SILERO_V4.onnx``.

It runs with this package or with FastRTC 0.0.34, whichever the interpreter has. ``/probe`` records what it hears with
the time of each frame, and says a known text; ``/turns`` is a ``ReplyOnPause`` that notes when it was asked to reply.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Response

from fastrtc import ReplyOnPause, Stream, StreamHandler

PLACES = 50
TONE = (0.2 * 32767 * np.sin(2 * np.pi * 440 * np.arange(9_600) / 24_000)).astype(np.int16).reshape(1, -1)

probes: list[Probe] = []
turns: list[dict[str, float]] = []


class Probe(StreamHandler):
    """Records what it hears and says the text of the bench.

    Args:
        text: What to say, 48 kHz.
    """

    def __init__(self, text: Any) -> None:
        super().__init__(output_sample_rate=48_000, input_sample_rate=48_000)
        self.text = text
        self.heard: list[tuple[float, Any]] = []
        self._said = 0

    def copy(self) -> Probe:
        made = Probe(self.text)
        probes.append(made)
        return made

    def start_up(self) -> None:
        """Nothing to load."""

    def receive(self, frame: tuple[int, Any]) -> None:
        self.heard.append((time.monotonic(), np.array(frame[1]).reshape(-1)))

    def emit(self) -> Any:
        piece = self.text[self._said : self._said + 48_000]
        if not len(piece):
            time.sleep(0.05)
            return None
        self._said += len(piece)
        return (48_000, piece.reshape(1, -1))

    def shutdown(self) -> None:
        """Nothing to free."""


def reply(audio: tuple[int, Any]) -> Iterator[Any]:
    """Note the turn and say something short."""
    turns.append({"at_s": time.monotonic(), "length_s": np.array(audio[1]).size / audio[0]})
    yield (24_000, TONE)


def make_app(text: Any) -> FastAPI:
    """Both streams and what they noted."""
    app = FastAPI()
    Stream(Probe(text), modality="audio", mode="send-receive", concurrency_limit=PLACES).mount(app, path="/probe")
    talker = ReplyOnPause(reply, can_interrupt=False)
    Stream(talker, modality="audio", mode="send-receive", concurrency_limit=PLACES).mount(app, path="/turns")

    @app.get("/heard")
    def heard() -> Response:
        frames = probes[-1].heard if probes else []
        buffer = io.BytesIO()
        pcm = np.concatenate([one for _, one in frames]) if frames else np.zeros(0, np.int16)
        np.savez(buffer, pcm=pcm, at_s=[at for at, _ in frames], length=[len(one) for _, one in frames])
        return Response(buffer.getvalue(), media_type="application/octet-stream")

    @app.get("/taken")
    def taken() -> Response:
        noted = json.dumps(turns)
        turns.clear()
        return Response(noted, media_type="application/json")

    return app


def main() -> None:
    """Serve until killed."""
    port, text, vad = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if vad:
        from fastrtc.pause_detection import silero

        silero.SileroVADModel.download_model = staticmethod(lambda: vad)  # it would fetch the file from the internet
    uvicorn.run(make_app(np.load(Path(text))), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()

"""Reply On Pause: a function is called with what you said whenever you stop speaking.

    pip install fastrtc
    python examples/reply_on_pause.py        # then open http://127.0.0.1:7860

The reply here is your own voice, in pieces of half a second. Put your own model into ``generate_response``.
"""

import os
from collections.abc import Iterator

import numpy as np
import uvicorn
from fastapi import FastAPI

from fastrtc import ReplyOnPause, Stream


def generate_response(sample_rate: int, audio_array: np.ndarray) -> Iterator[np.ndarray]:
    """The reply to ``audio_array`` of shape (1, samples), piece by piece."""
    step = sample_rate // 2
    for start in range(0, audio_array.shape[1], step):
        yield audio_array[:, start : start + step]


def response(audio: tuple[int, np.ndarray]):
    sample_rate, audio_array = audio
    for audio_chunk in generate_response(sample_rate, audio_array):
        yield (sample_rate, audio_chunk)


stream = Stream(handler=ReplyOnPause(response), modality="audio", mode="send-receive")

app = FastAPI()
stream.mount(app)
app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

"""Reply On Pause with parameters: when a turn starts and ends.

    pip install fastrtc
    python examples/reply_on_pause_parameters.py        # then open http://127.0.0.1:7860

It says back what you said. ``AlgoOptions`` and ``SileroVadOptions`` are the guide's; both have further fields.
"""

import os

import numpy as np
import uvicorn
from fastapi import FastAPI

from fastrtc import AlgoOptions, ReplyOnPause, SileroVadOptions, Stream


def response(audio: tuple[int, np.ndarray]):
    yield audio


stream = Stream(
    handler=ReplyOnPause(
        response,
        algo_options=AlgoOptions(audio_chunk_duration=0.6, started_talking_threshold=0.2, speech_threshold=0.1),
        model_options=SileroVadOptions(threshold=0.5, min_speech_duration_ms=250, min_silence_duration_ms=100),
    )
)

app = FastAPI()
stream.mount(app)
app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

"""Stop words: say "computer, ..." or "hey siri, ..."; what follows is written down and said back. No network is needed.

pip install "fastrtc[stt]"
python examples/stop_words.py    # then open http://127.0.0.1:7860
"""

import os

import numpy as np
import uvicorn
from fastapi import FastAPI

from fastrtc import AdditionalOutputs, ReplyOnStopWords, Stream, get_stt_model

recogniser = get_stt_model()


def answer(audio: tuple[int, np.ndarray]):
    """Called with what follows the stop word, up to a pause."""
    yield AdditionalOutputs(recogniser.stt(audio))
    yield audio


stream = Stream(
    ReplyOnStopWords(
        answer,
        stop_words=["computer", "hey siri"],
        input_sample_rate=16000,
        stop_word_timeout_s=10,
        follow_up_s=4,
    ),
    modality="audio",
    mode="send-receive",
)

app = FastAPI()
stream.mount(app)
app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

"""A conversation without a network: it hears, shows what it heard, and answers aloud.

    pip install "fastrtc[talk]"
    python examples/offline_talk.py    # then open http://127.0.0.1:7860

Replace ``think`` by a language model; it may also yield its answer in parts, as it writes it.
"""

import os

import numpy as np
import uvicorn
from fastapi import FastAPI

from fastrtc import ReplyOnPause, Stream, get_current_reply, get_tts_model

voice = get_tts_model()


def think(said: str) -> str:
    return f"You said: {said}" if said else "I did not understand that."


def reply(_audio: tuple[int, np.ndarray]):
    said = get_current_reply().wait_for_transcript_sync()
    yield from voice.stream_tts_sync(think(said))


stream = Stream(
    handler=ReplyOnPause(reply, input_sample_rate=16000, captions=True),
    modality="audio",
    mode="send-receive",
)

app = FastAPI()
stream.mount(app)
app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

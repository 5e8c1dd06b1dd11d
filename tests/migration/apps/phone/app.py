import numpy as np
from fastapi import FastAPI

from fastrtc import AdditionalOutputs, ReplyOnPause, Stream, get_current_context

calls = []


def startup():
    yield (24000, np.full((1, 12000), 3000, dtype=np.int16))


def response(audio: tuple[int, np.ndarray], turns: int | None = None):
    # On a telephone the inputs are what the last turn gave as additional outputs.
    turns = (turns or 0) + 1
    context = get_current_context()
    calls.append((context.webrtc_id, turns, audio[0], audio[1].shape))
    yield audio
    yield AdditionalOutputs(turns)


stream = Stream(
    ReplyOnPause(response, startup_fn=startup, input_sample_rate=16000),
    modality="audio",
    mode="send-receive",
    concurrency_limit=1,
)
app = FastAPI()
stream.mount(app)

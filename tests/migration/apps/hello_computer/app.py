import json
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse

from fastrtc import AdditionalOutputs, AlgoOptions, ReplyOnStopWords, Stream, audio_to_float32, get_stt_model

curr_dir = Path(__file__).parent
model = get_stt_model()


def response(audio: tuple[int, np.ndarray]):
    sample_rate, array = audio
    text = model.stt((sample_rate, audio_to_float32(array)))
    yield AdditionalOutputs({"heard": text, "seconds": array.shape[1] / sample_rate})
    yield (24000, (np.sin(np.arange(24000) * 2 * np.pi * 440 / 24000) * 8000).astype(np.int16).reshape(1, -1))


stream = Stream(
    handler=ReplyOnStopWords(
        response,
        stop_words=["computer"],
        input_sample_rate=16000,
        algo_options=AlgoOptions(audio_chunk_duration=0.6, started_talking_threshold=0.2, speech_threshold=0.1),
    ),
    mode="send-receive",
    modality="audio",
    additional_outputs_handler=lambda *a: a[-1],
)

app = FastAPI()
stream.mount(app)


@app.get("/")
async def _():
    return HTMLResponse((curr_dir / "index.html").read_text())


@app.get("/outputs")
async def outputs(webrtc_id: str):
    async def get_outputs():
        async for output in stream.output_stream(webrtc_id):
            yield f"event: output\ndata: {json.dumps(output.args[0])}\n\n"

    return StreamingResponse(get_outputs(), media_type="text/event-stream")

import json
import os
from pathlib import Path

import numpy as np
import openai
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel

from fastrtc import AdditionalOutputs, ReplyOnPause, Stream, audio_to_bytes, get_current_context

client = openai.OpenAI(api_key=os.environ["OPENAI_API_KEY"], base_url=os.environ["OPENAI_BASE_URL"])
curr_dir = Path(__file__).parent
seen_ids = []


def response(audio: tuple[int, np.ndarray], chatbot: list[dict] | None = None):
    seen_ids.append(get_current_context().webrtc_id)
    chatbot = chatbot or []
    messages = [{"role": d["role"], "content": d["content"]} for d in chatbot]
    prompt = client.audio.transcriptions.create(
        file=("audio-file.mp3", audio_to_bytes(audio)), model="whisper-large-v3-turbo"
    ).text
    chatbot.append({"role": "user", "content": prompt})
    yield AdditionalOutputs(chatbot)
    messages.append({"role": "user", "content": prompt})
    text = ""
    for chunk in client.chat.completions.create(model="llama", messages=messages, stream=True):
        text += chunk.choices[0].delta.content or ""
    chatbot.append({"role": "assistant", "content": text.strip()})
    with client.audio.speech.with_streaming_response.create(
        model="tts", voice="alloy", input=text.strip(), response_format="pcm"
    ) as spoken:
        for pcm in spoken.iter_bytes(chunk_size=9600):
            yield (24000, np.frombuffer(pcm, dtype=np.int16).reshape(1, -1))
    yield AdditionalOutputs(chatbot)


stream = Stream(
    modality="audio",
    mode="send-receive",
    handler=ReplyOnPause(response, input_sample_rate=16000),
    additional_outputs_handler=lambda a, b: b,
    concurrency_limit=5,
    time_limit=90,
)


class Message(BaseModel):
    role: str
    content: str


class InputData(BaseModel):
    webrtc_id: str
    chatbot: list[Message]


app = FastAPI()
stream.mount(app)


@app.get("/")
async def index():
    html_content = (curr_dir / "index.html").read_text()
    return HTMLResponse(content=html_content.replace("__RTC_CONFIGURATION__", json.dumps({})), status_code=200)


@app.post("/input_hook")
async def input_hook(body: InputData):
    stream.set_input(body.webrtc_id, body.model_dump()["chatbot"])
    return {"status": "ok"}


@app.get("/outputs")
def outputs(webrtc_id: str):
    async def output_stream():
        async for output in stream.output_stream(webrtc_id):
            chatbot = output.args[0]
            yield f"event: output\ndata: {json.dumps(chatbot[-1])}\n\n"

    return StreamingResponse(output_stream(), media_type="text/event-stream")

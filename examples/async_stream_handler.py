"""The guide's Gemini handler: an ``AsyncStreamHandler`` that asks the page for an API key and a voice.

    pip install "fastrtc[gemini]"
    python examples/async_stream_handler.py        # then open http://127.0.0.1:7860

Two things differ from the guide. Google's current package is imported, ``google.genai`` in place of
``google.generativeai``, which never had the Live API. And the connection ends with the session: the guide's goes on.
``examples/gemini_live.py`` does the same with the methods that Google's package has now, and can be interrupted.
"""

import asyncio
import base64
import os
from collections.abc import AsyncGenerator
from typing import Literal

import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from google import genai
from google.genai.types import LiveConnectConfig, PrebuiltVoiceConfig, SpeechConfig, VoiceConfig
from pydantic import BaseModel

from fastrtc import AsyncStreamHandler, Stream, async_aggregate_bytes_to_16bit


class GeminiHandler(AsyncStreamHandler):
    """Handler for the Gemini API."""

    def __init__(
        self,
        expected_layout: Literal["mono"] = "mono",
        output_sample_rate: int = 24000,
        output_frame_size: int = 480,
    ) -> None:
        super().__init__(expected_layout, output_sample_rate, output_frame_size, input_sample_rate=16000)
        self.input_queue: asyncio.Queue[str] = asyncio.Queue()
        self.output_queue: asyncio.Queue[np.ndarray] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None

    def copy(self) -> "GeminiHandler":
        return GeminiHandler("mono", self.output_sample_rate, self.output_frame_size)

    async def stream(self) -> AsyncGenerator[str, None]:
        while True:
            yield await self.input_queue.get()

    async def connect(self, api_key: str | None = None, voice_name: str | None = None) -> AsyncGenerator[bytes, None]:
        """Connect to the server and start the stream."""
        client = genai.Client(api_key=api_key or os.getenv("GEMINI_API_KEY"), http_options={"api_version": "v1alpha"})
        config = LiveConnectConfig(
            response_modalities=["AUDIO"],
            speech_config=SpeechConfig(
                voice_config=VoiceConfig(prebuilt_voice_config=PrebuiltVoiceConfig(voice_name=voice_name))
            ),
        )
        model = os.getenv("GEMINI_MODEL", "gemini-live-2.5-flash-preview")
        async with client.aio.live.connect(model=model, config=config) as session:
            async for audio in session.start_stream(stream=self.stream(), mime_type="audio/pcm"):
                if audio.data:
                    yield audio.data

    async def receive(self, frame: tuple[int, np.ndarray]) -> None:
        _, array = frame
        self.input_queue.put_nowait(base64.b64encode(array.squeeze().tobytes()).decode("UTF-8"))

    async def generator(self) -> None:
        async for audio_response in async_aggregate_bytes_to_16bit(self.connect(*self.latest_args[1:])):
            self.output_queue.put_nowait(audio_response)

    async def emit(self) -> tuple[int, np.ndarray]:
        if not self.args_set.is_set():
            await self.wait_for_args()
            self.task = asyncio.create_task(self.generator())
        return (self.output_sample_rate, await self.output_queue.get())

    def shutdown(self) -> None:
        if self.task is not None:
            self.task.cancel()
        self.args_set.clear()


PAGE = """<!doctype html>
<title>Gemini</title>
<input placeholder="API key" type="password"> <input placeholder="voice" value="Puck"> <button>Start</button>
<script type="module">
  import { connect } from "./client/index.js";
  const [key, voice] = document.querySelectorAll("input");
  document.querySelector("button").onclick = async ({ target: button }) => {
    const session = await connect({ base: ".", inputs: () => [key.value, voice.value] });
    button.textContent = "Stop";
    button.onclick = () => session.close();
  };
</script>"""


class InputData(BaseModel):
    webrtc_id: str
    api_key: str
    voice_name: str


stream = Stream(handler=GeminiHandler(), modality="audio", mode="send-receive")

app = FastAPI()
stream.mount(app)


@app.post("/input_hook")
async def input_hook(data: InputData) -> dict[str, str]:
    stream.set_input(data.webrtc_id, data.api_key, data.voice_name)
    return {"status": "ok"}


@app.get("/", response_class=HTMLResponse)
async def index() -> str:
    return PAGE


app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

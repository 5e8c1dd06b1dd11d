"""Talk to Google's Gemini: its Live API hears you and speaks, and you may interrupt it.

    pip install "fastrtc[gemini]"
    export GEMINI_API_KEY=...
    python examples/gemini_live.py        # then open http://127.0.0.1:7860

``GEMINI_MODEL`` and ``GEMINI_VOICE`` choose the model and the voice.
"""

import asyncio
import os

import numpy as np
import uvicorn
from fastapi import FastAPI
from google import genai
from google.genai import types

from fastrtc import AsyncStreamHandler, Stream, WebRTCError

INPUT_HZ, OUTPUT_HZ = 16_000, 24_000
MODEL = os.getenv("GEMINI_MODEL", "gemini-live-2.5-flash-preview")
VOICE = os.getenv("GEMINI_VOICE", "Puck")


class GeminiHandler(AsyncStreamHandler):
    """One conversation over one connection, which lives as long as ``start_up``."""

    def __init__(self) -> None:
        super().__init__("mono", output_sample_rate=OUTPUT_HZ, input_sample_rate=INPUT_HZ)
        self.session: genai.live.AsyncSession | None = None
        self.replies: asyncio.Queue[tuple[int, np.ndarray]] = asyncio.Queue()

    def copy(self) -> "GeminiHandler":
        return GeminiHandler()

    async def start_up(self) -> None:
        api_key = os.getenv("GEMINI_API_KEY")
        if not api_key:
            raise WebRTCError("The server has no GEMINI_API_KEY.")
        voice = types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name=VOICE))
        config = types.LiveConnectConfig(
            response_modalities=[types.Modality.AUDIO], speech_config=types.SpeechConfig(voice_config=voice)
        )
        client = genai.Client(api_key=api_key)
        async with client.aio.live.connect(model=MODEL, config=config) as session:
            self.session = session
            while True:
                # Each round is one turn of the model.
                async for message in session.receive():
                    self.take(message)

    def take(self, message: types.LiveServerMessage) -> None:
        if message.server_content and message.server_content.interrupted:
            while not self.replies.empty():
                self.replies.get_nowait()
            self.clear_queue()
        if message.data:
            self.replies.put_nowait((OUTPUT_HZ, np.frombuffer(message.data, np.int16).reshape(1, -1)))

    async def receive(self, frame: tuple[int, np.ndarray]) -> None:
        if self.session is not None:
            audio = types.Blob(data=frame[1].tobytes(), mime_type=f"audio/pcm;rate={INPUT_HZ}")
            await self.session.send_realtime_input(audio=audio)

    async def emit(self) -> tuple[int, np.ndarray]:
        return await self.replies.get()


stream = Stream(handler=GeminiHandler(), modality="audio", mode="send-receive", concurrency_limit=5)

app = FastAPI()
stream.mount(app)
app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

"""Talk to OpenAI's Realtime API: it hears you and speaks, and you may interrupt it.

    pip install "fastrtc[openai]"
    export OPENAI_API_KEY=...
    python examples/openai_realtime.py        # then open http://127.0.0.1:7860

``OPENAI_MODEL`` and ``OPENAI_VOICE`` choose the model and the voice.
"""

import asyncio
import base64
import os

import numpy as np
import uvicorn
from fastapi import FastAPI
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from fastrtc import AsyncStreamHandler, Stream, Warning, WebRTCError

RATE_HZ = 24_000
MODEL = os.getenv("OPENAI_MODEL", "gpt-realtime")
VOICE = os.getenv("OPENAI_VOICE", "marin")


class OpenAIHandler(AsyncStreamHandler):
    """One conversation over one connection, which lives as long as ``start_up``."""

    def __init__(self) -> None:
        super().__init__("mono", output_sample_rate=RATE_HZ, input_sample_rate=RATE_HZ)
        self.connection: AsyncRealtimeConnection | None = None
        self.replies: asyncio.Queue[tuple[int, np.ndarray]] = asyncio.Queue()
        self.speaking = ""
        self.samples = 0
        self.since_s = 0.0

    def copy(self) -> "OpenAIHandler":
        return OpenAIHandler()

    async def start_up(self) -> None:
        if not os.getenv("OPENAI_API_KEY"):
            raise WebRTCError("The server has no OPENAI_API_KEY.")
        audio_format = {"type": "audio/pcm", "rate": RATE_HZ}
        async with AsyncOpenAI() as client, client.realtime.connect(model=MODEL) as connection:
            await connection.session.update(
                session={
                    "type": "realtime",
                    "output_modalities": ["audio"],
                    "audio": {
                        "input": {"format": audio_format, "turn_detection": {"type": "server_vad"}},
                        "output": {"format": audio_format, "voice": VOICE},
                    },
                }
            )
            self.connection = connection
            async for event in connection:
                if event.type == "response.output_audio.delta":
                    self.say(event.item_id, np.frombuffer(base64.b64decode(event.delta), np.int16))
                elif event.type == "input_audio_buffer.speech_started":
                    await self.fall_silent()
                elif event.type == "error":
                    Warning(event.error.message)

    def say(self, item: str, audio: np.ndarray) -> None:
        if item != self.speaking:
            self.speaking, self.samples, self.since_s = item, 0, self.loop.time()
        self.samples += audio.size
        self.replies.put_nowait((RATE_HZ, audio.reshape(1, -1)))

    async def fall_silent(self) -> None:
        """The user speaks: drop what was not played, and tell the model how much of it was."""
        while not self.replies.empty():
            self.replies.get_nowait()
        self.clear_queue()
        if self.speaking and self.connection is not None:
            heard_s = min(self.samples / RATE_HZ, self.loop.time() - self.since_s)
            item, self.speaking = self.speaking, ""
            await self.connection.conversation.item.truncate(
                item_id=item, content_index=0, audio_end_ms=round(1000 * heard_s)
            )

    async def receive(self, frame: tuple[int, np.ndarray]) -> None:
        if self.connection is not None:
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(frame[1].tobytes()).decode())

    async def emit(self) -> tuple[int, np.ndarray]:
        return await self.replies.get()


stream = Stream(handler=OpenAIHandler(), modality="audio", mode="send-receive", concurrency_limit=5)

app = FastAPI()
stream.mount(app)
app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

"""Requesting inputs: a handler asks the page for values before it plays anything, and gets new ones at any time.

    pip install fastrtc
    python examples/requesting_inputs.py        # then open http://127.0.0.1:7860, with headphones

Here the input is the volume of an echo. The client is sent ``{"type": "send_input"}`` and answers over its connection,
as this page does, or with a POST to ``/input_hook``, as FastRTC's clients do. In the handler, ``latest_args[0]`` is the
string ``"__webrtc_value__"``; the inputs follow. ``PLAIN=1`` in the environment chooses the handler without ``async``.
"""

import asyncio
import os

import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from fastrtc import AsyncStreamHandler, Stream, StreamHandler


class VolumeHandler(AsyncStreamHandler):
    """Waits for its first volume; later ones take effect at once."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[tuple[int, np.ndarray]] = asyncio.Queue()

    async def receive(self, frame: tuple[int, np.ndarray]) -> None:
        if self.args_set.is_set():
            self.queue.put_nowait(frame)

    async def emit(self) -> tuple[int, np.ndarray]:
        if not self.args_set.is_set():
            await self.wait_for_args()
        rate, audio = await self.queue.get()
        return rate, (audio * self.latest_args[1]).astype(np.int16)

    def copy(self) -> "VolumeHandler":
        return VolumeHandler()


class PlainVolumeHandler(StreamHandler):
    """The same without ``async``."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[int, np.ndarray]] = []

    def receive(self, frame: tuple[int, np.ndarray]) -> None:
        if self.args_set.is_set():
            self.frames.append(frame)

    def emit(self) -> tuple[int, np.ndarray] | None:
        if not self.args_set.is_set():
            self.wait_for_args_sync()
        if not self.frames:
            return None
        rate, audio = self.frames.pop(0)
        return rate, (audio * self.latest_args[1]).astype(np.int16)

    def copy(self) -> "PlainVolumeHandler":
        return PlainVolumeHandler()


PAGE = """<!doctype html>
<title>Requesting inputs</title>
<button>Start</button> <input type="range" max="2" step="0.1" value="1"> <output></output>
<script type="module">
  import { connect } from "./client/index.js";
  const [button, volume, state] = document.querySelectorAll("button, input, output");
  button.onclick = async () => {
    const session = await connect({ base: ".", inputs: () => [Number(volume.value)] });
    state.textContent = "connected";
    volume.oninput = () => session.sendInput(Number(volume.value));
    button.onclick = () => session.close();
  };
</script>"""


class InputData(BaseModel):
    webrtc_id: str
    volume: float


handler = PlainVolumeHandler() if os.getenv("PLAIN") else VolumeHandler()
stream = Stream(handler=handler, modality="audio", mode="send-receive")

app = FastAPI()
stream.mount(app)


@app.post("/input_hook")
async def input_hook(data: InputData) -> dict[str, str]:
    stream.set_input(data.webrtc_id, data.volume)
    return {"status": "ok"}


@app.get("/", response_class=HTMLResponse)
async def index() -> str:
    return PAGE


app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

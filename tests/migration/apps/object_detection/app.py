from pathlib import Path

import gradio as gr
import numpy as np
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from fastrtc import Stream

cur_dir = Path(__file__).parent
seen_thresholds = []


def detection(image, conf_threshold=0.3):
    seen_thresholds.append(conf_threshold)
    bright = image.max(axis=2) > 255 * conf_threshold
    if bright.any():
        ys, xs = np.nonzero(bright)
        top, bottom, left, right = ys.min(), ys.max(), xs.min(), xs.max()
        image[top : top + 6, left:right] = image[bottom - 6 : bottom, left:right] = (0, 255, 0)
        image[top:bottom, left : left + 6] = image[top:bottom, right - 6 : right] = (0, 255, 0)
    return np.flip(image, axis=1)


stream = Stream(
    handler=detection,
    modality="video",
    mode="send-receive",
    additional_inputs=[gr.Slider(minimum=0, maximum=1, step=0.01, value=0.3, render=False)],
    concurrency_limit=2,
)

app = FastAPI()
stream.mount(app)


@app.get("/")
async def _():
    return HTMLResponse(content=(cur_dir / "index.html").read_text())


class InputData(BaseModel):
    webrtc_id: str
    conf_threshold: float = Field(ge=0, le=1)


@app.post("/input_hook")
async def _(data: InputData):
    stream.set_input(data.webrtc_id, data.conf_threshold)

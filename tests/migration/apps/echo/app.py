import json
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from fastrtc import ReplyOnPause, Stream

here = Path(__file__).parent


def detection(audio: tuple[int, np.ndarray]):
    # Implement any iterator that yields audio
    yield audio


stream = Stream(
    handler=ReplyOnPause(detection),
    modality="audio",
    mode="send-receive",
    concurrency_limit=2,
    time_limit=90,
)

app = FastAPI()
stream.mount(app)


@app.get("/")
async def index():
    rtc_config = await stream.get_rtc_configuration()
    html = (here / "index.html").read_text().replace("__RTC_CONFIGURATION__", json.dumps(rtc_config or {}))
    return HTMLResponse(content=html)

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from fastrtc import ReplyOnPause, Stream


def echo(audio):
    yield audio


stream = Stream(
    ReplyOnPause(echo, output_sample_rate=24000, input_sample_rate=48000), modality="audio", mode="send-receive"
)
app = FastAPI()
stream.mount(app)


@app.get("/")
def index():
    return HTMLResponse((Path(__file__).parent / "index.html").read_text())

"""A Gradio page inside a FastAPI app, beside endpoints for other clients of the same stream.

    pip install "fastrtc[gradio]"
    python examples/gradio_mounted.py        # then open http://127.0.0.1:7860

``stream.mount(app)`` is for those other clients; the Gradio page brings its own endpoints.
"""

import os

import gradio as gr
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from fastrtc import ReplyOnPause, Stream


def echo(audio):
    yield audio


stream = Stream(
    ReplyOnPause(echo), modality="audio", concurrency_limit=10, ui_args={"title": "Echo", "subtitle": "Say something."}
)

app = FastAPI()
stream.mount(app)


@app.get("/", include_in_schema=False)
def index() -> HTMLResponse:
    return HTMLResponse('<p><a href="/talk/">Talk</a> &middot; <a href="/sessions">Who is talking</a></p>')


@app.get("/sessions")
def sessions() -> list[str]:
    """Who is talking, wherever they came in."""
    return list(stream.connections)


app = gr.mount_gradio_app(app, stream.ui, path="/talk")

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

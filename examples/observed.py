"""A voice app that can be operated: it drains on SIGTERM, logs JSON, answers /metrics and records who agrees.

    pip install "fastrtc[metrics,plot]"
    python examples/observed.py              # then open http://127.0.0.1:7860
    curl http://127.0.0.1:7860/metrics
    fastrtc inspect calls/*.wav              # after a conversation

Recordings go to ``RECORDINGS`` (``calls``). Here everybody agrees; ask people first.
"""

import os
from collections.abc import Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI

from fastrtc import ReplyOnPause, Stream
from fastrtc.observe import Recorder, SessionLog, configure_logging, metrics_endpoint, prometheus_observer


def echo(audio: Any) -> Iterator[Any]:
    """Say what was said."""
    yield audio


def agrees(context: Any) -> bool:
    """Whether this session may be recorded: a place to look at ``context.user``."""
    return bool(context.webrtc_id)


configure_logging("json", "info")
stream = Stream(
    ReplyOnPause(echo),
    modality="audio",
    concurrency_limit=10,
    drain_timeout=30,
    observers=[
        SessionLog(),
        prometheus_observer(),
        Recorder(os.getenv("RECORDINGS", "calls"), choose=agrees),
    ],
)

app = FastAPI()
stream.mount(app)
app.add_route("/metrics", metrics_endpoint)
app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")), log_config=None)

"""A stream handler: you hear yourself, frame by frame.

    pip install fastrtc
    python examples/echo_handler.py        # then open http://127.0.0.1:7860, with headphones

``receive`` and ``emit`` of a ``StreamHandler`` run on threads of their own, so that ``emit`` may wait for a queue; the
threads end with the session.
"""

import os
from queue import Queue

import numpy as np
import uvicorn
from fastapi import FastAPI

from fastrtc import Stream, StreamHandler


class EchoHandler(StreamHandler):
    def __init__(self) -> None:
        super().__init__()
        self.queue: Queue[tuple[int, np.ndarray]] = Queue()

    def receive(self, frame: tuple[int, np.ndarray]) -> None:
        self.queue.put(frame)

    def emit(self) -> tuple[int, np.ndarray]:
        return self.queue.get()

    def copy(self) -> StreamHandler:
        return EchoHandler()

    def shutdown(self) -> None:
        pass


stream = Stream(handler=EchoHandler(), modality="audio", mode="send-receive")

app = FastAPI()
stream.mount(app)
app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

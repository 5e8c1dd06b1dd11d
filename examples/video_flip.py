"""The smallest video app: the browser's camera, upside down.

    pip install fastrtc
    python examples/video_flip.py               # then open http://127.0.0.1:7860 and press the camera

The function gets each image as an array of shape (height, width, 3), blue, green, red, and gives one back. With
``skip_frames`` a function that is slower than the camera always gets the newest image instead of an old one.
"""

import os

import numpy as np
import uvicorn
from fastapi import FastAPI

from fastrtc import Stream, VideoStreamHandler


def flip(image: np.ndarray) -> np.ndarray:
    return np.flip(image, axis=0)


stream = Stream(
    VideoStreamHandler(flip, skip_frames=True),
    modality="video",
    mode="send-receive",
    track_constraints={"width": {"ideal": 640}, "height": {"ideal": 480}, "frameRate": {"ideal": 30}},
    ui_args={"title": "Upside down", "subtitle": "Every picture of your camera goes through a Python function"},
)

app = FastAPI()
stream.mount(app)
app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

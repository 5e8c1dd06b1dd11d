"""Object detection on video with a client of one's own, as FastRTC documents it.

    pip install fastrtc
    python examples/object_detection.py         # then open http://127.0.0.1:7860

The page is written by hand against the protocol: ``RTCPeerConnection`` and ``POST /webrtc/offer``, ``POST /input_hook``
for the threshold, server-sent events of ``/outputs`` for what was found. The detector is a toy that finds patches which
differ from the rest of the picture; put your model in its place.
"""

import json
import os
from collections.abc import AsyncIterator

import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel, Field

from fastrtc import AdditionalOutputs, Stream, VideoStreamHandler

CELL = 16  # pixels
GREEN = (0, 255, 0)


def find_patches(image: np.ndarray) -> list[tuple[int, int, int, int, float]]:
    """Boxes (left, top, right, bottom, confidence from 0 to 1) around patches that stand out."""
    rows, columns = image.shape[0] // CELL, image.shape[1] // CELL
    cells = image[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL, 3).mean(axis=(1, 3))
    contrast = np.abs(cells - np.median(cells, axis=(0, 1))).max(axis=2) / 255
    unseen = {(row, column) for row, column in np.argwhere(contrast > 0.1).tolist()}
    boxes = []
    while unseen:
        patch, edge = [], [unseen.pop()]
        while edge:
            row, column = edge.pop()
            patch.append((row, column))
            near = {(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)} & unseen
            unseen -= near
            edge.extend(near)
        if len(patch) >= 4:
            (top, left), (bottom, right) = np.min(patch, axis=0), np.max(patch, axis=0) + 1
            confidence = float(np.mean([contrast[cell] for cell in patch]))
            boxes.append((int(left) * CELL, int(top) * CELL, int(right) * CELL, int(bottom) * CELL, confidence))
    return sorted(boxes, key=lambda box: -box[4])


def detection(image: np.ndarray, conf_threshold: float = 0.3) -> tuple[np.ndarray, AdditionalOutputs]:
    boxes = [box for box in find_patches(image) if box[4] >= conf_threshold]
    for left, top, right, bottom, _ in boxes:
        image[top : top + 4, left:right] = image[bottom - 4 : bottom, left:right] = GREEN
        image[top:bottom, left : left + 4] = image[top:bottom, right - 4 : right] = GREEN
    found = [{"box": box[:4], "confidence": round(box[4], 2)} for box in boxes]
    return image, AdditionalOutputs(found)


stream = Stream(
    handler=VideoStreamHandler(detection, skip_frames=True),
    modality="video",
    mode="send-receive",
    concurrency_limit=5,
    rtp_params={"degradationPreference": "maintain-resolution"},
)

app = FastAPI()
stream.mount(app)


class InputData(BaseModel):
    webrtc_id: str
    conf_threshold: float = Field(ge=0, le=1)


@app.post("/input_hook")
async def input_hook(body: InputData) -> dict[str, str]:
    stream.set_input(body.webrtc_id, body.conf_threshold)
    return {"status": "ok"}


@app.get("/outputs")
async def outputs(webrtc_id: str) -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        async for output in stream.output_stream(webrtc_id):
            yield f"event: output\ndata: {json.dumps(output.args[0])}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/", response_class=HTMLResponse)
async def index() -> str:
    return PAGE


PAGE = """<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Object detection</title>
  <style>
    body { max-width: 720px; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: #222; }
    video { width: 100%; aspect-ratio: 4 / 3; border-radius: 12px; background: #111; }
    form { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; margin: 1rem 0; }
    button { padding: .6rem 1.4rem; border: 0; border-radius: 2rem; background: #222; color: #fff; font: inherit; }
    input { flex: 1; }
  </style>
  <h1>Object detection</h1>
  <video id="video" autoplay playsinline muted></video>
  <form onsubmit="return false">
    <button id="start">Start</button>
    <label for="threshold">Threshold</label>
    <input id="threshold" type="range" min="0" max="1" step="0.05" value="0.3">
  </form>
  <p id="found" role="status">Nothing yet</p>
  <script>
    const $ = (id) => document.getElementById(id);
    let connection = null;

    async function post(path, body) {
      const headers = { "Content-Type": "application/json" };
      return (await fetch(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
    }

    async function start() {
      const webrtc_id = Math.random().toString(36).substring(7);
      const sendInput = () => post("/input_hook", { webrtc_id, conf_threshold: Number($("threshold").value) });
      connection = new RTCPeerConnection();
      const camera = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
      for (const track of camera.getTracks()) connection.addTrack(track, camera);
      connection.addEventListener("track", (event) => { $("video").srcObject = event.streams[0]; });
      connection.onicecandidate = ({ candidate }) => {
        if (candidate) post("/webrtc/offer", { type: "ice-candidate", candidate: candidate.toJSON(), webrtc_id });
      };
      const channel = connection.createDataChannel("text");
      channel.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "send_input") sendInput();
        if (message.type === "error") $("found").textContent = message.message;
      };
      $("threshold").onchange = sendInput;
      await connection.setLocalDescription(await connection.createOffer());
      const answer = await post("/webrtc/offer", { type: "offer", sdp: connection.localDescription.sdp, webrtc_id });
      if (answer.status === "failed") {
        $("found").textContent = `Refused: ${answer.meta.error}`;
        return stop();
      }
      await connection.setRemoteDescription(answer);
      const events = new EventSource(`/outputs?webrtc_id=${webrtc_id}`);
      events.addEventListener("output", ({ data }) => {
        const found = JSON.parse(data);
        $("found").dataset.json = data;
        $("found").textContent = `${found.length} found: ${found.map(({ confidence }) => confidence).join(", ")}`;
      });
      connection.closeAll = () => {
        events.close();
        camera.getTracks().forEach((track) => track.stop());
        connection.close();
      };
      $("start").textContent = "Stop";
    }

    function stop() {
      connection.closeAll?.();
      connection = null;
      $("start").textContent = "Start";
    }

    $("start").onclick = () => (connection ? stop() : start());
  </script>
</html>"""

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

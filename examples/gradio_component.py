"""The component ``WebRTC`` in a page of your own: sliders change a sound while it is heard.

    pip install "fastrtc[gradio]"
    python examples/gradio_component.py        # then open http://127.0.0.1:7860

Only received: the button starts it. The handler reads ``latest_args`` for every frame; index 0 is not an input. It
keeps pace with the clock, because what it has emitted cannot follow the sliders any more.
"""

import os
import time

import gradio as gr
import numpy as np

from fastrtc import StreamHandler, WebRTC

RATE_HZ = 24_000
FRAME_S = 0.02
AHEAD_S = 0.1


class Tone(StreamHandler):
    def __init__(self) -> None:
        super().__init__(output_sample_rate=RATE_HZ)
        self.phase = 0.0
        self.next_frame = 0.0

    def start_up(self) -> None:
        self.wait_for_args_sync()

    def receive(self, frame: tuple[int, np.ndarray]) -> None:
        """Nothing is received."""

    def emit(self) -> tuple[int, np.ndarray] | None:
        if len(self.latest_args) < 3:
            return None
        now = time.monotonic()
        self.next_frame = max(self.next_frame, now) + FRAME_S
        time.sleep(max(0.0, self.next_frame - AHEAD_S - now))
        hz, volume = self.latest_args[1:3]
        phases = self.phase + 2 * np.pi * hz / RATE_HZ * np.arange(1, int(FRAME_S * RATE_HZ) + 1)
        self.phase = float(phases[-1] % (2 * np.pi))
        return RATE_HZ, (volume / 100 * 12_000 * np.sin(phases)).astype(np.int16).reshape(1, -1)

    def copy(self) -> "Tone":
        return Tone()


with gr.Blocks(title="Tone") as demo:
    gr.Markdown("# A tone that follows the sliders")
    with gr.Row():
        with gr.Column(scale=2):
            tone = WebRTC(modality="audio", mode="receive", full_screen=False, button_labels={"start": "Listen"})
        with gr.Column():
            pitch = gr.Slider(100, 1000, value=440, label="Pitch (Hz)")
            volume = gr.Slider(0, 100, value=40, label="Volume (%)")
            start = gr.Button("Start", variant="primary")
    tone.stream(Tone(), inputs=[pitch, volume], outputs=[tone], trigger=start.click, concurrency_limit=10)

if __name__ == "__main__":
    demo.launch(server_name="127.0.0.1", server_port=int(os.getenv("PORT", "7860")))

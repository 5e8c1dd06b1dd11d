"""Talk or type, and read along: ``stream.ui`` with a Chatbot that the function fills and a text box.

    pip install "fastrtc[gradio]"
    python examples/gradio_chat.py        # then open http://127.0.0.1:7860

The function gets what was said or typed, the chat so far and the name; it yields the new chat, and audio to be heard.
Put your speech recognition, your model and your voice where ``understand``, ``think`` and ``speak`` are.
"""

import os
from collections.abc import Iterator

import gradio as gr
import numpy as np

from fastrtc import AdditionalOutputs, ReplyOnPause, Stream, WebRTCData

RATE_HZ = 24_000


def understand(data: WebRTCData) -> str:
    """What the user said: what was typed, or how long the speech was."""
    if data.textbox:
        return data.textbox
    rate_hz, samples = data.audio
    return f"({samples.shape[1] / rate_hz:.1f} seconds of speech)"


def think(text: str, name: str) -> str:
    return f"{name or 'You'} said: {text}"


def speak(text: str) -> Iterator[tuple[int, np.ndarray]]:
    """A short tone for every word."""
    time_s = np.arange(int(0.16 * RATE_HZ)) / RATE_HZ
    fade = np.sin(np.pi * time_s / time_s[-1])
    for word in text.split():
        tone = 6000 * fade * np.sin(2 * np.pi * (300 + 25 * len(word)) * time_s)
        yield RATE_HZ, tone.astype(np.int16).reshape(1, -1)


def respond(data: WebRTCData, chat: list[dict], name: str):
    text = understand(data)
    chat = [*(chat or []), {"role": "user", "content": text}]
    yield AdditionalOutputs(chat)
    answer = think(text, name)
    yield AdditionalOutputs([*chat, {"role": "assistant", "content": answer}])
    yield from speak(answer)


chatbot = gr.Chatbot(label="Conversation", height=380)
stream = Stream(
    ReplyOnPause(respond),
    modality="audio",
    mode="send-receive",
    concurrency_limit=10,
    additional_inputs=[chatbot, gr.Textbox("Ada", label="Your name")],
    additional_outputs=[chatbot],
    additional_outputs_handler=lambda _, chat: chat,
    ui_args={"title": "Talk or type", "variant": "textbox"},
)

if __name__ == "__main__":
    stream.ui.launch(server_name="127.0.0.1", server_port=int(os.getenv("PORT", "7860")))

"""Reply On Stopwords: say "computer", then something else; what follows the word is said back.

    pip install "fastrtc[openai]"
    export OPENAI_API_KEY=...                # or OPENAI_BASE_URL, a server of yours that transcribes
    python examples/reply_on_stopwords.py    # then open http://127.0.0.1:7860

The recogniser here asks an OpenAI-compatible server about each piece of speech that may hold the word. Any object with
a method ``stt((rate, array)) -> str`` will do instead.
"""

import io
import os
import wave

import numpy as np
import uvicorn
from fastapi import FastAPI
from openai import OpenAI

from fastrtc import ReplyOnStopWords, Stream, audio_to_int16


class Transcriptions:
    """Speech recognition by an OpenAI-compatible server."""

    def __init__(self, model: str = "whisper-1") -> None:
        self.client = OpenAI()
        self.model = model

    def stt(self, audio: tuple[int, np.ndarray]) -> str:
        file = io.BytesIO()
        with wave.open(file, "wb") as recording:
            recording.setnchannels(1)
            recording.setsampwidth(2)
            recording.setframerate(audio[0])
            recording.writeframes(audio_to_int16(audio[1]).tobytes())
        named = ("speech.wav", file.getvalue())
        return self.client.audio.transcriptions.create(model=self.model, file=named).text


def generate(audio: tuple[int, np.ndarray]):
    """Called with what follows the stop word, up to a pause."""
    sampling_rate, heard = audio
    for numpy_array in np.array_split(heard, 4, axis=1):
        yield (sampling_rate, numpy_array, "mono")


stream = Stream(
    handler=ReplyOnStopWords(
        generate, input_sample_rate=16000, stop_words=["computer", "computers"], stt_model=Transcriptions()
    ),
    modality="audio",
    mode="send-receive",
)

app = FastAPI()
stream.mount(app)
app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

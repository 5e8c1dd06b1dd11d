"""A telephone line: it says who calls, repeats what is said, and reads out the number that is typed before a "#".

    pip install "fastrtc[talk]"
    export TWILIO_AUTH_TOKEN=...             # of your account; without it, anybody's requests are answered
    python examples/telephone.py             # then let Twilio's webhook for calls be https://.../telephone/incoming

A tunnel (ngrok, cloudflared) makes it reachable for a try. A browser can talk to it as well: http://127.0.0.1:7860.
"""

import os
from collections import defaultdict

import uvicorn
from fastapi import FastAPI

from fastrtc import ReplyOnPause, Stream, get_current_context, get_stt_model, get_tts_model

ears = get_stt_model()
voice = get_tts_model()
pressed: dict[str, str] = defaultdict(str)


def greet():
    call = get_current_context().call or {}
    digits = " ".join(call.get("from", "").lstrip("+"))
    yield from voice.stream_tts_sync(f"Hello, {digits}. Say something, or type a number." if digits else "Hello.")


def on_dtmf(digit: str) -> None:
    caller = get_current_context().webrtc_id
    if digit == "#":
        stream.trigger_response(caller)
    else:
        pressed[caller] += digit


def answer(audio):
    digits = pressed.pop(get_current_context().webrtc_id, "")
    said = f"You typed {' '.join(digits)}." if digits else f"You said: {ears.stt(audio)}."
    yield from voice.stream_tts_sync(said)


stream = Stream(
    ReplyOnPause(answer, startup_fn=greet, on_dtmf=on_dtmf, input_sample_rate=16000),
    modality="audio",
    mode="send-receive",
    concurrency_limit=10,
    twilio_auth_token=os.getenv("TWILIO_AUTH_TOKEN"),
)

app = FastAPI()
stream.mount(app)
app.router.routes.extend(stream.page())

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.getenv("PORT", "7860")))

"""A server with the HTTP endpoints of OpenAI that voice applications use: transcription, chat, speech.

Source: https://platform.openai.com/docs/api-reference.
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes
from email.message import Message
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from fastrtc.audio import PCM

SPEECH_HZ = 24_000


class OpenAiHttp:
    """The server.

    Args:
        transcribe: The text of a recording: ``(rate, int16 array of shape (n,))``.
        answer: The model's answer to the messages of a chat.
        speak: The voice: ``int16`` at 24 kHz, shape ``(n,)``.
        api_key: The only one that it accepts.

    Attributes:
        transcripts: Every text that it recognised.
        chats: The messages of every chat.
        spoken: Every text that it spoke.
    """

    def __init__(
        self,
        transcribe: Callable[[tuple[int, PCM]], str],
        answer: Callable[[list[dict[str, Any]]], str] | None = None,
        speak: Callable[[str], PCM] | None = None,
        api_key: str = "sk-good",
    ) -> None:
        self._transcribe = transcribe
        self._answer = answer
        self._speak = speak
        self._api_key = api_key
        self.transcripts: list[str] = []
        self.chats: list[list[dict[str, Any]]] = []
        self.spoken: list[str] = []
        self.app = Starlette(
            routes=[
                Route("/v1/audio/transcriptions", self._transcriptions, methods=["POST"]),
                Route("/v1/chat/completions", self._completions, methods=["POST"]),
                Route("/v1/audio/speech", self._speech, methods=["POST"]),
            ]
        )

    async def _transcriptions(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        text = self._transcribe(_recording(request.headers["content-type"], await request.body()))
        self.transcripts.append(text)
        return JSONResponse({"text": text})

    async def _completions(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        body = await request.json()
        self.chats.append(body["messages"])
        assert self._answer is not None
        answer = self._answer(body["messages"])
        if body.get("stream"):
            return StreamingResponse(_chunks(answer, body["model"]), media_type="text/event-stream")
        message = {"role": "assistant", "content": answer}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse(_completion("chat.completion", body["model"], choice))

    async def _speech(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        body = await request.json()
        assert body["response_format"] == "pcm"
        assert self._speak is not None
        self.spoken.append(body["input"])
        return Response(self._speak(body["input"]).astype("<i2").tobytes(), media_type="audio/pcm")

    def _refused(self, request: Request) -> Response | None:
        if request.headers.get("authorization") == f"Bearer {self._api_key}":
            return None
        error = {"message": "Incorrect API key provided.", "type": "invalid_request_error", "code": "invalid_api_key"}
        return JSONResponse({"error": error}, 401)


def _recording(content_type: str, form: bytes) -> tuple[int, PCM]:
    """The recording in a multipart form, in any format that soundfile reads."""
    import soundfile

    parts = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + form)
    assert parts.is_multipart()
    (file,) = [part for part in parts.get_payload() if isinstance(part, Message) and part.get_filename()]
    content = file.get_payload(decode=True)
    assert isinstance(content, bytes)
    samples, rate_hz = soundfile.read(io.BytesIO(content), dtype="int16", always_2d=True)
    return rate_hz, samples[:, 0]


def _completion(kind: str, model: str, choice: dict[str, Any]) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": model, "choices": [choice]}


async def _chunks(answer: str, model: str) -> AsyncIterator[str]:
    for word in answer.split(" "):
        choice = {"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}
        yield f"data: {json.dumps(_completion('chat.completion.chunk', model, choice))}\n\n"
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield f"data: {json.dumps(_completion('chat.completion.chunk', model, choice))}\n\n"
    yield "data: [DONE]\n\n"

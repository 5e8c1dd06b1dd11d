"""A server that speaks the WebSocket protocol of Google's Live API (``BidiGenerateContent``), with a recorded voice.

Source: https://ai.google.dev/api/live. It answers each turn of the user with the next of its recordings, at real-time
pace, and tells ``interrupted`` when the user speaks meanwhile. Like the original, it sends JSON in binary frames.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from tests.fakes.hearing import Hearing

from fastrtc.audio import PCM

IN_HZ, OUT_HZ = 16_000, 24_000
CHUNK_S = 0.1
_URL_SAFE = str.maketrans("-_", "+/")  # Both alphabets of base64 are accepted, too.
AHEAD_S = 0.4  # that it sends before it is time
PATH = "/ws/google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent"


@dataclass(slots=True)
class LiveCall:
    """One connection, as the server saw it.

    Attributes:
        setup: The first message.
        hearing: What it heard.
        mime_types: Of the audio, each once.
        sent: Samples of each turn that were sent.
        interruptions: Turns that the user cut short.
        over: Whether the client has gone.
    """

    version: str
    setup: dict[str, Any]
    hearing: Hearing = field(default_factory=lambda: Hearing(IN_HZ))
    mime_types: set[str] = field(default_factory=set)
    sent: list[int] = field(default_factory=list)
    interruptions: int = 0
    over: bool = False


class GeminiLive:
    """The server.

    Args:
        replies: What it says, one after another, ``int16`` at 24 kHz.
        api_key: The only one that it accepts.
    """

    def __init__(self, replies: Sequence[PCM], api_key: str) -> None:
        self._replies = list(replies)
        self._api_key = api_key
        self.calls: list[LiveCall] = []
        self.app = Starlette(routes=[WebSocketRoute(PATH, self._serve)])

    async def _serve(self, websocket: WebSocket) -> None:
        await websocket.accept()
        given = websocket.headers.get("x-goog-api-key") or websocket.query_params.get("key")
        if given != self._api_key:
            await websocket.close(1008, "API key not valid. Please pass a valid API key.")
            return
        first = await _receive(websocket) or {}
        if not str(first.get("setup", {}).get("model", "")).startswith("models/"):
            await websocket.close(1007, "setup must be the first message and name a model.")
            return
        call = LiveCall(websocket.path_params["version"], first["setup"])
        self.calls.append(call)
        await _send(websocket, {"setupComplete": {}})
        speaking: asyncio.Task[None] | None = None
        try:
            while (message := await _receive(websocket)) is not None:
                for news in self._hear(call, message):
                    if news == "started" and speaking is not None and not speaking.done():
                        speaking.cancel()
                        call.interruptions += 1
                        await _send(websocket, {"serverContent": {"interrupted": True}})
                        await _send(websocket, {"serverContent": {"turnComplete": True}})
                    elif news == "ended":
                        speaking = asyncio.create_task(self._reply(call, websocket))
        except WebSocketDisconnect:
            pass
        finally:
            call.over = True
            if speaking is not None:
                speaking.cancel()

    def _hear(self, call: LiveCall, message: dict[str, Any]) -> list[str]:
        given = message["realtimeInput"]
        blobs = [given["audio"]] if "audio" in given else given["mediaChunks"]
        news = []
        for blob in blobs:
            call.mime_types.add(blob["mimeType"])
            audio = base64.b64decode(blob["data"].translate(_URL_SAFE), validate=True)
            news += call.hearing.hear(np.frombuffer(audio, "<i2"))
        return news

    async def _reply(self, call: LiveCall, websocket: WebSocket) -> None:
        voice = self._replies[len(call.sent) % len(self._replies)]
        call.sent.append(0)
        step = round(CHUNK_S * OUT_HZ)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for start in range(0, len(voice), step):
            chunk = voice[start : start + step]
            blob = {"mimeType": f"audio/pcm;rate={OUT_HZ}", "data": base64.b64encode(chunk.astype("<i2")).decode()}
            await _send(websocket, {"serverContent": {"modelTurn": {"parts": [{"inlineData": blob}]}}})
            call.sent[-1] += len(chunk)
            await asyncio.sleep(max(0.0, begun_s + start / OUT_HZ - AHEAD_S - loop.time()))
        await _send(websocket, {"serverContent": {"generationComplete": True}})
        await _send(websocket, {"serverContent": {"turnComplete": True}, "usageMetadata": {"totalTokenCount": 1}})


def _json_names(value: Any) -> Any:
    """Fields by their JSON names, in camel case: parsers of Protocol Buffers' JSON accept the original ones as well."""
    if isinstance(value, dict):
        return {re.sub("_([a-z])", lambda found: found[1].upper(), key): _json_names(one) for key, one in value.items()}
    return [_json_names(one) for one in value] if isinstance(value, list) else value


async def _receive(websocket: WebSocket) -> dict[str, Any] | None:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        return None
    received: dict[str, Any] = _json_names(json.loads(message.get("text") or message["bytes"]))
    return received


async def _send(websocket: WebSocket, message: dict[str, Any]) -> None:
    await websocket.send_bytes(json.dumps(message).encode())

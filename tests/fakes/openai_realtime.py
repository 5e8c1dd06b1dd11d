"""A server that speaks the WebSocket protocol of OpenAI's Realtime API, with a recorded voice.

Source: https://platform.openai.com/docs/api-reference/realtime-server-events, and the SDK's types, with which every
event that is sent is checked. Server VAD, automatic responses, cancellation when the user speaks, truncation.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from tests.fakes.hearing import Hearing

from fastrtc.audio import PCM

RATE_HZ = 24_000
CHUNK_S = 0.1
AHEAD_S = 0.4

_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


@dataclass(slots=True)
class RealtimeCall:
    """One connection, as the server saw it.

    Attributes:
        session: Its configuration.
        hearing: What it heard.
        sent: Samples of each response that were sent.
        statuses: How each response ended.
        truncations: ``audio_end_ms`` of each truncation that the client asked for.
        over: Whether the client has gone.
    """

    session: dict[str, Any]
    hearing: Hearing = field(default_factory=lambda: Hearing(RATE_HZ))
    sent: list[int] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    truncations: list[int] = field(default_factory=list)
    over: bool = False


class OpenAiRealtime:
    """The server.

    Args:
        replies: What it says, one after another, ``int16`` at 24 kHz.
        api_key: The only one that it accepts.
    """

    def __init__(self, replies: Sequence[PCM], api_key: str) -> None:
        self._replies = list(replies)
        self._api_key = api_key
        self.calls: list[RealtimeCall] = []
        self.app = Starlette(routes=[WebSocketRoute("/v1/realtime", self._serve)])

    async def _serve(self, websocket: WebSocket) -> None:
        if websocket.headers.get("authorization") != f"Bearer {self._api_key}":
            await websocket.close(1008)
            return
        await websocket.accept()
        await _Conversation(websocket, self._replies, self.calls).run()


class _Conversation:
    def __init__(self, websocket: WebSocket, replies: list[PCM], calls: list[RealtimeCall]) -> None:
        self._websocket = websocket
        self._replies = replies
        model = websocket.query_params["model"]
        self._call = RealtimeCall({"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": model})
        calls.append(self._call)
        self._ids = itertools.count(1)
        self._item = ""
        self._response: asyncio.Task[None] | None = None

    async def run(self) -> None:
        try:
            await self._send("session.created", session=self._call.session)
            while True:
                await self._take(await self._websocket.receive_json())
        except WebSocketDisconnect:
            pass
        finally:
            self._call.over = True
            if self._response is not None:
                self._response.cancel()

    async def _take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                self._call.session |= event["session"]
                await self._send("session.updated", session=self._call.session)
            case "input_audio_buffer.append":
                for news in self._call.hearing.hear(np.frombuffer(base64.b64decode(event["audio"]), "<i2")):
                    await (self._user_started() if news == "started" else self._user_ended())
            case "conversation.item.truncate":
                self._call.truncations.append(event["audio_end_ms"])
                fields = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
                await self._send("conversation.item.truncated", **fields)
            case other:
                await self._send("error", error={"type": "invalid_request_error", "message": f"no event {other}"})

    async def _user_started(self) -> None:
        self._item = self._new_id("item")
        start_ms = self._call.hearing.start * 1000 // RATE_HZ
        await self._send("input_audio_buffer.speech_started", audio_start_ms=start_ms, item_id=self._item)
        if self._response is not None and not self._response.done():
            self._response.cancel()
            await asyncio.gather(self._response, return_exceptions=True)

    async def _user_ended(self) -> None:
        end_ms = self._call.hearing.end * 1000 // RATE_HZ
        await self._send("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=self._item)
        await self._send("input_audio_buffer.committed", item_id=self._item)
        self._response = asyncio.create_task(self._respond())

    async def _respond(self) -> None:
        response, item = self._new_id("resp"), self._new_id("item")
        place = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        await self._send("response.created", response=_response(response, "in_progress"))
        await self._send("response.output_item.added", response_id=response, output_index=0, item=message)
        await self._send("response.content_part.added", **place, part={"type": "audio", "transcript": ""})
        voice = self._replies[len(self._call.sent) % len(self._replies)]
        self._call.sent.append(0)
        try:
            await self._speak(voice, place)
        except asyncio.CancelledError:
            self._call.statuses.append("cancelled")
            status = {"type": "cancelled", "reason": "turn_detected"}
            await self._send("response.done", response=_response(response, "cancelled", status))
            return
        await self._send("response.output_audio.done", **place)
        self._call.statuses.append("completed")
        await self._send("response.done", response=_response(response, "completed"))

    async def _speak(self, voice: PCM, place: dict[str, Any]) -> None:
        step = round(CHUNK_S * RATE_HZ)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for start in range(0, len(voice), step):
            chunk = voice[start : start + step]
            await self._send(
                "response.output_audio.delta", **place, delta=base64.b64encode(chunk.astype("<i2")).decode()
            )
            self._call.sent[-1] += len(chunk)
            await asyncio.sleep(max(0.0, begun_s + start / RATE_HZ - AHEAD_S - loop.time()))

    def _new_id(self, kind: str) -> str:
        return f"{kind}_{next(self._ids)}"

    async def _send(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "event_id": self._new_id("event"), **fields}
        _EVENT.validate_python(event)
        await self._websocket.send_json(event)


def _response(response_id: str, status: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "id": response_id,
        "object": "realtime.response",
        "status": status,
        "status_details": details,
        "output": [],
        "output_modalities": ["audio"],
    }

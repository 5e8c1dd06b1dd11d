"""Members of ``Stream`` that applications of FastRTC call, and its one-way modes, with real callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from tests.fakes.serving import serving

from fastrtc.cli import make_app
from fastrtc.client import Call, connect
from fastrtc.errors import FastRTCError, SignalingError
from fastrtc.handlers.base import StreamHandler
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords
from fastrtc.outputs import AdditionalOutputs, WebRTCData
from fastrtc.speech import moonshine_weights
from fastrtc.stream import Stream
from fastrtc.testing import ScriptedVad

WAIT_S = 20.0
RATE = 24_000


def beep(level: int = 5000, seconds: float = 0.2) -> tuple[int, Any]:
    return RATE, np.full((1, round(seconds * RATE)), level, np.int16)


def answers(audio: Any, *inputs: Any) -> Iterator[Any]:
    yield beep(), AdditionalOutputs(audio.textbox if isinstance(audio, WebRTCData) else "spoken", *inputs)


def make_stream(**options: Any) -> Stream:
    handler = ReplyOnPause(lambda audio, *inputs: answers(audio, *inputs), model=ScriptedVad(), output_sample_rate=RATE)
    return Stream(handler, modality="audio", verbose=False, **options)


def outputs_of(call: Call) -> list[list[Any]]:
    return [message.data["data"] for message in call.messages if message.type == "output"]


async def connected(call: Call) -> None:
    await call.wait_for(lambda message: message.event == "session_started", WAIT_S)


def talk(stream: Stream, conversation: Callable[[Call], Any], transport: Any = "websocket") -> Call:
    async def run(url: str) -> Call:
        async with connect(url, transport) as call:
            await connected(call)
            await conversation(call)
        return call

    with serving(make_app(stream)) as served:
        return asyncio.run(run(served.url))


@pytest.mark.parametrize("as_id", [False, True])
def test_set_input_on_submit_gives_inputs_and_answers(as_id: bool) -> None:
    stream = make_stream()

    async def conversation(call: Call) -> None:
        data: Any = call.session_id if as_id else WebRTCData(webrtc_id=call.session_id, textbox="hello")
        stream.set_input_on_submit(data, 7)
        await call.wait_for(lambda message: message.event == "playback_finished", WAIT_S)

    call = talk(stream, conversation)
    # FastRTC's way with a plain id: it is the first of the inputs.
    assert outputs_of(call) == [["spoken", call.session_id, 7] if as_id else ["hello", 7]]


def test_set_input_gradio_gives_inputs_only() -> None:
    stream = make_stream()

    async def conversation(call: Call) -> None:
        stream.set_input_gradio(WebRTCData(webrtc_id=call.session_id), "slow")
        await call.listen(0.3)
        assert not any(message.event == "turn_committed" for message in call.messages)
        stream.trigger_response(call.session_id)
        await call.wait_for(lambda message: message.event == "playback_finished", WAIT_S)

    assert outputs_of(talk(stream, conversation)) == [["", "slow"]]


def test_clean_up_ends_a_session() -> None:
    stream = make_stream()

    async def conversation(call: Call) -> None:
        stream.clean_up("nobody")
        stream.clean_up(call.session_id)
        async for _ in call.stream_messages():
            pass

    call = talk(stream, conversation)
    assert call.ended is not None
    assert not stream.connections


def test_an_app_may_take_the_outputs_of_an_offer_itself() -> None:
    stream = make_stream(concurrency_limit=2)
    taken: list[Any] = []

    async def offer(request: Request) -> JSONResponse:
        body = await request.json()
        own = request.url.path.startswith("/own")
        set_outputs = taken.append if own else stream.set_additional_outputs(body["webrtc_id"])
        return JSONResponse(await stream.handle_offer(body, set_outputs=set_outputs))

    async def run(url: str, queued: bool) -> None:
        async with connect(url) as call:
            await connected(call)
            stream.set_input_on_submit(WebRTCData(webrtc_id=call.session_id, textbox="hi"), "there")
            if queued:
                stream.set_additional_outputs(call.session_id)(AdditionalOutputs("by hand"))
                async with httpx.AsyncClient(timeout=WAIT_S) as client:
                    answer = await client.get(f"{url}/output?webrtc_id={call.session_id}")
                    more = await client.get(f"{url}/output?webrtc_id={call.session_id}")
                assert sorted([answer.json(), more.json()]) == [["by hand"], ["hi", "there"]]
            await call.wait_for(lambda message: message.event == "playback_finished", WAIT_S)

    async def output(request: Request) -> JSONResponse:
        return JSONResponse((await stream.fetch_latest_output(request.query_params["webrtc_id"])).args)

    @asynccontextmanager
    async def closing(_app: Any) -> AsyncIterator[None]:
        yield
        await stream.close()

    routes = [
        Route("/webrtc/offer", offer, methods=["POST"]),
        Route("/own/webrtc/offer", offer, methods=["POST"]),
        Route("/output", output),
    ]
    with serving(Starlette(routes=routes, lifespan=closing)) as served:
        asyncio.run(run(served.url, queued=True))
        assert taken == []
        asyncio.run(run(f"{served.url}/own", queued=False))
    assert [outputs.args for outputs in taken] == [("hi", "there")]


def test_outputs_for_nobody_are_dropped() -> None:
    make_stream().set_additional_outputs("nobody")(AdditionalOutputs(1))


def test_that_there_is_no_recogniser_is_said_when_the_app_starts_and_to_the_client(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moonshine_weights, "carried_weights", lambda: None)
    stream = Stream(ReplyOnStopWords(answers, ["computer"], model=ScriptedVad()), modality="audio", verbose=False)

    async def run(url: str) -> SignalingError:
        with pytest.raises(SignalingError, match="handler_failed") as refused:
            async with connect(url, "websocket"):
                pass
        return refused.value

    with serving(make_app(stream)) as served:
        refusal = asyncio.run(run(served.url))
    assert "fastrtc[stt]" in str(refusal.detail["detail"])
    assert "no session can start: speech recognition needs an optional package" in caplog.text


def test_there_is_no_fastphone() -> None:
    with pytest.raises(FastRTCError, match="/telephone/incoming"):
        make_stream().fastphone(token="hf_x", port=8001, log_level="error")


# ---- one way ---------------------------------------------------------------------------------------------------


def count(first: int, step: int) -> Iterator[Any]:
    for number in range(3):
        yield beep(first + step * number)


def levels(call: Call) -> set[int]:
    """The levels that were heard, rounded to thousands."""
    return {round(int(sample) / 1000) for sample in call.heard.pcm if abs(int(sample)) > 500}


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
def test_a_generator_function_is_played_to_clients_that_only_receive(transport: Any) -> None:
    stream = Stream(count, modality="audio", mode="receive", verbose=False)

    async def conversation(call: Call) -> None:
        await call.wait_for(lambda message: message.type == "send_input", WAIT_S)
        stream.set_input(call.session_id, 4000, 3000)
        await call.wait_for(lambda message: message.type == "end_stream", WAIT_S)

    call = talk(stream, conversation, transport)
    if transport == "websocket":
        assert levels(call) >= {4, 7, 10}
    else:
        assert np.abs(call.heard.pcm).max() > 2000


class Meter(StreamHandler):
    """Hears, and says nothing but numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.loudest: list[int] = []

    def receive(self, frame: tuple[int, Any]) -> None:
        self.loudest.append(int(np.abs(frame[1]).max()))

    def emit(self) -> Any:
        return AdditionalOutputs(self.loudest.pop(0)) if self.loudest else None

    def copy(self) -> Meter:
        return Meter()


def test_a_handler_may_only_listen() -> None:
    stream = Stream(Meter(), modality="audio", mode="send", verbose=False)

    async def conversation(call: Call) -> None:
        await call.speak(np.full(16_000, 6000, np.int16), 16_000)
        await call.wait_for(lambda message: message.type == "output" and message.data["data"][0] > 5000, WAIT_S)

    call = talk(stream, conversation)
    assert not call.heard.pcm.any()


@pytest.mark.parametrize(("mode", "direction"), [("receive", "recvonly"), ("send", "sendonly")])
@pytest.mark.parametrize("engine", ["wrtc", "aiortc"])
def test_offers_that_go_one_way_are_answered(mode: Any, direction: str, engine: str) -> None:
    aiortc = pytest.importorskip("aiortc")
    pytest.importorskip(engine)
    handler: Any = (lambda: iter([beep(8000, 1.0)])) if mode == "receive" else Meter()
    stream = Stream(handler, modality="audio", mode=mode, engine=engine, verbose=False)

    async def run(url: str) -> Any:
        peer = aiortc.RTCPeerConnection()
        messages: asyncio.Queue[str] = asyncio.Queue()
        peer.createDataChannel("text").on("message", messages.put_nowait)
        if mode == "send":
            peer.addTransceiver(aiortc.AudioStreamTrack(), direction="sendonly")
        else:
            peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        body = {"sdp": peer.localDescription.sdp, "type": "offer", "webrtc_id": "one-way"}
        async with httpx.AsyncClient() as client:
            answer = (await client.post(f"{url}/webrtc/offer", json=body)).json()
        await peer.setRemoteDescription(aiortc.RTCSessionDescription(answer["sdp"], answer["type"]))
        try:
            async with asyncio.timeout(WAIT_S):
                if mode == "send":
                    assert "a=recvonly" in answer["sdp"]
                    return (await stream.fetch_latest_output("one-way")).args
                track = peer.getReceivers()[0].track
                while True:
                    frame = await track.recv()
                    if np.abs(frame.to_ndarray()).max() > 4000:
                        return frame.sample_rate
        finally:
            await peer.close()

    with serving(make_app(stream)) as served:
        result = asyncio.run(run(served.url))
    assert result == ((0,) if mode == "send" else 48_000)


@pytest.mark.parametrize(("verbose", "said"), [(True, "/talk/webrtc/offer"), (False, "")])
def test_a_stream_says_where_it_is_unless_told_not_to(
    capsys: pytest.CaptureFixture[str], verbose: bool, said: str
) -> None:
    app = Starlette()
    Stream(ReplyOnPause(answers), modality="audio", verbose=verbose).mount(app, "/talk")
    with serving(app):
        told = capsys.readouterr().err
    assert said in told
    assert bool(told) is verbose

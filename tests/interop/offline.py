"""A program for a machine without a network: everything that is a default is used once, in conversations.

It prints what it heard, as JSON, and fails if anything does. ``test_offline`` runs it in a network namespace.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import errno
import fcntl
import json
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from tests.fakes.serving import serving

from fastrtc import AlgoOptions, ReplyOnPause, ReplyOnStopWords, get_silero_model, get_stt_model, get_tts_model
from fastrtc.client import connect
from fastrtc.demos.command import add_arguments, make_stream

QUESTION = "What is twelve times seven?"
COMMAND = "Computer, turn on the lights in the kitchen."
PAUSE_S = 1.0
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1


def bring_loopback_up() -> None:
    """A new namespace has a loopback interface that is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = array.array("b", struct.pack("16sh14x", b"lo", 0))
        fcntl.ioctl(control, _GET_FLAGS, request)
        (flags,) = struct.unpack_from("h", request, 16)
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


def no_network() -> bool:
    """Whether nothing outside this machine can be reached."""
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    with socket.socket() as probe:
        probe.settimeout(1)
        unreachable = probe.connect_ex(("192.0.2.1", 80)) == errno.ENETUNREACH
    return unreachable and not routes


async def converse(url: str, transport: Any, said: str) -> dict[str, Any]:
    """Say something, wait until the answer has been played; what both sides heard."""
    rate_hz, wave = get_tts_model().tts(said)
    async with connect(url, transport) as call:
        await call.wait_for(lambda message: message.type == "hello")
        await call.listen(PAUSE_S)
        await call.speak(wave, rate_hz)
        heard = await call.wait_for(lambda message: message.type == "transcript" and message.data["data"]["final"], 30)
        first = await call.wait_for(lambda message: message.event == "first_audio", 30, heard.at_s - PAUSE_S)
        turn = first.data["data"]["turn"]
        await call.wait_for(
            lambda message: message.event == "playback_finished" and message.data["data"]["turn"] == turn, 30
        )
        record = call.record()
    pcm = record.heard.between(first.at_s - 0.1, record.heard.duration_s)
    answer = get_stt_model().stt((record.heard.rate_hz, pcm))
    stop_words = sum(message.type == "stopword" for message in record.messages)
    return {"transcript": heard.data["data"]["text"], "answer": answer, "stop_words": stop_words}


def demo(*arguments: str) -> Starlette:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    stream = make_stream(parser.parse_args(arguments))
    app = Starlette(routes=stream.page())
    stream.mount(app)
    return app


def main() -> None:
    bring_loopback_up()
    report: dict[str, Any] = {"no_network": no_network()}
    speech_s, _ = get_silero_model().vad((24_000, np.int16(20_000 * get_tts_model().tts(QUESTION)[1])), None)
    report["speech_s"] = speech_s
    ReplyOnPause(lambda audio: None, algo_options=AlgoOptions())
    ReplyOnStopWords(lambda audio: None, ["computer"]).copy()
    with serving(demo("talk")) as served:
        report["websocket"] = asyncio.run(converse(served.url, "websocket", QUESTION))
        report["webrtc"] = asyncio.run(converse(served.url, "webrtc", QUESTION))
    with serving(demo("computer")) as served:
        report["computer"] = asyncio.run(converse(served.url, "websocket", COMMAND))
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()

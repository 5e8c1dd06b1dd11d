"""``fastrtc call``: speak a file to a server, record the reply, draw what happened."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from fastrtc.audio import PCM
from fastrtc.client.call import Call, connect
from fastrtc.client.record import CallRecord, Message, read_audio, write_stereo
from fastrtc.client.timeline import check_can_draw, describe, draw_timeline
from fastrtc.client.turns import AUDIBLE_PEAK, measure_turns
from fastrtc.errors import FastRTCError

QUIET_S = 3.0  # after a reply: the call is over
PATIENCE_S = 30.0  # for a reply to begin
POLL_S = 0.1
LEAD_S = 0.3  # of silence before the file, as a person takes who has just been connected

_SHOWN = {
    "user_started_speaking": "you are speaking",
    "user_stopped_speaking": "you paused",
    "turn_committed": "your turn is over",
    "turn_discarded": "what you said is not answered",
    "first_audio": "the reply begins",
    "reply_interrupted": "the reply was interrupted",
    "playback_finished": "the reply is over",
    "handler_failed": "the server's function failed",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``fastrtc call`` takes."""
    parser.add_argument("url", help="where the stream is, for example http://127.0.0.1:7860")
    parser.add_argument("--audio", metavar="FILE", help="recording to speak (any WAV; other formats: extra files)")
    parser.add_argument("--out", metavar="FILE.wav", help="write the call: left what was said, right what was heard")
    parser.add_argument("--plot", metavar="FILE.png", help="draw a timeline of the call (extra plot)")
    parser.add_argument(
        "--transport",
        choices=("auto", "webrtc", "websocket"),
        default="webrtc",
        help="how to call (%(default)s); auto: the WebSocket where WebRTC finds no way",
    )
    parser.add_argument("--engine", choices=("wrtc", "aiortc"), help="WebRTC engine of this side")
    parser.add_argument("--token", metavar="TOKEN", help="session token, for a server that asks who may enter")
    parser.add_argument(
        "--seconds", type=float, help="hang up after so long; otherwise when the reply to the file is over"
    )


def main(args: argparse.Namespace) -> int:
    """Run ``fastrtc call``.

    Returns:
        The exit status: 0 after a call in which a reply was heard, 1 otherwise.
    """
    try:
        record = asyncio.run(run_call(args))
    except (FastRTCError, OSError) as error:
        _say(f"fastrtc call: {_explain(error)}")
        return 1
    except KeyboardInterrupt:
        return 130
    turns = measure_turns(record)
    _say(describe(turns))
    for turn in turns:
        waited = "-" if turn.wait_ms is None else f"{turn.wait_ms:.0f} ms"
        parts = "".join(f"  {name} {value:.0f}" for name, value in turn.latency_ms.items())
        cut = "  interrupted" if turn.interrupted else ""
        length = turn.reply_end_s - turn.reply_start_s
        _say(f"  turn {turn.number}: heard after {waited}, for {length:.2f} s{cut}{parts and '  server:' + parts}")
    return 0 if turns else 1


async def run_call(args: argparse.Namespace) -> CallRecord:
    """Make the call that the arguments describe, and write its files.

    Raises:
        ConnectionError: No call came about.
        SignalingError: The server refused it.
        AudioFormatError: The file cannot be read.
        MissingExtraError: The file or the picture needs an extra.
    """
    audio = read_audio(args.audio) if args.audio else None
    if args.plot:
        check_can_draw()
    for path in filter(None, (args.out, args.plot)):
        if not Path(path).parent.is_dir():
            raise FileNotFoundError(f"there is no folder {Path(path).parent} for {Path(path).name}")
    _say(f"calling {args.url} over {args.transport} ...")
    async with connect(args.url, args.transport, engine=args.engine, token=args.token) as call:
        _say(f"connected as {call.session_id}")
        watcher = asyncio.create_task(_show(call))
        try:
            await _talk(call, audio, args.seconds)
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
        record = call.record()
    if args.out:
        write_stereo(args.out, record)
        _say(f"wrote {args.out}")
    if args.plot:
        draw_timeline(args.plot, record, _title(args))
        _say(f"drew {args.plot}")
    return record


def _title(args: argparse.Namespace) -> str:
    said = f"{Path(args.audio).name} to " if args.audio else ""
    transport = {"webrtc": "WebRTC", "websocket": "WebSocket"}.get(args.transport, "WebRTC or WebSocket")
    return f"{said}{args.url} over {transport}"


async def _talk(call: Call, audio: tuple[int, PCM] | None, seconds: float | None) -> None:
    """Speak the file, then listen until the reply is over, the time is, or the server hangs up."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.sleep(LEAD_S)
            if audio is not None:
                rate_hz, pcm = audio
                _say(f"{call.now_s:6.2f} s  speaking {len(pcm) / rate_hz:.2f} s")
                await call.speak(pcm, rate_hz)
            if seconds is not None or audio is None:
                await _until_hung_up(call)
            else:
                await _until_reply_is_over(call, call.now_s)


async def _until_hung_up(call: Call) -> None:
    async for _ in call:
        pass


async def _until_reply_is_over(call: Call, spoken_s: float) -> None:
    while call.ended is None:
        await asyncio.sleep(POLL_S)
        now_s = call.now_s
        last_s = _last_heard_s(call)
        if _replies_are_over(call.messages, spoken_s) and now_s - last_s >= min(0.5, now_s - spoken_s):
            return
        if last_s > spoken_s and now_s - last_s >= QUIET_S:
            return
        if last_s <= spoken_s and now_s - spoken_s >= PATIENCE_S:
            return


def _replies_are_over(messages: list[Message], spoken_s: float) -> bool:
    """Whether the server says that what was said last has been answered to the end."""
    names = [message.event for message in messages if message.at_s >= spoken_s - 0.5]
    if "playback_finished" not in names:
        return False
    later = names[len(names) - names[::-1].index("playback_finished") :]
    return not {"user_started_speaking", "turn_committed", "first_audio"} & set(later)


def _last_heard_s(call: Call) -> float:
    heard = call.heard
    tail = heard.pcm[-round((QUIET_S + 1.0) * heard.rate_hz) :]
    loud = (abs(tail.astype("int32")) >= AUDIBLE_PEAK).nonzero()[0]
    return (len(heard.pcm) - len(tail) + int(loud[-1])) / heard.rate_hz if loud.size else 0.0


async def _show(call: Call) -> None:
    async for message in call:
        if message.type in ("error", "warning"):
            _say(f"{message.at_s:6.2f} s  {message.type}: {message.data.get('message', message.data.get('data'))}")
        elif message.event in _SHOWN:
            total = dict(message.fields.get("latency_ms") or {}).get("total")
            after = f", {total:.0f} ms after you stopped" if total is not None else ""
            _say(f"{message.at_s:6.2f} s  {_SHOWN[message.event]}{after}")


def _explain(error: Exception) -> str:
    limit = getattr(error, "detail", {}).get("limit")
    if str(error) == "concurrency_limit_reached":
        return f"the server is full{f' (limit {limit})' if limit else ''}"
    if str(error) == "server_draining":
        return "the server is about to stop and takes no new sessions; try again in a moment"
    why = getattr(error, "detail", {}).get("detail")
    return f"{error}: {why}" if why else str(error) or type(error).__name__


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()

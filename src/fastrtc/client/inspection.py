"""``fastrtc inspect``: what a recorded session was like, in words and as a picture."""

from __future__ import annotations

import argparse
import json
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np

from fastrtc.client.record import CallRecord, Message, Sound
from fastrtc.client.timeline import describe, draw_timeline
from fastrtc.client.turns import measure_turns
from fastrtc.errors import AudioFormatError, FastRTCError, MissingExtraError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``fastrtc inspect`` takes."""
    parser.add_argument("file", metavar="FILE", help="the .wav or the .jsonl of a recording; the other lies beside it")
    parser.add_argument(
        "--plot", metavar="FILE.png", help="where to draw the timeline (beside the recording; extra plot)"
    )
    parser.add_argument("--events", action="store_true", help="print every event")


def main(args: argparse.Namespace) -> int:
    """Run ``fastrtc inspect``.

    Returns:
        The exit status: 0, or 1 if the recording cannot be read or drawn.
    """
    path = Path(args.file)
    try:
        head, record = read_recording(path)
        _describe(head, record, with_events=args.events)
        picture = Path(args.plot) if args.plot else path.with_suffix(".png")
        draw_timeline(picture, record, f"session {head['session_id']}, {head['started_at']}")
    except MissingExtraError as error:
        sys.stderr.write(f"fastrtc inspect: no picture: {error}\n")
        return 1 if args.plot else 0
    except (FastRTCError, OSError) as error:
        sys.stderr.write(f"fastrtc inspect: {error}\n")
        return 1
    sys.stderr.write(f"drew {picture}\n")
    return 0


def read_recording(path: str | Path) -> tuple[dict[str, Any], CallRecord]:
    """A recording that ``Recorder`` has made.

    Args:
        path: Of its audio or of its events.

    Returns:
        The first line of its events, and the session as a record: what the user said, and what it heard.

    Raises:
        FileNotFoundError: One of the two files is missing.
        AudioFormatError: They are no recording of a session.
    """
    audio, events = Path(path).with_suffix(".wav"), Path(path).with_suffix(".jsonl")
    for file in (audio, events):
        if not file.is_file():
            raise FileNotFoundError(f"there is no {file}: a recording has a .wav and a .jsonl of the same name")
    try:
        # What comes after the last line feed is a line that was not completed: its process was killed.
        head, *lines = [json.loads(line) for line in events.read_bytes().split(b"\n")[:-1]]
        messages = [Message(float(line.pop("t_s")), {"type": "event", "data": line}) for line in lines]
        head["session_id"], head["started_at"]
        with wave.open(str(audio), "rb") as sound:
            rate_hz, shape = sound.getframerate(), (-1, sound.getnchannels())
            samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.int16).reshape(shape)
            if sound.getnchannels() != 2 or sound.getsampwidth() != 2:
                raise AudioFormatError(f"{audio} is not a 16-bit stereo file")
    except (ValueError, KeyError, TypeError, AttributeError, wave.Error, EOFError) as error:
        raise AudioFormatError(f"{path} is no recording of a session: {error}") from error
    left, right = (Sound(np.ascontiguousarray(samples[:, side]), rate_hz) for side in (0, 1))
    return head, CallRecord(said=left, heard=right, spoken=(), messages=tuple(messages))


def _describe(head: dict[str, Any], record: CallRecord, *, with_events: bool) -> None:
    turns = measure_turns(record)
    write = sys.stdout.write
    write(f"session {head['session_id']}, {head['started_at']}, {record.said.duration_s:.1f} s\n")
    if with_events:
        for message in record.messages:
            fields = {name: value for name, value in message.fields.items() if name != "name"}
            write(f"{message.at_s:8.2f} s  {message.event}  {json.dumps(fields, ensure_ascii=False)}\n")
    write(describe(turns) + "\n")
    for turn in turns:
        parts = "".join(f"  {name} {value:.0f}" for name, value in turn.latency_ms.items())
        cut = "  interrupted" if turn.interrupted else ""
        waited = "-" if turn.wait_ms is None else f"{turn.wait_ms:.0f} ms"
        length = turn.reply_end_s - turn.reply_start_s
        write(f"  turn {turn.number}: after {waited}, for {length:.2f} s{cut}{parts and '  server:' + parts}\n")

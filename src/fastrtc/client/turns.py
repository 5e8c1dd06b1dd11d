"""Turns and latencies of a recorded call, as the caller experienced them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fastrtc.client.record import CallRecord, Message, Sound

BLOCK_MS = 10
AUDIBLE_PEAK = 330  # int16, -40 dBFS
REPLY_GAP_S = 1.0  # of silence that separates replies where the server sends no events
HEARD_EARLY_S = 0.25  # by which a reply's sound may overtake the message about it


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTimes:
    """One turn, in seconds of the call.

    Attributes:
        number: As the server counts; from 1 where it does not tell.
        user_end_s: The last sound that the user made before the reply; None if it made none.
        reply_start_s: The first sound of the reply.
        reply_end_s: Its last sound.
        interrupted: Whether the reply was cut off.
        latency_ms: What the server reports: ``decision``, ``call``, ``first_yield``, ``total``, and ``playout`` where
            it told when the reply was heard.
    """

    number: int
    user_end_s: float | None
    reply_start_s: float
    reply_end_s: float
    interrupted: bool = False
    latency_ms: dict[str, float] = field(default_factory=dict)

    @property
    def wait_ms(self) -> float | None:
        """From the end of the user's speech to the first sound of the reply, network and buffers included."""
        return None if self.user_end_s is None else 1000 * (self.reply_start_s - self.user_end_s)


def audible(sound: Sound) -> list[tuple[float, float]]:
    """Stretches of sound, in seconds; a pause shorter than 100 ms does not end one."""
    block = sound.rate_hz * BLOCK_MS // 1000
    count = len(sound.pcm) // block
    peaks = np.abs(sound.pcm[: count * block].astype(np.int32)).reshape(count, block).max(axis=1)
    loud = np.flatnonzero(peaks >= AUDIBLE_PEAK)
    if not loud.size:
        return []
    cuts = np.flatnonzero(np.diff(loud) > 100 // BLOCK_MS)
    starts, ends = loud[np.r_[0, cuts + 1]], loud[np.r_[cuts, loud.size - 1]] + 1
    return [(float(a) * BLOCK_MS / 1000, float(b) * BLOCK_MS / 1000) for a, b in zip(starts, ends, strict=True)]


def measure_turns(record: CallRecord) -> list[TurnTimes]:
    """Find the turns of a call: by the server's events where it sends them, else by what was heard."""
    said, heard = audible(record.said), audible(record.heard)
    first_audio = [message for message in record.messages if message.event == "first_audio"]
    if not first_audio:
        return [_turn(number, start, end, said) for number, (start, end) in enumerate(_replies(heard), 1)]
    turns = []
    for index, message in enumerate(first_audio):
        following = first_audio[index + 1].at_s if index + 1 < len(first_audio) else float("inf")
        stretches = [(a, b) for a, b in heard if message.at_s - HEARD_EARLY_S <= a < following - HEARD_EARLY_S]
        if stretches:
            turns.append(_turn_of(message, stretches[0][0], stretches[-1][1], said, record))
    return turns


def _replies(heard: list[tuple[float, float]]) -> list[tuple[float, float]]:
    replies: list[tuple[float, float]] = []
    for start, end in heard:
        if replies and start - replies[-1][1] < REPLY_GAP_S:
            replies[-1] = (replies[-1][0], end)
        else:
            replies.append((start, end))
    return replies


def _turn_of(
    message: Message, start_s: float, end_s: float, said: list[tuple[float, float]], record: CallRecord
) -> TurnTimes:
    number = int(message.fields.get("turn", 0))
    of_turn = [other for other in record.messages if other.fields.get("turn") == number]
    # The user may speak again before the reply is heard; what counts is the speech that the server took for the turn.
    committed = next((other.at_s for other in of_turn if other.event == "turn_committed"), start_s)
    told = next((other for other in of_turn if other.event == "playback_started"), message)
    latency = {str(k): float(v) for k, v in dict(told.fields.get("latency_ms") or {}).items()}
    return TurnTimes(
        number=number,
        user_end_s=_last_end(said, min(committed, start_s)),
        reply_start_s=start_s,
        reply_end_s=end_s,
        interrupted=any(other.event == "reply_interrupted" for other in of_turn),
        latency_ms=latency,
    )


def _turn(number: int, start_s: float, end_s: float, said: list[tuple[float, float]]) -> TurnTimes:
    user_end_s = _last_end(said, start_s)
    return TurnTimes(number=number, user_end_s=user_end_s, reply_start_s=start_s, reply_end_s=end_s)


def _last_end(said: list[tuple[float, float]], before_s: float) -> float | None:
    return max((end for _, end in said if end <= before_s), default=None)

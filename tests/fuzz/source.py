"""Bytes as decisions: one grammar of inputs for hypothesis, atheris and plain random numbers.

Whatever an engine makes up, it is bytes; the grammar reads its decisions from them. So every input of every engine is
reproduced by its target's name and its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, TypeVar

T = TypeVar("T")

WEIRD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    255,
    2**31,
    -(2**63),
    2**200,
    1e308,
    -0.5,
    float("nan"),
    float("inf"),
    "",
    " ",
    "a",
    "\x00",
    "\r\n",
    "\ud800",
    "\U0001f600",
    "x" * 5_000,
    "-1",
    "1e999",
    "=" * 7,
    [],
    [[]],
    {},
    {"": None},
    {"type": {"type": []}},
)
KEYS = (
    *("type", "event", "data", "media", "payload", "webrtc_id", "websocket_id", "sdp", "candidate", "token", "hello"),
    *(
        "streamSid",
        "start",
        "callSid",
        "customParameters",
        "track",
        "mark",
        "name",
        "dtmf",
        "digit",
        "version",
        "events",
    ),
    *("turn", "played_ms", "sdpMid", "sdpMLineIndex", "usernameFragment", "status", "meta", "error", "", "__proto__"),
)
DEEP = 100_000


class Source:
    """Decisions; when the bytes are used up, each is the first choice.

    Args:
        raw: What the engine made.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def below(self, count: int) -> int:
        """A number from 0."""
        size = 1 if count <= 256 else 2 if count <= 65_536 else 4
        taken = self._raw[self._at : self._at + size]
        self._at += size
        return int.from_bytes(taken, "little") % count

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.below(len(choices))]

    def one_in(self, count: int) -> bool:
        """Whether a rare thing happens."""
        return self.below(count) == count - 1

    def rest(self, most: int) -> bytes:
        """Bytes as they are."""
        taken = self._raw[self._at : self._at + most]
        self._at += len(taken)
        return taken


def any_json(source: Source, depth: int = 3) -> Any:
    """A JSON value that nobody expects."""
    kind = source.below(8)
    if depth and kind == 6:
        return [any_json(source, depth - 1) for _ in range(source.below(4))]
    if depth and kind == 7:
        return {source.pick(KEYS): any_json(source, depth - 1) for _ in range(source.below(4))}
    if kind == 5:
        return source.rest(source.below(24)).decode("latin-1")
    return deepcopy(source.pick(WEIRD))


def mutated_json(source: Source, seeds: Sequence[Any]) -> Any:
    """A message that is right, but for a few of its parts."""
    value = json.loads(json.dumps(source.pick(seeds)))
    for _ in range(source.below(4)):
        holder = value
        while isinstance(holder, dict) and holder and not source.one_in(3):
            inner = holder[source.pick(list(holder))]
            if not isinstance(inner, dict):
                break
            holder = inner
        if not isinstance(holder, dict):
            continue
        key = source.pick(list(holder)) if holder and not source.one_in(4) else source.pick(KEYS)
        if source.one_in(4):
            holder.pop(key, None)
        else:
            holder[key] = any_json(source)
    return value if not source.one_in(16) else any_json(source)


def as_text(source: Source, value: Any) -> str:
    """JSON, mostly; sometimes torn, twisted, or endlessly nested."""
    text = json.dumps(value)
    kind = source.below(16)
    if kind == 12:
        return text[: source.below(len(text) + 1)]
    if kind == 13:
        at = source.below(len(text) + 1)
        return text[:at] + source.rest(source.below(8)).decode("latin-1") + text[at:]
    if kind == 14:
        return source.rest(64).decode("utf-8", "surrogateescape")
    if kind == 15 and source.one_in(16):
        opened = source.pick(["[", '{"data":', '{"type":"input","data":[', "9"])
        return opened * DEEP if len(opened) < 10 else opened + "[" * DEEP
    return text


def mutated_lines(source: Source, text: str) -> str:
    """A description whose lines are changed, doubled, swapped, torn."""
    lines = text.split("\r\n")
    for _ in range(source.below(6)):
        at = source.below(len(lines))
        match source.below(7):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[source.below(len(lines))])
            case 2:
                other = source.below(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                words = lines[at].split(" ")
                words[source.below(len(words))] = str(source.pick(WEIRD))
                lines[at] = " ".join(words)
            case 4:
                lines[at] = lines[at][: source.below(len(lines[at]) + 1)]
            case 5:
                lines[at] += source.rest(source.below(12)).decode("latin-1")
            case 6:
                name, colon, _ = lines[at].partition(":")
                lines[at] = name + colon + str(source.pick(WEIRD))
        if not lines:
            return ""
    return source.pick(["\r\n", "\r\n", "\r\n", "\n", "\r", " "]).join(lines)

"""Calls over bad networks, ours beside FastRTC 0.0.34 in one run: audio recovered, delay added, turns still right.

    python bench/impairments.py [--only loss-5 outage-3s] [--original PYTHON --vad FILE] [--aiortc]

A caller (libwebrtc, as in Chrome) makes two calls to each server at once, each through a UDP relay that impairs both
directions alike (``_udp_relay.py``; no root, no ``tc``). In one both sides speak recorded speech all the time: what
arrives is compared with what was said, 100 ms by 100 ms. In the other the caller says single phrases with pauses, and
the server's ``ReplyOnPause`` has to answer each of them once. The network is clean for 6 s, bad for 30 s, then clean
again; the delay that is left is that of the last 5 s.

``--original`` and ``--vad`` are those of ``sessions.py``; ``--aiortc`` adds this package with its other engine. JSON
goes to standard output, a table to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _recovered import Heard, pieces_of, summary
from _udp_relay import Impairment, Relay
from engine_bare import _Clock, _Voice, _Watcher, machine

from fastrtc.client.record import read_audio
from fastrtc.media.resample import resample_clip
from fastrtc.transports.webrtc.engine import TICK_SAMPLES, PeerOptions, load_engine

SERVER = Path(__file__).with_name("_impaired_server.py")
SPEECH = Path(__file__).resolve().parent.parent.parent / "shared" / "speech"
START_S = 60
CLEAN_S, BAD_S, AFTER_S, LAST_S = 6.0, 30.0, 9.0, 5.0
OUTAGE_S = 3.0
PAUSE_S = 2.6  # between phrases: every detector of both has decided by then

CONDITIONS: dict[str, Impairment] = {
    "clean": Impairment(),
    "loss-1": Impairment(loss=0.01),
    "loss-5": Impairment(loss=0.05),
    "loss-20": Impairment(loss=0.20),
    "loss-5-bursts": Impairment(loss=0.05, burst=5),
    "loss-20-bursts": Impairment(loss=0.20, burst=5),
    "jitter-30": Impairment(jitter_ms=30),
    "jitter-100": Impairment(jitter_ms=100),
    "reorder-5": Impairment(reorder=0.05),
    "outage-3s": Impairment(is_out=True),
    "address-change": Impairment(),
}


@dataclass(slots=True)
class Caller:
    """One call.

    Attributes:
        server: Its name.
        path: Of the stream.
        speech: What to say, 48 kHz; the end is followed by silence.
    """

    server: str
    path: str
    port: int
    speech: Any
    relay: Relay
    peer: Any = None
    watcher: Any = None
    said: int = 0
    started_s: float = 0.0
    heard: list[tuple[float, Any]] = field(default_factory=list)

    async def connect(self, engine: Any) -> None:
        """Offer through the relay."""
        self.watcher = _Watcher()
        self.peer = await engine.offer(PeerOptions(), self.watcher)
        sdp = self.relay.offer(self.peer.offer_sdp)
        name = f"{self.path}-{time.monotonic_ns()}"
        answer = await asyncio.to_thread(post, f"http://127.0.0.1:{self.port}/{self.path}/webrtc/offer", sdp, name)
        await self.peer.set_answer(self.relay.answer(answer))
        await asyncio.wait_for(self.watcher.connected.wait(), 30)
        self.peer.send("handshake")

    def tick(self, now_s: float) -> None:
        """Listen and speak for 20 ms. Clock thread."""
        pcm = self.peer.read()
        if pcm is not None:
            self.heard.append((now_s, pcm))
        if self.started_s == 0.0:
            self.peer.write(None)
            return
        tick = self.speech[self.said : self.said + TICK_SAMPLES]
        self.said += TICK_SAMPLES
        self.peer.write(tick if len(tick) == TICK_SAMPLES else None)


def main() -> int:
    """Run every condition."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CONDITIONS, default=list(CONDITIONS))
    parser.add_argument("--original", help="Python of an environment with fastrtc[vad]==0.0.34")
    parser.add_argument("--vad", help="Silero v4 ONNX file for it")
    parser.add_argument("--aiortc", action="store_true", help="this package with its engine aiortc, too")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    text = speech(CLEAN_S + BAD_S + AFTER_S + 2)
    phrases, spans = phrases_of(CLEAN_S + BAD_S + AFTER_S)
    rows = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder) / "text.npy"
        np.save(file, text)
        servers = {"ours": Server(sys.executable, file, {"FASTRTC_ENGINE": "wrtc"})}
        if options.aiortc:
            servers["ours (aiortc)"] = Server(sys.executable, file, {"FASTRTC_ENGINE": "aiortc"})
        if options.original:
            servers["FastRTC 0.0.34"] = Server(options.original, file, {}, options.vad or "")
        for server in servers.values():
            stack.enter_context(server)
        for number, name in enumerate(options.only):
            given = Case(name, CONDITIONS[name], options.seed + number)
            rows += asyncio.run(run(given, servers, text, phrases, spans))
            for row in rows[-len(servers) :]:
                sys.stderr.write(json.dumps(row) + "\n")
    sys.stderr.write(table(rows))
    print(json.dumps({"machine": machine(), "seed": options.seed, "rows": rows}, indent=2))
    return 0


@dataclass(frozen=True, slots=True)
class Case:
    """One condition with its seed."""

    name: str
    impairment: Impairment
    seed: int


class Server:
    """A process with ``_impaired_server.py``."""

    def __init__(self, python: str, text: Path, environment: dict[str, str], vad: str = "") -> None:
        self._command = [python, str(SERVER)]
        self._rest = [str(text), vad]
        self._environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        if python != sys.executable:
            self._environment.pop("PYTHONPATH", None)  # another environment, with packages of its own
        self.port = 0

    def __enter__(self) -> Server:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process = subprocess.Popen(
            [*self._command, str(self.port), *self._rest], env=self._environment, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.1)
        self._process.kill()
        raise RuntimeError("a server did not start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def get(self, path: str) -> bytes:
        """What the server noted."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=60) as response:
            body: bytes = response.read()
            return body


def post(url: str, sdp: str, webrtc_id: str) -> str:
    """Offer; the answer's description."""
    body = json.dumps({"sdp": sdp, "type": "offer", "webrtc_id": webrtc_id}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=30) as response:
        return str(json.load(response)["sdp"])


async def run(
    case: Case, servers: dict[str, Server], text: Any, phrases: Any, spans: list[tuple[float, float]]
) -> list[dict[str, Any]]:
    """Call all servers at once under one condition."""
    engine = load_engine("wrtc")
    callers: list[Caller] = []
    with ExitStack() as stack:
        for name, server in servers.items():
            server.get("taken")
            for path, said in (("probe", text), ("turns", phrases)):
                relay = stack.enter_context(Relay(case.seed))
                callers.append(Caller(name, path, server.port, said, relay))

        def tick() -> None:
            now_s = time.monotonic()
            for caller in callers:
                if caller.peer is not None:
                    caller.tick(now_s)

        clock = _Clock(tick)
        clock.start()
        try:
            for caller in callers:
                await caller.connect(engine)
            await asyncio.sleep(1.5)  # so that jitter buffers have settled
            start_s = time.monotonic()
            for caller in callers:
                caller.started_s = start_s
            await make_trouble(case, [caller.relay for caller in callers])
            taken = {name: json.loads(server.get("taken")) for name, server in servers.items()}
            recorded = {name: load_heard(server.get("heard")) for name, server in servers.items()}
            stats = {caller.server: await caller.peer.stats() for caller in callers if caller.path == "probe"}
        finally:
            clock.stop.set()
            clock.join()
            for caller in callers:
                if caller.peer is not None:
                    await caller.peer.close()
    rows = []
    for caller in callers:
        if caller.path != "probe":
            continue
        name = caller.server
        rows.append(
            {
                "condition": case.name,
                "server": name,
                "up": judge_up(text, start_s, recorded[name]),
                "down": judge_down(text, start_s, caller.heard),
                "turns": judge_turns(spans, start_s, taken[name]),
                "fec_packets_heard_by_caller": stats[name].fec_packets,
            }
        )
    return rows


async def make_trouble(case: Case, relays: list[Relay]) -> None:
    """Six seconds of peace, the condition, and peace again."""
    await asyncio.sleep(CLEAN_S)
    for relay in relays:
        relay.impair(case.impairment)
        if case.name == "address-change":
            relay.change_address()
    await asyncio.sleep(OUTAGE_S if case.impairment.is_out else BAD_S)
    for relay in relays:
        relay.impair(Impairment())
    await asyncio.sleep(AFTER_S + (BAD_S - OUTAGE_S if case.impairment.is_out else 0.0))


def load_heard(data: bytes) -> Heard:
    """What the server's probe recorded."""
    with np.load(io.BytesIO(data)) as arrays:
        return Heard(arrays["pcm"].astype(np.int16), np.cumsum(arrays["length"]).astype(np.int64), arrays["at_s"])


def judge_up(text: Any, start_s: float, heard: Heard) -> dict[str, float | None]:
    """From the caller to the server."""
    said = text[: round((CLEAN_S + BAD_S + AFTER_S - 1) * 48_000)]
    return judged(said, start_s, start_s, heard)


def judge_down(text: Any, start_s: float, frames: list[tuple[float, Any]]) -> dict[str, float | None]:
    """From the server to the caller: it began to speak by itself, so only changes of its delay are known."""
    if not frames:
        return judged(text, start_s, start_s, Heard(np.zeros(0, np.int16), np.zeros(1, np.int64), np.zeros(1)))
    pcm = np.concatenate([one for _, one in frames])
    ends = np.cumsum([len(one) for _, one in frames])
    heard = Heard(pcm, ends, np.array([at for at, _ in frames]))
    began_s = heard.time_of(begin_of(text, pcm))
    said = text[: round((start_s + CLEAN_S + BAD_S + AFTER_S - 1 - began_s) * 48_000)]
    return judged(said, began_s - 0.05, start_s, heard)


def judged(said: Any, began_s: float, start_s: float, heard: Heard) -> dict[str, float | None]:
    """The figures of one direction; ``start_s`` is when the phases begin."""
    bad_s, after_s = start_s + CLEAN_S, start_s + CLEAN_S + BAD_S
    last_s = after_s + AFTER_S - LAST_S
    return summary(pieces_of(said, began_s, heard), bad_s, after_s, last_s)


def begin_of(text: Any, pcm: Any) -> int:
    """Where the text begins in what was heard: by its first loud second."""
    loud = int(np.argmax(np.abs(text) > 2_000))
    first = text[loud : loud + 24_000].astype(np.float64)
    window = pcm[: 48_000 * 8].astype(np.float64)
    size = 1 << (len(window) + len(first)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(first, size)), size)[: len(window)]
    return int(np.argmax(cross)) - loud


def judge_turns(spans: list[tuple[float, float]], start_s: float, taken: list[dict[str, float]]) -> dict[str, int]:
    """Each phrase wants one reply, after its end and before the next phrase begins."""
    at = [one["at_s"] - start_s for one in taken]
    missed = early = again = right = 0
    for number, (begin, end) in enumerate(spans):
        after = spans[number + 1][0] if number + 1 < len(spans) else end + PAUSE_S
        mine = [moment for moment in at if begin + 0.1 <= moment < after + 0.1]
        missed += not mine
        early += any(moment < end - 0.1 for moment in mine)
        again += len(mine) > 1
        right += len(mine) == 1 and mine[0] >= end - 0.1
    return {"phrases": len(spans), "right": right, "missed": missed, "early": early, "again": again}


def speech(seconds: float) -> Any:
    """Recorded speech at 48 kHz, without long pauses; made up where there are no recordings."""
    files = sorted((SPEECH / "fleurs-mini").glob("*.flac"))
    wanted = round(seconds * 48_000)
    if not files:
        return _Voice(1, seconds).pcm[:wanted]
    parts, length = [], 0
    for file in files * 10:
        rate_hz, pcm = read_audio(file)
        part = normalized(resample_clip(pcm, rate_hz, 48_000))
        parts.append(part)
        length += len(part)
        if length >= wanted:
            break
    return np.concatenate(parts)[:wanted]


def phrases_of(seconds: float) -> tuple[Any, list[tuple[float, float]]]:
    """Short phrases with pauses, at 48 kHz, and where each begins and ends in seconds."""
    files = sorted((SPEECH / "asterisk-prompts-en").glob("*.flac"))
    parts: list[Any] = [np.zeros(round(0.5 * 48_000), np.int16)]
    spans, length = [], len(parts[0])
    for number in range(100):
        clip = phrase(files, number)
        if (length + len(clip)) / 48_000 + PAUSE_S > seconds:
            break
        loud = np.flatnonzero(np.abs(clip) > 0.05 * np.abs(clip).max())
        spans.append(((length + int(loud[0])) / 48_000, (length + int(loud[-1])) / 48_000))
        parts += [clip, np.zeros(round(PAUSE_S * 48_000), np.int16)]
        length += len(clip) + len(parts[-1])
    return np.concatenate(parts), spans


def phrase(files: list[Path], number: int) -> Any:
    """The number-th phrase of one to two and a half seconds."""
    if not files:
        return _Voice(number, 1.5).pcm
    short = []
    for file in files:
        rate_hz, pcm = read_audio(file)
        if 1.0 <= len(pcm) / rate_hz <= 2.5:
            short.append((rate_hz, pcm))
    rate_hz, pcm = short[number % len(short)]
    return normalized(resample_clip(pcm, rate_hz, 48_000))


def normalized(samples: Any) -> Any:
    """At one level, as int16."""
    wave = np.asarray(samples, np.float64)
    return np.clip(wave * (9_000 / np.quantile(np.abs(wave), 0.99)), -32_000, 32_000).astype(np.int16)


def table(rows: list[dict[str, Any]]) -> str:
    """The figures for people.

    The delay up is from the caller's microphone to the handler; the one down is only known beside the clean beginning.
    """
    head = (
        "condition",
        "server",
        "heard % up",
        "down",
        "delay ms up: clean",
        "bad",
        "after",
        "down: bad",
        "after",
        "right",
    )
    lines = [head]
    for row in rows:
        up, down, turns = row["up"], row["down"], row["turns"]
        clean_ms = up["clean_delay_ms"]
        figures = [up["bad_percent"], down["bad_percent"], clean_ms]
        figures += [_more(clean_ms, up["bad_delay_ms"]), _more(clean_ms, up["after_delay_ms"])]
        shown = ["-" if figure is None else f"{figure:.0f}" for figure in figures]
        shown += ["-" if down[name] is None else f"{down[name]:+.0f}" for name in ("bad_delay_ms", "after_delay_ms")]
        lines.append((row["condition"], row["server"], *shown, f"{turns['right']}/{turns['phrases']}"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(shown) + "\n"


def _more(base: float | None, added: float | None) -> float | None:
    return base + added if base is not None and added is not None else None


if __name__ == "__main__":
    raise SystemExit(main())

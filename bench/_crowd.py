"""Callers for the benches of running: many WebRTC clients in one process on one clock, each with its events."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from engine_bare import _Clock

from fastrtc.audio import float_to_int16
from fastrtc.client.record import read_audio
from fastrtc.media.resample import resample_clip
from fastrtc.transports.webrtc.engine import RATE_HZ, TICK_SAMPLES, PeerOptions, PeerState, load_engine
from fastrtc.wire.messages import ClientHello, encode_client_message

SPEECH = Path(__file__).resolve().parent.parent.parent / "shared" / "speech"
START_S = 60.0
LOUD = 500
TICK_S = 0.02
STALL_S = 0.01


class Member:
    """One caller (a ``PeerObserver``)."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.peer: Any = None
        self.connected = asyncio.Event()
        self.lost = False
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.heard_samples = 0
        self.loud_s: float | None = None
        self.ticks: deque[Any] = deque()
        self.arrivals: list[tuple[float, float]] | None = None
        self._news = asyncio.Event()

    def say(self, pcm: Any) -> None:
        """Speak 48 kHz audio, and then be silent."""
        count = -(-len(pcm) // TICK_SAMPLES)
        padded = np.zeros(count * TICK_SAMPLES, np.int16)
        padded[: len(pcm)] = pcm
        self.ticks.extend(padded.reshape(count, TICK_SAMPLES))

    async def said(self) -> float:
        """Wait until all was said; the time then."""
        while self.ticks:  # noqa: ASYNC110 - the clock's thread empties it, 50 times a second
            await asyncio.sleep(0.01)
        return time.monotonic()

    async def wait_for(self, name: str, after: int, timeout_s: float) -> tuple[int, dict[str, Any]] | None:
        """The first event of a name from the place ``after`` on, and the place behind it; None if none comes."""
        deadline_s = time.monotonic() + timeout_s
        place = after
        while True:
            while place < len(self.events):
                event = self.events[place][1]
                place += 1
                if event["name"] == name:
                    return place, event
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or self.lost:
                return None
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), left_s)
            except TimeoutError:
                return None

    def on_state(self, state: PeerState) -> None:
        if state is PeerState.CONNECTED:
            self.connected.set()
        elif state in (PeerState.FAILED, PeerState.CLOSED):
            self.lost = True
            self._news.set()

    def on_channel_open(self) -> None:
        pass

    def on_candidate(self, candidate: object) -> None:
        pass

    def on_message(self, text: str) -> None:
        message = json.loads(text)
        if message.get("type") == "event":
            self.events.append((time.monotonic(), message["data"]))
            self._news.set()


class Crowd:
    """The callers of a process."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.members: list[Member] = []
        self.stalls_s: list[float] = []
        self._last_s = time.monotonic()
        self.engine = load_engine()
        self._silence = np.zeros(TICK_SAMPLES, np.int16)
        self.clock = _Clock(self._tick)
        self.clock.start()

    def _tick(self) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s > TICK_S + STALL_S:
            self.stalls_s.append(now_s)
        self._last_s = now_s
        for member in list(self.members):
            pcm = member.peer.read()
            if pcm is not None:
                member.heard_samples += len(pcm)
                if member.arrivals is not None:
                    member.arrivals.append((now_s, float(np.abs(pcm).max())))
                if member.loud_s is None and np.abs(pcm).max() > LOUD:
                    member.loud_s = now_s
            member.peer.write(member.ticks.popleft() if member.ticks else self._silence)

    async def join(self, session_id: str, port: int | None = None) -> Member:
        """Call the server; a ``RuntimeError`` if it refuses or nothing comes about."""
        member = Member(session_id)
        member.peer = await self.engine.offer(PeerOptions(), member)
        try:
            body = {"sdp": member.peer.offer_sdp, "type": "offer", "webrtc_id": session_id}
            answer = await asyncio.to_thread(post, port or self.port, "/webrtc/offer", body)
            if "sdp" not in answer:
                raise RuntimeError(f"refused: {answer['meta']['error']}")
            await member.peer.set_answer(answer["sdp"])
            self.members.append(member)
            await asyncio.wait_for(member.connected.wait(), 30)
        except BaseException:
            await self.leave(member)
            raise
        member.peer.send(encode_client_message(ClientHello()))
        return member

    async def leave(self, member: Member) -> None:
        """Hang up."""
        if member in self.members:
            self.members.remove(member)
        await member.peer.close()

    def stop(self) -> None:
        """End the clock."""
        self.clock.stop.set()
        self.clock.join()


def post(port: int, path: str, body: dict[str, Any]) -> Any:
    """POST JSON; the answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def get(port: int, path: str) -> Any:
    """GET JSON."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
        return json.load(response)


def clips(count: int, kind: str, longest_s: float = 4.0, shortest_s: float = 0.5) -> list[Any]:
    """Recorded utterances at 48 kHz, cut to their speech; chosen by their place in the list, so always the same."""
    with (SPEECH / "turns.tsv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["kind"] == kind]
    found = []
    for row in rows:
        start_s, end_s = float(row["true_start"]), float(row["true_end"])
        if not shortest_s <= end_s - start_s <= longest_s:
            continue
        rate_hz, pcm = read_audio(SPEECH / row["file"])
        cut = pcm[int(max(0.0, start_s - 0.1) * rate_hz) : int((end_s + 0.1) * rate_hz)].astype(np.float32)
        peak = np.abs(cut).max()
        loud = cut * (12_000 / peak) if peak else cut
        found.append(float_to_int16(resample_clip(loud / 32_768, rate_hz, RATE_HZ)))
        if len(found) == count:
            break
    return found


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(script: str, *arguments: str) -> Any:
    """``python SCRIPT server PORT ...`` as a process of its own; its port and its ``psutil.Process``."""
    port = free_port()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, script, "server", str(port), *arguments]
    server = subprocess.Popen(command, env=environment, stdout=sys.stderr)
    try:
        wait_for(port, server)
        yield port, psutil.Process(server.pid)
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for(port: int, server: Any) -> None:
    """Wait until something listens."""
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the server did not start")


def load() -> list[float]:
    """The machine's load averages: what else was going on."""
    return [round(value, 1) for value in os.getloadavg()]

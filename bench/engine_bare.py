"""A bare WebRTC engine at work: N peers in one process under one 20 ms tick, their callers in another.

:func:`run_bare` is what ``engine_idle.py`` and ``engine_echo.py`` print, and what the product's figures stand beside.
CPU is that of the answering process alone, all its threads, user and system, by ``getrusage``.

Modes:

- ``idle``: nobody speaks. The callers' microphones are open and silent, so their Opus is in DTX; the server reads
  every tick and writes None.
- ``echo``: everybody speaks all the time, and the server writes back what it reads.

In both, the server says a short tone as soon as a caller is connected, for the time from offer to first audio.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import multiprocessing.connection
import os
import platform
import resource
import sys
import threading
import time
from collections import deque
from typing import Any, Literal

import numpy as np

from fastrtc.transports.webrtc.engine import TICK_SAMPLES, PeerOptions, PeerState, load_engine

Mode = Literal["idle", "echo"]

TICK_S = 0.02
SETTLE_S = 3.0
GREETING_TICKS = 10
AUDIBLE = 1_500
LATENCY_CALLERS = 8  # of whom the echo's latency is computed
WINDOW_S = 0.5


def run_bare(n: int, seconds: float, mode: Mode, engine: str = "wrtc") -> dict[str, Any]:
    """Measure N sessions of an engine with nothing above it.

    Args:
        n: Sessions; 0 measures the tick alone.
        seconds: How long to measure, after all are connected and 3 s have passed.
        mode: ``idle`` or ``echo``.
        engine: Of both sides.

    Returns:
        Figures ready for JSON: CPU as percent of one core, times in milliseconds.
    """
    context = multiprocessing.get_context("spawn")
    server_end, callers_end = context.Pipe()
    server_report, report_to = context.Pipe(duplex=False)
    callers_report, callers_report_to = context.Pipe(duplex=False)
    server = context.Process(target=_serve, args=(n, seconds, mode, engine, server_end, report_to))
    callers = context.Process(target=_call, args=(n, seconds, mode, engine, callers_end, callers_report_to))
    server.start()
    callers.start()
    # Only the children may hold these ends, so that the death of one is seen by the other.
    for end in (server_end, callers_end, report_to, callers_report_to):
        end.close()
    try:
        figures = {"engine": engine, "mode": mode, "sessions": n, "seconds": seconds}
        figures |= _result(server_report, "server") | _result(callers_report, "callers")
    finally:
        for process in (server, callers):
            process.join(10)
            if process.is_alive():
                process.terminate()
                process.join()
    return figures


def _result(report: multiprocessing.connection.Connection, who: str) -> dict[str, Any]:
    try:
        result: dict[str, Any] = report.recv()
    except EOFError:
        raise RuntimeError(f"the {who} of the benchmark died; see its traceback above") from None
    return result


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"python": platform.python_version(), "cores": os.cpu_count(), "system": platform.platform(), "load": load}


def main(mode: Mode, default_counts: list[int], description: str) -> int:
    """The command line of one mode."""
    import argparse

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--n", type=int, nargs="+", default=default_counts, help="numbers of sessions")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each is measured")
    parser.add_argument("--engine", choices=("wrtc", "aiortc"), default="wrtc")
    options = parser.parse_args()
    runs = []
    for n in options.n:
        runs.append(run_bare(n, options.seconds, mode, options.engine))
        sys.stderr.write(json.dumps(runs[-1]) + "\n")
    print(json.dumps({"machine": machine(), "runs": runs}, indent=2))
    return 0


class _Watcher:
    """The least that an engine wants of an observer."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()

    def on_state(self, state: PeerState) -> None:
        if state is PeerState.CONNECTED:
            self.connected.set()

    def on_channel_open(self) -> None:
        pass

    def on_message(self, text: str) -> None:
        pass

    def on_candidate(self, candidate: object) -> None:
        pass


class _Clock(threading.Thread):
    """One tick every 20 ms for all; late ticks are caught up."""

    def __init__(self, tick: Any) -> None:
        super().__init__(daemon=True)
        self._tick = tick
        self.stop = threading.Event()
        self.late_ms: list[float] = []

    def run(self) -> None:
        due = time.perf_counter()
        while not self.stop.is_set():
            self.late_ms.append(1000 * max(0.0, time.perf_counter() - due))
            self._tick()
            due += TICK_S
            self.stop.wait(max(0.0, due - time.perf_counter()))


def _tone(seconds: float, hz: float = 440.0) -> Any:
    t = np.arange(round(48_000 * seconds)) / 48_000
    return (8_000 * np.sin(2 * np.pi * hz * t)).astype(np.int16)


class _Voice:
    """Endless speech-like sound, the same for the same seed: harmonics of a wandering pitch, in syllables."""

    def __init__(self, seed: int, seconds: float) -> None:
        rng = np.random.default_rng(seed)
        t = np.arange(round(48_000 * seconds)) / 48_000
        steps = np.arange(0, seconds + 0.3, 0.15)
        pitch = 2 * np.pi * np.cumsum(110 + 90 * np.interp(t, steps, rng.random(len(steps)))) / 48_000
        voice = np.zeros(len(t))
        for number in range(1, 16):
            hz = 150 * number
            weight = np.exp(-(((hz - 550) / 350) ** 2)) + 0.5 * np.exp(-(((hz - 1_500) / 500) ** 2)) + 0.05
            voice += weight * np.sin(number * pitch + rng.random() * 6)
        envelope = 0.35 + 0.65 * np.abs(np.sin(2 * np.pi * 1.7 * t + rng.random()))
        self.pcm = (9_000 * envelope * voice / np.abs(voice).max()).astype(np.int16)

    def tick(self, number: int) -> Any:
        start = number * TICK_SAMPLES % (len(self.pcm) - TICK_SAMPLES)
        return self.pcm[start : start + TICK_SAMPLES]


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# ------------------------------------------------------------------ the measured process


def _serve(n: int, seconds: float, mode: Mode, engine: str, wire: Any, report: Any) -> None:
    asyncio.run(_serve_async(n, seconds, mode, engine, wire, report))


async def _serve_async(n: int, seconds: float, mode: Mode, engine_name: str, wire: Any, report: Any) -> None:
    engine = load_engine(engine_name)
    peers: list[Any] = []
    held: list[deque[Any]] = []
    greeting = _tone(GREETING_TICKS * TICK_S).reshape(-1, TICK_SAMPLES)
    greeted: list[int] = []

    def tick() -> None:
        for index, peer in enumerate(list(peers)):
            heard = peer.read()
            if greeted[index] < GREETING_TICKS and peer.state is PeerState.CONNECTED:
                peer.write(greeting[greeted[index]])
                greeted[index] += 1
            elif mode == "echo":
                peer.write(_next_tick(held[index], heard))
            else:
                peer.write(None)

    clock = _Clock(tick)
    clock.start()
    answer_ms = []
    for _ in range(n):
        offer = await asyncio.to_thread(wire.recv)
        start = time.perf_counter()
        peer = await engine.answer(offer, PeerOptions(), _Watcher())
        answer_ms.append(1000 * (time.perf_counter() - start))
        held.append(deque())
        greeted.append(0)
        peers.append(peer)
        wire.send(peer.answer_sdp)
    await asyncio.to_thread(wire.recv)  # all are connected
    await asyncio.sleep(SETTLE_S)
    clock.late_ms.clear()
    before_s, start = _cpu_s(), time.perf_counter()
    await asyncio.sleep(seconds)
    used, elapsed = _cpu_s() - before_s, time.perf_counter() - start
    late = sorted(clock.late_ms)
    stats = await peers[0].stats() if peers else None
    report.send(
        {
            "cpu_percent": round(100 * used / elapsed, 2),
            "cpu_percent_per_session": round(100 * used / elapsed / n, 3) if n else None,
            "tick_late_ms_p99": round(late[int(0.99 * (len(late) - 1))], 2),
            "answer_ms_median": round(float(np.median(answer_ms)), 1) if n else None,
            "resident_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "threads": threading.active_count(),
            "dropped_samples": stats.dropped_samples if stats else 0,
        }
    )
    await asyncio.to_thread(wire.recv)  # the callers are done
    clock.stop.set()
    clock.join()
    for peer in peers:
        await peer.close()


def _next_tick(held: deque[Any], heard: Any) -> Any:
    """Bring what came (10 ms chunks, one to three in a tick) to whole ticks; at most 40 ms wait."""
    if heard is not None:
        held.append(heard)
    if sum(map(len, held)) < TICK_SAMPLES:
        return None
    joined = np.concatenate(list(held))
    held.clear()
    rest = joined[TICK_SAMPLES:][-2 * TICK_SAMPLES :]
    if len(rest):
        held.append(rest)
    return joined[:TICK_SAMPLES]


# ------------------------------------------------------------------ the callers' process


def _call(n: int, seconds: float, mode: Mode, engine: str, wire: Any, report: Any) -> None:
    asyncio.run(_call_async(n, seconds, mode, engine, wire, report))


async def _call_async(n: int, seconds: float, mode: Mode, engine_name: str, wire: Any, report: Any) -> None:
    engine = load_engine(engine_name)
    voices = [_Voice(seed, seconds + SETTLE_S + 5) for seed in range(min(n, LATENCY_CALLERS))] if mode == "echo" else []
    silence = np.zeros(TICK_SAMPLES, np.int16)
    peers: list[Any] = []
    heard: list[list[tuple[int, Any]]] = [[] for _ in range(n)]
    first_ms: list[float | None] = [None] * n
    offered_s: list[float] = []
    state = {"tick": 0, "speaking": False}

    def tick() -> None:
        number = state["tick"]
        state["tick"] += 1
        for index, peer in enumerate(list(peers)):
            pcm = peer.read()
            if pcm is not None:
                if first_ms[index] is None and np.abs(pcm).max() > AUDIBLE:
                    first_ms[index] = 1000 * (time.perf_counter() - offered_s[index])
                if index < LATENCY_CALLERS and state["speaking"]:
                    heard[index].append((number, pcm))
            peer.write(voices[index % len(voices)].tick(number) if state["speaking"] and voices else silence)

    clock = _Clock(tick)
    clock.start()
    connect_ms = []
    for _ in range(n):
        watcher = _Watcher()
        start = time.perf_counter()
        peer = await engine.offer(PeerOptions(), watcher)
        wire.send(peer.offer_sdp)
        answer = await asyncio.to_thread(wire.recv)
        offered_s.append(start)
        peers.append(peer)
        await peer.set_answer(answer)
        await asyncio.wait_for(watcher.connected.wait(), 30)
        connect_ms.append(1000 * (time.perf_counter() - start))
    for _ in range(100):
        if all(one is not None for one in first_ms):
            break
        await asyncio.sleep(0.05)
    state["speaking"] = mode == "echo"
    wire.send("connected")
    await asyncio.sleep(SETTLE_S + seconds)
    wire.send("done")
    clock.stop.set()
    clock.join()
    firsts = [one for one in first_ms if one is not None]
    figures: dict[str, Any] = {
        "connect_ms_median": round(float(np.median(connect_ms)), 1) if n else None,
        "first_audio_ms_median": round(float(np.median(firsts)), 1) if firsts else None,
        "first_audio_heard_by": len(firsts),
    }
    if mode == "echo":
        latencies = [ms for index, voice in enumerate(voices) for ms in _latencies_ms(voice, heard[index])]
        figures["echo_windows"] = len(latencies)
        figures["echo_ms_p50"] = round(float(np.percentile(latencies, 50)), 1) if latencies else None
        figures["echo_ms_p99"] = round(float(np.percentile(latencies, 99)), 1) if latencies else None
    report.send(figures)
    for peer in peers:
        await peer.close()


def _latencies_ms(voice: _Voice, heard: list[tuple[int, Any]]) -> list[float]:
    """Echo latency of half-second windows: from the tick that said it to the tick that heard it."""
    skip = round(SETTLE_S / TICK_S)
    if len(heard) <= skip:
        return []
    heard = heard[skip:]
    sound = np.concatenate([pcm for _, pcm in heard]).astype(np.float64)
    positions = np.cumsum([0] + [len(pcm) for _, pcm in heard])[:-1]
    ticks = np.array([number for number, _ in heard])
    size, found = round(48_000 * WINDOW_S), []
    for start in range(0, len(sound) - size, size):
        window = sound[start : start + size]
        last = int(np.searchsorted(positions, start, side="right")) - 1
        heard_at = ticks[last] * TICK_SAMPLES + (start - positions[last])
        origin = max(0, heard_at - 48_000) % (len(voice.pcm) - TICK_SAMPLES)
        said = voice.pcm[origin : origin + 48_000 + size].astype(np.float64)
        if len(said) < 48_000 + size or not window.any():
            continue
        length = 1 << (len(said) + size).bit_length()
        cross = np.fft.irfft(np.fft.rfft(said, length) * np.conj(np.fft.rfft(window, length)), length)[:48_000]
        power = np.concatenate([[0.0], np.cumsum(said**2)])
        norm = np.sqrt((power[size:] - power[:-size])[:48_000] * (window**2).sum()) + 1.0
        score = cross / norm
        best = int(np.argmax(score))
        if score[best] > 0.5:
            found.append((48_000 - best) / 48.0)
    return found

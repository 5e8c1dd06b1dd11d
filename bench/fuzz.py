"""A million bad inputs: everything that strangers can send and user code can yield, as JSON.

    python bench/fuzz.py [--engine atheris|random] [--inputs 1000000] [--native 2000] [--targets a,b] [--seed 1]
    python bench/fuzz.py --target client_frame --input 00ff12    one input again, with its traceback

With atheris (``pip install atheris``) the inputs follow the coverage of the package's code; without it they are random.
The grammar is that of ``tests/fuzz``: right messages with a few wrong parts, torn and twisted texts, endless nesting.
``native`` gives spoiled offers to the WebRTC engine itself, in a process of its own, because that is C++.

An input is a finding if it raises anything but an error of the package, logs an error, ends the process, or computes
for more than ``HANG_S``. The exit status is 1 if there is one. Every target runs in a process of its own;
``grown_mb`` is how much its resident memory grew after the first tenth.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

HANG_S = 5.0
MAX_BYTES = 96
NATIVE = "native"
# Whole conversations cost a hundred times as much as one message.
SHARES = dict.fromkeys(("websocket_conversation", "telephone_conversation", "signaling", "session_messages"), 0.1)
SHARES |= {"turn_messages": 0.01, "paced_socket": 0.02}


class Tally:
    """What became of the inputs of one target."""

    def __init__(self, run: Any, inputs: int, trail: Path) -> None:
        self._run = run
        self._inputs = inputs
        self._trail = trail
        self.outcomes: Counter[str] = Counter()
        self.worst_s = 0.0
        self.done = 0
        self._early_mb = 0.0
        self._start_s = time.perf_counter()

    def one(self, raw: bytes) -> None:
        """Run one input; what it raises is raised."""
        if self._trail.name == NATIVE:
            self._trail.write_bytes(raw)
        # Of this thread, so that a busy machine makes no finding; what waits instead of computing ends by itself.
        begin_s = time.thread_time()
        faulthandler.dump_traceback_later(12 * HANG_S, exit=True)
        became = self._run(raw)
        faulthandler.cancel_dump_traceback_later()
        took_s = time.thread_time() - begin_s
        assert took_s < HANG_S, f"it took {took_s:.1f} s"
        self.worst_s = max(self.worst_s, took_s)
        self.outcomes[became] += 1
        self.done += 1
        if self.done == self._inputs // 10:
            self._early_mb = resident_mb()

    def report(self) -> dict[str, Any]:
        seconds = time.perf_counter() - self._start_s
        return {
            "inputs": self.done,
            "seconds": round(seconds, 1),
            "worst_ms": round(1000 * self.worst_s, 1),
            "grown_mb": round(resident_mb() - self._early_mb, 1),
            "outcomes": dict(self.outcomes.most_common(12)),
        }


def resident_mb() -> float:
    """Of this process; 0 where the system does not tell."""
    from fastrtc.server.memory import resident_mb

    return resident_mb() or 0.0


def native_target() -> Any:
    """Answers offers with the real engine."""
    from tests.fuzz.loop import LOOP
    from tests.fuzz.seeds import SDP
    from tests.fuzz.source import Source, mutated_lines

    from fastrtc.errors import EngineError, ProtocolError
    from fastrtc.transports.webrtc.candidate import IceCandidate
    from fastrtc.transports.webrtc.engine import PeerOptions, load_engine

    engine = load_engine(None)

    class Observer:
        def on_state(self, state: Any) -> None: ...

        def on_channel_open(self) -> None: ...

        def on_message(self, text: str) -> None: ...

        def on_candidate(self, candidate: Any) -> None: ...

    async def answer(raw: bytes) -> str:
        source = Source(raw)
        try:
            peer = await engine.answer(mutated_lines(source, SDP), PeerOptions(), Observer())
        except EngineError:
            return "EngineError"
        line = mutated_lines(source, "candidate:1 1 udp 2122260223 127.0.0.1 9 typ host")
        try:
            mid = source.pick(["0", "7", "", None])
            await peer.add_candidate(IceCandidate.from_json({"candidate": line, "sdpMid": mid}))
        except (EngineError, ProtocolError) as error:
            return f"answered, {type(error).__name__} of a candidate"
        finally:
            await peer.close()
        return "answered"

    return lambda raw: LOOP.run(answer(raw))


def load_target(name: str) -> Any:
    from tests.fuzz.targets import TARGETS, no_errors_logged

    run = native_target() if name == NATIVE else TARGETS[name]

    def watched(raw: bytes) -> str:
        with no_errors_logged():
            became: str = run(raw)
        return became

    return watched


def run_one_target(options: argparse.Namespace) -> None:
    """In a process of its own: run, and write the report where the parent looks for it."""
    trail = Path(options.scratch) / options.target
    if options.engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=["fastrtc"]):
            run = load_target(options.target)
    else:
        run = load_target(options.target)
    tally = Tally(run, options.inputs, trail)
    result = Path(options.scratch) / f"{options.target}.json"

    def one(raw: bytes) -> None:
        try:
            tally.one(raw)
        except BaseException as error:
            finding = {"input": raw.hex(), "error": f"{type(error).__name__}: {error}"[:500]}
            result.write_text(json.dumps({**tally.report(), "finding": finding}))
            raise
        if tally.done == options.inputs:
            result.write_text(json.dumps(tally.report()))

    if options.engine == "atheris":
        flags = [f"-runs={options.inputs + 100}", f"-seed={options.seed}", f"-max_len={MAX_BYTES}", "-verbosity=0"]
        atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix={options.scratch}/", "-timeout=60"], one)
        atheris.Fuzz()
        return
    numbers = random.Random(f"{options.seed} {options.target}")
    for _ in range(options.inputs):
        one(numbers.randbytes(numbers.randrange(MAX_BYTES)))


def fuzz(name: str, inputs: int, engine: str, seed: int, scratch: str) -> dict[str, Any]:
    """Run a target in a process of its own."""
    command = [sys.executable, __file__, "--target", name, "--inputs", str(inputs), "--engine", engine]
    command += ["--seed", str(seed), "--scratch", scratch]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    result = Path(scratch) / f"{name}.json"
    report: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {"inputs": 0}
    if "finding" not in report and (done.returncode != 0 or report["inputs"] < inputs):
        trail = Path(scratch) / name
        last = trail.read_bytes().hex() if trail.is_file() else None
        said = done.stderr[-1500:]
        report["finding"] = {"input": last, "error": f"the process ended with status {done.returncode}: {said}"}
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("atheris", "random"))
    parser.add_argument("--inputs", type=int, default=1_000_000, help="in all, without those of the engine")
    parser.add_argument("--native", type=int, default=2_000, help="offers for the WebRTC engine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--targets", help="some of them, separated by commas")
    parser.add_argument("--target", help=argparse.SUPPRESS)
    parser.add_argument("--input", help="bytes of a finding, in hexadecimal digits")
    parser.add_argument("--scratch", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.input is not None:
        print(load_target(options.target)(bytes.fromhex(options.input)))
        return 0
    if options.target is not None:
        run_one_target(options)
        return 0
    from importlib.util import find_spec

    from tests.fuzz.targets import TARGETS

    engine = options.engine or ("atheris" if find_spec("atheris") else "random")
    names = options.targets.split(",") if options.targets else [*TARGETS, NATIVE]
    whole = sum(SHARES.get(name, 1.0) for name in names if name != NATIVE)
    report: dict[str, Any] = {
        "engine": engine,
        "seed": options.seed,
        "python": platform.python_version(),
        "targets": {},
    }
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            wanted = options.native if name == NATIVE else -(-int(options.inputs * SHARES.get(name, 1.0)) // whole)
            # The coverage of C++ is not seen, so random numbers do as well.
            by = "random" if name == NATIVE else engine
            report["targets"][name] = fuzz(name, int(wanted), by, options.seed, scratch)
            print(name, json.dumps(report["targets"][name]), file=sys.stderr)
    report["inputs"] = sum(one["inputs"] for one in report["targets"].values())
    report["findings"] = [name for name, one in report["targets"].items() if "finding" in one]
    print(json.dumps(report, indent=1))
    return 1 if report["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())

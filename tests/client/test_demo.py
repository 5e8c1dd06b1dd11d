"""The two commands a newcomer tries, against each other: ``fastrtc demo`` and ``fastrtc call``."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import wave

import numpy as np
import pytest
from tests.transports.webrtc.caller import likeness

pytestmark = [pytest.mark.timeout(120), pytest.mark.speech]

CLIP = "asterisk-prompts-en/vm-msgsaved.flac"


@pytest.fixture
def demo(free_port):
    command = [sys.executable, "-c", "from fastrtc.cli import main; raise SystemExit(main())"]
    server = subprocess.Popen(
        [*command, "demo", "--port", str(free_port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert "Open http" in server.stdout.readline()
        wait_for_port(free_port)
        yield f"http://127.0.0.1:{free_port}"
    finally:
        server.terminate()
        server.communicate(timeout=20)


def wait_for_port(port):
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_the_demo_says_again_what_was_said_to_it(demo, speech, tmp_path, transport):
    pytest.importorskip("soundfile")
    pytest.importorskip("matplotlib")
    out, plot = tmp_path / "reply.wav", tmp_path / "turns.png"
    command = [sys.executable, "-c", "from fastrtc.cli import main; raise SystemExit(main())", "call", demo]
    options = ["--audio", str(speech / CLIP), "--out", str(out), "--plot", str(plot), "--transport", transport]
    called = subprocess.run([*command, *options], capture_output=True, text=True, timeout=90, check=False)
    assert called.returncode == 0, called.stderr
    assert "1 turn" in called.stderr
    with wave.open(str(out)) as file:
        rate_hz = file.getframerate()
        said, heard = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).T
    loud = np.flatnonzero(np.abs(said.astype(int)) > 1_500)
    spoken = said[loud[0] : loud[-1]]
    assert 1.5 < len(spoken) / rate_hz < 2.2
    score, lag = likeness(heard[loud[-1] :], spoken)
    assert score > 0.85, f"likeness {score}"  # it went through Opus twice, which leaves about 0.89
    assert lag >= 0
    assert plot.stat().st_size > 20_000

"""``fastrtc call`` from its arguments to its files."""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import wave

import numpy as np
import pytest
from tests.client.server import serving
from tests.transports.webrtc.caller import speech_like

from fastrtc.client import command

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def url():
    with serving() as (_, address):
        yield address


def parse(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(speech_like(0.8).tobytes())
    return str(path)


def test_a_file_is_spoken_recorded_and_drawn(url, clip, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out, plot = tmp_path / "reply.wav", tmp_path / "turns.png"
    assert command.main(parse(url, "--audio", clip, "--out", str(out), "--plot", str(plot))) == 0
    with wave.open(str(out)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 48_000)
        said, heard = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).T
    assert np.abs(said).max() > 5_000
    assert np.abs(heard).max() > 3_000
    assert plot.stat().st_size > 10_000
    told = capsys.readouterr()
    assert told.out == ""
    for words in ("calling", "connected", "speaking 0.80 s", "turn 1", "reply.wav", "turns.png"):
        assert words in told.err


def test_so_many_seconds_over_a_websocket(url, capsys):
    assert command.main(parse(url, "--transport", "websocket", "--seconds", "0.6")) == 1
    assert "no reply was heard" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["localhost:7860", "http://[bad", "http://a b/", "ftp://a", "http://a:99999", "http://a..b"]
)
def test_what_is_no_address_is_said(address, capsys):
    assert command.main(parse(address)) == 1
    assert "the address of a service is like https://" in capsys.readouterr().err


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_what_is_no_http_server_is_said(transport, capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=answer_like_ssh, args=(listener,))
        answering.start()
        assert command.main(parse(f"http://127.0.0.1:{listener.getsockname()[1]}", "--transport", transport)) == 1
        answering.join()
    assert "server" in capsys.readouterr().err


def answer_like_ssh(listener):
    connection, _ = listener.accept()
    with connection:
        connection.recv(10_000)
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


def test_what_cannot_be_is_said_in_one_line(url, tmp_path, free_port, capsys):
    assert command.main(parse(url, "--audio", str(tmp_path / "none.wav"))) == 1
    assert command.main(parse(f"http://127.0.0.1:{free_port}")) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fastrtc call: ")]
    assert len(lines) == 2
    assert "none.wav" in lines[0]
    assert "no server answers" in lines[1]


def test_what_cannot_be_written_is_said_before_the_call(url, tmp_path, capsys, monkeypatch):
    assert command.main(parse(url, "--out", str(tmp_path / "none" / "a.wav"))) == 1
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert command.main(parse(url, "--plot", str(tmp_path / "a.png"))) == 1
    said = capsys.readouterr().err
    assert f"there is no folder {tmp_path / 'none'} for a.wav" in said
    assert 'pip install "fastrtc[plot]"' in said
    assert "calling" not in said


def test_what_a_server_says_beside_its_reason_is_said(capsys):
    with serving() as (echo, url):
        echo.refuse = {"error": "unsupported_handler", "detail": "the handler is a plain function"}
        assert command.main(parse(url, "--transport", "websocket")) == 1
    assert "fastrtc call: unsupported_handler: the handler is a plain function" in capsys.readouterr().err

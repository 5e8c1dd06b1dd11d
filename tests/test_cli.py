"""The command line: what it says when something is missing, and one run from start to Ctrl-C."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from fastrtc import cli
from fastrtc.serving import load_stream
from fastrtc.stream import Stream

APP = """
from fastrtc import ReplyOnPause, Stream

def reply(audio):
    yield audio

voice = Stream(ReplyOnPause(reply), ui_args={"title": "My voice"})
number = 7
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with some apps."""
    (tmp_path / "voice_app.py").write_text(APP)
    (tmp_path / "empty_app.py").write_text("number = 7\n")
    (tmp_path / "broken_app.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("voice_app", "empty_app", "broken_app"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "arguments", [["serve", "app:stream", "extra"], ["call", "http://x", "extra"], ["demo", "--extra"]]
)
def test_an_argument_too_many_is_named_with_its_command(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said == f"fastrtc {arguments[0]} does not take {arguments[-1]}: see fastrtc {arguments[0]} --help\n"


def test_a_stream_is_found_in_the_working_directory(folder: Path) -> None:
    stream = load_stream("voice_app:voice")
    assert isinstance(stream, Stream)
    assert str(folder) in sys.path


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("voice_app", "voice_app:stream"),
        (":stream", "app:stream"),
        (".voice_app:voice", "without a dot in front: voice_app:voice"),
        ("voice_app.py:voice", "fastrtc serve voice_app:voice"),
        ("no_such_app:stream", "run the command where no_such_app.py is"),
        ("no_such.package:stream", "no_such.py"),
        ("voice_app:stream", "there is voice_app:voice"),
        ("voice_app:number", "no Stream but of type int; there is voice_app:voice"),
        ("empty_app:stream", "it has no Stream"),
    ],
)
def test_what_is_missing_is_named(folder: Path, target: str, wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", target]) == 2
    message = capsys.readouterr().err
    assert message.startswith("fastrtc: ")
    assert wanted in message
    assert message.count("\n") == 1


@pytest.mark.usefixtures("folder")
def test_an_error_inside_the_app_is_shown_as_it_is() -> None:
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        cli.main(["serve", "broken_app:stream"])


@pytest.mark.usefixtures("folder")
def test_a_bad_path_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "voice_app:voice", "--path", "voice"]) == 2
    assert "--path /voice" in capsys.readouterr().err


def test_a_port_in_use_is_named_with_another(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["demo", "--port", str(port)]) == 2
    assert f"--port {port + 1}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--port", "70000"], "65535"),
        (["--host", "192.0.2.1", "--port", "0"], "192.0.2.1"),
        (["--host", "a..b"], "--host takes an address"),
        (["--drain", "nan"], "--drain must be seconds from 0"),
        (["--port", "0", "--record", "/dev/null"], "--record: recordings cannot go to /dev/null"),
    ],
)
def test_an_argument_that_cannot_be(options: list[str], wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", *options]) == 2
    assert wanted in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("fastrtc 0.")


def test_call_has_its_own_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["call", "--help"])
    assert left.value.code == 0
    assert "--transport" in capsys.readouterr().out


def test_help_names_the_commands_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, fastrtc.cli\n"
        "try: fastrtc.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'uvicorn', 'starlette', 'fastapi', 'onnxruntime', 'wrtc'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert all(command in done.stdout for command in ("demo", "serve", "call"))
    assert done.stdout.splitlines()[-1] == "[]"


@contextmanager
def running(*arguments: str, cwd: Path) -> Iterator[tuple[str, Any]]:
    """The command as a process, and the address that it printed."""
    command = [sys.executable, "-W", "error", "-m", "fastrtc.cli", *arguments, "--port", "0"]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Open http://127.0.0.1:"), process.communicate(timeout=20)
        yield line.split()[1], process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def stop(process: Any) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def test_demo_serves_its_page_and_stops_cleanly(tmp_path: Path) -> None:
    with running("demo", cwd=tmp_path) as (address, process):
        assert "<!doctype html>" in httpx.get(address).text.lower()
        assert httpx.get(address + "config.json").json()["title"] == "Echo"
        assert stop(process) == (0, "")


def test_serve_puts_everything_under_its_path(folder: Path) -> None:
    with running("serve", "voice_app:voice", "--path", "/talk", cwd=folder) as (address, process):
        assert address.endswith("/talk/")
        root = httpx.get(address.removesuffix("talk/"), follow_redirects=True)
        assert str(root.url) == address
        assert httpx.get(address + "config.json").json()["title"] == "My voice"
        unknown = httpx.post(
            address + "webrtc/offer", json={"type": "ice-candidate", "webrtc_id": "a", "candidate": None}
        )
        assert unknown.json()["meta"]["error"] == "unknown_connection"
        status, errors = stop(process)
        assert status == 0
        assert "Traceback" not in errors

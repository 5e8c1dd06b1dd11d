from __future__ import annotations

import json

import pytest

from fastrtc import ReplyOnPause, Stream
from fastrtc.cli import main
from fastrtc.doctor import command
from fastrtc.doctor.finding import Finding, Status, conclusion, is_healthy


def reply(audio):
    yield audio


def stream_of(**options):
    return Stream(ReplyOnPause(reply), modality="audio", mode="send-receive", verbose=False, **options)


@pytest.fixture
def quick(monkeypatch):
    """Leave out what other tests look at: the engine's call, and real servers."""

    async def engine(_name):
        return [Finding("engine", Status.OK, "fine")]

    async def servers(servers, side, _timeout_s):
        return [
            Finding("stun", Status.PROBLEM, f"{url} for the {side} is dead", "x") for s in servers for url in s.urls
        ]

    monkeypatch.setattr(command.machine, "check_engine", engine)
    monkeypatch.setattr(command.ice_server, "check_ice_servers", servers)


def run(capsys, *arguments):
    status = main(["doctor", "--port", "0", *arguments])
    return status, capsys.readouterr()


def test_this_machine_as_text_and_as_json(quick, capsys):
    status, shown = run(capsys)
    assert status == 0
    assert "ok       engine" in shown.out
    status, shown = run(capsys, "--json")
    report = json.loads(shown.out)
    assert (status, report["ok"]) == (0, True)
    names = [finding["check"] for finding in report["findings"]]
    assert names[:4] == ["version", "extras", "detector", "engine"]
    assert {"tcp-port", "microphone", "addresses"} <= set(names)


def test_a_problem_makes_the_exit_status_1(quick, capsys):
    status, shown = run(capsys, "--ice-server", "stun:dead.example.org")
    assert status == 1
    assert "stun:dead.example.org for the browser is dead" in shown.out
    assert "1 problem; each says what to change." in shown.out


def test_the_servers_of_a_stream(quick, capsys, monkeypatch):
    async def lend():
        return {"iceServers": [{"urls": "turn:b", "username": "u", "credential": "p"}]}

    stream = stream_of(
        rtc_configuration=lend,
        server_rtc_configuration={"iceServers": [{"urls": "stun:s"}], "portRange": [50_000, 50_199]},
        concurrency_limit=3,
    )
    monkeypatch.setattr("fastrtc.serving.load_stream", lambda target: {"app:stream": stream}[target])
    status, shown = run(capsys, "app:stream", "--json")
    findings = json.loads(shown.out)["findings"]
    assert status == 1
    summaries = [finding["summary"] for finding in findings]
    assert "turn:b for the browser is dead" in summaries
    assert "stun:s for the server is dead" in summaries
    ports = next(finding for finding in findings if finding["check"] == "udp-ports")
    assert ports["facts"] == {"low": 50_000, "high": 50_199, "places": 3}


def test_a_stream_without_turn_is_a_note(quick, capsys, monkeypatch):
    monkeypatch.setattr("fastrtc.serving.load_stream", lambda _target: stream_of())
    status, shown = run(capsys, "app:stream")
    assert status == 0
    assert "no TURN server" in shown.out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["nonsense"], "the address of a service (https://nonsense) or a stream as MODULE:STREAM"),
        (["ftp://voice.example.org"], "http"),
        (["http://voice.example.org:99999"], "http"),
        (["--port", "99999"], "65535"),
        (["--ice-server", "voice.example.org"], "stun:"),
        (["--ice-server", "turn:voice.example.org"], "username"),
        (["--port-range", "9", "10"], "portRange"),
        (["no_such_module:stream"], "no module"),
    ],
)
def test_wrong_arguments_are_status_2_and_say_what_is_right(quick, capsys, arguments, hint):
    status, shown = run(capsys, *arguments)
    assert status == 2
    assert hint in shown.err
    assert shown.out == ""


def test_findings_are_wrapped_and_counted():
    finding = Finding("turn", Status.WARNING, "word " * 40, "advice " * 20)
    lines = finding.as_text().splitlines()
    assert lines[0].startswith("warning  turn")
    assert any(line.strip().startswith("->") for line in lines)
    assert max(map(len, lines)) <= 100
    ok, problem = Finding("a", Status.OK, "x"), Finding("b", Status.PROBLEM, "y")
    assert (is_healthy([ok, finding]), is_healthy([ok, problem])) == (True, False)
    assert conclusion([ok]) == "Everything that was checked works."
    assert conclusion([problem, problem, finding]).startswith("2 problems and 1 warning")

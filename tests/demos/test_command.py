"""``fastrtc demo NAME``: what the arguments make, and what is said where they cannot."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
import pytest

from fastrtc import cli
from fastrtc.demos.command import NAMES, add_arguments, make_stream
from fastrtc.demos.computer import Computer
from fastrtc.demos.talk import Talk
from fastrtc.speech import text_to_speech


class Ears:
    def stt(self, audio: tuple[int, Any]) -> str:
        return "hello"


class Mouth:
    def tts(self, text: str, options: Any = None) -> tuple[int, Any]:
        return 24_000, np.zeros(2400, np.float32)


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["demo", "echo", "--llm", "http://x/v1"], "--llm is for the demo talk: fastrtc demo talk --llm URL"),
        (["demo", "--llm-model", "m"], "--llm is for the demo talk"),
        (["demo", "talk", "--llm-model", "m"], "--llm-model needs --llm URL"),
        (["demo", "talk", "--llm", "localhost:11434"], "--llm takes a URL such as http://localhost:11434/v1"),
    ],
)
def test_arguments_that_do_not_go_together(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("fastrtc: ")
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["talk", "computer"])
@pytest.mark.parametrize("missing", ["moonshine_voice", "hibari"])
def test_missing_extras_give_one_sentence_with_the_command(
    name: str, missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib.util

    find_spec = importlib.util.find_spec
    text_to_speech._voice.cache_clear()
    monkeypatch.setattr(text_to_speech, "find_spec", lambda one: None if one == missing else find_spec(one))
    monkeypatch.setattr(text_to_speech, "_DEFAULTS", ("hibari",))
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda one, *rest: None if one == missing else find_spec(one, *rest)
    )
    assert cli.main(["demo", name]) == 2
    said = capsys.readouterr().err
    assert said == (
        f"fastrtc: fastrtc demo {name}, which hears and speaks, needs an optional package: "
        'pip install "fastrtc[talk]"\n'
    )


def test_an_unknown_demo_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["demo", "sing"])
    said = capsys.readouterr().err
    assert all(name in said for name in NAMES)


def test_each_session_has_a_partner_of_its_own() -> None:
    talk = Talk(stt_model=Ears(), tts_model=Mouth())  # type: ignore[arg-type]
    assert talk.copy()._partner is not talk._partner
    assert talk.copy().captions is talk.captions
    assert talk.runs_natively
    computer = Computer(Ears(), Mouth())  # type: ignore[arg-type]
    assert computer.copy()._house is not computer._house
    assert computer.copy().stt_model is computer.stt_model


def test_the_page_knows_what_the_demo_needs() -> None:
    assert make_stream(options()).ui_args["title"] == "Echo"  # type: ignore[index]
    stream = make_stream(options("echo"))
    assert stream.event_handler.captions is None


def test_the_command_line_itself_loads_nothing_of_the_demos() -> None:
    import subprocess

    code = "import sys, fastrtc.cli; print([name for name in sys.modules if 'speech' in name or 'numpy' == name])"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out == "[]\n"

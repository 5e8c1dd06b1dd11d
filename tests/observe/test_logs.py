"""Every line says which session it is about, and none says what was said."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from fastrtc.context import Context, current_context
from fastrtc.events import FirstAudio, ReplyInterrupted, ReplyStarted
from fastrtc.observe.logs import JsonFormatter, SessionLog, configure_logging

SESSION: Any = SimpleNamespace(id="abc")


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was logged to standard error."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield lambda: capsys.readouterr().err
    root.handlers[:], root.level = before, level


def test_a_line_of_json_names_its_session(lines: Callable[[], str]) -> None:
    configure_logging("json", "info", worker=1)
    SessionLog().session_opened(SESSION)
    SessionLog().session_event(SESSION, FirstAudio(turn=1, at_s=2.00000001, latency_ms={"total": 250.0}))
    SessionLog().session_event(SESSION, ReplyStarted(turn=1, at_s=2.0))
    opened, first = map(json.loads, lines().splitlines())
    assert opened["session_id"] == first["session_id"] == "abc"
    assert (opened["event"], opened["level"], opened["worker"]) == ("session_opened", "info", 1)
    assert first["fields"] == {"turn": 1, "at_s": 2.0, "latency_ms": {"total": 250.0}}
    assert opened["time"].endswith("Z")


def test_lines_of_the_app_s_own_code_have_the_session_they_ran_in(lines: Callable[[], str]) -> None:
    configure_logging("json", "info")
    token = current_context.set(Context("of-the-handler"))
    try:
        logging.getLogger("app").warning("slow")
    finally:
        current_context.reset(token)
    logging.getLogger("app").warning("outside")
    inside, outside = map(json.loads, lines().splitlines())
    assert inside["session_id"] == "of-the-handler"
    assert "session_id" not in outside


def test_text_for_people(lines: Callable[[], str]) -> None:
    configure_logging("text", "info")
    SessionLog().session_refused("server_draining")
    SessionLog().session_opened(SESSION)
    refused, opened = lines().splitlines()
    assert refused.endswith("fastrtc.sessions: session refused reason=server_draining")
    assert "[abc]: session opened" in opened


def test_what_was_said_is_not_logged(lines: Callable[[], str]) -> None:
    configure_logging("json", "debug")
    event = ReplyInterrupted(turn=1, at_s=2.0, heard_s=0.5, heard_text="my account number is")
    SessionLog().session_event(SESSION, event)
    text = lines()
    assert "reply interrupted" in text
    assert "account" not in text


def test_an_exception_is_part_of_its_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "it %s", ("broke",), sys.exc_info())
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert "ValueError" in json.loads(text)["exception"]

"""Scripts: what they say, what they refuse, and that a wrong expectation is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from fastrtc.errors import ConfigurationError
from fastrtc.testing import Script, ScriptedVad, Speech
from fastrtc.vad.protocol import StreamingModel

TEXT = """
# a comment
set shortest_silence_s 0.3
set longest_silence_s 0.3
reply 1 after=0.2 lasts=0.5   # and another

0.50 speech 1.00
2.90 speech 0.4 0.6
4.00 type two words
5.00 end
expect
0.58 user_started_speaking onset_s=0.51
"""


def test_parse() -> None:
    script = Script.parse(TEXT)
    assert script.speech == (Speech(0.5, 1.5), Speech(2.9, pytest.approx(3.3), 0.6))
    assert [(one.at_s, one.kind, one.argument) for one in script.actions] == [(4.0, "type", "two words")]
    assert script.end_s == 5.0
    assert script.options == {"shortest_silence_s": "0.3", "longest_silence_s": "0.3"}
    assert script.answers["1"].after_s == 0.2
    assert script.expected[0].fields == (("onset_s", "0.51"),)


@pytest.mark.parametrize("line", ["1.0 dance", "x speech 1", "1.0 speech", "set", "1.0 speech a", "reply 1 after=x"])
def test_a_line_that_means_nothing_is_named(line: str) -> None:
    with pytest.raises(ConfigurationError, match="line 2 .*" + line.split(maxsplit=1)[0]):
        Script.parse("# first\n" + line)


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(ConfigurationError, match="patience"):
        Script.parse("set patience 3\n1.0 end").play()


def test_check_notices_a_missing_event() -> None:
    with pytest.raises(AssertionError, match="user_stopped_speaking"):
        Script.parse(TEXT).check()


@pytest.mark.parametrize(
    ("right", "wrong"), [("0.58 user", "0.68 user"), ("onset_s=0.51", "onset_s=0.61"), ("started", "stopped")]
)
def test_check_notices_a_wrong_event(right: str, wrong: str) -> None:
    text = "0.5 speech 0.2\n0.7 end\nexpect\n0.58 user_started_speaking onset_s=0.51"
    Script.parse(text).check()
    with pytest.raises(AssertionError, match="expected"):
        Script.parse(text.replace(right, wrong)).check()


def test_a_performance_as_text_is_what_the_script_expects() -> None:
    script = Script.parse(TEXT.partition("expect")[0])
    lines = script.play().as_text().splitlines()
    events = "\n".join(" ".join(line.split()[:2]) for line in lines)
    Script.parse(TEXT.partition("expect")[0] + "expect\n" + events).check()


def test_the_reply_is_heard_and_its_generator_closed() -> None:
    performance = Script.parse("reply * lasts=0.5\n0.5 speech 1\n5 end").play()
    assert performance.heard.size == 12_000
    assert set(performance.heard.tolist()) == {1}
    assert performance.closed == (1,)


def test_the_detector_says_what_the_script_says() -> None:
    vad = ScriptedVad([(0.1, 0.2), Speech(0.5, 0.6, 0.4)])
    assert isinstance(vad, StreamingModel)
    early, late = vad.new_stream(), vad.new_stream()
    late.windows = 3
    said = [vad.judge([early, late], np.zeros((2, 512), np.float32)).tolist() for _ in range(30)]
    for number, (one, other) in enumerate(said):
        assert one == pytest.approx(vad.probability_at((number + 0.5) * 0.032))
        assert other == pytest.approx(vad.probability_at((number + 3.5) * 0.032))
    assert {round(one, 1) for one, _ in said} == {0.0, 0.4, 1.0}


def test_the_detector_judges_pieces_too() -> None:
    vad = ScriptedVad([(0.1, 0.2), (0.3, 0.9)])
    vad.warmup()
    seconds, chunks = vad.vad((8000, np.zeros(4000, np.int16)), None)
    assert seconds == pytest.approx(0.3)
    assert chunks == [{"start": 1600, "end": 3200}, {"start": 4800, "end": 8000}]

"""What a reply function can know about its own reply: what was said, what was heard, whether it was interrupted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc import Reply, get_current_reply
from fastrtc.replies import current_reply


def reply_heard_for(seconds: float) -> Reply:
    reply = Reply(3, lambda: seconds)
    reply.add(1.0, "one two three four")
    reply.add(0.5, None)
    reply.add(2.0, " five six ")
    return reply


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, ""),
        (0.24, ""),
        (0.25, "one"),
        (0.8, "one two three"),
        (1.0, "one two three four"),
        (1.5, "one two three four"),
        (2.5, "one two three four five"),
        (3.5, "one two three four five six"),
        (9.0, "one two three four five six"),
    ],
)
def test_heard_text_goes_as_far_as_the_audio_that_was_played(seconds: float, words: str) -> None:
    reply = reply_heard_for(seconds)
    assert reply.heard_text == words
    assert reply.text == "one two three four five six"


@given(st.floats(0, 5), st.floats(0, 5))
def test_heard_text_only_grows(one: float, other: float) -> None:
    earlier, later = sorted((one, other))
    assert reply_heard_for(later).heard_text.startswith(reply_heard_for(earlier).heard_text)


def test_the_figures_stand_still_after_the_end() -> None:
    now_s = 0.5
    reply = Reply(1, lambda: now_s)
    assert (reply.heard_seconds, reply.interrupted) == (0.5, False)
    reply.freeze(0.7, interrupted=True)
    now_s = 2.0
    assert (reply.heard_seconds, reply.interrupted) == (0.7, True)
    assert repr(reply) == "Reply(turn=1, interrupted, heard_seconds=0.70)"


def test_outside_a_reply_function_there_is_none() -> None:
    with pytest.raises(RuntimeError, match="only inside a reply function"):
        get_current_reply()
    token = current_reply.set(reply_heard_for(0.0))
    try:
        assert get_current_reply().turn == 3
    finally:
        current_reply.reset(token)

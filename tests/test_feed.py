"""What waits until a client has said hello, and what it gets then."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fastrtc.feed import MAX_WAITING, Feed
from fastrtc.wire.messages import ServerOutput, SessionEvent


class Client:
    """What was sent to it, as events' names and outputs' first values."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.feed = Feed(self._take)

    def _take(self, text: str) -> None:
        message = json.loads(text)
        self.got.append(message["data"]["name"] if message["type"] == "event" else message["data"][0])

    def event(self, name: str) -> None:
        self.feed.tell(SessionEvent({"name": name, "at_s": 0.0}))

    def output(self, value: Any) -> None:
        self.feed.tell(ServerOutput((value,)))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=MAX_WAITING - 1), st.integers(0, MAX_WAITING))
def test_however_late_hello_comes_nothing_is_missed_and_all_is_in_order(
    messages: list[tuple[bool, int]], hello_after: int
) -> None:
    client = Client()
    for number, (is_event, value) in enumerate(messages):
        if number == hello_after:
            client.feed.greet(events=True)
        (client.event if is_event else client.output)(str(value))
    client.feed.greet(events=True)
    assert client.got == [str(value) for _, value in messages]


def test_a_client_that_wants_no_events_gets_outputs() -> None:
    client = Client()
    client.event("session_started")
    client.output(1)
    client.feed.greet(events=False)
    client.event("reply_started")
    client.output(2)
    assert client.got == [1, 2]
    client.feed.greet(events=True)
    client.event("first_audio")
    client.feed.greet(events=False)
    client.event("playback_started")
    assert client.got == [1, 2, "first_audio", "playback_started"]


def test_of_what_nobody_asks_for_the_first_is_kept() -> None:
    client = Client()
    client.event("session_started")
    for number in range(2 * MAX_WAITING):
        client.output(number)
    assert client.got == []
    client.feed.greet(events=True)
    client.output("now")
    assert client.got == ["session_started", "now"]

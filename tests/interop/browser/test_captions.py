"""Captions and stop words on the page, told by a scripted server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from tests.interop.browser.conftest import Conversation, ScriptedServer

from fastrtc.ui import PageConfig

pytestmark = pytest.mark.browser


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer(PageConfig(captions=True, stop_words=["computer", "hey house"]))
    yield scripted
    scripted.stop()


def transcript(conversation: Conversation, text: str, turn: int | None = None, *, final: bool = False) -> None:
    """What a session with captions says: a message to every client, and an event."""
    said = {"text": text, "final": final, "turn": turn, "start_s": 1.0, "end_s": 2.0}
    conversation.event("user_transcript", **said)
    conversation.say({"type": "transcript", "data": said})


def test_what_was_heard_is_shown_while_it_is_said_and_in_the_log(tab: Page, server: ScriptedServer) -> None:
    tab.goto(f"{server.url}?transport=websocket")
    state, caption, shown = tab.locator("#state"), tab.locator("#caption"), tab.locator("#caption-text")
    tab.click("#mic")
    session = server.conversation()
    expect(state).to_have_text("Say “computer” or “hey house”")
    session.say({"type": "stopword", "data": ""})
    expect(state).to_have_text("Go ahead")
    session.event("user_started_speaking", onset_s=1.0)
    transcript(session, "Turn on the.")
    expect(shown).to_have_text("Turn on the")
    expect(caption).to_have_attribute("data-partial", "")
    session.event("turn_committed", turn=1, start_s=1.0, end_s=2.0, reason="silence", probability=None)
    transcript(session, "Turn on the <b>lights</b>.", 1, final=True)
    expect(shown).to_have_text("Turn on the <b>lights</b>.")
    expect(caption).not_to_have_attribute("data-partial", "")
    expect(tab.locator(".turn-said")).to_have_text("“Turn on the <b>lights</b>.”")
    session.event("playback_finished", turn=1, heard_s=1.0)
    expect(state).to_have_text("Say “computer” or “hey house”")


def test_what_came_to_nothing_is_taken_back_and_attention_ends(tab: Page, server: ScriptedServer) -> None:
    tab.goto(f"{server.url}?transport=websocket")
    tab.click("#mic")
    session = server.conversation()
    transcript(session, "Mm")
    expect(tab.locator("#caption-text")).to_have_text("Mm")
    transcript(session, "", final=True)
    expect(tab.locator("#caption-text")).to_have_text("")
    session.say({"type": "stopword", "data": ""})
    expect(tab.locator("#state")).to_have_text("Go ahead")
    session.say({"type": "log", "data": "stopword_timeout"})
    expect(tab.locator("#state")).to_have_text("Say “computer” or “hey house”")

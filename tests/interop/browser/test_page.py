"""The page and the browser client in a real browser, against a server that says what the test tells it to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from fastrtc.media.g711 import decode_ulaw, encode_ulaw
from fastrtc.ui import PageConfig, ui_app

pytestmark = pytest.mark.browser

RATE_IN_HZ, RATE_OUT_HZ = 16_000, 24_000
LATENCY = {"decision": 252.0, "call": 3.0, "first_yield": 88.0, "total": 343.0}


def activity(tab: Page, expected: str) -> None:
    expect(tab.locator("body")).to_have_attribute("data-activity", expected)


def start(tab: Page, server: Any, query: str = "?transport=websocket") -> Any:
    """Open the page, press the microphone, and give the server's end of the session."""
    tab.goto(server.url + query)
    tab.click("#mic")
    activity(tab, "listening")
    return server.conversation()


def until(tab: Page, condition: str) -> None:
    """Wait for a condition in the page; Playwright's own way needs ``eval``, which the page's policy forbids."""
    tab.evaluate(
        f"""() => new Promise((resolve, reject) => {{
          setTimeout(() => reject(new Error("not within 15 s")), 15_000);
          const look = () => ({condition}) ? resolve() : requestAnimationFrame(look);
          look();
        }})"""
    )


def commit(conversation: Any, turn: int, reason: str = "silence") -> None:
    """A turn of 1.9 s whose reply begins."""
    conversation.event("turn_committed", turn=turn, start_s=1.0, end_s=2.9, reason=reason, probability=None)
    conversation.event("reply_started", turn=turn)
    conversation.event("first_audio", turn=turn, latency_ms=LATENCY)


def tone(seconds: float) -> bytes:
    """A tone as mu-law at the server's output rate."""
    time_s = np.arange(int(seconds * RATE_OUT_HZ)) / RATE_OUT_HZ
    return encode_ulaw((8000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16))


def test_the_states_of_a_turn(tab: Page, server: Any) -> None:
    conversation = start(tab, server)
    state = tab.locator("#state")
    conversation.event("user_started_speaking", onset_s=1.0)
    expect(state).to_have_text("You are speaking")
    conversation.event("user_stopped_speaking", end_s=2.9)
    expect(state).to_have_text("You paused")
    conversation.event("turn_committed", turn=1, start_s=1.0, end_s=2.9, reason="silence", probability=None)
    expect(state).to_have_text("Thinking")
    conversation.event("first_audio", turn=1, latency_ms=LATENCY)
    expect(state).to_have_text("Replying")
    conversation.event("reply_held", turn=1)
    expect(state).to_have_text("Holding the reply")
    conversation.event("reply_interrupted", turn=1, heard_s=0.7, reason="user")
    expect(state).to_have_text("Interrupted")
    turn = tab.locator(".turn")
    expect(turn.locator(".turn-said")).to_have_text("You spoke for 1.9 s")
    expect(turn.locator(".turn-total")).to_have_text("343 ms")
    expect(turn.locator(".turn-status")).to_have_text("Interrupted after 0.7 s of the reply")
    expect(turn.locator(".latency .part")).to_have_text(["decision 252 ms", "call 3 ms", "first audio 88 ms"])


def test_a_pause_without_a_turn_ends_by_itself(tab: Page, server: Any) -> None:
    conversation = start(tab, server)
    conversation.event("user_started_speaking", onset_s=1.0)
    conversation.event("user_stopped_speaking", end_s=1.2)
    activity(tab, "paused")
    activity(tab, "listening")


def test_the_microphone_arrives_at_the_servers_rate(tab: Page, server: Any) -> None:
    conversation = start(tab, server)
    assert conversation.frames[0] == {
        "event": "start",
        "websocket_id": tab.evaluate("sessions[0].id"),
        "hello": True,
    }
    conversation.wait_for(lambda: len(conversation.audio) >= 3 * RATE_IN_HZ)
    samples = decode_ulaw(bytes(conversation.audio)).astype(np.float64)
    # Chromium's test microphone beeps once a second.
    assert np.max(np.abs(samples)) > 1000
    assert len(conversation.audio) % (RATE_IN_HZ // 50) == 0


def test_a_token_behind_the_address_goes_to_the_session(tab: Page, server: Any) -> None:
    conversation = start(tab, server, "?transport=websocket#token=abc.def-g_h")
    assert conversation.frames[0]["token"] == "abc.def-g_h"


def test_what_was_played_is_acknowledged_and_clear_silences(tab: Page, server: Any) -> None:
    conversation = start(tab, server)
    commit(conversation, turn=1)
    conversation.play(tone(10.0))
    conversation.wait_for(lambda: any(f["data"]["played_ms"] > 300 for f in conversation.sent("playout")))
    conversation.say({"event": "clear"})
    conversation.event("reply_interrupted", turn=1, heard_s=0.5, reason="user")
    activity(tab, "interrupted")
    until(tab, "sessions[0].levels.output === 0")
    # Not 10 s: what was in the buffer is gone.
    assert max(f["data"]["played_ms"] for f in conversation.sent("playout")) < 8000
    commit(conversation, turn=2)
    conversation.play(tone(0.3))
    conversation.wait_for(lambda: any(f["data"] == {"turn": 2, "played_ms": 300} for f in conversation.sent("playout")))


def test_typing_muting_stopping(tab: Page, server: Any) -> None:
    conversation = start(tab, server)
    tab.fill("#text", "What time is it?")
    tab.keyboard.press("Enter")
    conversation.wait_for(lambda: bool(conversation.sent("text")))
    assert conversation.sent("text") == [{"type": "text", "data": "What time is it?"}]
    commit(conversation, turn=1, reason="text")
    expect(tab.locator(".turn-said")).to_have_text("“What time is it?”")
    activity(tab, "replying")
    tab.keyboard.press("Escape")
    conversation.wait_for(lambda: bool(conversation.sent("stop_reply")))

    tab.click("#mute")
    conversation.wait_for(lambda: conversation.sent("mute") == [{"type": "mute", "data": True}])
    assert tab.evaluate("sessions[0].inputStream.getAudioTracks()[0].enabled") is False
    tab.evaluate("document.activeElement.blur()")
    tab.keyboard.press("Space")
    conversation.wait_for(lambda: conversation.sent("mute")[-1] == {"type": "mute", "data": False})

    tab.click("#end")
    activity(tab, "ended")
    conversation.wait_for(lambda: conversation.closed)
    assert conversation.frames[-1] == {"event": "stop"}
    assert tab.evaluate("sessions[0].inputStream.getAudioTracks()[0].readyState") == "ended"


def test_outputs_are_shown_and_are_no_markup(tab: Page, server: Any) -> None:
    conversation = start(tab, server)
    commit(conversation, turn=1)
    pixel = (
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
        "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    conversation.say({"type": "output", "data": ["<b>bold</b>", {"n": 1}]})
    conversation.say({"type": "output", "data": [[{"role": "user", "content": "hi"}], pixel]})
    outputs = tab.locator(".output")
    expect(outputs).to_have_count(4)
    expect(outputs.nth(0)).to_have_text("<b>bold</b>")
    expect(outputs.nth(1)).to_have_text('{\n  "n": 1\n}')
    expect(outputs.nth(2)).to_have_text("user hi")
    until(tab, "document.querySelector('.output-image img').naturalWidth === 1")


def test_inputs_are_sent_when_the_handler_asks(tab: Page, server: Any) -> None:
    tab.goto(server.url)
    tab.evaluate(
        """async () => {
          const { connect } = await import("./client/index.js");
          window.mine = await connect({ transport: "websocket", inputs: () => [7, "seven"] });
        }"""
    )
    conversation = server.conversation()
    conversation.say({"type": "send_input", "data": []})
    conversation.wait_for(lambda: bool(conversation.sent("input")))
    assert conversation.sent("input") == [{"type": "input", "data": [7, "seven"]}]


def test_refused_webrtc_falls_back_and_says_so(tab: Page, server: Any) -> None:
    start(tab, server, query="")
    expect(tab.locator("#link-text")).to_contain_text("WebSocket")
    expect(tab.locator("#notice-title")).to_have_text("WebRTC is not available here")
    tab.click("#notice-actions button")
    expect(tab.locator("#notice")).to_be_hidden()


def test_blocked_udp_falls_back_and_says_so(tab: Page, server: Any) -> None:
    # An answer that no candidate leads to: what a client sees behind a firewall.
    tab.add_init_script(
        """window.fetch = new Proxy(window.fetch, { async apply(target, self, [url, init]) {
          if (!String(url).includes("webrtc/offer") || JSON.parse(init.body).type !== "offer")
            return Reflect.apply(target, self, [url, init]);
          const peer = new RTCPeerConnection();
          await peer.setRemoteDescription({ type: "offer", sdp: JSON.parse(init.body).sdp });
          await peer.setLocalDescription(await peer.createAnswer());
          return Response.json({ type: "answer", sdp: peer.localDescription.sdp });
        } });"""
    )
    start(tab, server, query="")
    expect(tab.locator("#notice-title")).to_have_text("UDP seems to be blocked on this network")


def test_a_full_server(tab: Page, server: Any) -> None:
    server.refuse = {"error": "concurrency_limit_reached", "limit": 3}
    for query in ("", "?transport=websocket"):
        tab.goto(server.url + query)
        tab.click("#mic")
        expect(tab.locator("#notice-title")).to_have_text("The server is full")
        expect(tab.locator("#notice-body")).to_contain_text("All 3 places are taken")
        activity(tab, "ended")
    server.refuse = None
    tab.get_by_role("button", name="Try again").click()
    activity(tab, "listening")


def test_a_broken_connection_is_made_anew_and_the_log_stays(tab: Page, server: Any) -> None:
    conversation = start(tab, server)
    commit(conversation, turn=1)
    first_id = tab.evaluate("sessions[0].id")
    conversation.close()
    again = server.conversation(1)
    activity(tab, "listening")
    assert again.frames[0]["websocket_id"] != first_id
    commit(again, turn=1)
    expect(tab.locator(".turn")).to_have_count(2)


def test_a_server_that_restarts_is_waited_for(tab: Page, server: Any) -> None:
    start(tab, server).event("session_closed", reason="server_shutdown")
    server.conversation(1)
    activity(tab, "listening")


def test_a_session_that_the_server_closes_is_over(tab: Page, server: Any) -> None:
    start(tab, server).event("session_closed", reason="You were idle for too long")
    activity(tab, "ended")
    expect(tab.locator("#notice-body")).to_have_text("You were idle for too long")
    assert len(server.conversations) == 1


def test_a_long_call_keeps_its_newest_turns(tab: Page, server: Any) -> None:
    conversation = start(tab, server)
    for turn in range(1, 251):
        commit(conversation, turn)
    expect(tab.locator(".turn-number").last).to_have_text("250")
    expect(tab.locator(".turn")).to_have_count(200)
    expect(tab.locator(".turn-number").first).to_have_text("51")
    tab.click("#end")
    tab.click("#mic")
    again = server.conversation(1)
    activity(tab, "listening")
    commit(again, 1)
    expect(tab.locator(".turn-number").last).to_have_text("251")
    expect(tab.locator(".turn")).to_have_count(200)


def test_a_server_that_is_gone(tab: Page, server: Any) -> None:
    start(tab, server)
    server.stop()
    activity(tab, "reconnecting")
    expect(tab.locator("#notice-title")).to_have_text("The connection was lost", timeout=40_000)
    expect(tab.locator("#state")).to_have_text("Not connected")


def test_the_time_limit(tab: Page, server: Any) -> None:
    conversation = start(tab, server)
    conversation.say({"type": "end_stream", "data": "time_limit_reached"})
    expect(tab.locator("#notice-title")).to_have_text("Time is up")
    expect(tab.locator("#notice-body")).to_have_text("Sessions on this server last at most 2 minutes.")


def test_a_user_who_said_nothing(tab: Page, server: Any) -> None:
    conversation = start(tab, server)
    conversation.say({"type": "end_stream", "data": "idle_timeout"})
    expect(tab.locator("#notice-title")).to_have_text("It was quiet")


def test_a_refused_microphone_still_lets_one_type(
    server: Any, launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> None:
    tab = open_tab(launch("--deny-permission-prompts", without="--use-fake-ui-for-media-stream"))
    tab.goto(server.url + "?transport=websocket")
    tab.click("#mic")
    expect(tab.locator("#notice-title")).to_have_text("The microphone is blocked")
    tab.get_by_role("button", name="Type instead").click()
    expect(tab.locator("#state")).to_have_text("Ready for text")
    tab.fill("#text", "hello")
    tab.keyboard.press("Enter")
    conversation = server.conversation()
    conversation.wait_for(lambda: bool(conversation.sent("text")))
    assert conversation.sent("text")[0]["data"] == "hello"


def test_no_microphone(server: Any, launch: Callable[..., Browser], open_tab: Callable[..., Page]) -> None:
    tab = open_tab(launch(without="--use-fake-device-for-media-stream"))
    tab.goto(server.url)
    tab.click("#mic")
    expect(tab.locator("#notice-title")).to_have_text("No microphone was found")


def test_a_page_without_https(server: Any, launch: Callable[..., Browser], open_tab: Callable[..., Page]) -> None:
    tab = open_tab(launch("--host-resolver-rules=MAP plain.test 127.0.0.1"))
    tab.goto(server.url.replace("127.0.0.1", "plain.test"))
    expect(tab.locator("#notice-title")).to_have_text("This page needs https")


def test_under_a_prefix(tab: Page, serve: Callable[[ASGIApp], str]) -> None:
    url = serve(Starlette(routes=[Mount("/talk/here", ui_app(PageConfig(title="Mounted")))]))
    tab.goto(url + "talk/here/")
    expect(tab.locator("h1")).to_have_text("Mounted")
    activity(tab, "idle")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_phone(
    scheme: str, server: Any, launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> None:
    tab = open_tab(launch(), viewport={"width": 360, "height": 640}, color_scheme=scheme)
    conversation = start(tab, server)
    commit(conversation, turn=1)
    conversation.say({"type": "output", "data": ["x" * 300]})
    expect(tab.locator(".output")).to_have_count(1)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    for control in ("#mic", "#mute", "#stop-reply", "#end", "#text"):
        box = tab.locator(control).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        assert box["height"] >= 44


def test_by_keyboard_alone(tab: Page, server: Any) -> None:
    tab.goto(server.url + "?transport=websocket")
    activity(tab, "idle")
    tab.keyboard.press("Tab")
    expect(tab.locator("#mic")).to_be_focused()
    tab.keyboard.press("Enter")
    activity(tab, "listening")
    reached = []
    for _ in range(8):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id"))
    assert {"device-select", "mute", "end", "text"} <= set(reached)
    outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline in ("solid", "auto") or tab.evaluate("document.activeElement === document.body")

"""The page of a real server: places, limits, and networks that let no UDP through."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.types import ASGIApp

from fastrtc import ReplyOnPause, Stream

pytestmark = pytest.mark.browser


def echo(audio: tuple[int, NDArray[np.int16]]) -> Iterator[tuple[int, NDArray[np.int16]]]:
    yield audio


def app_of(stream: Stream) -> Starlette:
    app = Starlette(routes=stream.page())
    stream.mount(app)
    return app


def listening(tab: Page) -> None:
    expect(tab.locator("body")).to_have_attribute("data-activity", "listening")


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_who_comes_too_many_waits_and_gets_the_place(
    transport: str, serve: Callable[[ASGIApp], str], launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> None:
    url = serve(app_of(Stream(ReplyOnPause(echo), modality="audio", mode="send-receive", concurrency_limit=1)))
    browser = launch()
    first, second = open_tab(browser), open_tab(browser)
    for tab in (first, second):
        tab.goto(f"{url}?transport={transport}")
    first.click("#mic")
    listening(first)
    second.click("#mic")
    expect(second.locator("#notice-title")).to_have_text("The server is full")
    expect(second.locator("#notice-body")).to_contain_text("only place")
    first.click("#end")
    retry = second.get_by_role("button", name="Try again")

    # The place is free when the server has shut the first session down.
    for _ in range(20):
        retry.click()
        expect(second.locator("body")).not_to_have_attribute("data-activity", "connecting")
        if second.evaluate("sessions.at(-1).activity") == "listening":
            break
    listening(second)


def test_the_time_limit_of_a_session(tab: Page, serve: Callable[[ASGIApp], str]) -> None:
    url = serve(app_of(Stream(ReplyOnPause(echo), modality="audio", mode="send-receive", time_limit=2)))
    tab.goto(url)
    tab.click("#mic")
    listening(tab)
    expect(tab.locator("#notice-title")).to_have_text("Time is up")
    expect(tab.locator("#notice-body")).to_have_text("Sessions on this server last at most 2 seconds.")


def test_without_udp_the_websocket_takes_over(
    serve: Callable[[ASGIApp], str], launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> None:
    url = serve(app_of(Stream(ReplyOnPause(echo), modality="audio", mode="send-receive", concurrency_limit=1)))
    tab = open_tab(launch("--webrtc-ip-handling-policy=disable_non_proxied_udp"))
    tab.goto(url)
    tab.click("#mic")
    listening(tab)
    assert tab.evaluate("sessions[0].transport") == "websocket"
    expect(tab.locator("#notice-title")).to_have_text("UDP seems to be blocked on this network")


def test_candidates_that_hide_behind_mdns_connect(
    serve: Callable[[ASGIApp], str], launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> None:
    # Chromium hides its addresses from pages that may not use the microphone, such as those that only listen.
    tab = open_tab(launch(without="--use-fake-ui-for-media-stream"))
    url = serve(app_of(Stream(ReplyOnPause(echo), modality="audio", mode="send-receive")))
    tab.goto(url)
    transport, offered = tab.evaluate(
        """async () => {
          const offered = [];
          const { fetch } = window;
          window.fetch = (url, init) => { offered.push(init?.body ?? ""); return fetch(url, init); };
          const { connect } = await import("./client/index.js");
          const session = await connect({ transport: "webrtc", mode: "receive" });
          while (!offered.join().includes("candidate:")) await new Promise(requestAnimationFrame);
          return [session.transport, offered.join()];
        }"""
    )
    assert transport == "webrtc"
    assert ".local" in offered

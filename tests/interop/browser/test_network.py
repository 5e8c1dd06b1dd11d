"""The browser client on networks that change, relay, or refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page
from starlette.applications import Starlette
from starlette.types import ASGIApp
from tests.fakes.coturn import Coturn, coturn, find_coturn

from fastrtc import ReplyOnPause, Stream

pytestmark = pytest.mark.browser

CONNECT = """async (options) => {
  const { connect } = await import("./client/index.js");
  try {
    window.session = await connect({ transport: "webrtc", ...options });
    return { transport: session.transport, id: session.id };
  } catch (error) {
    return { code: error.code, message: error.message, detail: error.detail };
  }
}"""


def echo(audio: tuple[int, NDArray[np.int16]]) -> Iterator[tuple[int, NDArray[np.int16]]]:
    yield audio


@pytest.fixture
def stream() -> Stream:
    return Stream(ReplyOnPause(echo), modality="audio", mode="send-receive", concurrency_limit=5, verbose=False)


@pytest.fixture
def page(tab: Page, stream: Stream, serve: Callable[[ASGIApp], str]) -> Page:
    app = Starlette(routes=stream.page())
    stream.mount(app)
    tab.goto(serve(app))
    return tab


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    program = find_coturn()
    if program is None:
        pytest.skip("there is no TURN server (Debian's package coturn)")
    with coturn(program, tmp_path_factory.mktemp("coturn")) as running:
        yield running


def relay_only(relay: Coturn, transport: str, **changes: str) -> dict[str, Any]:
    server = {"urls": relay.url(transport), "username": relay.username, "credential": relay.password, **changes}
    return {"rtcConfiguration": {"iceServers": [server], "iceTransportPolicy": "relay"}}


def test_a_restart_of_ice_keeps_the_session(page: Page, stream: Stream) -> None:
    made = page.evaluate(CONNECT, {})
    session = stream.connections[made["id"]]
    for _ in range(2):
        page.evaluate("session.restartIce()")
        assert page.evaluate("[session.activity, session.id]") == ["listening", made["id"]]
    assert stream.connections[made["id"]] is session


def test_a_browser_that_hears_of_another_network_restarts_by_itself(page: Page, stream: Stream) -> None:
    made = page.evaluate(
        """async () => {
          window.offers = [];
          const { fetch } = window;
          window.fetch = (url, init) => { offers.push(JSON.parse(init.body).type); return fetch(url, init); };
          const { connect } = await import("./client/index.js");
          window.session = await connect({ transport: "webrtc" });
          return { id: session.id };
        }"""
    )
    page.evaluate("navigator.connection.dispatchEvent(new Event('change'))")  # of an estimate: nothing happens
    page.evaluate("session.restartIce()")
    assert page.evaluate("offers.filter((kind) => kind === 'offer').length") == 2
    page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_function("offers.filter((kind) => kind === 'offer').length === 3")
    assert list(stream.connections) == [made["id"]]
    assert page.evaluate("session.activity") == "listening"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_browser_talks_over_a_relay_only(page: Page, relay: Coturn, transport: str) -> None:
    assert page.evaluate(CONNECT, relay_only(relay, transport)).get("transport") == "webrtc"


def test_a_relay_that_refuses_is_named_in_the_reason(page: Page, relay: Coturn) -> None:
    failed = page.evaluate(CONNECT, {**relay_only(relay, "udp", credential="wrong"), "connectTimeoutMs": 1500})
    assert failed["code"] == "not_connected"
    assert f"{relay.url('udp')} refused the user name or password." in failed["message"]
    assert failed["detail"]["cause"] in ("timeout", "failed")

"""Gradio pages served as their users serve them, and Chromium with a recorded sentence as its microphone."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

pytest.importorskip("playwright", reason="playwright is not installed (pip install 'fastrtc[dev]')")
pytest.importorskip("gradio", reason="Gradio is not installed (pip install 'fastrtc[gradio]')")

import gradio as gr
import soundfile
import soxr
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from tests.interop.browser.conftest import CHROMIUM_FLAGS, WAIT_S

RATE_HZ = 16_000

# The page's sessions, and how loud the loudest moment of what they played was, 0 to 1.
WATCH = """
window.sessions = [];
window.loudest = 0;
document.addEventListener("fastrtc:session", ({ detail: session }) => {
  window.sessions.push(session);
  const timer = setInterval(() => {
    window.loudest = Math.max(window.loudest, session.levels.output);
    if (session.activity === "ended") clearInterval(timer);
  }, 20);
});
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every ``gr.Blocks()`` outside a loop makes two loops and closes none; its threads call what is deprecated."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for ignored in ("ignore:unclosed:ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"):
                item.add_marker(pytest.mark.filterwarnings(ignored))


@pytest.fixture(autouse=True)
def gradios_loops() -> Iterator[None]:
    """Let go of Gradio's loops while their warnings are ignored, and not in some later test."""
    yield
    asyncio.set_event_loop(None)
    gc.collect()


class MountedPage:
    """A Gradio page inside a FastAPI app that uvicorn serves in a thread of its own."""

    def __init__(self, blocks: Any, port: int, path: str) -> None:
        self.app = FastAPI()
        gr.mount_gradio_app(self.app, blocks, path=path)
        config = uvicorn.Config(self.app, port=port, log_level="warning", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="test-gradio", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + WAIT_S
        while not self._server.started:
            assert self._thread.is_alive()
            assert time.monotonic() < deadline, "the server did not start"
            self._thread.join(0.05)
        self.url = f"http://127.0.0.1:{port}{path}/"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()


@pytest.fixture
def launch_page(free_port: int) -> Iterator[Callable[[Any], str]]:
    """Launch a page with ``Blocks.launch()``; gives its address."""
    launched: list[Any] = []

    def start(blocks: Any, **options: Any) -> str:
        launched.append(blocks)
        # Gradio asks the network about its version while it launches.
        _, url, _ = blocks.launch(
            prevent_thread_lock=True, server_name="127.0.0.1", server_port=free_port, quiet=True, **options
        )
        return str(url)

    yield start
    for blocks in launched:
        blocks.close(verbose=False)


@pytest.fixture
def mount_page(free_port: int) -> Iterator[Callable[..., MountedPage]]:
    """Mount a page with ``gr.mount_gradio_app()``."""
    mounted: list[MountedPage] = []

    def start(blocks: Any, path: str = "/talk") -> MountedPage:
        mounted.append(MountedPage(blocks, free_port, path))
        return mounted[-1]

    yield start
    for page in mounted:
        page.stop()


@pytest.fixture(scope="module")
def gradio_playwright() -> Iterator[Playwright]:
    # Not for longer: as long as it runs, no other event loop can run in this thread.
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def sentence(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded sentence that is said again and again, with pauses, as a file for the browser."""
    samples, rate_hz = soundfile.read(speech / "asterisk-prompts-en" / "confbridge-has-joined.flac", dtype="float64")
    samples = soxr.resample(samples, rate_hz, RATE_HZ)
    pause = np.zeros(3 * RATE_HZ)
    path = tmp_path_factory.mktemp("microphone") / "sentence.wav"
    soundfile.write(path, np.concatenate([pause, 0.7 * samples / np.max(np.abs(samples)), pause]), RATE_HZ)
    return path


@pytest.fixture
def launch_browser(gradio_playwright: Playwright, chromium: str) -> Iterator[Callable[..., Browser]]:
    """Start a Chromium: ``launch_browser(microphone=file, camera=file, allowed=False)``."""
    browsers: list[Browser] = []

    def start(*, microphone: Path | None = None, camera: Path | None = None, allowed: bool = True) -> Browser:
        flags = [flag for flag in CHROMIUM_FLAGS if allowed or flag != "--use-fake-ui-for-media-stream"]
        flags += [f"--use-file-for-fake-audio-capture={microphone}"] if microphone else []
        flags += [f"--use-file-for-fake-video-capture={camera}"] if camera else []
        flags += [] if allowed else ["--deny-permission-prompts"]
        browsers.append(gradio_playwright.chromium.launch(executable_path=chromium, args=flags))
        return browsers[-1]

    yield start
    for browser in browsers:
        browser.close()


@pytest.fixture
def open_page() -> Iterator[Callable[..., Page]]:
    """Open a tab at an address; the test fails if a script of the page raises."""
    errors: list[str] = []

    def start(browser: Browser, url: str, **context: Any) -> Page:
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(WAIT_S * 1000)
        page.add_init_script(WATCH)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        page.locator(".stage").wait_for()
        return page

    yield start
    assert errors == []

"""The Gradio examples, run as their docstrings say and used in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from tests.examples.running import running

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_chat_is_typed_and_read(launch_browser: Any, open_page: Any, tmp_path: Path) -> None:
    with running("gradio_chat", tmp_path / "log") as example:
        page: Page = open_page(launch_browser(), example.url)
        box = page.get_by_role("textbox", name="Message")
        box.fill("three short words")
        box.press("Enter")
        expect(page.get_by_test_id("user")).to_have_text("three short words")
        expect(page.get_by_test_id("bot")).to_have_text("Ada said: three short words")
        page.wait_for_function("loudest > 0.3")


def test_the_tone_follows_a_slider(launch_browser: Any, open_page: Any, tmp_path: Path) -> None:
    with running("gradio_component", tmp_path / "log") as example:
        page: Page = open_page(launch_browser(), example.url)
        page.get_by_role("button", name="Start").click()
        page.wait_for_function("sessions[0]?.levels.output > 0.3")
        page.get_by_label("number input for Volume (%)").fill("0")
        page.wait_for_function("sessions[0].levels.output < 0.05")


def test_the_mounted_page_shares_the_stream(launch_browser: Any, open_page: Any, tmp_path: Path) -> None:
    with running("gradio_mounted", tmp_path / "log") as example:
        page: Page = open_page(launch_browser(), f"{example.url}/talk/")
        page.get_by_role("button", name="Talk").click()
        page.locator(".stage[data-live]").wait_for()
        assert httpx.get(f"{example.url}/sessions").json() == [page.evaluate("sessions[0].id")]

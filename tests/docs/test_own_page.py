"""The page of the page about own pages, in Chromium, with a recorded question as its microphone."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed (pip install 'fastrtc[dev]')")

from playwright.sync_api import expect, sync_playwright
from tests.docs.pages import HEARD, run_page, write_question
from tests.fakes.serving import serving
from tests.interop.browser.conftest import CHROMIUM_FLAGS, WAIT_S

pytestmark = [pytest.mark.browser, pytest.mark.speech]


def test_a_page_of_ones_own_talks_and_shows_outputs(working_directory: Path, speech: Path, chromium: str) -> None:
    pytest.importorskip("soundfile")
    write_question(working_directory, speech, silence_s=5.0)
    names = run_page("how-to/own-page.md")
    names["stream"].verbose = False
    microphone = f"--use-file-for-fake-audio-capture={working_directory / HEARD}"
    with serving(names["app"]) as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*CHROMIUM_FLAGS, microphone])
        page = browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(served.url)
        page.click("button")
        expect(page.locator("button")).to_have_text("Hang up", timeout=WAIT_S * 1000)
        expect(page.locator("li").first).to_contain_text("you spoke for", timeout=WAIT_S * 1000)
        page.click("button")
        expect(page.locator("button")).to_have_text("Talk", timeout=WAIT_S * 1000)
        assert problems == []
        browser.close()

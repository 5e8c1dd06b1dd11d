"""The examples of video, run as programs, with Chromium as their client."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from tests.examples.running import running
from tests.interop.browser.camera import write_camera

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PIXEL = """([x, y]) => {
  const video = document.querySelector("video");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 480];
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0, 640, 480);
  return Array.from(pen.getImageData(x, y, 1, 1).data.slice(0, 3));
}"""


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """A strong patch and a weak one on grey."""
    scene = np.full((480, 640, 3), 100, np.uint8)
    scene[96:192, 64:224] = (230, 40, 40)
    scene[320:400, 400:560] = (150, 150, 150)
    return write_camera(tmp_path / "camera.y4m", scene)


def test_objects_are_found_and_drawn(
    camera: Path, tmp_path: Path, launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> None:
    with running("object_detection", tmp_path / "log") as example:
        tab = open_tab(launch(camera=camera))
        tab.goto(example.url)
        tab.click("#start")
        tab.wait_for_function("() => document.getElementById('found').textContent.startsWith('1 found')")
        (strong,) = json.loads(tab.get_attribute("#found", "data-json") or "")
        assert strong["box"] == [64, 96, 224, 192]
        assert strong["confidence"] > 0.4
        # The frame of the box is green in the picture that comes back.
        tab.wait_for_function(
            f"(at) => {{ const [r, g, b] = ({PIXEL})(at); return g > 180 && r < 90; }}", arg=[144, 98]
        )
        red, green, _ = tab.evaluate(PIXEL, [144, 144])
        assert red > 180 > 90 > green, "inside it is what the camera sees"
        tab.evaluate("() => { const t = document.getElementById('threshold'); t.value = 0.1; t.onchange(); }")
        tab.wait_for_function("() => document.getElementById('found').textContent.startsWith('2 found')")
        tab.click("#start")


def test_the_picture_is_flipped(
    camera: Path, tmp_path: Path, launch: Callable[..., Browser], open_tab: Callable[..., Page]
) -> None:
    with running("video_flip", tmp_path / "log") as example:
        tab = open_tab(launch(camera=camera))
        tab.goto(example.url)
        tab.click("#mic")
        tab.wait_for_function(
            f"(at) => {{ const [r, g] = ({PIXEL})(at); return r > 180 && g < 90; }}", arg=[144, 480 - 144]
        )
        red, green, _ = tab.evaluate(PIXEL, [144, 144])
        assert abs(red - green) < 20

"""How soon a reply is silent in a browser when the user speaks over it, as JSON.

    python bench/interruption.py [--speech ../shared/speech] [--transports webrtc websocket] [--remarks 3]

A real server, a headless Chromium and recorded commands as its microphone, spoken over a tone of 20 s; the scene of
`tests/interop/browser/test_interruption.py`. Per remark, in milliseconds from its first sound in the page's
`inputStream`: `silent_ms` to the last sound of the reply in its `outputStream`; `connection_ms` the same for a second
session that stops a tone at the first 20 ms that are not silent, at the same moment: what the connection costs a
decision that takes no time; `decision_ms` the difference; `last_ms` to the last trace of the interrupted reply.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Playwright, sync_playwright  # noqa: E402
from tests.interop.browser import interruption  # noqa: E402
from tests.interop.browser.conftest import CHROMIUM_FLAGS, UvicornThread  # noqa: E402

QUESTION = "wuw-corpus-ii/00013/WUWII00013_001.flac"
REMARKS = tuple(
    f"picovoice-speech-to-intent/speech/clean/{name}-*.flac"
    for name in ("7df4e4a0", "56c99f2c", "cd49052f", "b6349719", "9066c10e", "45a1cf1b")
)
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def run(playwright: Playwright, chromium: str, transport: str, question: Path, remark: Path) -> dict[str, Any]:
    """One conversation."""
    tones = interruption.Tones()
    server = UvicornThread(tones.app)
    with tempfile.TemporaryDirectory() as folder:
        loaded = interruption.load(question), interruption.load(remark)
        microphone = interruption.write_microphone(Path(folder) / "microphone.wav", *loaded)
        heard = f"--use-file-for-fake-audio-capture={microphone}%noloop"
        browser = playwright.chromium.launch(executable_path=chromium, args=[*CHROMIUM_FLAGS, heard])
        try:
            page = browser.new_page()
            page.add_init_script(interruption.SESSIONS)
            recording = interruption.converse(page, server.url, transport, last_turn=2)
        finally:
            browser.close()
            server.stop()
    return {"remark": remark.stem[:8], **asdict(interruption.interruption_in(recording))}


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, default=ROOT.parent / "shared" / "speech")
    parser.add_argument("--transports", nargs="+", default=["webrtc", "websocket"])
    parser.add_argument("--remarks", type=int, default=3)
    options = parser.parse_args()
    report: dict[str, Any] = {"bench": "interruption"}
    if not options.speech.is_dir():
        report["skipped"] = "needs the recorded speech (--speech)"
    elif (chromium := next(filter(None, map(shutil.which, CHROMIUMS)), None)) is None:
        report["skipped"] = "needs a Chromium"
    else:
        remarks = [next(options.speech.glob(pattern)) for pattern in REMARKS[: options.remarks]]
        with sync_playwright() as playwright:
            for transport in options.transports:
                runs = [run(playwright, chromium, transport, options.speech / QUESTION, remark) for remark in remarks]
                medians = {
                    name: statistics.median(one[name] for one in runs)
                    for name in ("silent_ms", "connection_ms", "decision_ms")
                }
                report[transport] = {"median": medians, "runs": runs}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

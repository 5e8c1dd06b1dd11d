"""Runs the Python of a page as one module."""

from __future__ import annotations

import wave
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.docs.blocks import blocks_of
from tests.fakes.sound import labelled_clips

# What pages leave to the reader.
STUBS: dict[str, dict[str, Any]] = {
    "how-to/interruptions.md": {"sentences_of_the_answer": lambda audio: [("Hello.", audio)]},
}
HEARD = "question.wav"


def write_question(folder: Path, speech: Path, silence_s: float = 0.0) -> None:
    """A recorded question, as the pages' examples expect it in the working directory, with silence after it."""
    clip = next(clip for clip in labelled_clips(speech) if clip.pcm.size > clip.rate_hz)
    with wave.open(str(folder / HEARD), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(clip.rate_hz)
        file.writeframes(clip.pcm.astype("<i2").tobytes())
        file.writeframes(bytes(2 * int(silence_s * clip.rate_hz)))


def run_page(page: str, speech: Path | None = None) -> dict[str, Any]:
    """Run the blocks of a page; those that need speech only if there is some."""
    module = ModuleType("page")
    names = vars(module)
    names.update(STUBS.get(page, {}))
    for block in blocks_of(page, "python"):
        code = block.compiled()
        if block.note == "compile" or (block.note == "speech" and speech is None):
            continue
        for name in [name for name in names if name.startswith("test_")]:
            del names[name]
        exec(code, names)  # type: ignore[call-overload]
        for name in [name for name in names if name.startswith("test_")]:
            names[name]()
    return names

"""The migration page lists every name of FastRTC that is not here, and none that is."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "migrating.md"
SCRIPT = PAGE.parent.parent / "scripts" / "compare_api.py"
# These are here, and differ in something else than in being there.
DIFFERENT = {
    "fastrtc.WebRTC",
    "fastrtc.pause_detection.SileroVADModel.get_speech_timestamps",
    "fastrtc.pause_detection.SileroVADModel.vad",
}


def listed() -> list[str]:
    """The names of the page's table."""
    table = PAGE.read_text(encoding="utf-8").split("## Names that are not there")[1]
    return re.findall(r"^\| `(fastrtc\.[\w.]+)` \|", table, re.MULTILINE)


def exists(name: str) -> bool:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        try:
            value = reduce(getattr, parts[length:], module)
        except AttributeError:
            return False
        # Every class can be called; only an own __call__ makes its instances callable.
        return parts[-1] != "__call__" or hasattr(value, "__code__")
    return False


def test_each_name_is_listed_once() -> None:
    assert len(listed()) == len(set(listed())) > 20


@pytest.mark.parametrize("name", listed())
def test_what_is_listed_is_not_there(name: str) -> None:
    assert exists(name) == (name in DIFFERENT), "docs/migrating.md is out of date"


def test_nothing_else_differs_from_the_original() -> None:
    original = os.environ.get("FASTRTC_ORIGINAL_PYTHON")
    if original is None:
        pytest.skip("set FASTRTC_ORIGINAL_PYTHON to the interpreter of an environment with fastrtc 0.0.34")
    done = subprocess.run([sys.executable, SCRIPT, "--python", original], capture_output=True, text=True, check=False)
    found = set()
    for name, differences in json.loads(done.stdout).items():
        home = "fastrtc." + name.rsplit(".", 1)[1]
        for difference in differences:
            member = re.match(r"(\w+): ", difference)
            found.add(f"{name}.{member[1]}" if member else name)
            if member and home == "fastrtc.WebRTC":
                found.discard(f"{name}.{member[1]}")
                found.add(home)
    names = set(listed())
    # A class may be listed under the name that fastrtc itself has for it.
    unlisted = {name for name in found if name not in names and "fastrtc." + ".".join(name.split(".")[2:]) not in names}
    assert unlisted == set()

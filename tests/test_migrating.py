"""The migration page lists every name of FastRTC that is not here or differs, and none that is the same."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import tomllib
from functools import lru_cache, reduce
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "migrating.md"
SCRIPT = PAGE.parent.parent / "scripts" / "compare_api.py"
ABSENT, DIFFERENT = "## Names that are not there", "## Names that differ"


def listed(heading: str) -> list[str]:
    """The names in the first column of a table of the page."""
    section = PAGE.read_text(encoding="utf-8").split(heading)[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`fastrtc\.[^|]*) \|", section, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(fastrtc\.[\w.]+)`", row)]


@lru_cache(maxsize=1)
def script() -> ModuleType:
    """``scripts/compare_api.py`` as a module."""
    spec = importlib.util.spec_from_file_location("compare_api", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@lru_cache(maxsize=1)
def facts() -> Any:
    """The original's surface."""
    return json.loads(script().FACTS.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def ours() -> Any:
    """What this package has; described in another process, because it imports Gradio."""
    return script().describe()


def differing(theirs: Any) -> set[str]:
    """The names that differ, members as names of their own."""
    found = set()
    for name, differences in script().compare(theirs, ours()).items():
        for difference in differences:
            member = re.match(r"(\w+): ", difference)
            # The parameters of a class are those of its __init__.
            found.add(f"{name}.{member[1]}" if member and member[1] != "__init__" else name)
    return found


def bare(name: str) -> str:
    """The name without its module: what several modules have is listed once."""
    modules = [module for module in facts() if name.startswith(f"{module}.")]
    return name if name in facts() else name.removeprefix(f"{max(modules, key=len)}.")


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


def test_the_originals_extras_can_be_installed() -> None:
    project = tomllib.loads((PAGE.parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert set(extras) >= {"dev", "stopword", "stt", "tts", "vad"}
    assert extras["vad"] == [], "voice activity detection needs no extra"
    assert extras["stopword"] == ["fastrtc[stt]"]


def test_each_name_is_listed_once() -> None:
    names = listed(ABSENT) + listed(DIFFERENT)
    assert len(names) == len(set(names)) > 30


@pytest.mark.parametrize("name", listed(ABSENT))
def test_what_is_listed_as_absent_is_absent(name: str) -> None:
    if name.startswith("fastrtc.WebRTC."):
        pytest.importorskip("gradio")
    assert not exists(name), "docs/migrating.md is out of date"


@pytest.mark.parametrize("name", listed(DIFFERENT))
def test_what_is_listed_as_different_is_there(name: str) -> None:
    assert exists(name), "docs/migrating.md is out of date"


def test_nothing_else_differs_from_the_original() -> None:
    pytest.importorskip("gradio")
    names = {bare(name) for name in listed(ABSENT) + listed(DIFFERENT)}
    assert {bare(name) for name in differing(facts())} == names


def test_the_comparison_sees_what_is_missing_or_changed() -> None:
    pytest.importorskip("gradio")
    imagined = {
        "fastrtc": {
            "NoSuchName": {"kind": "value"},
            "CloseStream": {
                "kind": "class",
                "parameters": [["msg", "POSITIONAL_OR_KEYWORD", "'Other'"]],
                "members": {},
            },
            "Stream": {"kind": "class", "members": {"no_such_method": {"kind": "method"}, "ui": {"kind": "property"}}},
            "wait_for_item": {"kind": "function", "parameters": []},
        },
        "fastrtc.no_such_module": {"name": {"kind": "value"}},
        "instances": {"Stream": ["no_such_attribute", "mode"]},
    }
    assert script().compare(imagined, ours()) == {
        "fastrtc.NoSuchName": ["missing"],
        "fastrtc.CloseStream": [
            "parameter msg: POSITIONAL_OR_KEYWORD 'Other' there, POSITIONAL_OR_KEYWORD 'Stream closed' here"
        ],
        "fastrtc.Stream": ["no_such_method: missing", "no_such_attribute: missing"],
        "fastrtc.wait_for_item": ["function there, async function here"],
        "fastrtc.no_such_module.name": ["missing"],
    }


def test_the_facts_are_those_of_an_installed_original() -> None:
    original = os.environ.get("FASTRTC_ORIGINAL_PYTHON")
    if original is None:
        pytest.skip("set FASTRTC_ORIGINAL_PYTHON to the interpreter of an environment with fastrtc 0.0.34")
    found = script().facts_of(script().describe(original))
    assert script().as_text(found) == script().FACTS.read_text(encoding="utf-8")

"""The README shows code that runs and names files and commands that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import fastrtc


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def test_the_first_example_makes_a_stream(readme: str) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(source, "README.md", "exec"), names)
    assert isinstance(names["stream"], fastrtc.Stream)


def test_its_commands_are_targets_of_make(readme: str, root: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    commands = set(re.findall(r"^make ([a-z-]+) ", readme, flags=re.MULTILINE))
    assert {"demo", "test"} <= commands <= targets


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "bench/README.md"])
def test_its_links_lead_somewhere(root: Path, page: str) -> None:
    text = (root / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    assert [link for link in links if not (root / page).parent.joinpath(link).exists()] == []
    commands = re.findall(r"`python (bench/\w+\.py)`", text)
    assert [command for command in commands if not (root / command).exists()] == []

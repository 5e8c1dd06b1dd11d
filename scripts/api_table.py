"""Writes ``docs/reference/names.md``: every public name, what it is, and the tests that use it.

    python scripts/api_table.py

A test uses a name if it imports it from this package and does something with it, writes ``fastrtc.NAME`` or
``module.NAME``, or has the name in a table of cases. Tests that only list the names, and tests of the documentation
itself, do not count.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import fastrtc

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "names.md"
PACKAGES = ("fastrtc", "gradio_webrtc")
NOT_COUNTED = ("tests/test_public_api.py", "tests/docs/")
MOST_TESTS = 3

# Aliases of types, which have no docstring that Python keeps.
ALIASES = {
    "AudioEmitType": "What `emit` of a handler of audio may return.",
    "ModelOptions": "Options of a `PauseDetectionModel`; each model has its own class.",
    "VideoEmitType": "What `video_emit`, or a function of video, may return.",
}

HEAD = """---
hide: [toc]
---

# All public names

Everything that `from fastrtc import ...` gives, and the tests that use it (at most three of them). This page is written
by `scripts/api_table.py`, which `make docs` runs.

| name | what it is | tested in |
|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One name: its summary, and the tests that use it, the most telling first."""

    name: str
    summary: str
    tests: tuple[str, ...]

    def as_markdown(self) -> str:
        """A row of the table."""
        tests = "<br>".join(f"`{test}`" for test in self.tests[:MOST_TESTS])
        return f"| `{self.name}` | {self.summary} | {tests} |"


def rows() -> list[Row]:
    """A row for each public name."""
    uses = find_uses()
    return [Row(name, summary(name), by_relevance(name, uses.get(name, {}))) for name in sorted(fastrtc.__all__)]


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(row.as_markdown() for row in rows()) + "\n"


def summary(name: str) -> str:
    """The first paragraph of a name's docstring, in Markdown."""
    if name in ALIASES:
        return ALIASES[name]
    text = inspect.getdoc(getattr(fastrtc, name)) or ""
    first = " ".join(text.partition("\n\n")[0].split())
    for role in (":class:", ":func:", ":meth:", ":attr:"):
        first = first.replace(role, "")
    return first.replace("``", "`").replace("|", "\\|")


def find_uses() -> dict[str, dict[str, int]]:
    """How often each test file uses each name."""
    found: dict[str, dict[str, int]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        if file.startswith(NOT_COUNTED):
            continue
        for name in uses_in(ast.parse(path.read_text(encoding="utf-8"))):
            counts = found.setdefault(name, {})
            counts[file] = counts.get(file, 0) + 1
    return found


def uses_in(tree: ast.Module) -> Iterator[str]:
    """Each use of a public name in a module."""
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            imported |= {alias.asname or alias.name: alias.name for alias in node.names}
    public = set(fastrtc.__all__)
    with_twins = any(isinstance(node, ast.Constant) and node.value == "_async" for node in ast.walk(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and imported.get(node.id) in public:
            yield imported[node.id]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in public and (node.value.id in PACKAGES or node.value.id in imported):
                yield node.attr
        elif isinstance(node, ast.Constant) and imported and "_" in str(node.value) and node.value in public:
            yield str(node.value)
            if with_twins and f"{node.value}_async" in public:
                yield f"{node.value}_async"


def by_relevance(name: str, counts: Mapping[str, int]) -> tuple[str, ...]:
    """The files: those that mirror the name's module first, then those that use it most."""
    home = fastrtc._HOMES[name].split(".")

    def key(file: str) -> tuple[bool, bool, bool, int, str]:
        path = Path(file)
        is_test = path.name.startswith("test_")
        mirrors = path.stem.removeprefix("test_") == home[-1]
        return (not is_test, not mirrors, home[0] not in path.parts, -counts[file], file)

    return tuple(sorted(counts, key=key))


def main(arguments: Sequence[str]) -> int:
    """Write the page; with ``--check``, only say whether it would change."""
    importlib.invalidate_caches()
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    new = page()
    if "--check" in arguments:
        return int(old != new)
    if old != new:
        PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

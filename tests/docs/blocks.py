"""The code blocks of the documentation, with what a comment before a block says about it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))

_BLOCK = re.compile(
    r"(?:^<!-- (?P<key>\w+): (?P<note>[\w-]+) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One code block.

    Attributes:
        page: Its page, relative to ``docs``.
        line: Where it begins.
        language: ``python``, ``bash``...
        text: The code, without the page's indentation.
        note: What ``<!-- key: note -->`` in the line above says, or nothing.
    """

    page: str
    line: int
    language: str
    text: str
    note: str = ""

    def compiled(self) -> object:
        """The code of a Python block, with the page's name and line numbers."""
        text = "\n" * self.line + self.text
        return compile(text, f"docs/{self.page}", "exec", dont_inherit=True)


def blocks_of(page: str, language: str) -> Iterator[Block]:
    """The blocks of one language on one page, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        if found["language"] == language:
            line = text.count("\n", 0, found.start("text"))
            yield Block(page, line, language, textwrap.dedent(found["text"]), found["note"] or "")

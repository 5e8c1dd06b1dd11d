"""MkDocs hooks: a folder in the navigation, and docstrings whose cross-references are written for Sphinx."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_ROLE = re.compile(r":(?:class|func|meth|mod|attr|exc):(?=<code)")
_LITERAL = re.compile(r"\s*::</p>")


def on_config(config: Any) -> Any:
    """Put the files in the place of ``folder/*.md``, by name; their headings become their titles."""
    config["nav"] = [_expanded(entry, Path(config["docs_dir"])) for entry in config["nav"]]
    return config


def on_page_content(html: str, **_: Any) -> str:
    """Take out what Sphinx would have read."""
    return _LITERAL.sub(":</p>", _ROLE.sub("", html)).replace("<p>:</p>", "")


def _expanded(entry: Any, docs: Path) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {
        title: [path.relative_to(docs).as_posix() for path in sorted(docs.glob(target))]
        if isinstance(target, str) and "*" in target
        else target
        for title, target in entry.items()
    }

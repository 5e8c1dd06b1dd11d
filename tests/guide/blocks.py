"""The code blocks of the guide, as printed."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[3] / "shared" / "seed" / "audio-streaming.md"
NAMES = ("reply_on_pause", "parameters", "reply_on_stopwords", "stream_handler", "async_stream_handler")

_BLOCK = re.compile(r"^( *)```+ *py(?:thon)?\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def read_blocks() -> dict[str, str]:
    """Every block by its name; nothing but its indentation is changed."""
    blocks = [textwrap.dedent(found[2]) for found in _BLOCK.finditer(GUIDE.read_text(encoding="utf-8"))]
    assert len(blocks) == len(NAMES), "the guide has other blocks than these tests know"
    return dict(zip(NAMES, blocks, strict=True))

"""The documentation builds without a warning, and its reference shows public names only."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason='MkDocs is not installed (pip install "fastrtc[docs]")')


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def text_of(page: Path) -> str:
    source = page.read_text(encoding="utf-8")
    article = source[source.index("<article") : source.index("</article")]
    return html.unescape(re.sub(r"<[^>]+>", "", article))


def test_every_page_is_there(site: Path, root: Path) -> None:
    docs = root / "docs"
    pages = [path.relative_to(docs).with_suffix(".html") for path in docs.rglob("*.md")]
    assert len(pages) > 20
    assert [page for page in pages if not (site / page).exists()] == []


def test_the_reference_has_docstrings_and_no_markup_of_sphinx(site: Path) -> None:
    for page in sorted((site / "reference").glob("*.html")):
        text = text_of(page)
        assert re.search(r":(class|func|meth|mod|attr):", text) is None, page.name
        assert "::\n" not in text, page.name
    assert "Calls a function with everything the user said" in text_of(site / "reference" / "handlers.html")


def test_the_reference_shows_public_names_only(site: Path) -> None:
    for page in (site / "reference").glob("*.html"):
        ids = re.findall(r'id="(fastrtc\.[\w.]+)"', page.read_text(encoding="utf-8"))
        assert [name for name in ids if re.search(r"\._(?!_)", name)] == [], page.name


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', page.read_text(encoding="utf-8")
        )
        assert loaded == [], page.name

"""The table of public names is what ``scripts/api_table.py`` would write, and it has no empty place."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import fastrtc


@pytest.fixture(scope="module")
def table(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_table", root / "scripts" / "api_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks its module up.
    import sys

    sys.modules["api_table"] = module
    spec.loader.exec_module(module)
    return module


def rows_of(page: str) -> dict[str, tuple[str, set[str]]]:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    return {name: (summary, set(re.findall(r"`([^`]+)`", tests))) for name, summary, tests in rows}


def test_every_name_is_described_and_tested(table: ModuleType) -> None:
    rows = table.rows()
    assert [row.name for row in rows] == sorted(fastrtc.__all__)
    assert [row.name for row in rows if not row.summary] == []
    assert [row.name for row in rows if not row.tests] == []


def test_the_page_is_current(table: ModuleType) -> None:
    """A further test of a name leaves the page as true as it was; anything else has to be written: ``make docs``."""
    written = rows_of(table.PAGE.read_text(encoding="utf-8"))
    made = {row.name: row for row in table.rows()}
    assert list(written) == list(made)
    assert {name: summary for name, (summary, _) in written.items()} == {
        name: row.summary for name, row in made.items()
    }
    stale = {name: tests - set(made[name].tests) for name, (_, tests) in written.items() if tests}
    assert {name: tests for name, tests in stale.items() if tests} == {}
    assert [name for name, (_, tests) in written.items() if not tests] == []


def test_the_page_has_the_form_of_the_script(table: ModuleType) -> None:
    assert table.PAGE.read_text(encoding="utf-8").startswith(table.HEAD)
    assert rows_of(table.page()).keys() == rows_of(table.PAGE.read_text(encoding="utf-8")).keys()


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from fastrtc import Stream\nStream(1)\nStream(2)", ["Stream", "Stream"]),
        ("from fastrtc.stream import Stream", []),
        ("from fastrtc import Stream as S\nS(1)", ["Stream"]),
        ("from elsewhere import Stream\nStream(1)", []),
        ("raise Warning('x')", []),
        ("import fastrtc\nfastrtc.Warning('x')", ["Warning"]),
        ("from fastrtc import credentials\ncredentials.get_turn_credentials()", ["get_turn_credentials"]),
        ("from fastrtc import credentials\ncases = ['get_turn_credentials']", ["get_turn_credentials"]),
    ],
)
def test_what_counts_as_a_use(table: ModuleType, source: str, names: list[str]) -> None:
    import ast

    assert list(table.uses_in(ast.parse(source))) == names

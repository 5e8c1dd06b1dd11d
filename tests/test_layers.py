"""The structure that ARCHITECTURE.md describes, checked on the syntax trees of the sources.

Imports inside functions and under ``TYPE_CHECKING`` count like any other; the latter may also point sideways inside a
layer, because they do not exist when the program runs.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src"
PACKAGE = "fastrtc"

LAYERS: tuple[frozenset[str], ...] = (
    frozenset(
        {"errors", "lazy", "context", "outputs", "replies", "audio", "events", "link", "options"}
        | {"limits", "tokens", "visitor"}
    ),
    frozenset({"turns", "media", "wire"}),
    frozenset({"vad", "speech"}),
    frozenset({"handlers"}),
    frozenset({"standing_delay", "playout", "collector", "clock", "mouth", "feed", "session"}),
    frozenset({"transports", "observe"}),
    frozenset({"server", "ui"}),
    frozenset({"stream"}),
    frozenset({"testing", "client", "demos", "doctor", "cli", "serving", "workers"}),
)
LAYER_OF = {unit: number for number, layer in enumerate(LAYERS) for unit in layer}
TOP = len(LAYERS) - 1

# Runtime imports point sideways in layer 0, which is one vocabulary, in the top layer, and here to what stands before.
IN_ORDER = ("standing_delay", "playout", "collector", "clock", "mouth", "feed", "session")
NEVER_EACH_OTHER = frozenset({"turns", "media", "wire"})

# Re-exports for applications written against FastRTC: no layer may import them.
REEXPORTS = frozenset(
    {
        "utils",
        "tracks",
        "reply_on_pause",
        "reply_on_stopwords",
        "pause_detection",
        "webrtc",
        "speech_to_text",
        "text_to_speech",
        "credentials",
    }
)

IMPURE = frozenset(
    {"asyncio", "concurrent", "contextvars", "datetime", "multiprocessing", "os", "queue", "random", "secrets"}
    | {"select", "selectors", "signal", "socket", "subprocess", "threading", "time"}
)
THIRD_PARTY_AT_THE_BOTTOM = frozenset({"numpy", "soundfile"})

# Where a broad `except` is allowed, because user code or a peer must not take other sessions down.
SUPERVISORS = frozenset({"session", "handlers.supervisor", "testing.rehearsal"})

MAX_MODULE_LINES, MAX_FUNCTION_LINES = 500, 60


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, with whether it exists only for type checkers and whether a function holds it."""

    target: str
    line: int
    typing_only: bool
    deferred: bool


@dataclass(frozen=True, slots=True)
class Module:
    """A source file; ``unit`` is the first part of its name below the package, empty for the package itself."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def unit(self) -> str:
        return unit_of(self.name)

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    def at(self, line: int) -> str:
        return f"{self.path.relative_to(SOURCES)}:{line}"


def unit_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def parse(name: str, path: Path, source: str) -> Module:
    return Module(name=name, path=path, tree=ast.parse(source, str(path)))


def load_modules() -> dict[str, Module]:
    modules = {}
    for path in sorted((SOURCES / PACKAGE).rglob("*.py")):
        parts = path.relative_to(SOURCES).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = parse(name, path, path.read_text(encoding="utf-8"))
    return modules


MODULES = load_modules()


def is_typing_test(node: ast.If) -> bool:
    test = node.test
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def imports_of(module: Module, known: frozenset[str] | None = None) -> list[Import]:
    """Every import of a module: statements at any depth, and ``import_module`` of a literal."""
    names = frozenset(MODULES) if known is None else known
    return list(_walk(module, module.tree, names, typing_only=False, deferred=False))


def _walk(
    module: Module, node: ast.AST, known: frozenset[str], *, typing_only: bool, deferred: bool
) -> Iterator[Import]:
    for target in _targets(module, node, known):
        yield Import(target, getattr(node, "lineno", 0), typing_only, deferred)
    inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    if isinstance(node, ast.If) and is_typing_test(node):
        for child in node.body:
            yield from _walk(module, child, known, typing_only=True, deferred=inside)
        for child in node.orelse:
            yield from _walk(module, child, known, typing_only=typing_only, deferred=inside)
        return
    for child in ast.iter_child_nodes(node):
        yield from _walk(module, child, known, typing_only=typing_only, deferred=inside)


def _targets(module: Module, node: ast.AST, known: frozenset[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = module.name.split(".")
            kept = parts[: len(parts) - node.level + (1 if module.is_package else 0)]
            base = ".".join([*kept, base] if base else kept)
        found = [f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in known]
        return found if len(found) == len(node.names) else [base, *found]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    return []


def own(target: str) -> bool:
    return target == PACKAGE or target.startswith(PACKAGE + ".")


def stands_before(there: str, here: str) -> bool:
    return {there, here} <= set(IN_ORDER) and IN_ORDER.index(there) < IN_ORDER.index(here)


def layer_problem(module: Module, found: Import) -> str | None:
    """Why this import of our own package is not allowed, or None."""
    here, there = module.unit, unit_of(found.target)
    if not own(found.target) or here == "" or here in REEXPORTS or here == there:
        return None
    if here not in LAYER_OF or (there and there not in LAYER_OF | dict.fromkeys(REEXPORTS)):
        return f"{here} or {there} has no layer"
    if there == "" and LAYER_OF[here] == TOP:
        return None
    if there == "":
        return f"imports the package itself ({found.target}), whose names lead to every layer"
    if there in REEXPORTS:
        return f"imports the re-exports of fastrtc.{there}"
    if here in NEVER_EACH_OTHER and there in NEVER_EACH_OTHER:
        return f"{here} imports {there}: these packages never import each other"
    if LAYER_OF[there] < LAYER_OF[here] or (LAYER_OF[there] == LAYER_OF[here] and LAYER_OF[here] in (0, TOP)):
        return None
    if LAYER_OF[there] == LAYER_OF[here] and (found.typing_only or stands_before(there, here)):
        return None
    return f"layer {LAYER_OF[here]} ({here}) imports layer {LAYER_OF[there]} ({there})"


def purity_problem(module: Module, found: Import) -> str | None:
    """Why this import breaks the purity of the turn-taking core or of the bottom layer, or None."""
    root = found.target.split(".")[0]
    if module.unit == "turns" and (root in IMPURE or found.target.startswith("numpy.random")):
        return f"turns/ is pure and may not import {found.target}"
    if module.unit in LAYERS[0] and not found.typing_only:
        standard = root in sys.stdlib_module_names or own(found.target)
        if not standard and root not in THIRD_PARTY_AT_THE_BOTTOM:
            return f"layer 0 needs numpy only, not {found.target}"
    return None


def broad_excepts(module: Module) -> list[int]:
    """Lines of handlers that catch everything and do not raise it again as their last act."""
    lines = []
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {item.id if isinstance(item, ast.Name) else None if item else "everything" for item in caught}
        last = node.body[-1]
        reraised = isinstance(last, ast.Raise) and last.exc is None
        if names & {"everything", "Exception", "BaseException"} and not reraised:
            lines.append(node.lineno)
    return lines


def long_functions(module: Module) -> list[str]:
    """Functions of too many lines, their docstrings not counted."""
    found = []
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
        if lines > MAX_FUNCTION_LINES:
            found.append(f"{module.at(node.lineno)} {node.name}: {lines} lines")
    return found


def problems(check: object) -> list[str]:
    assert callable(check)
    return [
        f"{module.at(found.line)} {problem}"
        for module in MODULES.values()
        for found in imports_of(module)
        if (problem := check(module, found)) is not None
    ]


def test_every_module_has_a_layer() -> None:
    unknown = {module.unit for module in MODULES.values()} - set(LAYER_OF) - REEXPORTS - {""}
    assert not unknown, "say in ARCHITECTURE.md and in this test which layer these are"


def test_the_table_is_the_one_in_the_architecture() -> None:
    rows = [line.split("|") for line in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()]
    table = {
        int(row[1]): frozenset(name.strip("/` ") for name in row[2].split())
        for row in rows
        if row[1:2] and row[1].strip().isdigit()
    }
    assert table == dict(enumerate(LAYERS))


def test_imports_point_downward() -> None:
    assert problems(layer_problem) == []


def test_the_core_is_pure() -> None:
    assert problems(purity_problem) == []


def test_turns_draws_no_random_numbers() -> None:
    drawn = [
        module.at(node.lineno)
        for module in MODULES.values()
        if module.unit == "turns"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr == "random"
    ]
    assert drawn == []


def test_modules_do_not_import_each_other_in_circles() -> None:
    graph = {
        module.name: {
            found.target
            for found in imports_of(module)
            if own(found.target) and not found.typing_only and not found.deferred and found.target in MODULES
        }
        for module in MODULES.values()
        if module.name != PACKAGE
    }
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_broad_excepts_are_the_supervisors() -> None:
    found = [
        module.at(line)
        for module in MODULES.values()
        if module.name.removeprefix(PACKAGE + ".") not in SUPERVISORS
        for line in broad_excepts(module)
    ]
    assert found == []


def test_modules_are_short() -> None:
    clients = [path for path in (ROOT / "js").rglob("*.js") if "node_modules" not in path.parts]
    pages = list((SOURCES / PACKAGE / "ui").rglob("*.js"))
    sizes = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in [*(module.path for module in MODULES.values()), *clients, *pages]
    }
    assert {name: size for name, size in sizes.items() if size > MAX_MODULE_LINES} == {}


def test_functions_are_short() -> None:
    assert [item for module in MODULES.values() for item in long_functions(module)] == []


# The checks themselves, on sources that break each rule.

KNOWN = frozenset({"fastrtc.turns.gate", "fastrtc.media.g711", "fastrtc.session", "fastrtc.clock", "fastrtc.audio"})


def example(name: str, source: str) -> Module:
    return parse(name, SOURCES / (name.replace(".", "/") + ".py"), source)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("fastrtc.turns.gate", "from fastrtc.media import g711"),
        ("fastrtc.turns.gate", "from ..media import g711"),
        ("fastrtc.turns.gate", "if TYPE_CHECKING:\n    import fastrtc.wire.twilio"),
        ("fastrtc.media.opus", "def f():\n    import fastrtc.session"),
        ("fastrtc.clock", "from fastrtc.session import Session"),
        ("fastrtc.clock", "if TYPE_CHECKING:\n    from fastrtc.stream import Stream"),
        ("fastrtc.audio", "from importlib import import_module\nimport_module('fastrtc.turns')"),
        ("fastrtc.handlers.base", "from fastrtc.utils import wait_for_item"),
        ("fastrtc.handlers.base", "from fastrtc import Stream"),
        ("fastrtc.session", "from fastrtc import transports"),
    ],
)
def test_an_upward_import_is_found(name: str, source: str) -> None:
    module = example(name, source)
    assert [problem for found in imports_of(module, KNOWN) if (problem := layer_problem(module, found))]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("fastrtc.session", "from fastrtc.clock import MediaClock"),
        ("fastrtc.session", "from fastrtc import audio"),
        ("fastrtc.clock", "if TYPE_CHECKING:\n    from fastrtc.session import Session"),
        ("fastrtc.audio", "from fastrtc.errors import AudioFormatError\nimport numpy.typing"),
        ("fastrtc.cli", "import fastrtc\nfrom fastrtc.testing import replay"),
    ],
)
def test_a_downward_import_is_allowed(name: str, source: str) -> None:
    module = example(name, source)
    assert [layer_problem(module, found) for found in imports_of(module, KNOWN)] != []
    assert [problem for found in imports_of(module, KNOWN) if (problem := layer_problem(module, found))] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("fastrtc.turns.gate", "from time import monotonic"),
        ("fastrtc.turns.gate", "def f():\n    import asyncio.queues"),
        ("fastrtc.audio", "import soxr"),
    ],
)
def test_an_impure_import_is_found(name: str, source: str) -> None:
    module = example(name, source)
    assert [problem for found in imports_of(module, KNOWN) if (problem := purity_problem(module, found))]


@pytest.mark.parametrize("clause", ["except:", "except Exception:", "except (OSError, BaseException) as error:"])
def test_a_broad_except_is_found_unless_it_raises_again(clause: str) -> None:
    swallowed = f"try:\n    f()\n{clause}\n    print()"
    assert broad_excepts(example("fastrtc.stream", swallowed)) == [3]
    assert broad_excepts(example("fastrtc.stream", swallowed + "\n    raise")) == []


def test_a_long_function_is_found() -> None:
    lines = "\n".join("    x = 1" for _ in range(MAX_FUNCTION_LINES))
    assert long_functions(example("fastrtc.stream", f"def f():\n{lines}")) != []
    docstring = '    """' + "\n" * MAX_FUNCTION_LINES + '    """'
    assert long_functions(example("fastrtc.stream", f"def f():\n{docstring}\n    x = 1")) == []

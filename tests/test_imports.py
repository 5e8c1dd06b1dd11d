"""``import fastrtc`` loads next to nothing: the figures are bench/import_cost.py's, the cause is checked here."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import fastrtc

# What takes long to import or much memory: none may come before something needs it.
HEAVY = frozenset(
    {"aiortc", "av", "fastapi", "gradio", "matplotlib", "onnxruntime", "pydantic", "scipy", "soundfile", "soxr"}
    | {"starlette", "uvicorn", "websockets", "webrtc", "wrtc", "asyncio"}
)
# A stream's routes are declared with the classes of these two.
NEEDED_BY = {"Stream": {"pydantic", "starlette"}, "UIArgs": {"pydantic", "starlette"}}


def modules_after(statement: str) -> set[str]:
    """Top-level modules in a new interpreter after one statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_no_third_party_module() -> None:
    loaded = modules_after("import fastrtc")
    assert "fastrtc" in loaded
    assert loaded & (HEAVY | {"numpy"}) == set()


@pytest.mark.parametrize("name", sorted(fastrtc.__all__))
def test_a_public_name_loads_nothing_heavy(name: str) -> None:
    loaded = modules_after(f"from fastrtc import {name}")
    assert loaded & (HEAVY - {"asyncio"}) == NEEDED_BY.get(name, set())


def test_the_old_package_name_is_as_light() -> None:
    assert modules_after("import gradio_webrtc") & (HEAVY | {"numpy"}) == set()

"""What is in the wheel: an application gets the browser client, the page and the type marker with it."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

FIND = """
import json, sysconfig
from pathlib import Path
library = Path(sysconfig.get_path("purelib"))
print(json.dumps(sorted(p.relative_to(library).as_posix() for p in library.rglob("*") if p.is_file())))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, root: Path) -> set[str]:
    """Files below site-packages after the wheel was built and installed into a new environment, alone."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(root)]
    subprocess.run(build, check=True)
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    (wheel,) = folder.glob("fastrtc-*.whl")
    subprocess.run([*pip, "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)], check=True)
    found = subprocess.run([python, "-c", FIND], check=True, capture_output=True, text=True).stdout
    return set(json.loads(found))


@pytest.mark.slow
def test_the_wheel_has_both_packages(installed: set[str]) -> None:
    assert {
        "fastrtc/__init__.py",
        "fastrtc/py.typed",
        "gradio_webrtc/__init__.py",
        "gradio_webrtc/py.typed",
    } <= installed


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_browser_client(installed: set[str], root: Path) -> None:
    sources = root / "js" / "client" / "src"
    wanted = {f"fastrtc/ui/client/{p.relative_to(sources).as_posix()}" for p in sources.rglob("*") if p.is_file()}
    assert wanted
    assert wanted <= installed


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_page(installed: set[str], root: Path) -> None:
    static = root / "src" / "fastrtc" / "ui" / "static"
    wanted = {f"fastrtc/ui/static/{p.relative_to(static).as_posix()}" for p in static.rglob("*") if p.is_file()}
    assert wanted
    assert wanted <= installed


@pytest.mark.slow
def test_the_wheel_has_nothing_of_the_workshop(installed: set[str]) -> None:
    strays = {name for name in installed if "node_modules" in name or name.startswith(("tests/", "bench/", "scripts/"))}
    assert strays == set()

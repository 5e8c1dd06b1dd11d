"""How much `pip install .` brings: megabytes on disk and packages, in a fresh virtual environment, as JSON.

    python bench/install_size.py [--extra NAME ...] [--wheel PATH]

Counted is what was added to the environment's site-packages, compiled files included, beyond what an empty
environment of the same Python holds (pip, and setuptools before Python 3.12). One MB is 2^20 bytes of file content, as
`du --apparent-size -m` counts; `installed_decimal_mb` says the same in units of 10^6.
Needs the package index.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET_MB, TARGET_PACKAGES = 200, 30


def site_packages(python: Path) -> Path:
    """Where that interpreter's third-party packages are."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())


def packages(python: Path) -> dict[str, str]:
    """Installed distributions and their versions."""
    command = [python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {item["name"].lower(): item["version"] for item in json.loads(listing)}


def megabytes_by_entry(folder: Path) -> dict[str, float]:
    """MB of each entry of a site-packages folder; a wheel's bundled libraries count with their own folder."""
    sizes: dict[str, float] = {}
    for entry in folder.iterdir():
        files = [entry] if entry.is_file() else [path for path in entry.rglob("*") if path.is_file()]
        sizes[entry.name] = sum(path.stat().st_size for path in files) / 2**20
    return sizes


def measure(requirement: str) -> dict[str, object]:
    """Install the requirement into a fresh environment and say what that added."""
    with tempfile.TemporaryDirectory(prefix="install-size-") as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        library = site_packages(python)
        names_before, sizes_before = packages(python), megabytes_by_entry(library)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
        subprocess.run(pip, check=True, cwd=ROOT)
        names, sizes = packages(python), megabytes_by_entry(library)
    added = {name: version for name, version in sorted(names.items()) if name not in names_before}
    grown = {name: size - sizes_before.get(name, 0.0) for name, size in sizes.items()}
    largest = sorted(grown.items(), key=lambda item: -item[1])[:12]
    total_mb = sum(grown.values())
    return {
        "bench": "install_size",
        "requirement": requirement.removeprefix(str(ROOT)) or ".",
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "installed_mb": round(total_mb, 1),
        "installed_decimal_mb": round(total_mb * 2**20 / 1e6, 1),
        "package_count": len(added),
        "largest_mb": {name: round(size, 1) for name, size in largest},
        "packages": added,
        "target": {"installed_mb": TARGET_MB, "package_count": TARGET_PACKAGES},
        "ok": total_mb <= TARGET_MB and len(added) <= TARGET_PACKAGES,
    }


def main() -> None:
    """Print the measurement of the base install, or of the one with the given extras."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", action="append", default=[], help="install this extra too (repeatable)")
    parser.add_argument("--wheel", type=Path, help="install this wheel instead of the checkout")
    options = parser.parse_args()
    target = str(options.wheel.resolve()) if options.wheel else str(ROOT)
    extras = f"[{','.join(options.extra)}]" if options.extra else ""
    print(json.dumps(measure(target + extras), indent=2))


if __name__ == "__main__":
    main()

"""What importing costs: seconds and resident megabytes in fresh interpreters, as JSON.

    python bench/import_cost.py [--runs 9] [--python PATH] [--statement "import fastrtc"]

Every run is a new process, so nothing is shared but the compiled files and the operating system's file cache, which
one run that is not counted fills. Seconds are the import's own, without the start of the interpreter; memory is the
resident size of the whole process right after it (`VmRSS`; the peak, where there is no /proc). One MB is 2^20 bytes.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from statistics import median

STATEMENTS = (
    "pass",
    "import numpy",
    "import fastrtc",
    "from fastrtc import Stream, ReplyOnPause",
)
TARGET_S, TARGET_MB = 0.4, 60

PROBE = """
import sys
from time import perf_counter
statement = sys.argv[1]
begin = perf_counter()
exec(statement)
seconds = perf_counter() - begin
modules = len(sys.modules)
try:
    with open("/proc/self/status") as status:
        kib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
except OSError:
    import resource
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
print(seconds, kib / 1024, modules)
"""


def run_once(python: str, statement: str) -> tuple[float, float, int]:
    """Seconds, resident MB and number of modules of one import in a new process."""
    command = [python, "-c", PROBE, statement]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(printed[0]), float(printed[1]), int(printed[2])


def measure(python: str, statement: str, runs: int) -> dict[str, object]:
    """Medians over the runs, and the range of the times."""
    run_once(python, statement)
    results = [run_once(python, statement) for _ in range(runs)]
    seconds = [result[0] for result in results]
    return {
        "seconds": round(median(seconds), 4),
        "seconds_range": [round(min(seconds), 4), round(max(seconds), 4)],
        "resident_mb": round(median(result[1] for result in results), 1),
        "modules": results[0][2],
    }


def main() -> None:
    """Print the cost of each statement; ``ok`` judges ``import fastrtc``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment to measure")
    parser.add_argument("--statement", action="append", help="measure this instead (repeatable)")
    options = parser.parse_args()
    costs = {text: measure(options.python, text, options.runs) for text in options.statement or STATEMENTS}
    report: dict[str, object] = {
        "bench": "import_cost",
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "runs": options.runs,
        "statements": costs,
        "target": {"statement": "import fastrtc", "seconds": TARGET_S, "resident_mb": TARGET_MB},
    }
    own = costs.get("import fastrtc")
    if own is not None:
        report["ok"] = own["seconds"] <= TARGET_S and own["resident_mb"] <= TARGET_MB  # type: ignore[operator]
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

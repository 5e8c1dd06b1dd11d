"""Cost of idle sessions of a bare engine, as JSON: open microphones, nobody speaking, DTX negotiated.

    python bench/engine_idle.py [--n 1 10 50] [--seconds 10] [--engine wrtc]

See ``engine_bare.py`` for what is measured.
"""

from __future__ import annotations

from engine_bare import main

if __name__ == "__main__":
    raise SystemExit(main("idle", [1, 10, 50], "cost of idle sessions of a bare engine"))

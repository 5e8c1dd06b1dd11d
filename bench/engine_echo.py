"""Cost and latency of a full-duplex echo of speech over a bare engine, as JSON.

    python bench/engine_echo.py [--n 1 10 25] [--seconds 10] [--engine wrtc]

See ``engine_bare.py`` for what is measured.
"""

from __future__ import annotations

from engine_bare import main

if __name__ == "__main__":
    raise SystemExit(main("echo", [1, 10, 25], "full-duplex echo over a bare engine"))

"""Gives libwebrtc's encoder threads the priority of the process back.

Where it may (as root, with ``CAP_SYS_NICE``), libwebrtc makes the threads of its encoders real-time ones. Each then
pushes the media clock off its processor at the very write that wakes it, so that all sessions' encoders run one after
another in the middle of a tick instead of beside it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from functools import cache
from pathlib import Path

ENCODER_THREAD = "AudioEncoder"
_TASKS = Path("/proc/self/task")
_STATUS = Path("/proc/self/status")
_CAP_SYS_NICE = 1 << 23  # capability.h


def calm_encoders() -> int:
    """Let encoder threads that have another scheduling policy than the process have that of the process.

    Returns:
        How many were changed; always 0 on other systems than Linux.
    """
    if sys.platform != "linux":
        return 0
    policy, parameters = os.sched_getscheduler(os.getpid()), os.sched_getparam(os.getpid())
    if policy == os.SCHED_FIFO or not _may_be_real_time():
        return 0
    changed = 0
    for task in _TASKS.iterdir():
        # A thread may end meanwhile, and /proc may be closed to us.
        with contextlib.suppress(OSError):
            if os.sched_getscheduler(int(task.name)) == os.SCHED_FIFO and _is_encoder(task):
                os.sched_setscheduler(int(task.name), policy, parameters)
                changed += 1
    return changed


def _is_encoder(task: Path) -> bool:
    return (task / "comm").read_text(encoding="ascii", errors="replace").startswith(ENCODER_THREAD)


@cache
def _may_be_real_time() -> bool:
    """Whether threads of this process can be made real-time ones at all, see sched(7); if nobody knows, they can."""
    import resource

    if resource.getrlimit(resource.RLIMIT_RTPRIO)[0] != 0:
        return True
    with contextlib.suppress(OSError, ValueError):
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name == "CapEff":
                return bool(int(value, 16) & _CAP_SYS_NICE)
    return True

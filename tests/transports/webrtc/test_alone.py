"""Calls on a machine without any network, as a container without one: only 127.0.0.1 is there."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # "ip link set lo up", without needing ip
    fcntl.ioctl(probe, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40) + bytes(14))

from fastrtc.transports.webrtc.engine import PeerState, load_engine
from tests.transports.webrtc.caller import connect

async def scenario():
    caller, answerer = await connect(load_engine("{calling}"), load_engine("{called}"))
    await caller.until(lambda: caller.peer.state is PeerState.CONNECTED)
    await caller.close()
    await answerer.close()

asyncio.run(scenario())
print("connected")
"""


@pytest.mark.parametrize(("calling", "called"), [("wrtc", "wrtc"), ("aiortc", "wrtc"), ("wrtc", "aiortc")])
def test_a_call_without_a_network(root, calling, called):
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let a process have a network of its own (unshare -rn)")
    code = SCRIPT.format(calling=calling, called=called)
    alone = subprocess.run(
        [unshare, "-rn", sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert alone.stdout.strip() == "connected", alone.stderr

"""A network that swallows UDP, made of a network namespace and a packet filter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("wrtc", reason="wrtc is not installed")

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

# The filter drops without a word, as firewalls do; a rule of the routing table is second best: sending fails at once.
SETUP = """
{ip} link set lo up
filter() {{ for tool in {filters}; do $tool -A INPUT -p udp -j DROP 2>/dev/null || return 1; done; }}
rule() {{
  for family in -4 -6; do
    {ip} $family rule add pref 10 lookup local && {ip} $family rule del pref 0 &&
      {ip} $family rule add pref 5 ipproto udp blackhole || return 1
  done
}}
filter || rule || exit 77
exec {python} -c "$SCRIPT"
"""

SCRIPT = """
import asyncio, json, logging
import numpy as np
from starlette.applications import Starlette
from tests.client.test_network import echo
from tests.fakes.serving import serving
from tests.transports.webrtc.caller import speech_like
from fastrtc.client import connect, line

line.PATH_TIMEOUT_S = 1.5
reasons = []
logging.getLogger("fastrtc.client.call").addFilter(lambda record: reasons.append(record.getMessage()) or True)
logging.getLogger("fastrtc.client.call").setLevel(logging.INFO)

async def scenario(url):
    async with connect(url, "auto") as call:
        spoken = await call.speak(speech_like(0.5), 48_000)
        await call.listen(0.6)
        loudest = int(np.abs(call.heard.between(spoken.start_s, spoken.end_s + 0.6)).max())
        print(json.dumps({"reasons": reasons, "line": type(call._line).__name__, "loudest": loudest}))

app = Starlette()
echo().mount(app)
with serving(app) as served:
    asyncio.run(scenario(served.url))
"""


@pytest.mark.timeout(90)
def test_where_udp_is_swallowed_the_reason_comes_soon_and_the_websocket_takes_over(root):
    tools = {name: shutil.which(name, path=PATH) for name in ("unshare", "ip", "iptables", "ip6tables")}
    if tools["unshare"] is None or tools["ip"] is None:
        pytest.skip("this machine has no unshare or no ip (util-linux, iproute2)")
    if subprocess.run([tools["unshare"], "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let a process have a network of its own (unshare -rn)")
    filters = " ".join(tools[name] or "false" for name in ("iptables", "ip6tables"))
    setup = SETUP.format(ip=tools["ip"], filters=filters, python=sys.executable)
    blocked = subprocess.run(
        [tools["unshare"], "-rn", "sh", "-c", setup],
        env={**os.environ, "PATH": PATH, "SCRIPT": SCRIPT},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    if blocked.returncode == 77:
        pytest.skip(f"this machine's networks have neither iptables nor routing rules: {blocked.stderr[-300:]}")
    assert blocked.returncode == 0, blocked.stderr
    seen = json.loads(blocked.stdout.splitlines()[-1])
    assert len(seen["reasons"]) == 1
    assert "UDP packets may be blocked" in seen["reasons"][0]
    assert "127.0.0.1 (host)" in seen["reasons"][0]
    assert seen["line"] == "WebSocketLine"
    assert seen["loudest"] > 3_000

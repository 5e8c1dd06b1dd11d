"""As much of WebDriver BiDi (https://w3c.github.io/webdriver-bidi/) as it takes to run a script in Firefox.

Playwright drives only a Firefox of its own; this one is whatever the machine has.
"""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

START_S = 60.0
PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.autoplay.default": 0,
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "remote.active-protocols": 1,
}


class Firefox:
    """A headless Firefox with a tone as its microphone.

    Args:
        binary: Its path.
        profile: An empty folder.
    """

    def __init__(self, binary: str, profile: Path) -> None:
        lines = [f'user_pref("{name}", {json.dumps(value)});\n' for name, value in PREFERENCES.items()]
        (profile / "user.js").write_text("".join(lines))
        port = _free_port()
        self._process = subprocess.Popen(
            [binary, "--headless", "--no-remote", "--profile", str(profile), f"--remote-debugging-port={port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._ids = itertools.count(1)
        try:
            self._socket = self._connect(f"ws://127.0.0.1:{port}/session")
            self._command("session.new", capabilities={})
            self._tab = self._command("browsingContext.getTree")["contexts"][0]["context"]
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def open(self, url: str) -> None:
        """Load a page, and wait until it is there."""
        self._command("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def run(self, script: str) -> Any:
        """What the body of an async function returns, by way of JSON."""
        expression = f"(async () => JSON.stringify(await (async () => {{ {script} }})()))()"
        answer = self._command(
            "script.evaluate",
            expression=expression,
            target={"context": self._tab},
            awaitPromise=True,
            userActivation=True,
        )
        if answer["type"] != "success":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def close(self) -> None:
        """Quit."""
        self._socket.close()
        self._process.terminate()
        self._process.wait(START_S)

    def _connect(self, url: str) -> ClientConnection:
        deadline = time.monotonic() + START_S
        while True:
            try:
                return connect(url, max_size=None, proxy=None)
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.1)

    def _command(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(START_S))
            if answer.get("id") == number:
                break
        if answer["type"] == "error":
            raise RuntimeError(f"{method}: {answer['message']}")
        result: dict[str, Any] = answer["result"]
        return result


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""Debian's TURN server ``coturn``, as a process of a test's own on 127.0.0.1."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.certificate import write_certificate

START_S = 15.0
USER, PASSWORD = "joe", "secret"


@dataclass(frozen=True, slots=True)
class Coturn:
    """A running server.

    Attributes:
        port: UDP and TCP.
        tls_port: TCP.
        certificate: PEM of its certificate, which nobody trusts by default.
    """

    port: int
    tls_port: int
    certificate: Path
    username: str = USER
    password: str = PASSWORD

    def url(self, transport: str) -> str:
        """``udp``, ``tcp`` or ``tls``."""
        if transport == "tls":
            return f"turns:127.0.0.1:{self.tls_port}?transport=tcp"
        return f"turn:127.0.0.1:{self.port}?transport={transport}"


def find_coturn() -> str | None:
    """Path of the program; None where it is not installed."""
    return shutil.which("turnserver", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def coturn(program: str, folder: Path) -> Iterator[Coturn]:
    """Run a server for as long as the context lasts."""
    certificate, key = write_certificate(folder)
    port, tls_port = _free_ports(2)
    command = [
        *(program, "-n", "--no-cli", "--lt-cred-mech", "--realm=test", f"--user={USER}:{PASSWORD}"),
        *("--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--allow-loopback-peers", "--no-dtls"),
        *(f"--listening-port={port}", f"--tls-listening-port={tls_port}", f"--cert={certificate}", f"--pkey={key}"),
        *("--log-file=stdout", f"--pidfile={folder / 'pid'}", f"--userdb={folder / 'users.db'}"),
    ]
    log = folder / "coturn.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
        try:
            _wait_until_up(process, (port, tls_port), log)
            yield Coturn(port, tls_port, certificate)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_up(process: subprocess.Popen[bytes], ports: tuple[int, ...], log: Path) -> None:
    deadline = time.monotonic() + START_S
    for port in ports:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"coturn did not start: {log.read_text(errors='replace')[-2_000:]}")
            time.sleep(0.02)
    while not _answers_over_udp(ports[0]):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"coturn does not answer over UDP: {log.read_text(errors='replace')[-2_000:]}")


def _answers_over_udp(port: int) -> bool:
    """Whether a STUN binding request (RFC 8489, section 5) gets any answer within 0.1 s."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.1)
        probe.connect(("127.0.0.1", port))
        try:
            probe.send(struct.pack(">HHI", 1, 0, 0x2112A442) + os.urandom(12))
            return bool(probe.recv(1024))
        except OSError:
            return False


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()

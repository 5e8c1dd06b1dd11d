"""``fastrtc doctor``: its arguments, what is checked, and how it is said."""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastrtc.client.signaling import checked_url
from fastrtc.doctor import ice_server, machine, site
from fastrtc.doctor.finding import Finding, Status, conclusion, is_healthy
from fastrtc.errors import ConfigurationError, TurnCredentialsError
from fastrtc.transports.webrtc.configuration import NetworkOptions, network_options
from fastrtc.transports.webrtc.engine import ENGINES

if TYPE_CHECKING:
    from fastrtc.stream import Stream

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be examined.

    Attributes:
        url: Of a running service, or None.
        stream: Of a module, or None.
        engine: Name of the engine, or None for the default.
        browser: Network options of browsers.
        server: Network options of this side.
        places: Sessions at once.
    """

    url: str | None
    stream: Stream | None
    engine: str | None
    browser: NetworkOptions
    server: NetworkOptions
    places: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``fastrtc doctor`` takes."""
    parser.description = (
        "Looks for what keeps a voice service from connecting and says what to change. Exit status: 0 if there is no "
        "problem (there may be warnings), 1 if there is one, 2 for wrong arguments."
    )
    parser.add_argument(
        "target",
        nargs="?",
        metavar="URL | MODULE:STREAM",
        help="a running service, for example https://voice.example.org (a session is opened over each transport), or "
        "the Stream of a module, whose ICE servers and ports are checked; without it only this machine is",
    )
    parser.add_argument("--ice-server", action="append", default=[], metavar="URL", help="STUN or TURN server to ask")
    parser.add_argument("--username", help="for the TURN servers of --ice-server")
    parser.add_argument("--credential", help="password for them")
    parser.add_argument("--port-range", nargs=2, type=int, metavar=("LOW", "HIGH"), help="UDP ports to look at")
    parser.add_argument(
        "--engine", choices=ENGINES, help="WebRTC engine (the stream's, else FASTRTC_ENGINE, else wrtc)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="where the service is to listen (%(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="and on which TCP port (%(default)s)")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="seconds for each check (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace, load_stream: Callable[[str], Stream]) -> int:
    """Run ``fastrtc doctor``.

    Args:
        args: The arguments.
        load_stream: Imports what ``MODULE:STREAM`` names.

    Returns:
        The exit status: 0 without a problem, 1 with one, 2 for wrong arguments.
    """
    try:
        findings = asyncio.run(examine(args, load_stream))
    except ConfigurationError as error:
        sys.stderr.write(f"fastrtc doctor: {error}\n")
        return 2
    if args.json:
        report = {
            "fastrtc": importlib.metadata.version("fastrtc"),
            "ok": is_healthy(findings),
            "findings": [finding.as_json() for finding in findings],
        }
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{finding.as_text()}\n" for finding in findings) + f"\n{conclusion(findings)}\n")
    return 0 if is_healthy(findings) else 1


async def examine(args: argparse.Namespace, load_stream: Callable[[str], Stream]) -> list[Finding]:
    """Run every check that the arguments ask for.

    Raises:
        ConfigurationError: An argument that cannot be.
    """
    if args.port not in range(65_536):
        raise ConfigurationError(f"--port must be from 0 to 65535, got {args.port}")
    subject, findings = await _subject(args, load_stream)
    findings += machine.check_packages()
    findings += await machine.check_engine(subject.engine)
    if subject.url is None:
        findings.append(machine.check_tcp_port(args.host, args.port))
        findings.append(machine.check_microphone(args.host))
        findings.append(await machine.check_addresses(subject.server, subject.engine))
        if subject.server.port_range is not None:
            engine = subject.engine or ENGINES[0]
            findings.append(machine.check_udp_ports(subject.server.port_range, subject.places, engine))
    findings += await ice_server.check_ice_servers(subject.browser.ice_servers, "browser", args.timeout)
    findings += await ice_server.check_ice_servers(subject.server.ice_servers, "server", args.timeout)
    if subject.stream is not None and not subject.browser.ice_servers:
        findings.append(_no_turn())
    if subject.url is not None:
        findings += await site.check_site(subject.url, subject.engine, subject.browser.ice_servers, args.timeout)
    return findings


async def _subject(args: argparse.Namespace, load_stream: Callable[[str], Stream]) -> tuple[Subject, list[Finding]]:
    target: str = args.target or ""
    given: dict[str, Any] = {"portRange": args.port_range}
    if args.ice_server:
        given["iceServers"] = [
            {"urls": url, "username": args.username, "credential": args.credential} for url in args.ice_server
        ]
    named = network_options(given)
    if "://" in target:
        return Subject(checked_url(target), None, args.engine, named, NetworkOptions(), 1), []
    if not target:
        server = NetworkOptions(port_range=named.port_range)
        return Subject(None, None, args.engine, named, server, 1), []
    if ":" not in target:
        raise ConfigurationError(
            f"give the address of a service (https://{target}) or a stream as MODULE:STREAM ({target}:stream); "
            f"got {target!r}"
        )
    stream = load_stream(target)
    server = network_options(stream.server_rtc_configuration)
    if named.port_range is not None:
        server = NetworkOptions(
            ice_servers=server.ice_servers,
            ice_transport_policy=server.ice_transport_policy,
            port_range=named.port_range,
        )
    browser = named
    findings: list[Finding] = []
    if not args.ice_server:
        browser, findings = await _browser_side(stream)
    engine = args.engine or (stream.engine if isinstance(stream.engine, str) else None)
    return Subject(None, stream, engine, browser, server, stream.concurrency_limit), findings


async def _browser_side(stream: Stream) -> tuple[NetworkOptions, list[Finding]]:
    try:
        return network_options(await stream.resolve_rtc_configuration()), []
    except (TurnCredentialsError, ConfigurationError) as error:
        advice = "browsers get the same error: look at rtc_configuration, and at the keys that it reads"
        return NetworkOptions(), [Finding("turn", Status.PROBLEM, f"rtc_configuration: {error}", advice)]


def _no_turn() -> Finding:
    advice = "for clients behind such firewalls lend a TURN server over TLS; see the how-to page Connecting"
    summary = "no TURN server: where UDP is blocked, clients fall back to the WebSocket, which has no repair of losses"
    return Finding("turn", Status.NOTE, summary, advice)

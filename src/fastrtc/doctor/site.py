"""Whether a running service can be used from here: https, the microphone's policy, signaling, WebRTC, WebSocket."""

from __future__ import annotations

import asyncio
import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from urllib.parse import urlsplit

from fastrtc.client.call import connect
from fastrtc.doctor.finding import Finding, Status
from fastrtc.doctor.machine import LOCAL_HOSTS
from fastrtc.errors import FastRTCError, SignalingError
from fastrtc.transports.webrtc.engine import IceServer

EXPIRES_SOON_S = 14 * 86_400
DAY_S = 86_400
MAX_PAGE_BYTES = 100_000

_NO_MICROPHONE = re.compile(r"microphone\s*=\s*\(\s*\)")
_CONNECTS = re.compile(r"(?:^|;)\s*connect-src\s+([^;]*)", re.IGNORECASE)

_REFUSALS = {
    "concurrency_limit_reached": "raise Stream(concurrency_limit=...), or wait until a session ends",
    "engine_unavailable": "install a WebRTC engine on the server: pip install wrtc, or fastrtc[aiortc]",
    "server_draining": "the server is stopping; ask its successor",
    "unauthorized": "the service asks who you are; the doctor has no credentials for it",
    "forbidden": "the service asks who you are; the doctor has no credentials for it",
}


async def check_site(url: str, engine: str | None, ice_servers: Sequence[IceServer], timeout_s: float) -> list[Finding]:
    """Look at a service as a browser would, then open and close a session over each transport.

    Args:
        url: Where the stream is mounted.
        engine: Of the caller.
        ice_servers: Of the caller.
        timeout_s: For each check.
    """
    findings = [_check_scheme(url)]
    if urlsplit(url).scheme == "https":
        findings.append(await asyncio.to_thread(_check_certificate, url, timeout_s))
    page = await asyncio.to_thread(_check_page, url, timeout_s)
    findings += page
    if any(finding.check == "http" and finding.status is Status.PROBLEM for finding in page):
        return findings
    findings.append(await _check_webrtc(url, engine, ice_servers, timeout_s))
    findings.append(await _check_websocket(url, timeout_s))
    return findings


def _check_scheme(url: str) -> Finding:
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname in LOCAL_HOSTS:
        return Finding("microphone", Status.OK, "browsers may give the page the microphone (https, or localhost)")
    advice = "serve it with https: put a proxy with a certificate in front (Caddy, nginx)"
    summary = f"browsers give no microphone to {parts.scheme}://{parts.hostname}: only to https:// and localhost"
    return Finding("microphone", Status.PROBLEM, summary, advice)


def _check_certificate(url: str, timeout_s: float) -> Finding:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    context = ssl.create_default_context()
    try:
        with (
            socket.create_connection((host, port), timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            certificate = secure.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        advice = "browsers refuse it: use a certificate of a public authority for this name, with the whole chain"
        return Finding("certificate", Status.PROBLEM, f"{host}: {error.verify_message}", advice)
    except OSError as error:
        return Finding(
            "certificate", Status.PROBLEM, f"no TLS at {host}:{port}: {error}", "start the proxy that has it"
        )
    left_s = ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()
    days = int(left_s // DAY_S)
    if left_s < EXPIRES_SOON_S:
        advice = "renew it, and look whether its renewal is automatic"
        return Finding("certificate", Status.WARNING, f"it ends in {days} days", advice, {"days": days})
    return Finding("certificate", Status.OK, f"valid for {host}, for {days} more days", "", {"days": days})


def _check_page(url: str, timeout_s: float) -> list[Finding]:
    """What the page's headers allow it."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:
            headers = response.headers
            response.read(MAX_PAGE_BYTES)
    except urllib.error.HTTPError as error:
        headers = error.headers
        error.close()
        if error.code != 404:
            return [Finding("http", Status.WARNING, f"{url} answers {error.code} {error.reason}")]
    except (OSError, ValueError, http.client.HTTPException) as error:
        advice = "is the server running, is the address right, does the proxy pass it on?"
        return [Finding("http", Status.PROBLEM, f"no answer from {url}: {getattr(error, 'reason', error)}", advice)]
    found = [Finding("http", Status.OK, f"{url} answers")]
    if _NO_MICROPHONE.search(headers.get("Permissions-Policy", "")):
        advice = 'send "Permissions-Policy: microphone=(self)"; a page in a frame needs <iframe allow="microphone">'
        found.append(Finding("policy", Status.PROBLEM, "the header Permissions-Policy forbids the microphone", advice))
    connects = _CONNECTS.search(headers.get("Content-Security-Policy", ""))
    if connects and not {"'self'", "*"} & set(connects[1].split()):
        advice = "add 'self' to connect-src, and wss: with the host's name for old Safaris"
        summary = "the header Content-Security-Policy (connect-src) keeps the page from its own server"
        found.append(Finding("policy", Status.PROBLEM, summary, advice))
    return found


async def _check_webrtc(url: str, engine: str | None, ice_servers: Sequence[IceServer], timeout_s: float) -> Finding:
    start = time.perf_counter()
    try:
        async with connect(url, "webrtc", engine=engine, ice_servers=ice_servers, timeout_s=timeout_s + 6.0):
            took_ms = round(1000 * (time.perf_counter() - start))
    except SignalingError as error:
        detail = error.detail.get("detail")
        summary = f"the server refused: {error.code}{f' ({detail})' if detail else ''}"
        return Finding("webrtc", Status.PROBLEM, summary, _REFUSALS.get(error.code, "see the server's log"))
    except (ConnectionError, FastRTCError) as error:
        advice = (
            "allow incoming UDP at the server (a portRange helps), give it a STUN server if it is behind NAT, or lend "
            "a TURN server by rtc_configuration; until then clients use the WebSocket"
        )
        return Finding("webrtc", Status.PROBLEM, str(error), advice)
    return Finding("webrtc", Status.OK, f"WebRTC connects in {took_ms} ms", "", {"ms": took_ms})


async def _check_websocket(url: str, timeout_s: float) -> Finding:
    start = time.perf_counter()
    try:
        async with connect(url, "websocket", timeout_s=timeout_s):
            took_ms = round(1000 * (time.perf_counter() - start))
    except SignalingError as error:
        advice = _REFUSALS.get(error.code, "see the server's log")
        return Finding("websocket", Status.PROBLEM, f"the server refused: {error.code}", advice)
    except (ConnectionError, FastRTCError) as error:
        advice = (
            "clients that cannot use UDP need it: let the proxy pass WebSockets on (nginx: proxy_http_version 1.1, "
            "headers Upgrade and Connection, a long proxy_read_timeout)"
        )
        return Finding("websocket", Status.PROBLEM, str(error), advice)
    return Finding("websocket", Status.OK, f"the WebSocket connects in {took_ms} ms", "", {"ms": took_ms})

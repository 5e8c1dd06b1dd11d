"""Whether STUN and TURN servers answer, and whether they relay for these credentials."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from fastrtc.doctor import stun
from fastrtc.doctor.finding import Finding, Status
from fastrtc.doctor.stun import Message, ServerUrl
from fastrtc.errors import ProtocolError
from fastrtc.transports.webrtc.engine import IceServer

RESEND_S = 0.5
SLOW_MS = 300

_REFUSALS = {
    400: "the server did not understand the request; is it a TURN server?",
    401: "the user name or password is wrong, or has expired: lend credentials for each visit, and compare the secret",
    403: "the server forbids it: allow this peer or user in its configuration (coturn: allowed-peer-ip)",
    437: "the server mixed up allocations; restart it",
    438: "the credentials expired",
    442: "the server does not relay UDP: allow it in its configuration",
    486: "the user has too many allocations: raise the quota (coturn: user-quota, total-quota)",
    508: "the server has no free relay ports: widen its range (coturn: min-port, max-port)",
}


class Wire(Protocol):
    """Carries STUN messages to one server."""

    async def exchange(self, data: bytes, timeout_s: float) -> bytes:
        """Send a request and wait for the answer to it."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


@dataclass(frozen=True, slots=True)
class _Refusal(Exception):  # noqa: N818 - an answer, not a fault
    code: int
    reason: str


async def check_ice_servers(servers: Iterable[IceServer], side: str, timeout_s: float) -> list[Finding]:
    """Ask every server.

    Args:
        servers: Of one ``RTCConfiguration``.
        side: Who uses them, for the report: ``browser`` or ``server``.
        timeout_s: For each.
    """
    checks = [_check(url, server, side, timeout_s) for server in servers for url in server.urls]
    return list(await asyncio.gather(*checks))


async def _check(text: str, server: IceServer, side: str, timeout_s: float) -> Finding:
    url = stun.parse_url(text)
    name = "turn" if url.is_turn else "stun"
    facts: dict[str, object] = {"url": text, "side": side}
    start = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_s):
            wire = await _open(url)
            try:
                mapped = await _binding(wire, timeout_s)
                facts["round_trip_ms"] = round(1000 * (time.perf_counter() - start), 1)
                facts["mapped_address"] = _shown(mapped)
                if url.is_turn:
                    relayed = await _allocate(wire, server, timeout_s)
                    facts["relayed_address"] = _shown(relayed)
            finally:
                wire.close()
    except _Refusal as refusal:
        advice = _REFUSALS.get(refusal.code, "see the server's log")
        return Finding(name, Status.PROBLEM, f"{text} refused: {refusal.code} {refusal.reason}", advice, facts)
    except ssl.SSLCertVerificationError as error:
        advice = "give the server a certificate of a public authority for this name, with the whole chain"
        return Finding(name, Status.PROBLEM, f"{text}: certificate: {error.verify_message}", advice, facts)
    except (OSError, TimeoutError, UnicodeError, ProtocolError, asyncio.IncompleteReadError) as error:
        return Finding(name, Status.PROBLEM, f"{text} cannot be used: {_why(error, url)}", _how_to_reach(url), facts)
    return _found(name, url, facts)


def _found(name: str, url: ServerUrl, facts: dict[str, object]) -> Finding:
    trip_ms = facts["round_trip_ms"]
    relays = f" and relays from {facts['relayed_address']}" if url.is_turn else ""
    summary = f"{url.text} answers in {trip_ms} ms: this machine is seen as {facts['mapped_address']}{relays}"
    if isinstance(trip_ms, float) and trip_ms > SLOW_MS:
        return Finding(
            name, Status.WARNING, summary, "it is far away: every packet that it relays makes this trip", facts
        )
    return Finding(name, Status.OK, summary, "", facts)


async def _binding(wire: Wire, timeout_s: float) -> stun.Address | None:
    answer = await _ask(wire, stun.request(stun.BINDING), timeout_s)
    return answer.address(stun.MAPPED)


async def _allocate(wire: Wire, server: IceServer, timeout_s: float) -> stun.Address | None:
    """Ask for a relay as RFC 8656 wants it: the first request learns the realm, the second has the credentials."""
    try:
        answer = await _ask(wire, stun.request(stun.ALLOCATE, stun.allocate()), timeout_s)
    except _Challenge as challenge:
        who = [
            (stun.USERNAME, (server.username or "").encode()),
            (stun.REALM, challenge.realm),
            (stun.NONCE, challenge.nonce),
        ]
        key = stun.long_term_key(
            server.username or "", challenge.realm.decode("utf-8", "replace"), server.credential or ""
        )
        answer = await _ask(wire, stun.request(stun.ALLOCATE, [*stun.allocate(), *who]), timeout_s, key)
        with suppress(OSError, TimeoutError, ProtocolError, _Refusal, _Challenge):
            await _ask(wire, stun.request(stun.REFRESH, [(stun.LIFETIME, bytes(4)), *who]), RESEND_S, key)
    return answer.address(stun.RELAYED)


class _Challenge(Exception):  # noqa: N818 - an answer, not a fault
    def __init__(self, realm: bytes, nonce: bytes) -> None:
        super().__init__("the server asks who it is")
        self.realm = realm
        self.nonce = nonce


async def _ask(wire: Wire, asked: Message, timeout_s: float, key: bytes | None = None) -> Message:
    answer = stun.decode(await wire.exchange(stun.encode(asked, key), timeout_s))
    error = answer.error
    if error is None:
        return answer
    realm, nonce = answer.get(stun.REALM), answer.get(stun.NONCE)
    if error[0] == 401 and key is None and realm is not None and nonce is not None:
        raise _Challenge(realm, nonce)
    raise _Refusal(*error)


async def _open(url: ServerUrl) -> Wire:
    if url.over == "udp":
        return await _Datagrams.open(url)
    context = ssl.create_default_context() if url.over == "tls" else None
    reader, writer = await asyncio.open_connection(
        url.host, url.port, ssl=context, server_hostname=url.host if context else None
    )
    return _Stream(reader, writer)


class _Datagrams(asyncio.DatagramProtocol):
    """UDP, with repetition (RFC 8489, section 6.2.1)."""

    def __init__(self) -> None:
        self._answers: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport

    @classmethod
    async def open(cls, url: ServerUrl) -> _Datagrams:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(cls, remote_addr=(url.host, url.port))
        protocol._transport = transport
        return protocol

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._answers.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        self._answers.put_nowait(exc)

    async def exchange(self, data: bytes, timeout_s: float) -> bytes:
        wait_s = RESEND_S
        async with asyncio.timeout(timeout_s):
            while True:
                self._transport.sendto(data)
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        return await self._answer_to(data[8 : stun.HEADER_BYTES])
                wait_s *= 2

    async def _answer_to(self, transaction: bytes) -> bytes:
        while True:
            answer = await self._answers.get()
            if isinstance(answer, Exception):
                raise answer
            if answer[8 : stun.HEADER_BYTES] == transaction:
                return answer

    def close(self) -> None:
        self._transport.close()


class _Stream:
    """TCP or TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def exchange(self, data: bytes, timeout_s: float) -> bytes:
        async with asyncio.timeout(timeout_s):
            self._writer.write(data)
            await self._writer.drain()
            header = await self._reader.readexactly(stun.HEADER_BYTES)
            return header + await self._reader.readexactly(stun.body_length(header))

    def close(self) -> None:
        # At once: a polite end of TLS waits for the server's, and nothing is left to be said.
        self._writer.transport.abort()


def _shown(address: stun.Address | None) -> str:
    if address is None:
        return "an unknown address"
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def _why(error: BaseException, url: ServerUrl) -> str:
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"the name {url.host} is not known"
    if isinstance(error, TimeoutError):
        return f"no answer over {url.over.upper()}"
    if isinstance(error, asyncio.IncompleteReadError):
        return "it hung up"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens on {url.host}, port {url.port} (connection refused)"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _how_to_reach(url: ServerUrl) -> str:
    kind = "UDP" if url.over == "udp" else "TCP"
    return f"check that the server runs, and that firewalls on the way pass {kind} port {url.port}"

"""Bodies of ``/webrtc/offer``: an SDP offer, or one ICE candidate of an earlier one.

Browsers differ in how they say that there are no more candidates: Chrome sends none or ``null``, Firefox a candidate
whose ``candidate`` is the empty string, some libraries ``"end-of-candidates"`` (RFC 8838, section 8.2; RFC 8840,
section 4.1). All of them are :class:`EndOfCandidates` here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from fastrtc.errors import ProtocolError
from fastrtc.wire.fields import kind_of, shorten, take_str

_END_MARKS = ("", "end-of-candidates", "a=end-of-candidates")
# RFC 8839, section 5.1: foundation component transport priority address port "typ" type.
_CANDIDATE = re.compile(
    r"(?:a=)?candidate:(?P<foundation>\S{1,64}) (?P<component>\d{1,5}) (?P<transport>\S+) (?P<priority>\d{1,10}) "
    r"(?P<address>\S+) (?P<port>\d{1,5}) typ (?P<kind>host|srflx|prflx|relay)(?: .*)?",
    re.IGNORECASE,
)
_CANDIDATE_FORM = "candidate:<foundation> <component> <transport> <priority> <address> <port> typ <type>"
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Offer:
    """A session description to answer."""

    webrtc_id: str
    sdp: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address of the client.

    Attributes:
        webrtc_id: The offer's.
        candidate: The line, beginning with ``candidate:``.
        sdp_mid: The media section it belongs to, if given.
        sdp_mline_index: Its index, if given; 0 where neither was.
        address: IP address or mDNS name (``<uuid>.local``).
    """

    webrtc_id: str
    candidate: str
    sdp_mid: str | None
    sdp_mline_index: int | None
    address: str

    @property
    def is_mdns(self) -> bool:
        """Whether the browser hides its address behind a ``.local`` name, which only its own network can resolve."""
        return self.address.lower().endswith(".local")


@dataclass(frozen=True, slots=True)
class EndOfCandidates:
    """The client has no more candidates."""

    webrtc_id: str


@dataclass(frozen=True, slots=True)
class MalformedCandidate:
    """A candidate that cannot be read; FastRTC answers these with ``invalid_candidate_format``."""

    webrtc_id: str
    reason: str


OfferBody: TypeAlias = Offer | Candidate | EndOfCandidates | MalformedCandidate


def parse_offer_body(body: object) -> OfferBody:
    """Read the JSON body of ``/webrtc/offer``.

    Raises:
        ProtocolError: The body is no offer and no candidate; the message names the field.
    """
    if not isinstance(body, Mapping):
        raise ProtocolError(f"the body must be a JSON object; got {kind_of(body)}")
    webrtc_id = take_str(body, "webrtc_id", "an offer")
    kind = take_str(body, "type", "an offer")
    if kind in ("ice-candidate", "candidate", "end-of-candidates"):
        return _candidate(webrtc_id, body)
    if kind != "offer":
        raise ProtocolError(f'"type" must be "offer" or "ice-candidate"; got {kind!r}')
    return Offer(webrtc_id, take_str(body, "sdp", "an offer"))


def _candidate(webrtc_id: str, body: Mapping[str, Any]) -> OfferBody:
    value = body.get("candidate")
    if isinstance(value, str):
        value = {"candidate": value, "sdpMid": body.get("sdpMid"), "sdpMLineIndex": body.get("sdpMLineIndex")}
    if value is None:
        return EndOfCandidates(webrtc_id)
    if not isinstance(value, Mapping):
        return MalformedCandidate(webrtc_id, f'"candidate" must be an object or null; got {kind_of(value)}')
    line = value.get("candidate")
    if line is None:
        return EndOfCandidates(webrtc_id)
    if not isinstance(line, str):
        return MalformedCandidate(webrtc_id, f'"candidate.candidate" must be a string; got {kind_of(line)}')
    line = line.strip()
    if line in _END_MARKS:
        return EndOfCandidates(webrtc_id)
    return _candidate_line(webrtc_id, line, value)


def _candidate_line(webrtc_id: str, line: str, value: Mapping[str, Any]) -> Candidate | MalformedCandidate:
    match = _CANDIDATE.fullmatch(line)
    if match is None or int(match["port"]) > _MAX_PORT:
        return MalformedCandidate(webrtc_id, f"expected {_CANDIDATE_FORM}; got {shorten(line)}")
    mid, index = value.get("sdpMid"), value.get("sdpMLineIndex")
    mid = mid if isinstance(mid, str) else None
    index = index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else None
    if mid is None and index is None:
        # Candidates of a bundled offer may name no section; the first one carries the transport (RFC 8843).
        index = 0
    return Candidate(webrtc_id, line.removeprefix("a="), mid, index, match["address"])

"""Bodies of ``/webrtc/offer``: an SDP offer, one ICE candidate of an earlier one, or a wish for the server's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from fastrtc.errors import ProtocolError
from fastrtc.wire.fields import kind_of, take_id, take_str, take_token


@dataclass(frozen=True, slots=True)
class Offer:
    """A session description to answer.

    Attributes:
        webrtc_id: The client's; empty: the server makes one.
        sdp: The description.
        token: Shows that the client may open a session.
    """

    webrtc_id: str
    sdp: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address of the client.

    Attributes:
        webrtc_id: The offer's.
        value: As the browser gave it (``RTCIceCandidateInit``, its bare line, or nothing at the end of candidates);
            the engine reads it.
        token: The offer's.
    """

    webrtc_id: str
    value: Any
    token: str | None = None


@dataclass(frozen=True, slots=True)
class CandidateRequest:
    """Ask for addresses of the server that were found after its answer."""

    webrtc_id: str
    token: str | None = None


OfferBody: TypeAlias = Offer | Candidate | CandidateRequest


def parse_offer_body(body: object) -> OfferBody:
    """Read the JSON body of ``/webrtc/offer``.

    Raises:
        ProtocolError: The body is no offer and no candidate; the message names the field.
    """
    if not isinstance(body, Mapping):
        raise ProtocolError(f"the body must be a JSON object; got {kind_of(body)}")
    webrtc_id = take_id(body, "webrtc_id", "an offer")
    kind = take_str(body, "type", "an offer")
    token = take_token(body, "an offer")
    if not webrtc_id and kind != "offer":
        raise ProtocolError('a candidate needs "webrtc_id": the one of its offer')
    if kind in ("ice-candidate", "end-of-candidates"):
        return Candidate(webrtc_id, body.get("candidate"), token)
    if kind == "local-candidates":
        return CandidateRequest(webrtc_id, token)
    if kind != "offer":
        raise ProtocolError(f'"type" must be "offer" or "ice-candidate"; got {kind!r}')
    return Offer(webrtc_id, take_str(body, "sdp", "an offer"), token)

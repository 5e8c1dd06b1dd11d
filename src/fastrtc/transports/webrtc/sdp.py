"""The few changes that are made to session descriptions: how Opus is to be used (RFC 7587, section 6.1).

A parameter says what the describing side wishes to *receive*. So the ones put into the other side's description rule
our encoder, and the ones put into ours rule theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastrtc.errors import EngineError

_RTPMAP_OPUS = re.compile(r"a=rtpmap:(\d+) opus/48000/2", re.IGNORECASE)
_NO_STREAM = re.compile(r"^a=msid:- ", re.MULTILINE)
_FMTP = re.compile(r"a=fmtp:(\d+) (.*)")

_TYPE_FIELD = 7

MAX_SDP_CHARS = 200_000
STREAM_ID = "fastrtc"


def speech_parameters(max_bitrate_bps: int) -> dict[str, str]:
    """Opus for one voice: mono, silent while nobody speaks, able to repair a lost packet from the next."""
    return {
        "minptime": "10",
        "useinbandfec": "1",
        "usedtx": "1",
        "stereo": "0",
        "sprop-stereo": "0",
        "maxaveragebitrate": str(max_bitrate_bps),
    }


def with_opus_parameters(sdp: str, parameters: Mapping[str, str]) -> str:
    """Set parameters of every Opus payload type; other parameters, lines and their order stay.

    Args:
        sdp: A session description; lines end with CR LF or LF.
        parameters: Names and values for ``a=fmtp``.
    """
    lines = sdp.splitlines()
    payloads = {match[1] for line in lines if (match := _RTPMAP_OPUS.match(line))}
    described = {match[1] for line in lines if (match := _FMTP.match(line))}
    out: list[str] = []
    for line in lines:
        fmtp, rtpmap = _FMTP.match(line), _RTPMAP_OPUS.match(line)
        if fmtp and fmtp[1] in payloads:
            out.append(f"a=fmtp:{fmtp[1]} {_merged(fmtp[2], parameters)}")
            continue
        out.append(line)
        if rtpmap and rtpmap[1] not in described:
            out.append(f"a=fmtp:{rtpmap[1]} {_merged('', parameters)}")
    return "\r\n".join(out) + "\r\n" if out else sdp


def _merged(old: str, parameters: Mapping[str, str]) -> str:
    merged: dict[str, str | None] = {}
    for item in old.split(";"):
        name, equals, value = item.strip().partition("=")
        if name:
            merged[name] = value if equals else None
    merged.update(parameters)
    return ";".join(name if value is None else f"{name}={value}" for name, value in merged.items())


def with_media_stream(sdp: str) -> str:
    """Put tracks that belong to no stream into one (RFC 8830, section 2): browsers then have ``event.streams[0]``."""
    return _NO_STREAM.sub(f"a=msid:{STREAM_ID} ", sdp)


def sent_kinds(sdp: str) -> frozenset[str]:
    """The kinds of media that the describing side wants to send (RFC 8866, section 6.7): ``audio``, ``video``."""
    kinds: set[str] = set()
    default = "sendrecv"
    kind, direction = "", ""
    for line in (*sdp.splitlines(), "m="):
        if line.startswith("m="):
            if kind in ("audio", "video") and direction in ("sendrecv", "sendonly"):
                kinds.add(kind)
            default = direction or default if not kind else default
            kind = line[2:].partition(" ")[0]
            direction = default
        elif line in ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"):
            direction = line[2:]
    return frozenset(kinds)


def media_kinds(sdp: str) -> list[str]:
    """The kinds of the media sections, in their order: ``audio``, ``video``, ``application``."""
    return [line[2:].partition(" ")[0] for line in sdp.splitlines() if line.startswith("m=")]


def fingerprints(sdp: str) -> frozenset[str]:
    """The fingerprints of the describing side's DTLS certificate (RFC 8122): who has its key is the same client."""
    return frozenset(
        line.partition(":")[2].strip().lower() for line in sdp.splitlines() if line.startswith("a=fingerprint:")
    )


def candidate_addresses(sdp: str) -> list[str]:
    """The UDP addresses of a description's candidates, each once: ``192.0.2.7 (host)``."""
    found: dict[str, None] = {}
    for line in sdp.splitlines():
        fields = line.split()
        if line.startswith("a=candidate:") and len(fields) > _TYPE_FIELD and fields[2].lower() == "udp":
            found[f"{fields[4]} ({fields[_TYPE_FIELD]})"] = None
    return list(found)


def check_description(sdp: object) -> str:
    """Refuse what cannot be a session description before an engine sees it.

    Raises:
        EngineError: Not text, not SDP, or larger than any browser's.
    """
    if not isinstance(sdp, str):
        raise EngineError(f"a session description must be text, got {type(sdp).__name__}")
    if len(sdp) > MAX_SDP_CHARS:
        raise EngineError(f"a session description of {len(sdp)} characters is too long")
    if not sdp.startswith("v=0") or "\nm=" not in sdp:
        raise EngineError("not a session description: it must start with v=0 and have a media section")
    return sdp

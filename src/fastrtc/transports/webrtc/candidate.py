"""ICE candidates as browsers send them (RFC 8839, section 5.1, inside ``RTCIceCandidateInit``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastrtc.errors import ProtocolError

_PREFIX = "candidate:"
_FIXED_FIELDS = 8  # foundation, component, transport, priority, address, port, "typ", type
_MAX_LENGTH = 2_000
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class IceCandidate:
    """One remote candidate, or the end of them.

    Attributes:
        line: The candidate attribute, beginning with ``candidate:``; empty at the end of candidates.
        sdp_mid: The media section's ``mid``.
        sdp_m_line_index: The media section's number.
        username_fragment: Which ICE generation it belongs to, where the browser says so.
    """

    line: str
    sdp_mid: str | None = None
    sdp_m_line_index: int | None = None
    username_fragment: str | None = None

    @property
    def is_end(self) -> bool:
        """Whether this marks the end of candidates (Firefox sends it as an empty candidate)."""
        return not self.line

    @property
    def component(self) -> int:
        """1 for RTP, 2 for RTCP; sessions multiplex both, so candidates of component 2 are of no use."""
        return int(self.line.split()[1]) if self.line else 1

    @property
    def protocol(self) -> str:
        """``udp`` or ``tcp``, in lower case; empty at the end of candidates."""
        return self.line.split()[2].lower() if self.line else ""

    @property
    def address(self) -> str:
        """An IP address or an mDNS name ending in ``.local``; empty at the end of candidates."""
        return self.line.split()[4] if self.line else ""

    @classmethod
    def from_json(cls, value: object) -> IceCandidate:
        """Read ``RTCIceCandidateInit`` in any form that browsers and FastRTC's own pages send.

        Args:
            value: ``{"candidate": ..., "sdpMid": ..., "sdpMLineIndex": ...}``; the bare attribute as a string;
                ``None``, an empty object or an empty candidate for the end of candidates.

        Raises:
            ProtocolError: Neither of them, or an attribute that RFC 8839 does not allow.
        """
        if value is None or isinstance(value, str):
            return cls(line=_line(value or ""))
        if not isinstance(value, Mapping):
            raise ProtocolError(f"an ICE candidate must be an object or null, got {type(value).__name__}")
        text = value.get("candidate")
        if text is not None and not isinstance(text, str):
            raise ProtocolError(f"the candidate attribute must be text, got {type(text).__name__}")
        mid, index, fragment = value.get("sdpMid"), value.get("sdpMLineIndex"), value.get("usernameFragment")
        return cls(
            line=_line(text or ""),
            sdp_mid=str(mid) if mid is not None else None,
            sdp_m_line_index=_index(index),
            username_fragment=fragment if isinstance(fragment, str) and fragment else None,
        )

    def as_json(self) -> dict[str, object]:
        """The candidate as ``RTCIceCandidateInit``."""
        fields: dict[str, object] = {
            "candidate": self.line,
            "sdpMid": self.sdp_mid,
            "sdpMLineIndex": self.sdp_m_line_index,
        }
        if self.username_fragment is not None:
            fields["usernameFragment"] = self.username_fragment
        return fields


def _index(value: object) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ProtocolError(f"sdpMLineIndex must be a whole number, got {value!r}")
    try:
        number = int(value)
    except ValueError:
        raise ProtocolError(f"sdpMLineIndex must be a whole number, got {value!r}") from None
    if not 0 <= number <= 65_535:
        raise ProtocolError(f"sdpMLineIndex must be from 0 to 65535, got {number}")
    return number


def _line(text: str) -> str:
    """The attribute with its prefix, or an empty string; raises ProtocolError where it cannot be one."""
    if len(text) > _MAX_LENGTH:
        raise ProtocolError(f"an ICE candidate of {len(text)} characters is too long")
    text = text.strip().removeprefix("a=")
    if text in ("", _PREFIX, "end-of-candidates"):
        return ""
    body = text.removeprefix(_PREFIX)
    fields = body.split()
    if len(fields) < _FIXED_FIELDS or fields[6] != "typ" or "\n" in text or "\r" in text:
        raise ProtocolError(f"not an ICE candidate: {text[:120]!r}")
    component, priority, port = fields[1], fields[3], fields[5]
    if not all(number.isascii() and number.isdigit() for number in (component, priority, port)):
        raise ProtocolError(f"not an ICE candidate: {text[:120]!r}")
    if int(port) > _MAX_PORT:
        raise ProtocolError(f"an ICE candidate with the port {port}")
    return _PREFIX + " ".join(fields)

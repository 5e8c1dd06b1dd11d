"""What of an ``RTCConfiguration`` this side of a connection uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastrtc.errors import ConfigurationError
from fastrtc.transports.webrtc.engine import IceServer

LOWEST_PORT = 1_024
HIGHEST_PORT = 65_535
STUN_SCHEMES = ("stun", "stuns")
TURN_SCHEMES = ("turn", "turns")

_POLICIES: Mapping[object, Literal["all", "relay"]] = {None: "all", "all": "all", "relay": "relay"}
_EXAMPLE = '{"urls": "stun:stun.example.org:3478"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """How connections are to find their way.

    Attributes:
        ice_servers: STUN and TURN servers.
        ice_transport_policy: ``relay``: through TURN servers only.
        port_range: Lowest and highest local UDP port, both included; None: any.
    """

    ice_servers: tuple[IceServer, ...] = ()
    ice_transport_policy: Literal["all", "relay"] = "all"
    port_range: tuple[int, int] | None = None


def network_options(rtc_configuration: Mapping[str, Any] | None) -> NetworkOptions:
    """Read ``iceServers`` and ``iceTransportPolicy`` of W3C's ``RTCConfiguration``, and ``portRange``, which is ours.

    Other members are for browsers, and passed over.

    Raises:
        ConfigurationError: A value that cannot work.
    """
    given = rtc_configuration or {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(f'an RTCConfiguration must be a dict like {{"iceServers": [...]}}; got {given!r}')
    servers = given.get("iceServers", [])
    if not isinstance(servers, list | tuple):
        raise ConfigurationError(f'"iceServers" must be a list, for example [{_EXAMPLE}]; got {servers!r}')
    policy = given.get("iceTransportPolicy")
    if not isinstance(policy, str | None) or policy not in _POLICIES:
        raise ConfigurationError(f'"iceTransportPolicy" must be "all" or "relay"; got {policy!r}')
    options = NetworkOptions(
        ice_servers=tuple(_ice_server(server) for server in servers),
        ice_transport_policy=_POLICIES[policy],
        port_range=_port_range(given.get("portRange")),
    )
    if options.ice_transport_policy == "relay" and not any(_is_turn(server) for server in options.ice_servers):
        raise ConfigurationError('"iceTransportPolicy": "relay" needs a TURN server in "iceServers"')
    return options


def scheme_of(url: str) -> str:
    """``stun``, ``stuns``, ``turn`` or ``turns`` (RFC 7064 and 7065); another word where it is neither."""
    return url.partition(":")[0].lower()


def _is_turn(server: IceServer) -> bool:
    return any(scheme_of(url) in TURN_SCHEMES for url in server.urls)


def _ice_server(server: object) -> IceServer:
    urls = server.get("urls", server.get("url")) if isinstance(server, Mapping) else None
    urls = (urls,) if isinstance(urls, str) else urls
    if not isinstance(server, Mapping) or not isinstance(urls, list | tuple) or not urls:
        raise ConfigurationError(f"an ICE server must be a dict like {_EXAMPLE}; got {server!r}")
    for url in urls:
        if not isinstance(url, str) or scheme_of(url) not in STUN_SCHEMES + TURN_SCHEMES or not url.partition(":")[2]:
            raise ConfigurationError(f'the URL of an ICE server begins with "stun:", "turn:" or "turns:"; got {url!r}')
    made = IceServer(urls=tuple(urls), username=server.get("username"), credential=server.get("credential"))
    if _is_turn(made) and not (isinstance(made.username, str) and isinstance(made.credential, str)):
        raise ConfigurationError(f'a TURN server needs "username" and "credential": {", ".join(made.urls)}')
    return made


def _port_range(value: object) -> tuple[int, int] | None:
    if value is None:
        return None
    if isinstance(value, list | tuple) and len(value) == 2:
        low, high = value
        whole = all(isinstance(port, int) and not isinstance(port, bool) for port in value)
        if whole and LOWEST_PORT <= low <= high <= HIGHEST_PORT:
            return (low, high)
    raise ConfigurationError(
        f'"portRange" must be [lowest, highest], from {LOWEST_PORT} to {HIGHEST_PORT}, '
        f"for example [50000, 50199]; got {value!r}"
    )

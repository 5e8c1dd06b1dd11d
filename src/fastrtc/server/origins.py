"""Which web pages may open sessions: the check of ``Origin`` (RFC 6454) that browsers do not make for WebSockets.

A browser tells with every WebSocket, and with every POST, which page's script it acts for; other clients tell nothing,
or what they like. So this protects people who have both this server and a hostile page open, and nothing else.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastrtc.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Origins:
    """Decides about the origin of a request.

    Args:
        allowed: Origins such as ``https://app.example.org``, or ``*`` for all, beside the server's own and localhost.
            None: those that the app's ``CORSMiddleware`` allows.

    Raises:
        ConfigurationError: One of them is no origin.
    """

    def __init__(self, allowed: Sequence[str] | None = None) -> None:
        if isinstance(allowed, str):
            raise ConfigurationError(f"allowed_origins must be a list of origins; got the text {allowed!r}")
        self._allowed = None if allowed is None else frozenset(_checked(allowed))

    def allow_socket(self, connection: HTTPConnection) -> bool:
        """Whether a WebSocket may be accepted."""
        origin = connection.headers.get("origin")
        return origin is None or self._knows(origin, connection)

    def allow_post(self, connection: HTTPConnection) -> bool:
        """Whether a POST may be answered.

        Without a list of one's own, JSON may come from anywhere: a browser sends it across origins only after whoever
        answers its preflight request (Fetch, section 3.3: the app's CORS middleware, or a proxy) has allowed it.
        """
        origin = connection.headers.get("origin")
        if origin is None:
            return True
        is_json = connection.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
        return (self._allowed is None and is_json) or self._knows(origin, connection)

    def _knows(self, origin: str, connection: HTTPConnection) -> bool:
        if _is_same(origin, connection) or _is_local(origin):
            return True
        if self._allowed is not None:
            return "*" in self._allowed or _normal(origin) in self._allowed
        return _cors_allows(origin, connection.scope.get("app"))


def _checked(allowed: Iterable[str]) -> Iterable[str]:
    for origin in allowed:
        if origin in ("*", "null"):
            yield origin
            continue
        page = _host_and_port(origin) if isinstance(origin, str) else None
        parts = None if page is None else urlsplit(origin)
        if parts is None or not parts.scheme or parts.path or parts.query:
            raise ConfigurationError(f'an allowed origin is like "https://app.example.org" or "*"; got {origin!r}')
        yield _normal(origin)


def _is_same(origin: str, connection: HTTPConnection) -> bool:
    """Whether the page came from the host that the request went to; a proxy may have changed the scheme."""
    page = _host_and_port(origin)
    if page is None:
        return False
    scheme = origin.partition(":")[0]
    headers = connection.headers
    # A browser lets no script set X-Forwarded-Host, so only a proxy can have.
    given = (headers.get("x-forwarded-host", "").split(",")[0].strip(), headers.get("host", ""))
    return any(page == _host_and_port(f"{scheme}://{host}") for host in given if host)


def _is_local(origin: str) -> bool:
    page = _host_and_port(origin)
    if page is None:
        return False
    host = page[0]
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_and_port(origin: str) -> tuple[str, int | None] | None:
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return None if not host else (host, port or _DEFAULT_PORTS.get(parts.scheme))


def _normal(origin: str) -> str:
    page = _host_and_port(origin)
    return origin if page is None else f"{urlsplit(origin).scheme}://{page[0]}:{page[1]}"


def _cors_allows(origin: str, app: Any) -> bool:
    """What the app's own ``CORSMiddleware`` says about an origin."""
    from starlette.middleware.cors import CORSMiddleware

    for middleware in getattr(app, "user_middleware", ()):
        if middleware.cls is not CORSMiddleware:
            continue
        allowed = middleware.kwargs.get("allow_origins", ())
        pattern = middleware.kwargs.get("allow_origin_regex")
        if "*" in allowed or origin in allowed or (pattern and re.fullmatch(pattern, origin)):
            return True
    return False

"""Who asks for a session: what an app's ``authorize`` hook decides by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

_BEARER = "bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A client that asks for a session and has none yet.

    Attributes:
        via: How it comes.
        webrtc_id: The id that the session will have.
        given_token: What its message has as ``token``.
        call: Facts of a telephone call, as in ``Context.call``; None otherwise.
        connection: The request or WebSocket; None where an app calls ``Stream.offer`` from a route of its own.
    """

    via: Literal["webrtc", "websocket", "telephone"]
    webrtc_id: str
    given_token: str | None = None
    call: Mapping[str, Any] | None = None
    connection: HTTPConnection | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the request; names in any case."""
        return {} if self.connection is None else self.connection.headers

    @property
    def cookies(self) -> Mapping[str, str]:
        """Of the request."""
        return {} if self.connection is None else self.connection.cookies

    @property
    def query(self) -> Mapping[str, str]:
        """Of the address."""
        return {} if self.connection is None else self.connection.query_params

    @property
    def host(self) -> str | None:
        """The client's address; behind a proxy that uvicorn does not trust, the proxy's."""
        client = None if self.connection is None else self.connection.client
        return None if client is None else client.host

    @property
    def token(self) -> str | None:
        """A token in any of its places.

        ``token`` of the offer or the start, ``Authorization: Bearer ...`` (RFC 6750, section 2.1), the query's
        ``token``, the telephone's parameter ``token``; the first that there is.
        """
        if self.given_token:
            return self.given_token
        header = self.headers.get("authorization", "")
        if header[: len(_BEARER)].lower() == _BEARER:
            return header[len(_BEARER) :].strip() or None
        from_call = (self.call or {}).get("token")
        return self.query.get("token") or (from_call if isinstance(from_call, str) and from_call else None)


Authorize: TypeAlias = Callable[[Visitor], Any] | Callable[[Visitor], Awaitable[Any]]
"""Lets a visitor in by returning its user (reachable as ``Context.user``), or refuses: None, False or an error."""

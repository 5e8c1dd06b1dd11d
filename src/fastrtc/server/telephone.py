"""Telephone calls at the door: Twilio's webhook, and whether a request comes from Twilio at all."""

from __future__ import annotations

import logging
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response

from fastrtc.errors import ProtocolError
from fastrtc.server.routes import read_body
from fastrtc.wire.twilio import connect_twiml, is_signed

logger = logging.getLogger(__name__)

INCOMING = "/telephone/incoming"
HANDLER = "/telephone/handler"


async def incoming_call(request: Request, auth_token: str | None) -> Response:
    """Answer Twilio's webhook of a call with TwiML that connects it to ``/telephone/handler`` beside this path.

    Args:
        request: The webhook's request.
        auth_token: Of the account at Twilio; None: anybody may ask.

    Returns:
        TwiML; 403 for a request that Twilio did not sign, 413 for one that is too long.
    """
    try:
        body = await read_body(request)
    except ProtocolError as error:
        return PlainTextResponse(str(error), status_code=413)
    form = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    if auth_token is not None and not _is_from_twilio(request, auth_token, ("https", "http"), form):
        return PlainTextResponse("Twilio did not sign this request", status_code=403)
    fields = dict(form)
    known = {name: fields[key] for key, name in (("From", "from"), ("To", "to")) if fields.get(key)}
    prefix = _path(request).removesuffix(INCOMING)
    twiml = connect_twiml(f"wss://{_hosts(request)[0]}{prefix}{HANDLER}", parameters=known)
    return Response(twiml, media_type="application/xml")


def may_stream(websocket: HTTPConnection, auth_token: str | None) -> bool:
    """Whether this WebSocket may be the media stream of a call.

    Args:
        websocket: Not accepted yet.
        auth_token: As of :func:`incoming_call`.
    """
    return auth_token is None or _is_from_twilio(websocket, auth_token, ("wss",), [])


def _is_from_twilio(
    connection: HTTPConnection, auth_token: str, schemes: tuple[str, ...], form: list[tuple[str, str]]
) -> bool:
    urls = _addresses(connection, schemes)
    signature = connection.headers.get("x-twilio-signature", "")
    if is_signed(auth_token, signature, urls, form):
        return True
    logger.warning(
        "%s %s for %s: refused. The auth token must be the account's primary one, and a proxy must pass on the host",
        "wrong" if signature else "no",
        "X-Twilio-Signature",
        urls[0],
    )
    return False


def _addresses(connection: HTTPConnection, schemes: tuple[str, ...]) -> list[str]:
    """The addresses that Twilio may have been given for this request, the likeliest first.

    A proxy hides the scheme and perhaps the host; Twilio may or may not sign a scheme's own port, and the slash after a
    stream's address.
    """
    # Starlette's own ``url`` cannot be had of a query that is not UTF-8.
    query = connection.scope.get("query_string", b"").decode("latin-1")
    query = f"?{query}" if query else ""
    forwarded = connection.headers.get("x-forwarded-proto", "").split(",")[0].strip()
    ends = [query] if "wss" not in schemes else [query, f"/{query}"]
    return [
        f"{scheme}://{host}{_path(connection)}{end}"
        for scheme in sorted(schemes, key=lambda scheme: scheme != forwarded)
        for given in _hosts(connection)
        for host in _with_port_and_without(given, "80" if scheme == "http" else "443")
        for end in ends
    ]


def _path(connection: HTTPConnection) -> str:
    return str(connection.scope["path"])


def _hosts(connection: HTTPConnection) -> list[str]:
    """The host that the client asked for: what a proxy says, then what we see."""
    forwarded = connection.headers.get("x-forwarded-host", "").split(",")[0].strip()
    return list(dict.fromkeys(filter(None, (forwarded, connection.headers.get("host"), _own(connection)))))


def _own(connection: HTTPConnection) -> str:
    """What uvicorn listens on, for requests without a ``Host`` (HTTP/1.0)."""
    name, port = connection.scope.get("server") or ("localhost", None)
    name = f"[{name}]" if ":" in name else name
    return name if port is None else f"{name}:{port}"


def _with_port_and_without(host: str, port: str) -> tuple[str, ...]:
    name, colon, given = host.rpartition(":")
    if not colon or given.endswith("]"):
        return host, f"{host}:{port}"
    return (host, name) if given == port else (host,)

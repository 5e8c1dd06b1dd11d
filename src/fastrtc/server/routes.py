"""The stream's endpoints as routes of a FastAPI or a Starlette app, from one definition."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from fastrtc.errors import AccessDeniedError, ConfigurationError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAX_BODY_BYTES = 1_000_000
HTTP_401 = 401

HttpEndpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
SocketEndpoint: TypeAlias = Callable[[WebSocket], Awaitable[None]]

OFFER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "enum": ["offer", "ice-candidate"]},
        "webrtc_id": {"type": "string", "description": "The same for the offer and its candidates."},
        "token": {"type": "string", "description": "For the authorize hook."},
        "sdp": {"type": "string", "description": "The offer."},
        "candidate": {
            "type": "object",
            "nullable": True,
            "description": "RTCIceCandidate.toJSON(); null: no more candidates.",
        },
    },
}


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """An endpoint of one method."""

    path: str
    endpoint: HttpEndpoint
    summary: str
    body_schema: dict[str, Any] | None = field(default=None, hash=False)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """A WebSocket endpoint."""

    path: str
    endpoint: SocketEndpoint


RouteDefinition: TypeAlias = HttpRoute | SocketRoute


def mount(
    app: Starlette,
    path: str,
    routes: Sequence[RouteDefinition],
    *,
    tags: list[str | Enum] | None = None,
    lifespan: Callable[[], AbstractAsyncContextManager[None]],
) -> None:
    """Add routes to an app, and a context that lives as long as the app serves.

    Args:
        app: A FastAPI or Starlette app; with FastAPI the routes appear in its documentation.
        path: Prefix of every route: empty, or it begins with ``/`` and ends without one.
        routes: What to add.
        tags: Of the documentation.
        lifespan: Entered after the app's own lifespan, left before it.

    Raises:
        ConfigurationError: Another kind of app, or a bad prefix.
    """
    if not isinstance(app, Starlette):
        raise ConfigurationError(f"mount() needs a FastAPI or Starlette app, got {type(app).__name__}")
    if path and (not path.startswith("/") or path.endswith("/")):
        raise ConfigurationError(f'the path must begin with "/" and not end with it, or be empty; got {path!r}')
    if not _mount_fastapi(app, path, routes, tags):
        for route in routes:
            if isinstance(route, HttpRoute):
                app.router.routes.append(Route(path + route.path, route.endpoint, methods=[route.method]))
            else:
                app.router.routes.append(WebSocketRoute(path + route.path, route.endpoint))
    app.router.lifespan_context = _wrapped(app.router.lifespan_context, lifespan)


def _mount_fastapi(app: Starlette, path: str, routes: Sequence[RouteDefinition], tags: list[str | Enum] | None) -> bool:
    if "fastapi" not in sys.modules:
        return False
    from fastapi import APIRouter, FastAPI

    if not isinstance(app, FastAPI):
        return False
    router = APIRouter(prefix=path)
    for route in routes:
        if isinstance(route, SocketRoute):
            router.add_api_websocket_route(route.path, route.endpoint)
            continue
        schema = route.body_schema
        extra = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
        router.add_api_route(
            route.path,
            route.endpoint,
            methods=[route.method],
            tags=tags,
            summary=route.summary,
            response_model=None,
            openapi_extra=extra if schema else None,
        )
    app.include_router(router)
    return True


def _wrapped(outer: Any, inner: Callable[[], AbstractAsyncContextManager[None]]) -> Any:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with outer(app) as state, inner():
            yield state

    return lifespan


async def read_body(request: Request) -> bytes:
    """The body of a request.

    Raises:
        ProtocolError: Too long, or the client has gone.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise ProtocolError(f"the body is longer than {MAX_BODY_BYTES} bytes")
    except ClientDisconnect as error:
        raise ProtocolError("the client has gone") from error
    return bytes(body)


async def read_json(request: Request) -> Any:
    """The JSON body of a request.

    Raises:
        ProtocolError: Too long, or not JSON.
    """
    body = await read_body(request)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the body must be JSON") from error


def unprocessable(error: ProtocolError) -> HTTPException:
    """HTTP 422 in the form of FastAPI's own validation errors."""
    return HTTPException(422, detail=[{"type": "value_error", "loc": ["body"], "msg": str(error)}])  # type: ignore[arg-type]


def challenge(error: AccessDeniedError) -> dict[str, str]:
    """The header that a 401 has (RFC 9110, section 11.6.1)."""
    return {"WWW-Authenticate": "Bearer"} if error.status == HTTP_401 else {}


def denied(error: AccessDeniedError) -> HTTPException:
    """The refusal for a route of the app's own."""
    return HTTPException(error.status, detail=error.as_json(), headers=challenge(error))  # type: ignore[arg-type]


def json_endpoint(call: Callable[[Any, Request], Awaitable[Any]]) -> HttpEndpoint:
    """An endpoint that passes the request's JSON, and the request, to ``call`` and answers with what it returns."""

    async def endpoint(request: Request) -> Response:
        try:
            answer = await call(await read_json(request), request)
        except AccessDeniedError as error:
            return JSONResponse(error.as_json(), status_code=error.status, headers=challenge(error))
        except ProtocolError as error:
            return JSONResponse({"detail": unprocessable(error).detail}, status_code=422)
        except HTTPException as error:
            return JSONResponse({"detail": error.detail}, status_code=error.status_code, headers=error.headers)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return endpoint

"""The built-in page as routes for any Starlette or FastAPI application.

The page uses relative addresses only, so it works at the root and under any prefix::

    GET /             the page
    GET /config.json  what it should show, and how to connect
    GET /static/...   its style and modules
    GET /client/...   the browser client (``js/client`` of the repository)
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from fastrtc.errors import ConfigurationError

RTCConfiguration: TypeAlias = (
    Mapping[str, Any] | Callable[[], Mapping[str, Any]] | Callable[[], Awaitable[Mapping[str, Any]]] | None
)

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"

# Named here because some Windows machines have other ideas, and browsers run no module of another type.
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

# Files have no version in their names: browsers keep them, and ask whether they changed (ETag) before each use.
_REVALIDATE = "no-cache"

_POLICY = "; ".join(
    (
        "default-src 'self'",
        "connect-src 'self' ws: wss:",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageConfig:
    """What the page shows and how it connects.

    Attributes:
        title: Heading and title of the window.
        subtitle: A sentence below it.
        modality: ``audio``, ``video`` or ``audio-video``.
        mode: Which way the media go, seen from the browser.
        base: Where the stream is mounted, relative to the page or absolute.
        rtc_configuration: For the browser's ``RTCPeerConnection``, or a function (sync or async) that makes one for
            every visit, for example with fresh TURN credentials.
        track_constraints: ``MediaTrackConstraints`` of the microphone or, for ``video``, the camera; for
            ``audio-video`` those of both, as ``{"audio": ..., "video": ...}``.
        rtp_params: ``RTCRtpSendParameters`` for what the browser sends.
        time_limit_s: How long a session may last, for the message at its end.
        text_input: Whether turns may be typed.
        captions: Whether there is a place for what the user says, as text.
        stop_words: What one has to say first, if anything.
    """

    title: str = "fastrtc"
    subtitle: str = ""
    modality: Literal["audio", "video", "audio-video"] = "audio"
    mode: Literal["send-receive", "send", "receive"] = "send-receive"
    base: str = "."
    rtc_configuration: RTCConfiguration = None
    track_constraints: Mapping[str, Any] = field(default_factory=dict)
    rtp_params: Mapping[str, Any] = field(default_factory=dict)
    time_limit_s: float | None = None
    text_input: bool = True
    captions: bool = False
    stop_words: Sequence[str] = ()


def page_routes(config: PageConfig | None = None) -> list[BaseRoute]:
    """The page's routes: ``/``, ``/config.json``, ``/static`` and ``/client``.

    Args:
        config: What the page shows; all defaults if None.

    Raises:
        ConfigurationError: The browser client is not there (a broken installation).
    """
    settings = config or PageConfig()

    async def index(_request: Request) -> Response:
        headers = {"Cache-Control": _REVALIDATE, "Content-Security-Policy": _POLICY}
        return FileResponse(_STATIC / "index.html", media_type=_MEDIA_TYPES[".html"], headers=headers)

    async def configuration(_request: Request) -> Response:
        return JSONResponse(await _as_json(settings), headers={"Cache-Control": "no-store"})

    return [
        Route("/", index, methods=["GET"], name="fastrtc-page"),
        Route("/config.json", configuration, methods=["GET"], name="fastrtc-page-config"),
        Mount("/static", _Files(directory=_STATIC), name="fastrtc-page-static"),
        Mount("/client", _Files(directory=client_directory()), name="fastrtc-client"),
    ]


def ui_app(config: PageConfig | None = None) -> Starlette:
    """The page as an application of its own.

    Mount it beside a stream with ``app.mount("/talk", ui_app(config))``; the stream's address is
    ``config.base``, for example ``".."`` for a stream on the application's root.
    """
    return Starlette(routes=page_routes(config))


def client_directory() -> Path:
    """Where the browser client's modules are: in the installed package, or in the repository of an editable install.

    Raises:
        ConfigurationError: In neither.
    """
    candidates = (_HERE / "client", _HERE.parents[2] / "js" / "client" / "src")
    for candidate in candidates:
        if (candidate / "index.js").is_file():
            return candidate
    raise ConfigurationError(f"the browser client is missing; looked for it in {candidates[0]} and {candidates[1]}")


async def _as_json(config: PageConfig) -> dict[str, Any]:
    return {
        "title": config.title,
        "subtitle": config.subtitle,
        "modality": config.modality,
        "mode": config.mode,
        "base": config.base,
        "rtc_configuration": await _rtc_configuration(config.rtc_configuration),
        "track_constraints": dict(config.track_constraints),
        "rtp_params": dict(config.rtp_params),
        "time_limit_s": config.time_limit_s,
        "features": {
            "text_input": config.text_input,
            "captions": config.captions,
            "stop_words": list(config.stop_words),
        },
    }


async def _rtc_configuration(given: RTCConfiguration) -> Mapping[str, Any] | None:
    if not callable(given):
        return given
    # A plain function may well ask a TURN service over the network: not on the event loop.
    made: Any = given() if inspect.iscoroutinefunction(given) else await run_in_threadpool(given)
    configuration: Mapping[str, Any] = await made if inspect.isawaitable(made) else made
    return configuration


class _Files(StaticFiles):
    """Static files with the types that modules need, revalidated before each use."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = _REVALIDATE
        media_type = _MEDIA_TYPES.get(Path(full_path).suffix)
        if media_type is not None and "content-type" in response.headers:
            response.headers["Content-Type"] = media_type
        return response

"""Whether a stream lives and whether it takes new sessions, for load balancers and container platforms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from fastrtc.server.host import SessionHost

# An answer that a proxy keeps would outlive what it says.
_HEADERS = {"cache-control": "no-store"}


class Health:
    """Answers ``GET /webrtc/health`` and ``GET /webrtc/ready``.

    Args:
        host: Of the stream.

    Attributes:
        warm: Whether what the first session needs has been loaded.
    """

    def __init__(self, host: SessionHost) -> None:
        self._host = host
        self.warm = False

    async def health(self, request: Request) -> Response:
        """200: the event loop answers."""
        return JSONResponse({"status": "ok"}, headers=_HEADERS)

    async def ready(self, request: Request) -> Response:
        """200 while new sessions are taken, 503 with the reason while they are not; a full server is ready."""
        status = "draining" if not self._host.sessions.admits else "ready" if self.warm else "starting"
        return JSONResponse({"status": status}, 200 if status == "ready" else 503, headers=_HEADERS)

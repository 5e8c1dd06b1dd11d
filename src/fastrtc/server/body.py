"""The body of ``/webrtc/offer`` as a pydantic model, for apps with a FastAPI route of their own."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Body(BaseModel):
    """An offer (``sdp``) or an ICE candidate (``candidate``) of the connection ``webrtc_id``.

    An offer without an id gets one in its answer. ``token`` is for the stream's ``authorize`` hook.
    """

    sdp: str | None = None
    candidate: dict[str, Any] | None = None
    type: str
    webrtc_id: str = ""
    token: str | None = None

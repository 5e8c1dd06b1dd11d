"""Puts a stream's endpoints into the Gradio app that shows its component, whichever way that app is served.

Gradio tells a component nothing about the app it ends up in, and apps are made anew by ``launch()`` and by
``mount_gradio_app()``. So the first page that shows the component asks for the endpoints, through one of the
component's server functions, and they are added then. They live under Gradio's own API prefix, which proxies pass on,
and under the component's token, which only visitors know who may see the page: Gradio's login protects sessions, too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, Protocol
from weakref import WeakKeyDictionary

from starlette.applications import Starlette
from starlette.routing import Mount

from fastrtc.options import GRADIO_PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from enum import Enum

    from starlette.routing import BaseRoute

    from fastrtc.outputs import AdditionalOutputs, WebRTCData


class ComponentStream(Protocol):
    """What the component needs of a ``Stream``."""

    @property
    def concurrency_limit(self) -> int: ...

    @property
    def connections(self) -> Mapping[str, Any]: ...

    @property
    def handlers(self) -> Mapping[str, Any]: ...

    @property
    def data_channels(self) -> Mapping[str, Any]: ...

    @property
    def additional_outputs(self) -> Mapping[str, Any]: ...

    def mount(self, app: Starlette, path: str = "", tags: list[str | Enum] | None = None) -> None: ...

    def page(self, base: str = ".") -> list[BaseRoute]: ...

    async def offer(self, body: Any) -> dict[str, Any]: ...

    async def handle_offer(self, body: Mapping[str, Any], set_outputs: Callable[..., None]) -> dict[str, Any]: ...

    async def resolve_rtc_configuration(self) -> dict[str, Any]: ...

    def set_additional_outputs(self, webrtc_id: str) -> Callable[[AdditionalOutputs], None]: ...

    def clean_up(self, webrtc_id: str) -> None: ...

    def set_input(self, webrtc_id: str, *args: Any) -> None: ...

    def trigger_response(self, webrtc_id: str) -> None: ...

    def output_stream(self, webrtc_id: str) -> AsyncIterator[AdditionalOutputs]: ...

    async def fetch_latest_output(self, webrtc_id: str) -> AdditionalOutputs: ...

    async def update_connection(self, webrtc_data: str | WebRTCData, desired_state: Literal["closed"]) -> None: ...


class Attachments:
    """The apps that have the endpoints of one component.

    Args:
        token: Names the component; not to be guessed.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._serving: WeakKeyDictionary[Starlette, asyncio.Task[None]] = WeakKeyDictionary()

    def add(self, app: Starlette, stream: ComponentStream) -> str:
        """Add the endpoints to an app that has none; on its event loop.

        Returns:
            Their prefix, without the path at which the app itself is mounted.
        """
        prefix = f"{GRADIO_PREFIX}/{self._token}"
        if app not in self._serving:
            inner = Starlette()
            stream.mount(inner, prefix)
            app.router.routes[:0] = [*inner.routes, Mount(prefix, routes=stream.page("."))]
            self._serving[app] = asyncio.get_running_loop().create_task(_serve(inner), name="fastrtc-gradio")
        return prefix + "/"


async def _serve(app: Starlette) -> None:
    """Be in the app's lifespan until the loop ends, which cancels this task and waits for it."""
    async with app.router.lifespan_context(app):
        await asyncio.Event().wait()

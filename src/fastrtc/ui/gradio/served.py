"""What a component does for the sessions of the stream that it speaks to."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Literal

import gradio as gr
from gradio.component_meta import ComponentMeta, updateable
from gradio.events import EventListener

from fastrtc.errors import ConfigurationError
from fastrtc.outputs import AdditionalOutputs, WebRTCData
from fastrtc.ui.gradio.attaching import ComponentStream


class WithoutStub(ComponentMeta):  # type: ignore[misc]
    """Makes components as Gradio's own metaclass does, which would write a ``.pyi`` file beside this module."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> Any:
        if "__init__" in attrs:
            attrs["__init__"] = updateable(attrs["__init__"])
        if "EVENTS" in attrs:
            attrs["EVENTS"] = [EventListener(event_name=event) for event in attrs["EVENTS"]]
            attrs |= {str(event): event.listener for event in attrs["EVENTS"]}
        return ABCMeta.__new__(mcs, name, bases, attrs)


class ServedComponent(gr.HTML, metaclass=WithoutStub):  # type: ignore[misc]
    """A component with a stream; its methods are those of ``Stream``, where they are described.

    Attributes:
        event_handler: The stream's handler.
    """

    _stream: ComponentStream | None = None
    event_handler: Any = None

    def served(self) -> ComponentStream:
        """The stream that the component speaks to.

        Raises:
            ConfigurationError: None was given: neither ``stream`` nor :meth:`serve` was called.
        """
        if self._stream is None:
            raise ConfigurationError("the WebRTC component has no handler: call its stream(fn, inputs, outputs)")
        return self._stream

    def new_stream(self, handler: Any, concurrency_limit: int | Literal["default"] | None) -> ComponentStream:
        """A stream of a handler with this component's settings.

        Raises:
            ConfigurationError: Only ``fastrtc.WebRTC`` makes streams; this component serves the one that it is given.
        """
        raise ConfigurationError("this component serves the stream it was made for; fastrtc.WebRTC makes its own")

    def serve(self, stream: ComponentStream, handler: Any) -> None:
        """Speak to a stream that exists."""
        self._stream = stream
        self.event_handler = handler

    # Gradio reads every attribute of a component while it is made, when there is no stream yet.

    @property
    def concurrency_limit(self) -> int | None:
        """Sessions at once; None before there is a stream."""
        return None if self._stream is None else self._stream.concurrency_limit

    @property
    def connections(self) -> Mapping[str, Any]:
        """The live sessions by id."""
        return {} if self._stream is None else self._stream.connections

    @property
    def handlers(self) -> Mapping[str, Any]:
        """Each live session's own handler."""
        return {} if self._stream is None else self._stream.handlers

    @property
    def data_channels(self) -> Mapping[str, Any]:
        """What sends a text message to each live session's client."""
        return {} if self._stream is None else self._stream.data_channels

    @property
    def additional_outputs(self) -> Mapping[str, Any]:
        """Each live session's queue of additional outputs."""
        return {} if self._stream is None else self._stream.additional_outputs

    async def offer(self, body: Any) -> dict[str, Any]:
        """Answer an offer or take an ICE candidate."""
        return await self.served().offer(body)

    async def handle_offer(self, body: Mapping[str, Any], set_outputs: Callable[..., None]) -> dict[str, Any]:
        """The same, for apps that take the session's outputs themselves."""
        return await self.served().handle_offer(body, set_outputs)

    async def resolve_rtc_configuration(self) -> dict[str, Any]:
        """The browser's ``RTCConfiguration``."""
        return await self.served().resolve_rtc_configuration()

    def set_additional_outputs(self, webrtc_id: str) -> Callable[[AdditionalOutputs], None]:
        """A function that puts additional outputs into a session's queue."""
        return self.served().set_additional_outputs(webrtc_id)

    def clean_up(self, webrtc_id: str) -> None:
        """End a session."""
        self.served().clean_up(webrtc_id)

    def set_input(self, webrtc_id: str, *args: Any) -> None:
        """Give a session the values of its inputs."""
        self.served().set_input(webrtc_id, *args)

    def set_input_gradio(self, webrtc_data: WebRTCData | str | None, *args: Any) -> None:
        """Give a session its inputs. Index 0 of ``latest_args`` is what was typed, as ``WebRTCData``, in the text-box
        variant or where there is nothing else to give.
        """
        session_id = id_of(webrtc_data)
        if isinstance(webrtc_data, WebRTCData) or not args:
            args = (WebRTCData(webrtc_id=session_id, textbox=getattr(webrtc_data, "textbox", "")), *args)
        self.served().set_input(session_id, *args)

    def set_input_on_submit(self, webrtc_data: WebRTCData | str | None, *args: Any) -> None:
        """The same, and have the session answer what was typed."""
        self.set_input_gradio(webrtc_data, *args)
        self.served().trigger_response(id_of(webrtc_data))

    def output_stream(self, webrtc_id: str) -> AsyncIterator[AdditionalOutputs]:
        """The additional outputs of a session as they come."""
        return self.served().output_stream(webrtc_id)

    async def fetch_latest_output(self, webrtc_id: str) -> AdditionalOutputs:
        """The oldest additional outputs that were not fetched."""
        return await self.served().fetch_latest_output(webrtc_id)

    async def update_connection(self, webrtc_data: str | WebRTCData, desired_state: Literal["closed"]) -> None:
        """Ask a session's client to bring its connection into a state."""
        await self.served().update_connection(webrtc_data, desired_state)


def id_of(webrtc: WebRTCData | str | None) -> str:
    """The session that a component's value names; empty: none."""
    return webrtc.webrtc_id if isinstance(webrtc, WebRTCData) else webrtc or ""

"""What an app asks of the sessions that live, and says to them, by their ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from fastrtc.context import DataChannel
    from fastrtc.handlers.base import StreamHandlerBase
    from fastrtc.outputs import AdditionalOutputs, WebRTCData
    from fastrtc.server.host import SessionHost
    from fastrtc.server.outputs import OutputQueue
    from fastrtc.session import Session

SetOutputs: TypeAlias = Callable[["AdditionalOutputs"], None]

FETCH_TIMEOUT_S = 10.0


class LiveSessions(ABC):
    """The part of a :class:`~fastrtc.Stream` that reaches its sessions."""

    @property
    @abstractmethod
    def _host(self) -> SessionHost:
        """What keeps the sessions."""

    @property
    def connections(self) -> Mapping[str, Session]:
        """The live sessions by ``webrtc_id``, those that are connecting included."""
        return self._host.sessions

    @property
    def handlers(self) -> Mapping[str, StreamHandlerBase]:
        """Each live session's own handler."""
        return self._host.handlers

    @property
    def data_channels(self) -> Mapping[str, DataChannel]:
        """What sends a text message to each live session's client: ``stream.data_channels[webrtc_id].send(text)``."""
        return {webrtc_id: session.link for webrtc_id, session in self._host.sessions.items()}

    @property
    def additional_outputs(self) -> Mapping[str, OutputQueue]:
        """Each live session's queue of additional outputs."""
        return self._host.outputs

    def set_additional_outputs(self, webrtc_id: str) -> SetOutputs:
        """A function that puts additional outputs into a session's queue; any thread may call it."""
        from fastrtc.server.outputs import QueuedOutputs

        return QueuedOutputs(self.additional_outputs, webrtc_id)

    def set_input(self, webrtc_id: str, *args: Any) -> None:
        """Give a session the values of its additional inputs. Any thread; an unknown id is ignored."""
        session = self._host.sessions.get(webrtc_id)
        if session is not None:
            session.set_args(list(args))

    def set_input_gradio(self, webrtc_data: str | WebRTCData, *args: Any) -> None:
        """The same as :meth:`set_input`, with the value of a ``WebRTC`` component in front of the inputs."""
        self.set_input(_id_of(webrtc_data), webrtc_data, *args)

    def set_input_on_submit(self, webrtc_data: str | WebRTCData, *args: Any) -> None:
        """The same as :meth:`set_input_gradio`, and have the session answer now."""
        self.set_input_gradio(webrtc_data, *args)
        self.trigger_response(_id_of(webrtc_data))

    def user_of(self, webrtc_id: str) -> Any:
        """The user whom the ``authorize`` hook let in with this session; None for an unknown id, or without a hook."""
        session = self._host.sessions.get(webrtc_id)
        return None if session is None else session.context.user

    def clean_up(self, webrtc_id: str) -> None:
        """End a session. Any thread; an unknown id is ignored."""
        if (session := self._host.sessions.get(webrtc_id)) is not None:
            session.on_loop(lambda: self._host.spawn(session.close("cleaned_up"), "fastrtc-clean-up"))

    def trigger_response(self, webrtc_id: str) -> None:
        """Have a session answer now, without waiting for a pause. Any thread; an unknown id is ignored."""
        if (session := self._host.sessions.get(webrtc_id)) is not None:
            session.trigger_response()

    def discard_turn(self, webrtc_id: str) -> None:
        """Have a session forget what its user has said since the last turn. Any thread; an unknown id is ignored."""
        if (session := self._host.sessions.get(webrtc_id)) is not None:
            session.discard_turn()

    async def update_connection(self, webrtc_data: str | WebRTCData, desired_state: Literal["closed"]) -> None:
        """Ask a session's client to bring its connection into a state."""
        from fastrtc.wire.messages import create_message

        if (session := self._host.sessions.get(_id_of(webrtc_data))) is not None:
            session.link.send(create_message("update_connection", desired_state))

    def output_stream(self, webrtc_id: str) -> AsyncIterator[AdditionalOutputs]:
        """The additional outputs of a session as they come; ends with the session.

        It may be asked before the session exists, and then waits a minute for it.
        """
        return self._host.outputs.listen(webrtc_id)

    async def fetch_latest_output(self, webrtc_id: str) -> AdditionalOutputs:
        """The oldest additional outputs that were not fetched yet.

        Raises:
            TimeoutError: None came within ten seconds, or the session is over.
        """
        return await self._host.outputs.fetch(webrtc_id, FETCH_TIMEOUT_S)


def _id_of(webrtc_data: str | WebRTCData) -> str:
    return webrtc_data if isinstance(webrtc_data, str) else webrtc_data.webrtc_id

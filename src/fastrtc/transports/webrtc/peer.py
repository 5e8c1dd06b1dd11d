"""What the peers of both engines have in common: states, the data channel, and which sections of an offer are used."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from fastrtc.transports.webrtc.engine import PeerObserver, PeerOptions, PeerState
from fastrtc.transports.webrtc.outbox import Outbox

_log = logging.getLogger(__name__)

MediaKind = Literal["audio", "video"]


class EnginePeer(ABC):
    """One ``RTCPeerConnection`` of some engine.

    A subclass makes the connection, wires its events to the ``_on_...`` methods here, and says how media flow.

    Args:
        options: How to set it up.
        observer: Who is told what happens.
    """

    INACTIVE: ClassVar[Any]
    """The engine's word for a section that is not used."""
    SENDONLY: ClassVar[Any]
    """The engine's word for a section that only sends."""

    def __init__(self, options: PeerOptions, observer: PeerObserver) -> None:
        self._options = options
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        self._state = PeerState.NEW
        self._outbox = Outbox(self._loop)
        self._channel: Any = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def state(self) -> PeerState:
        """The current state."""
        return self._state

    @property
    def answer_sdp(self) -> str:
        """The local description, as it is to be sent to the other side."""
        return self._local_sdp()

    @property
    def offer_sdp(self) -> str:
        """The local description, as it is to be sent to the other side."""
        return self._local_sdp()

    def send(self, text: str) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        self._outbox.send(text)

    async def close(self) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        closing = self._end()
        if closing is not asyncio.current_task():
            await asyncio.shield(closing)

    @abstractmethod
    async def _close(self) -> None:
        """Let go of the connection, and change the state to CLOSED. Runs once."""

    @abstractmethod
    def _local_sdp(self) -> str:
        """The local description; raises EngineError when there is none any more."""

    @abstractmethod
    def _media(self) -> list[tuple[MediaKind, bool, Any]]:
        """For each kind: whether it is taken, and the track that is sent, or None."""

    @abstractmethod
    def _sections(self, kind: MediaKind) -> list[Any]:
        """The transceivers of a kind, in the order of the offer."""

    @abstractmethod
    def _send_track(self, track: Any) -> None:
        """Send a track of :meth:`_media`."""

    @abstractmethod
    def _receive_from(self, track: Any) -> None:
        """Take what a track of the other side brings; its ``kind`` is wanted."""

    @abstractmethod
    def _deliver(self, text: str) -> None:
        """Send over the open channel."""

    def _choose_sections(self) -> None:
        """Use the offer's first section of each kind in the wanted directions, and no other."""
        for kind, takes, track in self._media():
            sections = self._sections(kind)
            if sections and track is not None:
                self._send_track(track)
            for number, section in enumerate(sections):
                if number > 0 or (track is None and not takes):
                    section.direction = self.INACTIVE
                elif not takes:
                    section.direction = self.SENDONLY

    def _on_track(self, track: Any) -> None:
        if any(takes and kind == track.kind for kind, takes, _ in self._media()):
            self._receive_from(track)

    def _adopt_channel(self, channel: Any) -> bool:
        """Whether this is the channel to listen to: the first one."""
        if self._channel is not None:
            _log.debug("a second data channel (%r) is ignored", channel.label)
            return False
        self._channel = channel
        return True

    def _on_channel_open(self) -> None:
        self._outbox.open(self._deliver)
        self._observer.on_channel_open()

    def _on_channel_close(self) -> None:
        # A browser that leaves resets the channel at once; ICE would notice only after many seconds.
        self._outbox.close()
        self._end()

    def _on_message(self, data: Any) -> None:
        if isinstance(data, str):
            self._observer.on_message(data)
        else:
            _log.debug("a binary message was ignored")

    def _on_connection_state(self, name: str) -> None:
        state = PeerState(name)
        if state is PeerState.CLOSED:
            self._end()
        else:
            self._change_state(state)

    def _end(self) -> asyncio.Task[None]:
        """Let go of everything, soon, and tell the observer by CLOSED."""
        if self._closing is None:
            self._closing = self._loop.create_task(self._close())
        return self._closing

    def _change_state(self, state: PeerState) -> None:
        if self._state not in (state, PeerState.CLOSED):
            self._state = state
            self._observer.on_state(state)

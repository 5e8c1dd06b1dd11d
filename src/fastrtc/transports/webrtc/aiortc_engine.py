"""The WebRTC engine ``aiortc`` (extra ``aiortc``): pure Python around FFmpeg, for platforms without ``wrtc``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import aiortc
from aiortc.exceptions import InvalidAccessError, InvalidStateError
from aiortc.exceptions import OperationError as AiortcOperationError
from aiortc.jitterbuffer import JitterFrame
from aiortc.sdp import candidate_from_sdp

from fastrtc.audio import PCM
from fastrtc.errors import EngineError
from fastrtc.link import Picture, VideoFrame
from fastrtc.transports.webrtc.aiortc_audio import Receiver, TickTrack
from fastrtc.transports.webrtc.aiortc_video import PictureReceiver, PictureTrack
from fastrtc.transports.webrtc.candidate import IceCandidate
from fastrtc.transports.webrtc.engine import RATE_HZ, PeerObserver, PeerOptions, PeerState, PeerStats
from fastrtc.transports.webrtc.peer import EnginePeer, MediaKind
from fastrtc.transports.webrtc.reordering import ReorderBuffer
from fastrtc.transports.webrtc.sdp import check_description, speech_parameters, with_opus_parameters

_log = logging.getLogger(__name__)

# What aiortc raises for a description that it cannot read: its parser asserts, splits and looks up.
_ENGINE_ERRORS = (
    InvalidAccessError,
    InvalidStateError,
    AiortcOperationError,
    ValueError,
    TypeError,
    AssertionError,
    AttributeError,
    LookupError,
    ConnectionError,
)
_CLOSE_TIMEOUT_S = 5.0
_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
MAX_BUFFERED_BYTES = 16_000_000
_NO_PORT_RANGE = "the engine aiortc cannot keep to a range of ports: leave out portRange, or use the engine wrtc"
_NO_RESTART = "the engine aiortc cannot restart ICE: a client whose network changed has to connect anew"


class AiortcEngine:
    """Makes peers of ``aiortc``."""

    name = "aiortc"

    async def answer(self, offer_sdp: str, options: PeerOptions, observer: PeerObserver) -> AiortcPeer:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcEngine`."""
        check_description(offer_sdp)
        return await self._described(options, observer, offer_sdp)

    async def offer(self, options: PeerOptions, observer: PeerObserver) -> AiortcPeer:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcEngine`."""
        return await self._described(options, observer, None)

    async def _described(self, options: PeerOptions, observer: PeerObserver, offer_sdp: str | None) -> AiortcPeer:
        peer = AiortcPeer(options, observer)
        try:
            if offer_sdp is None:
                await peer.make_offer()
            else:
                await peer.make_answer(offer_sdp)
        except _ENGINE_ERRORS as error:
            await peer.close()
            raise EngineError(f"the connection could not be described: {error}") from error
        except BaseException:
            await peer.close()
            raise
        return peer


class AiortcPeer(EnginePeer):
    """One ``RTCPeerConnection``.

    Args:
        options: How to set it up.
        observer: Who is told what happens.
    """

    INACTIVE = "inactive"
    SENDONLY = "sendonly"

    def __init__(self, options: PeerOptions, observer: PeerObserver) -> None:
        servers = [
            aiortc.RTCIceServer(urls=list(server.urls), username=server.username, credential=server.credential)
            for server in options.ice_servers
        ]
        super().__init__(options, observer)
        self._receiver = Receiver()
        self._pictures = PictureReceiver()
        self._screen = PictureTrack(self._loop) if options.has_video_out else None
        self._track = TickTrack(self._loop, options.max_bitrate_bps) if options.has_audio_out else None
        if options.port_range is not None:
            raise EngineError(_NO_PORT_RANGE)
        policy = aiortc.RTCIceTransportPolicy(options.ice_transport_policy)
        try:
            self._pc: Any = aiortc.RTCPeerConnection(
                aiortc.RTCConfiguration(iceServers=servers, iceTransportPolicy=policy)
            )
        except ValueError as error:
            raise EngineError(f"the connection could not be made: {error}") from error
        self._pc.on("track", self._on_track)
        self._pc.on("datachannel", self._on_channel)
        self._pc.on("connectionstatechange", lambda: self._on_connection_state(self._pc.connectionState))

    @property
    def is_gathering(self) -> bool:
        """Never after a description: what aioice has not found by then it gives up."""
        return False

    async def make_answer(self, offer_sdp: str) -> None:
        """Take an offer and describe this side. Called once, by the engine."""
        await self._pc.setRemoteDescription(aiortc.RTCSessionDescription(offer_sdp, "offer"))
        self._choose_sections()
        self._keep_order()
        self._limit_gathering()
        await self._pc.setLocalDescription(await self._pc.createAnswer())

    async def answer_restart(self, offer_sdp: str) -> None:
        """Aiortc cannot: a transport keeps its first ICE session for life."""
        raise EngineError(_NO_RESTART)

    async def offer_restart(self) -> None:
        """Aiortc cannot: a transport keeps its first ICE session for life."""
        raise EngineError(_NO_RESTART)

    async def make_offer(self) -> None:
        """Describe this side. Called once, by the engine."""
        for kind, takes, track in self._media():
            if track is not None:
                self._pc.addTrack(track)
            elif takes:
                self._pc.addTransceiver(kind, direction="recvonly")
        self._on_channel(self._pc.createDataChannel("text"))
        self._keep_order()
        self._limit_gathering()
        await self._pc.setLocalDescription(await self._pc.createOffer())

    async def set_answer(self, sdp: str) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.OfferingPeer`."""
        check_description(sdp)
        try:
            await self._pc.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "answer"))
        except _ENGINE_ERRORS as error:
            raise EngineError(f"the answer could not be used: {error}") from error

    async def add_candidate(self, candidate: IceCandidate | None) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        if self._state is PeerState.CLOSED:
            return
        # The end of candidates is not passed on: aioice would give up on pairs that its checks have yet to find.
        if candidate is None or candidate.is_end or candidate.component != 1 or candidate.protocol != "udp":
            return
        try:
            parsed = candidate_from_sdp(candidate.line.removeprefix("candidate:"))
            parsed.sdpMid, parsed.sdpMLineIndex = candidate.sdp_mid, candidate.sdp_m_line_index
            if parsed.sdpMid is None and parsed.sdpMLineIndex is None:
                parsed.sdpMLineIndex = 0
            await self._pc.addIceCandidate(parsed)
        except _ENGINE_ERRORS as error:
            _log.debug("a candidate was not used (%s): %s", candidate.line, error)

    def read(self) -> PCM | None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        return self._receiver.read()

    def write(self, pcm: PCM | None) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        if self._track is not None and self._state is not PeerState.CLOSED:
            self._track.write(pcm)

    def flush(self) -> None:
        """Nothing waits on this side: a tick is encoded when it is written."""

    def read_video(self) -> VideoFrame | None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        return self._pictures.read()

    def write_video(self, picture: Picture) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        if self._screen is not None:
            self._screen.write(picture)

    async def stats(self) -> PeerStats:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        if self._state is PeerState.CLOSED:
            return PeerStats()
        items = (await self._pc.getStats()).values()
        report = {item.type: item for item in items if getattr(item, "kind", "audio") == "audio"}
        inbound, outbound = report.get("inbound-rtp"), report.get("outbound-rtp")
        remote = report.get("remote-inbound-rtp")
        return PeerStats(
            packets_received=int(_value(inbound, "packetsReceived")),
            packets_sent=int(_value(outbound, "packetsSent")),
            packets_lost=int(_value(inbound, "packetsLost")),
            jitter_ms=1000 * _value(inbound, "jitter") / RATE_HZ,
            round_trip_ms=1000 * _value(remote, "roundTripTime"),
            remote_jitter_ms=1000 * _value(remote, "jitter") / RATE_HZ,
            concealed_samples=self._receiver.concealed_samples,
            dropped_samples=self._receiver.dropped_samples,
        )

    async def _close(self) -> None:
        self._outbox.close()
        self._pc.remove_all_listeners()
        if self._channel is not None:
            self._channel.remove_all_listeners()
        if self._track is not None:
            self._track.end()
        if self._screen is not None:
            self._screen.end()
        self._change_state(PeerState.CLOSED)
        await self._receiver.close()
        await self._pictures.close()
        with contextlib.suppress(TimeoutError, ConnectionError):
            await asyncio.wait_for(self._pc.close(), _CLOSE_TIMEOUT_S)

    def _media(self) -> list[tuple[MediaKind, bool, aiortc.MediaStreamTrack | None]]:
        options = self._options
        return [("audio", options.has_audio_in, self._track), ("video", options.has_video_in, self._screen)]

    def _sections(self, kind: MediaKind) -> list[Any]:
        return [one for one in self._pc.getTransceivers() if one.kind == kind]

    def _send_track(self, track: aiortc.MediaStreamTrack) -> None:
        self._pc.addTrack(track)

    def _keep_order(self) -> None:
        """Have our own buffer put audio packets in order; it is a private attribute of aiortc's receiver."""
        for section in self._pc.getTransceivers():
            if section.kind == "audio" and hasattr(section.receiver, _JITTER_BUFFER):
                setattr(section.receiver, _JITTER_BUFFER, ReorderBuffer(JitterFrame))

    def _limit_gathering(self) -> None:
        """Let no server hold up the description, and offer 127.0.0.1 where there is no other address.

        aioice waits 5 s for STUN and leaves loopback out; it takes both as arguments of a method of the connection.
        """
        limit_s = self._options.gather_timeout_ms / 1000
        fallback = ["127.0.0.1"] if self._options.ice_transport_policy == "all" else []
        transports = [t.receiver.transport for t in self._pc.getTransceivers()]
        if self._pc.sctp is not None:
            transports.append(self._pc.sctp.transport)
        for dtls in transports:
            connection = getattr(dtls.transport.iceGatherer, "_connection", None)
            if connection is not None and "get_component_candidates" not in vars(connection):
                connection.get_component_candidates = _limited(connection.get_component_candidates, limit_s, fallback)

    def _local_sdp(self) -> str:
        description = self._pc.localDescription
        if description is None or self._state is PeerState.CLOSED:
            raise EngineError("the connection is closed")
        parameters = speech_parameters(self._options.max_bitrate_bps)
        # This engine has no comfort noise, and a gap reads as loss: the other side had better send all the time.
        return with_opus_parameters(description.sdp, {**parameters, "usedtx": "0"})

    def _receive_from(self, track: Any) -> None:
        if track.kind == "audio":
            self._receiver.receive_from(track)
        else:
            self._pictures.receive_from(track)

    def _on_channel(self, channel: Any) -> None:
        if not self._adopt_channel(channel):
            return
        channel.on("message", self._on_message)
        channel.on("close", self._on_channel_close)
        if channel.readyState == "open":
            self._on_channel_open()
        else:
            channel.on("open", self._on_channel_open)

    def _deliver(self, text: str) -> None:
        try:
            # aiortc itself would keep whatever is not acknowledged.
            if self._channel.bufferedAmount > MAX_BUFFERED_BYTES:
                self._outbox.warn("%d bytes are not acknowledged", self._channel.bufferedAmount)
                return
            self._channel.send(text)
        except _ENGINE_ERRORS as error:
            self._outbox.warn("%s", error)


def _limited(gather: Any, limit_s: float, fallback: list[str]) -> Any:
    async def limited(component: int, addresses: list[str]) -> Any:
        return await gather(component=component, addresses=addresses or fallback, timeout=limit_s)

    return limited


def _value(item: Any, name: str) -> float:
    return float(getattr(item, name, None) or 0.0)

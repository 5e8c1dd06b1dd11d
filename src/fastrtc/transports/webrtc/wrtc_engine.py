"""The WebRTC engine ``wrtc``: Chrome's libwebrtc with the browser's API."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import webrtc
import wrtc

from fastrtc.audio import PCM
from fastrtc.errors import EngineError
from fastrtc.link import Picture, VideoFrame
from fastrtc.transports.webrtc.candidate import IceCandidate
from fastrtc.transports.webrtc.engine import PeerObserver, PeerOptions, PeerState, PeerStats
from fastrtc.transports.webrtc.peer import EnginePeer, MediaKind
from fastrtc.transports.webrtc.priorities import calm_encoders
from fastrtc.transports.webrtc.sdp import (
    check_description,
    media_kinds,
    speech_parameters,
    with_media_stream,
    with_opus_parameters,
)
from fastrtc.transports.webrtc.wrtc_audio import NativeAudio, StreamAudio, WrtcAudio, native_audio_works
from fastrtc.transports.webrtc.wrtc_video import WrtcVideo, limit_sender

_log = logging.getLogger(__name__)

JITTER_BUFFER_TRIAL = (
    "WebRTC-Audio-NetEqDelayManagerConfig",
    "quantile:0.99,forget_factor:0.8,start_forget_weight:2,resample_interval_ms:200",
)
_ENGINE_ERRORS = (wrtc.PythonWebRTCExceptionBase, ValueError, TypeError)


class WrtcEngine:
    """Makes peers of ``wrtc``.

    Args:
        native_audio: Use the native objects for audio; None tries them and decides.
    """

    name = "wrtc"

    def __init__(self, native_audio: bool | None = None) -> None:
        _allow_loopback_if_alone()  # before the first native object: libwebrtc looks at it once
        _forget_jitter_sooner()
        self.native_audio = native_audio_works() if native_audio is None else native_audio
        if not self.native_audio:
            _log.warning("wrtc's native audio objects do not work as expected: using its slower public streams")
        self._switch = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fastrtc-encoder")

    async def answer(self, offer_sdp: str, options: PeerOptions, observer: PeerObserver) -> WrtcPeer:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcEngine`."""
        check_description(offer_sdp)
        peer = self._peer(options, observer)
        async with _closing_on_error(peer, "the offer could not be answered"):
            await peer.make_answer(offer_sdp)
        calm_encoders()
        return peer

    async def offer(self, options: PeerOptions, observer: PeerObserver) -> WrtcPeer:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcEngine`."""
        peer = self._peer(options, observer)
        async with _closing_on_error(peer, "no offer could be made"):
            await peer.make_offer()
        return peer

    def _peer(self, options: PeerOptions, observer: PeerObserver) -> WrtcPeer:
        try:
            return WrtcPeer(options, observer, self._switch if self.native_audio else None)
        except _ENGINE_ERRORS as error:
            raise EngineError(f"the connection could not be made: {error}") from error


class WrtcPeer(EnginePeer):
    """One ``RTCPeerConnection``.

    Args:
        options: How to set it up.
        observer: Who is told what happens.
        switch: The thread that turns encoders on and off; None: audio over the public streams.
    """

    INACTIVE = webrtc.RTCRtpTransceiverDirection.inactive
    SENDONLY = webrtc.RTCRtpTransceiverDirection.sendonly

    def __init__(self, options: PeerOptions, observer: PeerObserver, switch: ThreadPoolExecutor | None) -> None:
        servers = [
            webrtc.RTCIceServer(urls=list(server.urls), username=server.username, credential=server.credential)
            for server in options.ice_servers
        ]
        super().__init__(options, observer)
        self._gathered = asyncio.Event()
        self._described = False
        self._negotiating = asyncio.Lock()
        self._pc = webrtc.RTCPeerConnection(
            webrtc.RTCConfiguration(
                ice_servers=servers,
                ice_transport_policy=options.ice_transport_policy,
                port_range=options.port_range,
                bundle_policy="max-bundle",
            )
        )
        self._generator = webrtc.MediaStreamTrackGenerator("audio") if options.has_audio_out else None
        self._audio: WrtcAudio
        self._native: NativeAudio | None = None
        if switch is None:
            self._audio = StreamAudio(self._generator, self._loop)
        else:
            self._audio = self._native = NativeAudio(self._generator, switch)
        self._screen = webrtc.MediaStreamTrackGenerator("video") if options.has_video_out else None
        self._video = WrtcVideo(self._screen)
        self._listen()

    @property
    def is_gathering(self) -> bool:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        return not self._gathered.is_set()

    async def make_answer(self, offer_sdp: str) -> None:
        """Take an offer and describe this side. Called once, by the engine."""
        await self._set_remote("offer", offer_sdp)
        self._choose_sections()
        await self._pc.set_local_description(await self._pc.create_answer())
        await self._limit_video()
        await self._gather()

    async def answer_restart(self, offer_sdp: str) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.AnsweringPeer`."""
        check_description(offer_sdp)
        async with self._negotiating:
            described = self._pc.remote_description
            if described is None or self._state is PeerState.CLOSED:
                raise EngineError("the connection is closed")
            if media_kinds(offer_sdp) != media_kinds(described.sdp):
                raise EngineError("a further offer may not add or take away media")
            try:
                self._start_gathering()
                await self._set_remote("offer", offer_sdp)
                await self._pc.set_local_description(await self._pc.create_answer())
                await self._gather()
            except _ENGINE_ERRORS as error:
                raise EngineError(f"the offer could not be answered: {error}") from error

    async def make_offer(self) -> None:
        """Describe this side. Called once, by the engine."""
        for kind, takes, generator in self._media():
            if generator is not None:
                self._send_track(generator)
            elif takes:
                init = webrtc.RTCRtpTransceiverInit(direction=webrtc.RTCRtpTransceiverDirection.recvonly)
                self._pc.add_transceiver(kind, init)
        self._on_channel(self._pc.create_data_channel("text"))
        await self._pc.set_local_description(await self._pc.create_offer())
        await self._gather()

    async def offer_restart(self) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.OfferingPeer`."""
        async with self._negotiating:
            if self._state is PeerState.CLOSED:
                raise EngineError("the connection is closed")
            try:
                self._start_gathering()
                self._pc.restart_ice()
                await self._pc.set_local_description(await self._pc.create_offer())
                await self._gather()
            except _ENGINE_ERRORS as error:
                raise EngineError(f"ICE could not be restarted: {error}") from error

    async def set_answer(self, sdp: str) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.OfferingPeer`."""
        check_description(sdp)
        try:
            await self._set_remote("answer", sdp)
            await self._limit_video()
        except _ENGINE_ERRORS as error:
            raise EngineError(f"the answer could not be used: {error}") from error
        calm_encoders()

    async def add_candidate(self, candidate: IceCandidate | None) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        if candidate is None or candidate.is_end or candidate.component != 1 or self._state is PeerState.CLOSED:
            return
        mid, index = candidate.sdp_mid, candidate.sdp_m_line_index
        init = webrtc.RTCIceCandidateInit(
            candidate=candidate.line,
            sdp_mid=mid,
            sdp_m_line_index=0 if mid is None and index is None else index,
            username_fragment=candidate.username_fragment,
        )
        try:
            await self._pc.add_ice_candidate(init)
        except _ENGINE_ERRORS as error:
            _log.debug("a candidate was not used (%s): %s", candidate.line, error)

    def read(self) -> PCM | None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        return self._audio.read()

    def write(self, pcm: PCM | None) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        self._audio.write(pcm)

    def flush(self) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        self._audio.flush()

    def read_video(self) -> VideoFrame | None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        return self._video.read()

    def write_video(self, picture: Picture) -> None:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        self._video.write(picture)

    async def stats(self) -> PeerStats:
        """See :class:`~fastrtc.transports.webrtc.engine.RtcPeer`."""
        if self._state is PeerState.CLOSED:
            return PeerStats()
        try:
            report = await self._pc.get_stats()
        except _ENGINE_ERRORS:  # closed meanwhile
            return PeerStats()
        return _stats(list(report.values()), self._audio.dropped_samples)

    async def _close(self) -> None:
        self._outbox.close()
        self._pc.off()
        if self._channel is not None:
            self._channel.off()
        self._audio.close()
        self._video.close()
        self._pc.close()
        self._gathered.set()
        self._change_state(PeerState.CLOSED)

    def _listen(self) -> None:
        self._pc.on("track", lambda event: self._on_track(event.track))
        self._pc.on("datachannel", lambda event: self._on_channel(event.channel))
        self._pc.on("icecandidate", lambda event: self._on_candidate(event.candidate))
        self._pc.on("connectionstatechange", lambda _event: self._on_connection_state(self._pc.connection_state))

    def _media(self) -> list[tuple[MediaKind, bool, webrtc.MediaStreamTrackGenerator | None]]:
        options = self._options
        return [
            ("audio", options.has_audio_in, self._generator),
            ("video", options.has_video_in, self._screen),
        ]

    def _sections(self, kind: MediaKind) -> list[webrtc.RTCRtpTransceiver]:
        return [one for one in self._pc.get_transceivers() if one.receiver.track.kind == kind]

    def _send_track(self, track: webrtc.MediaStreamTrackGenerator) -> None:
        sender = self._pc.add_track(track)
        if track is self._generator and self._native is not None:
            self._native.control(sender)

    async def _limit_video(self) -> None:
        for sender in self._pc.get_senders():
            if sender.track is not None and sender.track.kind == "video":
                await limit_sender(sender, self._options.video)

    async def _set_remote(self, kind: Literal["offer", "answer"], sdp: str) -> None:
        tuned = with_opus_parameters(sdp, speech_parameters(self._options.max_bitrate_bps))
        await self._pc.set_remote_description(webrtc.RTCSessionDescriptionInit(kind, tuned))

    def _start_gathering(self) -> None:
        self._gathered.clear()
        self._described = False

    async def _gather(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gathered.wait(), self._options.gather_timeout_ms / 1000)
        self._described = True

    def _local_sdp(self) -> str:
        description = self._pc.local_description
        if description is None:
            raise EngineError("the connection is closed")
        tuned = with_opus_parameters(description.sdp, speech_parameters(self._options.max_bitrate_bps))
        return with_media_stream(tuned)

    def _receive_from(self, track: webrtc.MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._audio.receive_from(track)
        else:
            self._video.receive_from(track)

    def _on_channel(self, channel: webrtc.RTCDataChannel) -> None:
        if not self._adopt_channel(channel):
            return
        channel.on("message", lambda event: self._on_message(event.data))
        channel.on("close", lambda _event: self._on_channel_close())
        if channel.ready_state == webrtc.RTCDataChannelState.open:
            self._on_channel_open()
        else:
            channel.on("open", lambda _event: self._on_channel_open())

    def _deliver(self, text: str) -> None:
        try:
            self._channel.send(text)
        except _ENGINE_ERRORS as error:
            self._outbox.warn("%s", error)

    def _on_candidate(self, candidate: webrtc.RTCIceCandidate | None) -> None:
        if candidate is None:
            self._gathered.set()
            if self._described:
                self._observer.on_candidate(None)
        elif self._described and candidate.candidate:
            self._observer.on_candidate(
                IceCandidate(
                    line=candidate.candidate,
                    sdp_mid=candidate.sdp_mid,
                    sdp_m_line_index=candidate.sdp_m_line_index,
                    username_fragment=candidate.username_fragment,
                )
            )


@contextlib.asynccontextmanager
async def _closing_on_error(peer: WrtcPeer, what: str) -> AsyncIterator[None]:
    try:
        yield
    except _ENGINE_ERRORS as error:
        await peer.close()
        raise EngineError(f"{what}: {error}") from error
    except BaseException:
        await peer.close()
        raise


def _forget_jitter_sooner() -> None:
    """Let the jitter buffer come down in seconds after a bad moment; by default it takes half a minute (ADR 009)."""
    with contextlib.suppress(webrtc.InvalidStateError):  # a connection exists, so this was done before, or by the app
        webrtc.field_trials.setdefault(*JITTER_BUFFER_TRIAL)


def _allow_loopback_if_alone() -> None:
    """Offer 127.0.0.1 where there is no other address, as in a container without a network."""
    for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((anywhere, 9))  # chooses a route, sends nothing
            return
    with contextlib.suppress(webrtc.InvalidStateError):  # a connection exists, so this was done before
        webrtc.allow_loopback()


def _stats(report: list[Any], dropped_samples: int) -> PeerStats:
    kinds: dict[str, Any] = {}
    for item in report:
        if item.type in ("inbound-rtp", "outbound-rtp", "remote-inbound-rtp") and item.kind == "audio":
            kinds[item.type] = item
        elif item.type == "candidate-pair" and item.nominated:
            kinds["pair"] = item
    inbound, outbound = kinds.get("inbound-rtp"), kinds.get("outbound-rtp")
    remote, pair = kinds.get("remote-inbound-rtp"), kinds.get("pair")
    emitted = _value(inbound, "jitter_buffer_emitted_count")
    return PeerStats(
        packets_received=int(_value(inbound, "packets_received")),
        packets_sent=int(_value(outbound, "packets_sent")),
        packets_lost=int(_value(inbound, "packets_lost")),
        jitter_ms=1000 * _value(inbound, "jitter"),
        round_trip_ms=1000 * (_value(remote, "round_trip_time") or _value(pair, "current_round_trip_time")),
        jitter_buffer_ms=1000 * _value(inbound, "jitter_buffer_delay") / emitted if emitted else 0.0,
        remote_jitter_ms=1000 * _value(remote, "jitter"),
        concealed_samples=int(_value(inbound, "concealed_samples") - _value(inbound, "silent_concealed_samples")),
        fec_packets=int(_value(inbound, "fec_packets_received")),
        dropped_samples=dropped_samples,
    )


def _value(item: Any, name: str) -> float:
    return float(getattr(item, name, None) or 0.0)

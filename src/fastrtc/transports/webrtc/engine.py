"""The border to a WebRTC engine: what the rest of the package may ask of one, and nothing more.

An engine takes over ICE, DTLS, SRTP, Opus, the jitter buffer and the data channel. Above this border there are only
20 ms ticks of PCM, images, text messages and states.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from fastrtc.audio import PCM
from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.link import Picture, VideoFrame
from fastrtc.transports.webrtc.candidate import IceCandidate

RATE_HZ = 48_000
TICK_MS = 20
TICK_SAMPLES = RATE_HZ * TICK_MS // 1000

# Host candidates take 5 ms, a STUN server's answer a round trip; a dead one must leave the answer below 300 ms.
GATHER_TIMEOUT_MS = 150

ENGINE_VARIABLE = "FASTRTC_ENGINE"
DEFAULT_ENGINE = "wrtc"
ENGINES = ("wrtc", "aiortc")


class PeerState(StrEnum):
    """State of a peer connection, with the meaning of ``RTCPeerConnectionState``.

    ============  =========================================================================
    state         may be followed by
    ============  =========================================================================
    NEW           CONNECTING, FAILED, CLOSED
    CONNECTING    CONNECTED, FAILED, CLOSED
    CONNECTED     DISCONNECTED, FAILED, CLOSED
    DISCONNECTED  CONNECTED (the network came back), FAILED, CLOSED
    FAILED        CLOSED
    CLOSED        nothing: either side ended the connection
    ============  =========================================================================
    """

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A STUN or TURN server.

    Attributes:
        urls: For example ``("turn:turn.example.org:3478?transport=udp",)``.
        username: Needed by TURN.
        credential: Needed by TURN.
    """

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLimits:
    """What is asked of the video encoder, as far as the engine can; None leaves it to the engine.

    Attributes:
        max_bitrate_bps: Bits per second.
        max_framerate: Images per second.
        scale_down_by: Both sides of an image are divided by this.
        degradation: What suffers first when bandwidth or processor are short: a value of ``RTCDegradationPreference``,
            for example ``"maintain-framerate"``.
    """

    max_bitrate_bps: int | None = None
    max_framerate: float | None = None
    scale_down_by: float | None = None
    degradation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerOptions:
    """How to set up one connection.

    Attributes:
        ice_servers: STUN and TURN servers to gather candidates from.
        ice_transport_policy: ``relay`` connects through TURN servers only (``RTCIceTransportPolicy``).
        port_range: Lowest and highest local UDP port to use, both included; None: any. ``wrtc`` only.
        has_audio_in: Whether audio of the other side is taken.
        has_audio_out: Whether audio is sent to the other side.
        has_video_in: Whether images of the other side are taken.
        has_video_out: Whether images are sent to the other side.
        video: Limits of the images that are sent.
        gather_timeout_ms: How long a description waits for candidates. Host candidates take a few milliseconds; a
            STUN server that does not answer must not hold up the call.
        max_bitrate_bps: Of the Opus streams in both directions.
    """

    ice_servers: tuple[IceServer, ...] = ()
    ice_transport_policy: Literal["all", "relay"] = "all"
    port_range: tuple[int, int] | None = None
    has_audio_in: bool = True
    has_audio_out: bool = True
    has_video_in: bool = False
    has_video_out: bool = False
    video: VideoLimits = VideoLimits()
    gather_timeout_ms: int = GATHER_TIMEOUT_MS
    max_bitrate_bps: int = 32_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStats:
    """How a connection's audio is doing. A value that the engine does not know is 0.

    Attributes:
        packets_received: RTP packets received.
        packets_sent: RTP packets sent.
        packets_lost: RTP packets that never came.
        jitter_ms: Of the arriving packets (RFC 3550, section 6.4.1).
        round_trip_ms: From RTCP or ICE checks.
        jitter_buffer_ms: Mean time that received audio waited in the jitter buffer.
        remote_jitter_ms: What the other side reports about our packets.
        concealed_samples: Received samples made up because a packet was missing, silence not counted.
        fec_packets: Packets that carried a copy of an earlier one (RFC 6716, section 2.1.7).
        dropped_samples: Received samples thrown away because nobody read them in time.
    """

    packets_received: int = 0
    packets_sent: int = 0
    packets_lost: int = 0
    jitter_ms: float = 0.0
    round_trip_ms: float = 0.0
    jitter_buffer_ms: float = 0.0
    remote_jitter_ms: float = 0.0
    concealed_samples: int = 0
    fec_packets: int = 0
    dropped_samples: int = 0


class PeerObserver(Protocol):
    """Who is told what happens on a connection; every method is called on the app loop."""

    def on_state(self, state: PeerState) -> None:
        """The connection changed its state; CLOSED comes once and last."""
        ...

    def on_channel_open(self) -> None:
        """The data channel can carry messages now."""
        ...

    def on_message(self, text: str) -> None:
        """A text message came over the data channel."""
        ...

    def on_candidate(self, candidate: IceCandidate | None) -> None:
        """A local candidate was found after the description had been made; None: there will be no more."""
        ...


class RtcPeer(Protocol):
    """One connection to one other side."""

    @property
    def state(self) -> PeerState:
        """The current state. Any thread."""
        ...

    @property
    def is_gathering(self) -> bool:
        """Whether the observer may still be told of local candidates."""
        ...

    async def add_candidate(self, candidate: IceCandidate | None) -> None:
        """Take a remote candidate; None or an empty one ends them. One that is of no use is ignored."""
        ...

    def read(self) -> PCM | None:
        """Everything received since the last call, mono at 48 kHz, or None. Media clock thread; never blocks."""
        ...

    def write(self, pcm: PCM | None) -> None:
        """Send one tick (960 samples, mono at 48 kHz), or None: nothing to play. Media clock thread; never blocks.

        It has to be called every 20 ms in either case: the engine counts the time of the silence by it.
        """
        ...

    def flush(self) -> None:
        """Drop what was written and is not yet encoded. Any thread."""
        ...

    def read_video(self) -> VideoFrame | None:
        """The oldest received image of the newest few, or None. Media clock thread; never blocks."""
        ...

    def write_video(self, picture: Picture) -> None:
        """Encode and send an image. Any thread but the media clock's, one at a time."""
        ...

    def send(self, text: str) -> None:
        """Send a text message, in order, as soon as the data channel is open. Any thread."""
        ...

    async def stats(self) -> PeerStats:
        """Current statistics; zeros after :meth:`close`."""
        ...

    async def close(self) -> None:
        """End the connection. App loop; idempotent."""
        ...


class AnsweringPeer(RtcPeer, Protocol):
    """The side that was called."""

    @property
    def answer_sdp(self) -> str:
        """The answer, with the candidates found so far."""
        ...

    async def answer_restart(self, offer_sdp: str) -> None:
        """Answer a further offer of the same client with the same media: an ICE restart (RFC 8445, section 9).

        Media and messages go on meanwhile, over the old path as long as there is one. :attr:`answer_sdp` is new then.

        Raises:
            EngineError: The offer cannot be read, wants other media, or the engine cannot restart (``aiortc``).
        """
        ...


class OfferingPeer(RtcPeer, Protocol):
    """The side that calls."""

    @property
    def offer_sdp(self) -> str:
        """The offer, with the candidates found so far."""
        ...

    async def offer_restart(self) -> None:
        """Look for another path to the same peer; :attr:`offer_sdp` is new then, and wants an answer.

        Raises:
            EngineError: The engine cannot restart (``aiortc``), or the connection is closed.
        """
        ...

    async def set_answer(self, sdp: str) -> None:
        """Take the other side's answer.

        Raises:
            EngineError: It cannot be read or does not fit the offer.
        """
        ...


class RtcEngine(Protocol):
    """Makes connections. One per process is enough; it may be used from one event loop at a time."""

    name: str

    async def answer(self, offer_sdp: str, options: PeerOptions, observer: PeerObserver) -> AnsweringPeer:
        """Answer an offer that has sections of audio or video, a data channel, or several of them.

        The first section of a kind is used in the directions that both sides want; the others become inactive.

        Raises:
            EngineError: The offer cannot be read or cannot be answered.
        """
        ...

    async def offer(self, options: PeerOptions, observer: PeerObserver) -> OfferingPeer:
        """Offer a section for each kind of media in the options, and a data channel named ``text``.

        Raises:
            EngineError: The engine failed.
        """
        ...


def load_engine(name: str | None = None) -> RtcEngine:
    """Import and set up an engine.

    Args:
        name: ``wrtc`` or ``aiortc``; None takes the environment variable ``FASTRTC_ENGINE``, else ``wrtc``.

    Raises:
        ConfigurationError: No such engine, or its native library does not fit this system.
        MissingExtraError: The engine's package is not installed.
    """
    chosen = name or os.environ.get(ENGINE_VARIABLE) or DEFAULT_ENGINE
    if chosen not in ENGINES:
        raise ConfigurationError(f"no WebRTC engine is called {chosen!r}; there are {', '.join(ENGINES)}")
    try:
        if chosen == "aiortc":
            from fastrtc.transports.webrtc.aiortc_engine import AiortcEngine

            return AiortcEngine()
        from fastrtc.transports.webrtc.wrtc_engine import WrtcEngine

        return WrtcEngine()
    except ModuleNotFoundError as error:
        feature = "the WebRTC engine aiortc"
        if chosen == "wrtc":
            feature = f"WebRTC without wrtc, which is not installed ({ENGINE_VARIABLE}=aiortc chooses the other engine)"
        raise MissingExtraError(feature, "aiortc") from error
    except ImportError as error:
        raise ConfigurationError(f"the WebRTC engine {chosen} cannot be loaded: {error}") from error

"""Offers and candidates: from the JSON of ``/webrtc/offer`` to sessions over an engine's connections.

A refusal is no HTTP error: clients of FastRTC expect status 200 and ``{"status": "failed", "meta": {"error": ...}}``.

==============================  ==========================================================
``meta.error``                  when
==============================  ==========================================================
``concurrency_limit_reached``   all places are taken; ``meta.limit`` says how many there are
``connection_already_exists``   the ``webrtc_id`` is in use, and the offer comes from another client
``reserved_id``                 a client chose an id of the form that only the server makes
``too_many_offers``             more offers than ``Limits.offers_per_s``, of all clients together; or more ICE restarts
                                of one connection than any network needs
``too_many_candidates``         more candidates for one connection than any network has
``server_overloaded``           the process takes more memory than ``Limits.max_memory_mb``
``server_draining``             the server is about to stop and takes no new sessions
``unknown_connection``          a candidate for an id without an offer
``connection_closed``           a candidate for a connection that is over
``invalid_candidate_format``    a candidate that cannot be read
``restart_failed``              an ICE restart that the engine cannot answer; ``meta.detail`` says why
``invalid_sdp``                 an offer that the engine cannot answer; ``meta.detail`` says why
``unsupported_track``           the client sends a kind of media that the stream has no use for; ``allow_extra_tracks``
                                ignores it instead
``unsupported_handler``         the stream's handler is no stream handler
``handler_failed``              the handler cannot be copied, or its options cannot work; ``meta.detail`` says why
``engine_unavailable``          the WebRTC engine is not installed; clients may use the WebSocket
==============================  ==========================================================

Who may not enter is an HTTP error: 401 (``unauthorized``), 403 (``forbidden``), with the same JSON.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fastrtc.context import Context
from fastrtc.errors import (
    AccessDeniedError,
    ConfigurationError,
    EngineError,
    MissingExtraError,
    ProtocolError,
    SignalingError,
)
from fastrtc.handlers.drivers import takes_turns
from fastrtc.handlers.supervisor import await_supervised
from fastrtc.transports.meter import Meter
from fastrtc.transports.socket import CUT_OFF
from fastrtc.transports.webrtc.candidate import IceCandidate
from fastrtc.transports.webrtc.configuration import network_options
from fastrtc.transports.webrtc.engine import PeerOptions, PeerState, VideoLimits, load_engine
from fastrtc.transports.webrtc.link import WebRtcLink
from fastrtc.transports.webrtc.sdp import fingerprints, sent_kinds
from fastrtc.visitor import Visitor
from fastrtc.wire.messages import EndStream, ErrorMessage, encode_server_message
from fastrtc.wire.offer import Candidate, CandidateRequest, Offer, parse_offer_body

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from fastrtc.server.host import SessionHost
    from fastrtc.session import Session
    from fastrtc.transports.webrtc.engine import AnsweringPeer, RtcEngine

logger = logging.getLogger(__name__)

MAX_EARLY_CANDIDATES = 64
MAX_CANDIDATES = 256
RESTARTS_PER_S = 0.5
RESTART_BURST = 10
FAREWELL_S = 0.1
# A long message on the data channel counts as several: at 100 a second, a megabyte.
BYTES_PER_MESSAGE = 10_000
CANDIDATES_WAIT_S = 5.0


class Signaling:
    """Answers offers with sessions of one host.

    Args:
        host: Makes and keeps the sessions.
        engine: An engine, its name, or None for the default; loaded at the first offer.
        modality: Of the stream.
        mode: Direction of the media, as the client sees it.
        rtp_params: ``RTCRtpSendParameters``; limits of the video that is sent.
        allow_extra_tracks: Ignore what the client sends beside the modality.
        rtc_configuration: ``RTCConfiguration`` of this side; see
            :func:`~fastrtc.transports.webrtc.configuration.network_options`.

    Raises:
        ConfigurationError: ``rtc_configuration`` or ``rtp_params`` cannot work.
    """

    def __init__(
        self,
        host: SessionHost,
        *,
        engine: str | RtcEngine | None = None,
        modality: str = "audio",
        mode: str = "send-receive",
        rtp_params: Mapping[str, Any] | None = None,
        allow_extra_tracks: bool = False,
        rtc_configuration: Mapping[str, Any] | None = None,
    ) -> None:
        self._host = host
        self._chosen = engine
        self._loaded: RtcEngine | None = None
        self._loading = threading.Lock()
        self._kinds = frozenset(modality.split("-"))
        self._allow_extra_tracks = allow_extra_tracks
        network = network_options(rtc_configuration)
        self._options = PeerOptions(
            ice_servers=network.ice_servers,
            ice_transport_policy=network.ice_transport_policy,
            port_range=network.port_range,
            has_audio_in="audio" in self._kinds,
            has_audio_out="audio" in self._kinds,
            has_video_in="video" in self._kinds and mode != "receive",
            has_video_out="video" in self._kinds and mode != "send",
            video=video_limits(rtp_params),
        )
        self._calls: dict[str, WebRtcCall] = {}
        self._answering: dict[str, _Answering] = {}

    async def warm_up(self) -> None:
        """Load the engine before the first offer needs it."""
        with suppress(SignalingError):
            await asyncio.to_thread(self._engine)

    async def handle(self, body: object, connection: HTTPConnection | None = None, user: Any = None) -> dict[str, Any]:
        """Handle one body.

        Args:
            body: The JSON.
            connection: The request that brought it.
            user: Whom the app has let in already; None: its ``authorize`` hook is asked.

        Returns:
            The answer as JSON: ``{"sdp", "type"}``, ``{"status": "success"}``, or a failure.

        Raises:
            ProtocolError: The body is neither an offer nor a candidate.
            AccessDeniedError: This client may not open a session, or the connection is another client's.
        """
        message = parse_offer_body(body)
        visitor = Visitor(via="webrtc", webrtc_id=message.webrtc_id, given_token=message.token, connection=connection)
        try:
            match message:
                case Offer():
                    return await self._answer(message, visitor, user)
                case Candidate():
                    return await self._add_candidate(message, visitor.token)
                case CandidateRequest(webrtc_id):
                    return await self._call(webrtc_id, visitor.token).next_candidates()
        except SignalingError as error:
            if isinstance(message, Offer):
                self._host.observers.session_refused(error.code)
            if isinstance(error, AccessDeniedError):
                raise
            return error.as_json()

    async def _answer(self, offer: Offer, visitor: Visitor, user: Any) -> dict[str, Any]:
        extra = sent_kinds(offer.sdp) - self._kinds
        if extra and not self._allow_extra_tracks:
            wanted, sent = " and ".join(sorted(self._kinds)), " and ".join(sorted(extra))
            detail = (
                f"this stream takes {wanted}; the client also sends {sent} (Stream(allow_extra_tracks=True) ignores it)"
            )
            raise SignalingError("unsupported_track", detail=detail)
        known = self._calls.get(offer.webrtc_id)
        if known is not None and known.peer is not None and known.client & fingerprints(offer.sdp):
            if not known.restarts.take():
                raise SignalingError("too_many_offers")
            known.renew(visitor.token)
            return await self._restart(known.peer, offer)
        webrtc_id = self._host.session_id(offer.webrtc_id)
        if webrtc_id in self._answering:
            raise SignalingError("connection_already_exists")
        answering = self._answering.setdefault(webrtc_id, _Answering(visitor.token))
        try:
            if user is None:
                user = await self._host.admit(replace(visitor, webrtc_id=webrtc_id))
            self._host.sessions.check(webrtc_id)
            call = await self._make_call(offer, Context(webrtc_id=webrtc_id, user=user), visitor.token)
        finally:
            del self._answering[webrtc_id]
        assert call.peer is not None
        for candidate in answering.early:
            with suppress(EngineError):
                await call.peer.add_candidate(candidate)
        answer = _description(call.peer)
        return answer if offer.webrtc_id else {**answer, "webrtc_id": webrtc_id}

    async def _make_call(self, offer: Offer, context: Context, token: str | None) -> WebRtcCall:
        """A connection that is being made, with its session."""
        handler = await self._host.new_handler()
        call = WebRtcCall(context.webrtc_id, self._host, self._forget, fingerprints(offer.sdp), token)
        engine = self._engine()
        try:
            call.peer = await engine.answer(offer.sdp, self._options, call)
            session = self._host.open_pending(context.webrtc_id, handler, WebRtcLink(call.peer), context)
        except EngineError as error:
            raise SignalingError("invalid_sdp", detail=str(error)) from error
        except SignalingError:
            await call.abandon()
            raise
        self._calls[context.webrtc_id] = call
        call.carry(session)
        return call

    async def _restart(self, peer: AnsweringPeer, offer: Offer) -> dict[str, Any]:
        """The client's network has changed: the same session over another path."""
        if peer.state is PeerState.CLOSED:
            raise SignalingError("connection_closed")
        try:
            await peer.answer_restart(offer.sdp)
            answer = _description(peer)
        except EngineError as error:
            raise SignalingError("restart_failed", detail=str(error)) from error
        logger.info("connection %s: ICE was restarted", offer.webrtc_id)
        return answer

    async def _add_candidate(self, message: Candidate, token: str | None) -> dict[str, Any]:
        candidate = _read_candidate(message)
        answering = self._answering.get(message.webrtc_id)
        if answering is not None:
            # The answer is being made: browsers do not wait for it before they send candidates.
            _check_token(answering.token, token)
            if len(answering.early) < MAX_EARLY_CANDIDATES:
                answering.early.append(candidate)
            return {"status": "success"}
        call = self._call(message.webrtc_id, token)
        peer = call.peer
        if peer is None or peer.state is PeerState.CLOSED:
            raise SignalingError("connection_closed")
        if call.candidates >= MAX_CANDIDATES:
            raise SignalingError("too_many_candidates")
        call.candidates += 1
        try:
            await peer.add_candidate(candidate)
        except EngineError as error:
            raise SignalingError(str(error)) from error
        return {"status": "success"}

    def _call(self, webrtc_id: str, token: str | None) -> WebRtcCall:
        call = self._calls.get(webrtc_id)
        if call is None or call.peer is None:
            raise SignalingError("unknown_connection")
        _check_token(call.token, token)
        return call

    def _forget(self, webrtc_id: str, call: WebRtcCall) -> None:
        if self._calls.get(webrtc_id) is call:
            del self._calls[webrtc_id]

    def _engine(self) -> RtcEngine:
        with self._loading:
            if self._loaded is None:
                try:
                    chosen = self._chosen
                    self._loaded = load_engine(chosen) if chosen is None or isinstance(chosen, str) else chosen
                except (MissingExtraError, ConfigurationError) as error:
                    logger.warning("no WebRTC, only WebSocket and telephone: %s", error)
                    raise SignalingError("engine_unavailable", detail=str(error)) from error
            return self._loaded


class WebRtcCall:
    """Passes what an engine reports about one connection to its session (a ``PeerObserver``). App loop.

    Args:
        webrtc_id: Of the offer.
        host: Keeps the session.
        on_over: Called once, with the id and this call, when the connection is of no more use.
        client: Fingerprints of the client's certificate, by which its further offers are known.
        token: What its offer showed, by which its candidates are known.

    Attributes:
        candidates: How many the client has sent.
        restarts: Of ICE, that it may still ask for.
    """

    def __init__(
        self,
        webrtc_id: str,
        host: SessionHost,
        on_over: Callable[[str, WebRtcCall], None],
        client: frozenset[str] = frozenset(),
        token: str | None = None,
    ) -> None:
        self._webrtc_id = webrtc_id
        self._host = host
        self._on_over = on_over
        self._session: Session | None = None
        self._early: list[str] = []
        self._state = PeerState.NEW
        self._is_up = False
        self._is_over = False
        self._found: list[IceCandidate] = []
        self._news = asyncio.Event()
        self._messages = Meter(host.limits.messages_per_s, host.limits.message_burst)
        self._cut: str | None = None
        self.client = client
        self.token = token
        self.candidates = 0
        self.restarts = Meter(RESTARTS_PER_S, RESTART_BURST)
        self.peer: AnsweringPeer | None = None

    def renew(self, token: str | None) -> None:
        """The client offers again and may show another token."""
        self.token = token
        self.candidates = 0

    def carry(self, session: Session) -> None:
        """The session of this connection; what was reported before it existed is passed on now."""
        self._session = session
        early, self._early = self._early, []
        for text in early:
            self._pass_on(session, text)
        if self._cut is not None:
            self._host.spawn(self._dismiss(session, self._cut), "fastrtc-cut-off")
        self._act()

    async def abandon(self) -> None:
        """There will be no session: close the connection."""
        self._is_over = True
        if self.peer is not None:
            await self.peer.close()

    def on_state(self, state: PeerState) -> None:
        logger.debug("connection %s: %s", self._webrtc_id, state)
        self._state = state
        if state in (PeerState.CONNECTED, PeerState.DISCONNECTED):
            self._host.sessions.mark_lost(self._webrtc_id, state is PeerState.DISCONNECTED)
        self._act()

    def on_channel_open(self) -> None:
        logger.debug("connection %s: data channel open", self._webrtc_id)

    def on_message(self, text: str) -> None:
        if self._is_over or self._cut is not None:
            return
        if len(text) > self._host.limits.max_message_bytes:
            self._cut_off("message_too_long")
        elif not self._messages.take(max(1.0, len(text) / BYTES_PER_MESSAGE)):
            self._cut_off("too_many_messages")
        elif self._session is None:
            self._early.append(text)
        else:
            self._pass_on(self._session, text)

    def _pass_on(self, session: Session, text: str) -> None:
        try:
            session.receive_message(text)
        except ProtocolError as error:
            session.link.send(encode_server_message(ErrorMessage(str(error))))

    def _cut_off(self, reason: str) -> None:
        """The client is beyond a limit; nothing of it is heard any more."""
        logger.info("connection %s is cut off: %s", self._webrtc_id, reason)
        self._cut = reason
        if self._session is not None:
            self._host.spawn(self._dismiss(self._session, reason), "fastrtc-cut-off")

    async def _dismiss(self, session: Session, reason: str) -> None:
        session.link.send(encode_server_message(ErrorMessage(CUT_OFF[reason])))
        session.link.send(encode_server_message(EndStream(reason)))
        await asyncio.sleep(FAREWELL_S)
        await session.close(reason)

    def on_candidate(self, candidate: IceCandidate | None) -> None:
        if candidate is not None and len(self._found) < MAX_EARLY_CANDIDATES:
            self._found.append(candidate)
        self._news.set()

    async def next_candidates(self) -> dict[str, Any]:
        """The local candidates found since the answer or the last request; waits a few seconds for one."""
        if not self._found and self._is_gathering:
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), CANDIDATES_WAIT_S)
        found, self._found = self._found, []
        more = bool(found) or self._is_gathering
        return {"status": "success", "candidates": [one.as_json() for one in found], "more_candidates": more}

    @property
    def _is_gathering(self) -> bool:
        return self.peer is not None and self.peer.is_gathering and not self._is_over

    def _act(self) -> None:
        if self._session is None or self._is_over:
            return
        if self._state is PeerState.CONNECTED and not self._is_up:
            self._is_up = True
            self._host.spawn(self._start(self._session), "fastrtc-session-start")
        elif self._state in (PeerState.FAILED, PeerState.CLOSED):
            self._is_over = True
            self._news.set()
            self._on_over(self._webrtc_id, self)
            reason = "connection_failed" if self._state is PeerState.FAILED else "disconnected"
            self._host.spawn(self._session.close(reason), "fastrtc-session-close")

    async def _start(self, session: Session) -> None:
        try:
            self._host.connected(self._webrtc_id)
        except SignalingError as error:
            logger.info("connection %s came up too late: %s", self._webrtc_id, error.code)
            if self.peer is not None:
                self.peer.send(encode_server_message(ErrorMessage("Too many people are connected. Try again later.")))
            await session.close(error.code)
            return
        if self.peer is not None and not takes_turns(session.handler):
            # What came while the connection was being made would delay a live handler for the whole call.
            self.peer.read()
        if not await await_supervised(session.start(), self._report):
            await session.close("error")

    def _report(self, error: BaseException) -> None:
        logger.error("session %s could not start", self._webrtc_id, exc_info=error)
        if self.peer is not None:
            self.peer.send(encode_server_message(ErrorMessage(f"The session could not start: {error}")))


@dataclass(slots=True)
class _Answering:
    """An offer that has no answer yet: what it showed, and the candidates that came meanwhile."""

    token: str | None
    early: list[IceCandidate | None] = field(default_factory=list)


def _check_token(wanted: str | None, given: str | None) -> None:
    # A client's JSON may have halves of surrogate pairs, which UTF-8 has not.
    if not hmac.compare_digest(*((token or "").encode("utf-8", "surrogatepass") for token in (wanted, given))):
        raise AccessDeniedError("the connection is another client's", status=403)


def _description(peer: AnsweringPeer) -> dict[str, Any]:
    answer: dict[str, Any] = {"sdp": peer.answer_sdp, "type": "answer"}
    return {**answer, "more_candidates": True} if peer.is_gathering else answer


def _read_candidate(message: Candidate) -> IceCandidate | None:
    try:
        candidate = IceCandidate.from_json(message.value)
    except ProtocolError as error:
        raise SignalingError("invalid_candidate_format", detail=str(error)) from error
    return None if candidate.is_end else candidate


def video_limits(rtp_params: Mapping[str, Any] | None) -> VideoLimits:
    """What an ``RTCRtpSendParameters`` asks of the encoder; one encoding, or its fields at the top.

    Raises:
        ConfigurationError: A value that cannot be.
    """
    given = dict(rtp_params or {})
    encodings = given.get("encodings")
    if isinstance(encodings, list | tuple) and encodings and isinstance(encodings[0], Mapping):
        given.update(encodings[0])
    bitrate, framerate, scale = (
        _positive(given, name) for name in ("maxBitrate", "maxFramerate", "scaleResolutionDownBy")
    )
    if scale is not None and scale < 1:
        raise ConfigurationError(f"scaleResolutionDownBy must be at least 1, got {scale!r}")
    degradation = given.get("degradationPreference")
    if degradation not in (None, "maintain-framerate", "maintain-resolution", "balanced"):
        raise ConfigurationError(f"degradationPreference cannot be {degradation!r}")
    return VideoLimits(
        max_bitrate_bps=None if bitrate is None else int(bitrate),
        max_framerate=framerate,
        scale_down_by=scale,
        degradation=degradation,
    )


def _positive(given: Mapping[str, Any], name: str) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ConfigurationError(f"{name} must be a number above 0, got {value!r}")
    return float(value)

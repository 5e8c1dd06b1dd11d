"""A call over WebRTC."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from fastrtc.audio import PCM
from fastrtc.client.line import LineEvents
from fastrtc.client.signaling import post_json
from fastrtc.errors import EngineError, ProtocolError, SignalingError
from fastrtc.transports.webrtc.candidate import IceCandidate
from fastrtc.transports.webrtc.engine import RATE_HZ, OfferingPeer, PeerOptions, PeerState, RtcEngine
from fastrtc.transports.webrtc.sdp import candidate_addresses
from fastrtc.wire.messages import ClientHello, encode_client_message

_log = logging.getLogger(__name__)

PATH_TIMEOUT_S = 5.0
HEAL_S = 2.0  # in which a path that broke may come back by itself
RESTARTS = 5
RETRY_S = 1.0


class WebRtcLine:
    """A call over WebRTC; also the observer of its own peer."""

    rate_in_hz = RATE_HZ
    rate_out_hz = RATE_HZ

    def __init__(self, url: str, session_id: str, events: LineEvents, token: str | None = None) -> None:
        self._url = f"{url}/webrtc/offer"
        self._session_id = session_id
        self._token: dict[str, Any] = {} if token is None else {"token": token}
        self._events = events
        self._peer: OfferingPeer | None = None
        self._connected = asyncio.get_running_loop().create_future()
        self._connected.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may wait for it
        self._reachable = asyncio.Event()
        self._restarting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._healing: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None

    async def open(self, engine: RtcEngine, options: PeerOptions) -> None:
        """Offer, and wait until audio and messages can flow.

        Raises:
            ConnectionError: No server answers, or there is no way to it: it is given up 5 s after the answer.
            SignalingError: The server refused.
            EngineError: The engine failed.
        """
        self._peer = await engine.offer(options, self)
        answer = await self._negotiate(self._peer)
        self._peer.send(encode_client_message(ClientHello()))
        try:
            await asyncio.wait_for(asyncio.shield(self._connected), PATH_TIMEOUT_S)
        except TimeoutError:
            raise ConnectionError(_no_way(self._url, answer)) from None

    async def restart_ice(self) -> None:
        """Look for another path under the same session.

        Raises:
            ConnectionError: No server answers, or no path was found.
            SignalingError: The server refused; it may be unable to.
            EngineError: This side's engine cannot.
        """
        peer = self._peer
        if peer is None:
            raise ConnectionError("the call is not connected")
        async with self._restarting:
            await peer.offer_restart()
            await self._negotiate(peer)
        try:
            await asyncio.wait_for(self._reachable.wait(), PATH_TIMEOUT_S)
        except TimeoutError:
            raise ConnectionError(f"no other path was found within {PATH_TIMEOUT_S:.0f} s") from None

    def read(self) -> PCM | None:
        """What arrived."""
        return self._peer.read() if self._peer is not None else None

    def write(self, pcm: PCM | None) -> None:
        """Say one tick."""
        if self._peer is not None:
            self._peer.write(pcm)

    def send(self, text: str) -> None:
        """Send over the data channel."""
        if self._peer is not None:
            self._peer.send(text)

    async def close(self) -> None:
        """Hang up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._peer is not None:
            await self._peer.close()
        if not self._connected.done():
            self._connected.cancel()

    def on_state(self, state: PeerState) -> None:
        """From the peer."""
        if state is PeerState.CONNECTED:
            self._reachable.set()
        else:
            self._reachable.clear()
        was_up = self._connected.done()
        if not was_up and state in (PeerState.FAILED, PeerState.CLOSED):
            self._connected.set_exception(ConnectionError(f"the WebRTC connection to {self._url} is {state.value}"))
        elif state is PeerState.CLOSED:
            self._events.on_closed(state.value)
        elif was_up and state in (PeerState.DISCONNECTED, PeerState.FAILED) and _is_over(self._healing):
            self._healing = self._spawn(self._heal(HEAL_S if state is PeerState.DISCONNECTED else 0.0))

    def on_channel_open(self) -> None:
        """From the peer."""
        if not self._connected.done():
            self._connected.set_result(None)

    def on_message(self, text: str) -> None:
        """From the peer."""
        self._events.on_message(text)

    def on_candidate(self, candidate: IceCandidate | None) -> None:
        """From the peer: trickle it."""
        if candidate is not None:
            self._spawn(self._trickle(candidate))

    async def _negotiate(self, peer: OfferingPeer) -> str:
        offer = {"sdp": peer.offer_sdp, "type": "offer", "webrtc_id": self._session_id, **self._token}
        answer = await post_json(self._url, offer)
        sdp = answer.get("sdp")
        if not isinstance(sdp, str):
            raise ConnectionError(f"{self._url} gave no answer to the offer: {str(answer)[:200]}")
        await peer.set_answer(sdp)
        if answer.get("more_candidates") is True and _is_over(self._following):
            self._following = self._spawn(self._follow_candidates(peer))
        return sdp

    async def _heal(self, wait_s: float) -> None:
        """Give the path a moment to come back, then look for another one; hang up if there is none."""
        if await self._is_reachable_within(wait_s):
            return
        for _ in range(RESTARTS):
            try:
                await self.restart_ice()
            except (SignalingError, EngineError) as error:
                _log.info("ICE was not restarted: %s", error)
                break
            except ConnectionError:  # no network: neither signaling nor media; it may come back
                if await self._is_reachable_within(RETRY_S):
                    return
            else:
                return
        if not self._reachable.is_set():
            self._events.on_closed(PeerState.FAILED.value)

    async def _is_reachable_within(self, wait_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._reachable.wait(), wait_s)
        return self._reachable.is_set()

    async def _trickle(self, candidate: IceCandidate) -> None:
        ours: dict[str, Any] = {"webrtc_id": self._session_id, **self._token}
        body = {"candidate": candidate.as_json(), "type": "ice-candidate", **ours}
        try:
            await post_json(self._url, body)
        except (ConnectionError, SignalingError) as error:
            _log.debug("a candidate was not taken: %s", error)

    async def _follow_candidates(self, peer: OfferingPeer) -> None:
        """Ask for the server's candidates that came after its answer, until there are no more."""
        more = True
        with contextlib.suppress(ConnectionError, SignalingError, ProtocolError):
            while more:
                answer = await post_json(
                    self._url, {"type": "local-candidates", "webrtc_id": self._session_id, **self._token}
                )
                more = answer.get("more_candidates") is True
                for value in answer.get("candidates") or []:
                    await peer.add_candidate(IceCandidate.from_json(value))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _is_over(task: asyncio.Task[None] | None) -> bool:
    return task is None or task.done()


def _no_way(url: str, answer_sdp: str) -> str:
    offered = ", ".join(candidate_addresses(answer_sdp)) or "no address"
    base = url.removesuffix("/webrtc/offer")
    return (
        f"WebRTC found no way to {base} within {PATH_TIMEOUT_S:.0f} s: its UDP packets may be blocked. "
        f"The server offered {offered}. The WebSocket needs no UDP; `fastrtc doctor {base}` says more"
    )

"""Sessions over a telephone: Twilio Media Streams (:mod:`fastrtc.wire.twilio`)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastrtc.audio import PCM
from fastrtc.context import Context
from fastrtc.errors import ProtocolError
from fastrtc.limits import Limits
from fastrtc.media.g711 import encode_ulaw
from fastrtc.transports.socket import SocketConversation, SocketLink, Switchboard
from fastrtc.wire import twilio

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

logger = logging.getLogger(__name__)

_MARK_EVERY_SAMPLES = twilio.SAMPLE_RATE_HZ // 2


class TelephoneLink(SocketLink):
    """The audio of one call: mu-law at 8 kHz both ways.

    Twilio plays what it gets without a pause and says when it has reached a mark, so we know what the caller has heard.

    Args:
        websocket: Twilio's connection.
        stream_sid: Names the stream.
        on_lost: As of :class:`SocketLink`.
        limits: As of :class:`SocketLink`.
    """

    client_delay_ms = 100.0

    def __init__(
        self, websocket: WebSocket, stream_sid: str, *, on_lost: Callable[[str], None], limits: Limits | None = None
    ) -> None:
        rate_hz = twilio.SAMPLE_RATE_HZ
        super().__init__(websocket, rate_in_hz=rate_hz, rate_out_hz=rate_hz, on_lost=on_lost, limits=limits)
        self._stream_sid = stream_sid
        self._part = 0
        self._written = 0
        self._marked = 0
        self._reached: tuple[int, int, float] | None = None

    def encode_audio(self, pcm: PCM) -> str:
        return twilio.encode_audio(self._stream_sid, encode_ulaw(pcm))

    def send(self, message: str) -> None:
        """A telephone shows no messages."""

    def write(self, pcm: PCM | None) -> None:
        super().write(pcm)
        if pcm is None:
            return
        self._written += pcm.size
        if self._written - self._marked >= _MARK_EVERY_SAMPLES:
            self._marked = self._written
            self._outbox.put_text(twilio.encode_mark(self._stream_sid, f"{self._part}:{self._written}"))

    def flush(self) -> bool:
        # Twilio answers a clear with all marks that it has not reached: those of an earlier part do not count.
        self._part += 1
        self._written = self._marked = 0
        self._outbox.drop_audio()
        self._outbox.put_text(twilio.encode_clear(self._stream_sid))
        return True

    def mark_reached(self, name: str) -> None:
        """Twilio has played the audio before one of our marks. App loop."""
        part, _, samples = name.partition(":")
        if part.isdecimal() and samples.isdecimal():
            self._reached = (int(part), int(samples), time.monotonic())

    def playout_delay_ms(self) -> float:
        reached = self._reached
        if reached is None or reached[0] != self._part:
            return super().playout_delay_ms()
        _, samples, at_s = reached
        left_ms = (self._written - samples) * 1000.0 / self.rate_out_hz - (time.monotonic() - at_s) * 1000.0
        # The session counts the head start that it gave itself.
        return max(0.0, left_ms - self._outbox.ahead_ms()) + self.client_delay_ms


class TelephoneConversation(SocketConversation):
    """One call."""

    def __init__(self, websocket: WebSocket, switchboard: Switchboard) -> None:
        super().__init__(websocket, switchboard)
        self._link: TelephoneLink | None = None

    async def take(self, text: str) -> None:
        match twilio.parse_call_message(text):
            case twilio.CallAudio(payload, "inbound"):
                self._started().receive_ulaw(payload)
            case twilio.CallStarted() as start:
                await self._start(start)
            case twilio.MarkReached(name):
                self._started().mark_reached(name)
            case twilio.CallEnded():
                self.hang_up("stopped")
            case twilio.KeyPressed(digit):
                self._press(digit)

    async def reply(self, text: str) -> None:
        if self._link is None:
            await self.websocket.send_text(text)
        else:
            # What the error quotes after this is the caller's.
            logger.warning("telephone stream: %s", text.partition("; got")[0])

    async def _start(self, start: twilio.CallStarted) -> None:
        if self._link is not None:
            raise ProtocolError("this stream has started already")
        handler = await self.switchboard.new_handler()
        handler.phone_mode = True
        link = TelephoneLink(self.websocket, start.stream_sid, on_lost=self.hang_up, limits=self._limits)
        # What a parameter is called does not hide what Twilio says itself.
        call = {
            **start.parameters,
            "stream_sid": start.stream_sid,
            "call_sid": start.call_sid,
            "account_sid": start.account_sid,
        }
        context = Context(webrtc_id=start.stream_sid, websocket=self.websocket, call=call)
        try:
            context.user = await self.admit("telephone", start.stream_sid, call=context.call)
            session = self.switchboard.open(start.stream_sid, handler, link, context)
        except BaseException:
            link.abandon()
            raise
        self._link = link
        self.begin(session)

    def _press(self, digit: str) -> None:
        self._started()
        if self.session is not None:
            self.session.press_key(digit)

    def _started(self) -> TelephoneLink:
        if self._link is None:
            raise ProtocolError('a stream begins with a "start" event')
        return self._link

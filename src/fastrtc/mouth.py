"""Everything a session says: the queue of audio, its pacing onto the connection, and what of it has been heard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fastrtc.audio import PCM
from fastrtc.clock import TICK_MS
from fastrtc.link import MediaLink
from fastrtc.playout import Playout

ACKNOWLEDGED_WITHIN_TICKS = 15
"""How long after it should have been heard the client may still say when it was."""


class Audience(Protocol):
    """Who wants to know how a turn's audio fares."""

    def audible(self, turn: int) -> None:
        """Its first audio went out."""
        ...

    def heard_first(self, turn: int, ago_s: float, acknowledged: bool) -> None:
        """Its first sound was heard ``ago_s`` seconds ago: as the client says, or by the connection's delay."""
        ...

    def heard_out(self, turn: int, heard_s: float) -> None:
        """All of it has been heard."""
        ...


@dataclass(slots=True)
class _Arrival:
    """The first sound of a turn, on its way; ``due`` is the tick at which it should be heard, None while taken back."""

    turn: int
    due: int | None


class Mouth:
    """Writes queued audio to the link, a tick at a time and at most ``link.lead_ms`` ahead of real time.

    Args:
        link: The connection.
        limit_ms: Audio in the queue ahead of which user code has to wait.
        audience: Told about turns; called on the media clock's thread.
    """

    def __init__(self, link: MediaLink, limit_ms: float, audience: Audience) -> None:
        self._link = link
        self._audience = audience
        self.rate_hz = link.rate_out_hz
        self._tick_samples = link.rate_out_hz * TICK_MS // 1000
        self.playout = Playout(self.rate_hz, self._tick_samples, limit_ms)
        self._lead_ticks = link.lead_ms // TICK_MS
        self._ahead = 0
        self._sent: deque[tuple[int, PCM]] = deque(maxlen=max(1, self._lead_ticks))
        self._announced: int | None = None
        self._arrival: _Arrival | None = None
        # A client that buffers may say what it has played: one that once did is waited for, one that did not is not.
        self._patience_ticks = ACKNOWLEDGED_WITHIN_TICKS if self._lead_ticks else 0
        self._leaving: list[tuple[int, int]] = []
        self._tick = 0
        self._acknowledged_s: dict[int, float] = {}
        self._tap: Callable[[PCM | None], None] | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing is queued, on its way or being heard."""
        return not self.playout.queued_samples and not self._ahead and not self._leaving

    def push(self) -> None:
        """Write what is due in this tick."""
        self._tick += 1
        self._ahead = max(0, self._ahead - 1)
        wrote = False
        while self._ahead <= self._lead_ticks and (taken := self.playout.take()) is not None:
            turn, pcm = taken
            self._link.write(pcm)
            if self._tap is not None:
                self._tap(pcm)
            self._sent.append(taken)
            self._ahead += 1
            wrote = True
            if turn != self._announced and turn:
                self._announced = turn
                self._audience.audible(turn)
                self._arrival = _Arrival(turn, None)
            if self._arrival is not None and self._arrival.due is None and self._arrival.turn == turn:
                delay_ticks = round(self._link.playout_delay_ms() / TICK_MS)
                self._arrival.due = self._tick + self._ahead - 1 + delay_ticks
        if not wrote and not self._ahead:
            self._link.write(None)
        if self._arrival is not None:
            self._note_arrival(self._arrival)
        self._see_off()

    def hold(self) -> None:
        """Fall silent within this tick; what the client has not heard yet is kept for :meth:`resume`."""
        self.playout.hold()
        if self._ahead and self._link.flush():
            # The tick that was due at the last push has been played since.
            unheard = self._ahead - 1
            self._take_back(list(self._sent)[-unheard:] if unheard else [])
            self.playout.drop_fade()
            self._forget_sent()

    def resume(self) -> None:
        """Go on where :meth:`hold` stopped."""
        self.playout.resume()

    def cancel(self, turn: int) -> float:
        """Drop a turn's audio for good; the seconds of it that were heard."""
        heard_s = self.heard_s(turn)
        self._settle_arrival(turn)
        self.playout.cancel(turn)
        if self._link.flush():
            self.playout.drop_fade()
        self._forget_sent()
        return heard_s

    def clear(self) -> None:
        """Drop all audio that was not heard yet; any thread."""
        self.playout.clear()
        if self._link.flush():
            self.playout.drop_fade()

    def heard_s(self, turn: int) -> float:
        """How much of a turn has been heard: as the client says, or else estimated from what was written."""
        if turn in self._acknowledged_s:
            return self._acknowledged_s[turn]
        written_s = self.playout.taken_samples(turn) / self.rate_hz
        on_its_way_s = self._ahead * TICK_MS / 1000 + self._link.playout_delay_ms() / 1000
        return max(0.0, written_s - on_its_way_s) if turn == self._announced else written_s

    def acknowledge(self, turn: int, played_ms: float) -> None:
        """The client says how much of a turn it has played."""
        limit_s = self.playout.taken_samples(turn) / self.rate_hz
        played_s = min(max(0.0, played_ms / 1000), limit_s)
        self._acknowledged_s = {turn: played_s}
        if played_s > 0.0:
            self._patience_ticks = ACKNOWLEDGED_WITHIN_TICKS
            if self._arrival is not None and self._arrival.turn == turn:
                self._arrival = None
                self._audience.heard_first(turn, played_s, True)

    def _take_back(self, ticks: list[tuple[int, PCM]]) -> None:
        self.playout.put_back(ticks)
        back = {turn for turn, _ in ticks}
        for due in [due for due in self._leaving if due[1] in back]:
            self._leaving.remove(due)
            self.playout.finish(due[1])

    def monitor(self, tap: Callable[[PCM | None], None]) -> None:
        """Show ``tap`` each tick as it goes out; None when what is still on its way was taken back."""
        self._tap = tap

    def _forget_sent(self) -> None:
        if self._lead_ticks and self._tap is not None:
            self._tap(None)
        self._sent.clear()
        self._ahead = 0
        if self._arrival is not None and self._arrival.due is not None and self._arrival.due > self._tick:
            self._arrival.due = None

    def _note_arrival(self, arrival: _Arrival) -> None:
        """Take the first sound for heard when it should have been, and the client has had time to say more."""
        if arrival.due is not None and arrival.due + self._patience_ticks <= self._tick:
            if not self._acknowledged_s:
                self._patience_ticks = 0
            self._settle_arrival(arrival.turn)

    def _settle_arrival(self, turn: int) -> None:
        """Say now, by the estimate, whether a turn's first sound was heard, because the turn is about to end."""
        arrival = self._arrival
        if arrival is None or arrival.turn != turn:
            return
        self._arrival = None
        if arrival.due is not None and arrival.due <= self._tick:
            self._audience.heard_first(turn, (self._tick - arrival.due) * TICK_MS / 1000, False)

    def _see_off(self) -> None:
        for turn in self.playout.finished_turns():
            delay = round(self._link.playout_delay_ms() / TICK_MS) if self.playout.taken_samples(turn) else 0
            self._leaving.append((self._tick + self._ahead + delay, turn))
        while self._leaving and self._leaving[0][0] <= self._tick:
            _, turn = self._leaving.pop(0)
            if not self.playout.is_cancelled(turn):
                self._settle_arrival(turn)
                self._audience.heard_out(turn, self.playout.taken_samples(turn) / self.rate_hz)

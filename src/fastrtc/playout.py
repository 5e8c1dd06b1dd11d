"""The audio that is waiting to be played, and how much of each reply was."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from fastrtc.audio import PCM
from fastrtc.standing_delay import StandingDelay

LIVE_TURN = 0
"""The turn of handlers that are given frames and give frames, all the time."""

FADE_MS = 5
PATIENCE_TICKS = 3
SKIP_WITHIN_TICKS = 50
QUIET = 300


class Playout:
    """A queue of audio, at most ``limit_ms`` deep for those who wait for room, that one thread empties tick by tick.

    Audio belongs to a turn. Cancelling a turn drops its audio and refuses any more of it, under one lock, so that no
    sample of a cancelled turn is ever taken. Where audio is cut it fades within 5 ms instead of clicking.

    Args:
        rate_hz: Rate of the audio.
        tick_samples: Samples that one :meth:`take` gives.
        limit_ms: Audio ahead of which :meth:`wait_for_room` waits.
    """

    def __init__(self, rate_hz: int, tick_samples: int, limit_ms: float) -> None:
        self._tick_samples = tick_samples
        self._limit_samples = int(limit_ms * rate_hz / 1000)
        self._fade_out = np.linspace(1.0, 0.0, int(FADE_MS * rate_hz / 1000), dtype=np.float32)
        self._queue: deque[tuple[int, PCM]] = deque()
        self._queued_samples = 0
        self._cancelled: set[int] = set()
        self._done: set[int] = set()
        self._taken: dict[int, int] = {}
        self._held = False
        self._closed = False
        self._starved_ticks = 0
        self._wanted_samples = tick_samples
        self._tail: PCM | None = None
        self._fade_in_next = False
        self._standing = StandingDelay(tick_samples)
        self._surplus_ticks = 0
        self._skip_within_ticks = 0
        self._cross_fade = np.linspace(0.0, 1.0, tick_samples, dtype=np.float32)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._waiting: list[Callable[[], None]] = []
        self._sleeping = 0

    # ---- any thread -------------------------------------------------------------------------------------------

    def put(self, turn: int, pcm: PCM) -> bool:
        """Queue audio of a turn; False if the turn was cancelled."""
        with self._lock:
            if not self._alive(turn):
                return False
            if pcm.size:
                self._queue.append((turn, pcm))
                self._queued_samples += pcm.size
            return True

    def wait_for_room(self, turn: int) -> bool:
        """Block until there is room; False if the turn was cancelled meanwhile."""
        with self._changed:
            while self._alive(turn) and self._queued_samples > self._limit_samples:
                self._sleeping += 1
                self._changed.wait()
                self._sleeping -= 1
            return self._alive(turn)

    def has_room(self, turn: int) -> bool:
        """Whether :meth:`wait_for_room` would return at once; False as well if the turn was cancelled."""
        return self._alive(turn) and self._queued_samples <= self._limit_samples

    def when_room(self, turn: int, call: Callable[[], None]) -> None:
        """Call once there is room or the turn is cancelled: at once where that is so, else from the emptying thread."""
        with self._lock:
            if self._alive(turn) and self._queued_samples > self._limit_samples:
                self._waiting.append(call)
                return
        call()

    def finish(self, turn: int) -> None:
        """No more audio will come for this turn."""
        with self._lock:
            self._done.add(turn)

    def cancel(self, turn: int) -> None:
        """Drop what is queued of a turn, and refuse what may still come of it."""
        with self._lock:
            self._cancelled.add(turn)
            self._drop(lambda queued: queued == turn)
        self._wake()

    def clear(self) -> None:
        """Drop everything queued; the turns may go on (a handler's ``clear_queue``)."""
        with self._lock:
            self._drop(_any_turn)
        self._wake()

    def close(self) -> None:
        """Refuse everything from now on and wake whoever waits."""
        with self._lock:
            self._closed = True
            self._drop(_any_turn)
        self._wake()

    @property
    def queued_samples(self) -> int:
        """Audio that is waiting."""
        return self._queued_samples

    # ---- the emptying thread ----------------------------------------------------------------------------------

    def hold(self) -> None:
        """Give silence from the next tick on, and keep what is queued."""
        with self._lock:
            if not self._held:
                self._tail = self._peek_fade()
                self._held = True

    def drop_fade(self) -> None:
        """Leave out the fade of the last cut: the client has dropped what comes before it."""
        with self._lock:
            self._tail = None

    def resume(self) -> None:
        """Go on where :meth:`hold` stopped."""
        with self._lock:
            if self._held:
                self._held = False
                self._fade_in_next = self._midway()

    def put_back(self, ticks: list[tuple[int, PCM]]) -> None:
        """Queue again, in front, what was taken and not heard; ``ticks`` in the order in which they were taken."""
        with self._lock:
            for turn, pcm in reversed(ticks):
                if turn and self._alive(turn):
                    self._queue.appendleft((turn, pcm))
                    self._queued_samples += pcm.size
                    self._taken[turn] = max(0, self._taken.get(turn, 0) - pcm.size)

    def is_cancelled(self, turn: int) -> bool:
        """Whether the turn's audio was dropped."""
        return turn in self._cancelled

    def take(self) -> tuple[int, PCM] | None:
        """One tick of audio and the turn that it belongs to; None if there is nothing to play.

        A tick that is not full waits for the rest, at most ``PATIENCE_TICKS``, where more of its turn may come: user
        code and resamplers deliver in bursts, and a gap inside a word is worse than a late one. After such an underrun
        two ticks are collected before playing goes on. Live audio that always waits is skipped, with a cross-fade.
        """
        if not self._queue and self._tail is None:
            return None
        with self._lock:
            if self._tail is not None:
                tail, self._tail = self._tail, None
                return 0, tail
            if self._held or not self._queue or self._starving():
                return None
            turn, pcm = self._take_tick()
            if turn == LIVE_TURN:
                pcm = self._without_standing_delay(pcm)
            wanted = self._sleeping or self._waiting
        if wanted and self._queued_samples <= self._limit_samples:
            self._wake()
        return turn, pcm

    def finished_turns(self) -> list[int]:
        """Turns of which all audio has been taken since the last call; each is named once."""
        if not self._done:
            return []
        with self._lock:
            if len(self._done) == 1 and self._queue and self._queue[0][0] in self._done:
                return []
            queued = {turn for turn, _ in self._queue}
            over = sorted(turn for turn in self._done if turn not in queued)
            self._done.difference_update(over)
            return [turn for turn in over if turn not in self._cancelled]

    def taken_samples(self, turn: int) -> int:
        """How much of a turn has been taken."""
        return self._taken.get(turn, 0)

    def _alive(self, turn: int) -> bool:
        return not self._closed and turn not in self._cancelled

    def _drop(self, which: Callable[[int], bool]) -> None:
        if self._queue and which(self._queue[0][0]) and not self._held:
            self._tail = self._peek_fade()
        self._held = self._fade_in_next = False
        self._queue = deque((turn, pcm) for turn, pcm in self._queue if not which(turn))
        self._queued_samples = sum(pcm.size for _, pcm in self._queue)

    def _midway(self) -> bool:
        """Whether what is queued goes on with something that has been heard."""
        return bool(self._queue) and self._taken.get(self._queue[0][0], 0) > 0

    def _peek_fade(self) -> PCM | None:
        """The next 5 ms fading to silence, padded to a tick; None where nothing is playing."""
        if not self._midway():
            return None
        head = self._queue[0][1][: self._fade_out.size]
        tail = np.zeros(self._tick_samples, np.int16)
        tail[: head.size] = head * self._fade_out[: head.size]
        return tail

    def _starving(self) -> bool:
        turn = self._queue[0][0]
        if turn in self._done or self._queue[-1][0] != turn or self._queued_samples >= self._wanted_samples:
            self._starved_ticks = 0
            self._wanted_samples = self._tick_samples
            return False
        if self._taken.get(turn) and self._starved_ticks == 0:
            self._wanted_samples = 2 * self._tick_samples
        self._starved_ticks += 1
        if self._starved_ticks <= PATIENCE_TICKS:
            return True
        self._starved_ticks = 0
        return False

    def _take_tick(self) -> tuple[int, PCM]:
        turn = self._queue[0][0]
        parts: list[PCM] = []
        missing = self._tick_samples
        while missing and self._queue and self._queue[0][0] == turn:
            _, pcm = self._queue.popleft()
            if pcm.size > missing:
                self._queue.appendleft((turn, pcm[missing:]))
                pcm = pcm[:missing]
            parts.append(pcm)
            missing -= pcm.size
        taken = self._tick_samples - missing
        self._queued_samples -= taken
        self._taken[turn] = self._taken.get(turn, 0) + taken
        if missing:
            parts.append(np.zeros(missing, np.int16))
        tick = np.concatenate(parts) if len(parts) > 1 else parts[0]
        if self._fade_in_next:
            self._fade_in_next = False
            tick = tick.copy()
            tick[: self._fade_out.size] = tick[: self._fade_out.size] * self._fade_out[::-1]
        return turn, tick

    def _without_standing_delay(self, tick: PCM) -> PCM:
        """Fade ``tick`` into what comes after audio that waits for nothing: in a quiet moment, or after a second."""
        if not self._surplus_ticks:
            self._surplus_ticks = self._standing.note(self._queued_samples) // self._tick_samples
            self._skip_within_ticks = SKIP_WITHIN_TICKS
            return tick
        self._skip_within_ticks -= 1
        if self._skip_within_ticks and np.abs(tick).max(initial=0) > QUIET:
            return tick
        surplus, self._surplus_ticks = self._surplus_ticks, 0
        if self._queued_samples < surplus * self._tick_samples or self._queue[-1][0] != LIVE_TURN:
            return tick
        for _ in range(surplus):
            _, last = self._take_tick()
        return (tick + (last.astype(np.int32) - tick) * self._cross_fade).astype(np.int16)

    def _wake(self) -> None:
        with self._changed:
            waiting, self._waiting = self._waiting, []
            self._changed.notify_all()
        for call in waiting:
            call()


def _any_turn(turn: int) -> bool:
    return turn >= 0

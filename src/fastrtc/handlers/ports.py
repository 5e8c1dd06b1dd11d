"""What a driver may ask of the session that it works for, and what a session asks of a driver."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fastrtc.audio import PCM
from fastrtc.events import Event
from fastrtc.outputs import AdditionalOutputs

if TYPE_CHECKING:
    from fastrtc.handlers.voice import Voice

T = TypeVar("T")


class Speaker(Protocol):
    """The session's mouth; every method may be called from any thread.

    ``turn`` numbers the audio that belongs together; a turn that was cancelled takes no more.
    """

    @property
    def rate_hz(self) -> int:
        """Rate of the audio that :meth:`say` takes."""
        ...

    def say(self, turn: int, pcm: PCM) -> bool:
        """Queue audio; False if the turn is over."""
        ...

    def wait_for_room(self, turn: int) -> bool:
        """Block until the queue has room; False if the turn is over."""
        ...

    def when_room(self, turn: int, call: Callable[[], None]) -> None:
        """Call ``call`` (from some thread) once the queue has room or the turn is over."""
        ...

    def done(self, turn: int) -> None:
        """No more audio will come for this turn."""
        ...

    def give(self, outputs: AdditionalOutputs) -> None:
        """Pass outputs on to the app and the client."""
        ...

    def hang_up(self, message: str) -> None:
        """End the session once everything queued has been played."""
        ...

    def report(self, error: BaseException, turn: int | None) -> None:
        """Log an error of user code and tell the client; the session goes on."""
        ...

    def tell(self, event: Event) -> None:
        """Publish an event."""
        ...


class Floorkeeper(Protocol):
    """What a turn-taking driver may do to audio that is already queued. Media clock thread."""

    def hold(self) -> None:
        """Fall silent; what is queued stays."""
        ...

    def resume(self) -> None:
        """Go on where :meth:`hold` stopped."""
        ...

    def cancel(self, turn: int) -> float:
        """Drop the turn's audio for good; the seconds of it that the client has heard."""
        ...

    def heard_s(self, turn: int) -> float:
        """The seconds of a turn's audio that the client has heard; any thread."""
        ...

    def monitor(self, tap: Callable[[PCM | None], None]) -> None:
        """Show ``tap`` each tick as it goes out; None when what is still on its way was taken back."""
        ...


class ReplyRun(Protocol):
    """A running reply."""

    def cancel(self) -> None:
        """Ask it to stop: its generator is closed as soon as user code lets us, and nothing it yields is played."""
        ...


class Computer(Protocol):
    """Runs work that would hold up the media clock."""

    def compute(
        self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Run ``work`` off the media clock; its result goes to ``then`` (its error to ``failed``) back on it."""
        ...

    def recognise(
        self, key: Hashable, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """The same on the threads that recognise speech: one work of each key at a time, and one that waits.

        A newer work of the same key takes the place of the one that waits, whose ``then`` is never called.
        """
        ...


class Home(Computer, Protocol):
    """Where a session's user code runs."""

    def post(self, call: Callable[[], None]) -> None:
        """Run ``call`` on the media clock's thread, soon; any thread."""
        ...

    def on_loop(self, call: Callable[[], None]) -> None:
        """Run ``call`` on the app's event loop, soon; any thread."""
        ...

    def run_callback(self, call: Callable[[], Any], *, is_async: bool) -> None:
        """Run user code that is no reply: on a thread of its own, or on the loop where ``is_async``."""
        ...

    def run_reply(
        self,
        call: Callable[[], Any],
        voice: Voice,
        *,
        is_async: bool,
        before: Callable[[], Awaitable[None]] | None,
        finished: Callable[[], None],
    ) -> ReplyRun:
        """Call a reply function and pass what it yields to ``voice``.

        Args:
            call: Calls the function; on a worker thread, or on the loop where ``is_async``.
            voice: Takes what it yields.
            is_async: Whether the function is a coroutine function or an async generator function.
            before: Awaited first, where ``is_async``.
            finished: Called where the function ran, after its end in every case.
        """
        ...

"""What a session asks of whatever runs its handler."""

from __future__ import annotations

from fastrtc.audio import PCM
from fastrtc.handlers.listening import Listener


class Driver:
    """Runs one kind of handler for a session. The base does nothing; each kind overrides what concerns it.

    Methods are called on the media clock's thread, unless they say otherwise.
    """

    @property
    def listener(self) -> Listener | None:
        """The ear whose windows the clock judges together with those of other sessions."""
        return None

    @property
    def idle(self) -> bool:
        """Whether nothing goes on, and what is heard may come a few ticks late without anybody noticing."""
        return False

    def start(self) -> None:
        """Begin; app loop, before the first :meth:`hear`."""

    def hear(self, pcm: PCM) -> None:
        """Take what was received, at the handler's input rate."""

    def tick(self) -> None:
        """20 ms have passed."""

    def reply_audible(self, turn: int) -> None:
        """The first audio of a turn went out."""

    def reply_heard(self, turn: int, ago_s: float, acknowledged: bool) -> None:
        """The first audio of a turn was heard, ``ago_s`` seconds ago; ``acknowledged``: the client says so."""

    def reply_finished(self, turn: int, heard_s: float) -> None:
        """A turn's audio has been heard to its end."""

    def trigger(self) -> None:
        """Reply now."""

    def text(self, typed: str) -> None:
        """The user typed instead of speaking."""

    def interrupt(self, reason: str) -> None:
        """End the reply."""

    def discard(self) -> None:
        """Take back what the user has said since the last turn."""

    def mute(self, muted: bool) -> None:
        """The user's microphone was switched off or on."""

    def close(self) -> None:
        """Stop running user code; app loop, before the handler's ``shutdown``."""

    def release(self) -> None:
        """Free threads that still block in user code, after ``shutdown``; on a thread that may wait."""

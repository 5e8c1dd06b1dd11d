"""A reply as user code sees it: what of it has been heard, and whether it was interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from contextvars import ContextVar
from dataclasses import dataclass

from fastrtc.errors import SessionEndedError


@dataclass(frozen=True, slots=True)
class _Said:
    """One yielded piece that came with its text."""

    start_s: float
    end_s: float
    text: str


class Reply:
    """One run of a reply function. Get it inside the function with :func:`get_current_reply`.

    After an interruption the figures stand still, so ``except GeneratorExit:`` and ``finally:`` blocks (in a coroutine
    that waits, ``except asyncio.CancelledError:``) can tell what the user has really heard.

    Args:
        turn: Number of the turn that it answers.
        heard_s: Gives the seconds of its audio that the client has played by now.
        transcript: Will hold what the user said; None where nobody recognises it.
    """

    def __init__(self, turn: int, heard_s: Callable[[], float], transcript: Future[str] | None = None) -> None:
        self.turn = turn
        self.interrupted = False
        self._heard_s = heard_s
        self._transcript = transcript
        self._said: list[_Said] = []
        self._said_s = 0.0
        self._final_s: float | None = None

    def __repr__(self) -> str:
        state = "interrupted" if self.interrupted else "running"
        return f"Reply(turn={self.turn}, {state}, heard_seconds={self.heard_seconds:.2f})"

    @property
    def heard_seconds(self) -> float:
        """Seconds of this reply that the user has heard: as the client reports, else by the connection's position."""
        return self._heard_s() if self._final_s is None else self._final_s

    @property
    def text(self) -> str:
        """All text that was yielded with audio (:class:`fastrtc.Spoken`) so far."""
        return _joined(said.text for said in self._said)

    @property
    def heard_text(self) -> str:
        """The part of :attr:`text` that the user has heard; of a piece that broke off, as many words as its share."""
        heard_s = self.heard_seconds
        return _joined(_heard_words(said, heard_s) for said in self._said)

    def wait_for_transcript_sync(self) -> str:
        """What the user said in this turn, as text; for plain functions.

        With ``captions`` it was recognised while the user spoke, so there is little or nothing to wait for. Empty for a
        reply to nothing (a greeting), or where nothing was understood.

        Raises:
            RuntimeError: The handler has no ``captions``.
        """
        try:
            return self._known_transcript().result()
        except CancelledError:
            raise SessionEndedError("the session is over") from None

    async def wait_for_transcript(self) -> str:
        """The same as :meth:`wait_for_transcript_sync`, for coroutines."""
        # Shielded: who gives up waiting must not take the text from others.
        return await asyncio.shield(asyncio.wrap_future(self._known_transcript()))

    def _known_transcript(self) -> Future[str]:
        if self._transcript is None:
            raise RuntimeError("the transcript of a turn needs captions: ReplyOnPause(..., captions=True)")
        return self._transcript

    def add(self, seconds: float, text: str | None) -> None:
        """Note a yielded piece of audio; the session calls this."""
        start_s, self._said_s = self._said_s, self._said_s + seconds
        if text:
            self._said.append(_Said(start_s, self._said_s, text))

    def freeze(self, heard_s: float, *, interrupted: bool) -> None:
        """The reply is over; the session calls this."""
        self._final_s = heard_s
        self.interrupted = interrupted


current_reply: ContextVar[Reply | None] = ContextVar("current_reply", default=None)


def get_current_reply() -> Reply:
    """The reply that the running function makes.

    Raises:
        RuntimeError: Called outside a reply function.
    """
    reply = current_reply.get()
    if reply is None:
        raise RuntimeError("get_current_reply() works only inside a reply function that a session is running")
    return reply


def _heard_words(said: _Said, heard_s: float) -> str:
    if heard_s >= said.end_s:
        return said.text
    if heard_s <= said.start_s:
        return ""
    words = said.text.split()
    share = (heard_s - said.start_s) / (said.end_s - said.start_s)
    return " ".join(words[: int(share * len(words))])


def _joined(texts: Iterable[str]) -> str:
    return " ".join(text.strip() for text in texts if text.strip())

"""Who is told what happens to the sessions of a stream, without being able to disturb them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fastrtc.handlers.supervisor import run_supervised

if TYPE_CHECKING:
    from fastrtc.context import Context
    from fastrtc.events import Event
    from fastrtc.link import MediaLink
    from fastrtc.session import Session

logger = logging.getLogger(__name__)


class SessionObserver:
    """Override what you need. Every method is called on the app's loop and must not block.

    What a method raises is logged and goes no further.
    """

    def wrap_link(self, link: MediaLink, context: Context) -> MediaLink:
        """Stand between a session that is about to be made and its connection; the link itself to stay out."""
        return link

    def session_opened(self, session: Session) -> None:
        """A session was made; a WebRTC connection may still have to come up (``SessionStarted`` tells)."""

    def session_refused(self, code: str) -> None:
        """An offer was refused for ``code``, as in ``meta.error``."""

    def session_event(self, session: Session, event: Event) -> None:
        """Something happened in a session."""

    def session_closed(self, session: Session) -> None:
        """A session is over: its handler was shut down."""


_everywhere: list[SessionObserver] = []


def observe_all(observer: SessionObserver) -> None:
    """Tell an observer about the sessions of every stream of this process that begin from now on."""
    _everywhere.append(observer)


class Observers:
    """Several as one: those of a stream, and those of the process.

    Args:
        members: The stream's first ones.
    """

    def __init__(self, members: Sequence[SessionObserver] = ()) -> None:
        self._own = list(members)

    @property
    def members(self) -> list[SessionObserver]:
        """All of them."""
        return [*self._own, *_everywhere]

    def add(self, observer: SessionObserver) -> None:
        """One more for the stream."""
        self._own.append(observer)

    def wrap_link(self, link: MediaLink, context: Context) -> MediaLink:
        """See :class:`SessionObserver`; the later ones stand nearer to the session."""
        for member in self.members:
            wrapped: list[MediaLink] = []
            _safely(lambda member=member, link=link, into=wrapped: into.append(member.wrap_link(link, context)))  # type: ignore[misc]
            link = wrapped[0] if wrapped else link
        return link

    def session_opened(self, session: Session) -> None:
        """See :class:`SessionObserver`."""
        self._tell(lambda member: member.session_opened(session))

    def session_refused(self, code: str) -> None:
        """See :class:`SessionObserver`."""
        self._tell(lambda member: member.session_refused(code))

    def session_event(self, session: Session, event: Event) -> None:
        """See :class:`SessionObserver`."""
        self._tell(lambda member: member.session_event(session, event))

    def session_closed(self, session: Session) -> None:
        """See :class:`SessionObserver`."""
        self._tell(lambda member: member.session_closed(session))

    def _tell(self, call: Callable[[SessionObserver], None]) -> None:
        for member in self.members:
            _safely(lambda member=member: call(member))  # type: ignore[misc]


def _safely(code: Callable[[], None]) -> None:
    run_supervised(code, lambda error: logger.error("an observer of sessions failed", exc_info=error))

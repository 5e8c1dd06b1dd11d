"""The sessions of one stream: made here, found here, ended here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastrtc.errors import ConfigurationError, FastRTCError, MissingExtraError, SignalingError
from fastrtc.handlers.base import StreamHandlerBase
from fastrtc.handlers.reply_on_pause import ReplyOnPause
from fastrtc.handlers.reply_on_stopwords import ReplyOnStopWords
from fastrtc.handlers.supervisor import run_supervised
from fastrtc.handlers.video import VideoFunction
from fastrtc.link import VideoLink
from fastrtc.observe.observer import Observers
from fastrtc.server.entrance import Entrance
from fastrtc.server.ids import is_ours, new_session_id
from fastrtc.server.outputs import OutputQueues
from fastrtc.server.registry import Registry
from fastrtc.session import Session, SessionSettings
from fastrtc.transports.lobby import Lobby
from fastrtc.vad.silero import get_silero_model

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from fastrtc.context import Context
    from fastrtc.events import Event
    from fastrtc.limits import Limits
    from fastrtc.link import MediaLink
    from fastrtc.visitor import Visitor

logger = logging.getLogger(__name__)


class SessionHost:
    """Makes the sessions of one stream and keeps them until they are over. App loop, unless a method says otherwise.

    Args:
        handler: The app's handler; every session gets a copy.
        concurrency_limit: Sessions at once.
        time_limit_s: How long a session may last, from when it is connected; None: for ever.
        entrance: Says who may open a session; None: everybody.
        on_event: Called with the session's id and each of its events, on the app's loop.
        observers: Told what happens to sessions.

    Attributes:
        sessions: The live ones by id, those that are still connecting included.
        outputs: Additional outputs by session id.
    """

    def __init__(
        self,
        handler: Any,
        *,
        concurrency_limit: int,
        time_limit_s: float | None = None,
        entrance: Entrance | None = None,
        on_event: Callable[[str, Event], None] | None = None,
        observers: Observers | None = None,
    ) -> None:
        self._handler = handler
        self._settings = SessionSettings(time_limit_s=time_limit_s)
        self.entrance = entrance or Entrance()
        self.lobby = Lobby(self.entrance.limits.max_unstarted)
        self._on_event = on_event
        self.observers = observers or Observers()
        self._emptied: asyncio.Event | None = None
        self.sessions: Registry[Session] = Registry(concurrency_limit, _close)
        self.handlers: dict[str, StreamHandlerBase] = {}
        self.outputs = OutputQueues()
        self._tasks: set[asyncio.Task[None]] = set()
        self._warming: asyncio.Task[BaseException | None] | None = None

    def warm_up(self) -> None:
        """Load what the first session would have to wait for; any thread.

        Raises:
            FastRTCError: It cannot be had.
        """
        handler = self._handler
        if not isinstance(handler, StreamHandlerBase):
            raise ConfigurationError(_unsupported(handler))
        if isinstance(handler, ReplyOnPause) and handler.model is None:
            get_silero_model()
        if isinstance(handler, ReplyOnStopWords):
            handler.spotter()

    async def warmed_up(self) -> None:
        """Wait until :meth:`warm_up` has run, once for all who wait; after a failure the next one tries again.

        Raises:
            SignalingError: ``handler_failed``: no session can start.
        """
        if self._warming is None or _has_failed(self._warming):
            self._warming = asyncio.create_task(asyncio.to_thread(self._load), name="fastrtc-host-warm-up")
        error = await asyncio.shield(self._warming)
        if error is not None:
            unforeseen = None if isinstance(error, FastRTCError) else error
            logger.warning("no session can start: %s", error, exc_info=unforeseen)
            raise SignalingError("handler_failed", detail=str(error)) from error

    def _load(self) -> BaseException | None:
        errors: list[BaseException] = []
        run_supervised(self.warm_up, errors.append)
        return errors[0] if errors else None

    @property
    def limits(self) -> Limits:
        """What one client may cost."""
        return self.entrance.limits

    async def admit(self, visitor: Visitor) -> Any:
        """The user of somebody who asks for a session; see :meth:`fastrtc.server.entrance.Entrance.admit`."""
        return await self.entrance.admit(visitor)

    def check_socket(self, connection: HTTPConnection) -> None:
        """Whether a WebSocket may be accepted; see :meth:`fastrtc.server.entrance.Entrance.check_socket`."""
        self.entrance.check_socket(connection)

    def session_id(self, given: str) -> str:
        """The id of a new session: what the client chose, or one of ours.

        Raises:
            SignalingError: ``reserved_id``: it chose one of the form that only the server makes.
        """
        if given and is_ours(given):
            raise SignalingError("reserved_id", detail="the server makes ids of this form; leave it out to get one")
        return given or new_session_id()

    async def new_handler(self) -> StreamHandlerBase:
        """A copy of the app's handler, once the models that it needs have been loaded, which may take seconds.

        Raises:
            SignalingError: ``unsupported_handler`` (not a stream handler), or ``handler_failed`` (its models cannot be
                had, or its ``copy`` raised).
        """
        if not isinstance(self._handler, StreamHandlerBase):
            raise SignalingError("unsupported_handler", detail=_unsupported(self._handler))
        await self.warmed_up()
        copies: list[Any] = []
        errors: list[BaseException] = []
        if not run_supervised(lambda: copies.append(self._handler.copy()), errors.append):
            logger.error("the handler's copy() failed", exc_info=errors[0] if errors else None)
            raise SignalingError("handler_failed", detail=f"the handler's copy() failed: {errors[0]!r}")
        if not isinstance(copies[0], StreamHandlerBase):
            raise SignalingError("handler_failed", detail="the handler's copy() must return a handler")
        return copies[0]

    def open(self, session_id: str, handler: StreamHandlerBase, link: MediaLink, context: Context) -> Session:
        """A session over a connection that is up.

        Raises:
            SignalingError: ``connection_already_exists``, ``server_draining`` or ``concurrency_limit_reached``.
        """
        try:
            self.sessions.check(session_id)
            session = self._make(session_id, handler, link, context)
            self.sessions.add_connected(session_id, session)
        except SignalingError as error:
            self.observers.session_refused(error.code)
            raise
        self.observers.session_opened(session)
        return session

    def open_pending(self, session_id: str, handler: StreamHandlerBase, link: MediaLink, context: Context) -> Session:
        """A session over a connection that is being made; :meth:`connected` follows, or it is dropped.

        Raises:
            SignalingError: As of :meth:`open`.
        """
        self.sessions.check(session_id)
        session = self._make(session_id, handler, link, context)
        self.sessions.add_pending(session_id, session)
        self.observers.session_opened(session)
        return session

    def connected(self, session_id: str) -> None:
        """The connection of a pending session is up.

        Raises:
            SignalingError: ``concurrency_limit_reached`` or ``unknown_connection``.
        """
        self.sessions.connect(session_id)

    async def drain(self, deadline_s: float) -> None:
        """Refuse new sessions (``server_draining``); returns when the last one is over, or at the deadline ends it."""
        self.sessions.admits = False
        self._emptied = self._emptied or asyncio.Event()
        if self.sessions:
            logger.info("%d sessions may go on for %g s", len(self.sessions), deadline_s)
            try:
                async with asyncio.timeout(deadline_s):
                    await self._emptied.wait()
            except TimeoutError:
                logger.warning("%d sessions have not ended within %g s and are ended", len(self.sessions), deadline_s)
        await self.close_all("server_draining")

    async def close_all(self, reason: str) -> None:
        """End every session; returns when all are shut down."""
        closing = (session.close(reason) for session in list(self.sessions.values()))
        for error in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(error, BaseException):
                logger.error("a session did not close as it should", exc_info=error)
        await self.sessions.dropped()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def spawn(self, work: Any, name: str) -> None:
        """Run a coroutine beside the caller; :meth:`close_all` waits for it."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _make(self, session_id: str, handler: StreamHandlerBase, link: MediaLink, context: Context) -> Session:
        link = self.observers.wrap_link(link, context)
        if isinstance(handler, VideoFunction) and not isinstance(link, VideoLink):
            raise SignalingError("unsupported_modality", detail="video comes and goes over WebRTC only")
        try:
            session = Session(
                session_id,
                handler,
                link,
                context=context,
                settings=self._settings,
                on_outputs=self.outputs.open(session_id).put,
                on_closed=self._closed,
                on_event=(lambda event: self._tell(session, event)) if self._is_watched else None,
            )
        except (ConfigurationError, MissingExtraError) as error:
            self.outputs.close(session_id)
            logger.exception("the handler cannot work as it is set up")
            raise SignalingError("handler_failed", detail=str(error)) from error
        self.handlers[session_id] = handler
        return session

    @property
    def _is_watched(self) -> bool:
        return self._on_event is not None or bool(self.observers.members)

    def _tell(self, session: Session, event: Event) -> None:
        self.observers.session_event(session, event)
        if self._on_event is not None:
            self._on_event(session.id, event)

    def _closed(self, session: Session) -> None:
        self.observers.session_closed(session)
        if self.sessions.get(session.id) not in (None, session):
            # The client offered the same id again while this connection was being given up.
            return
        self.sessions.remove(session.id)
        self.handlers.pop(session.id, None)
        self.outputs.close(session.id)
        if not self.sessions and self._emptied is not None:
            self._emptied.set()


def _unsupported(handler: object) -> str:
    if isinstance(handler, type):
        return f"this stream's handler is the class {handler.__name__}: give it an object, {handler.__name__}(...)"
    name = getattr(handler, "__name__", type(handler).__name__)
    return (
        f"this stream's handler is {name}, which cannot listen by itself: give ReplyOnPause({name}) or a StreamHandler"
    )


def _has_failed(loading: asyncio.Task[BaseException | None]) -> bool:
    return loading.done() and (loading.cancelled() or loading.result() is not None)


async def _close(session: Session, reason: str) -> None:
    await session.close(reason)

"""Who may open a session: the app's ``authorize`` hook, the origins of pages, and how many may ask."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from fastrtc.errors import AccessDeniedError, ConfigurationError, SignalingError
from fastrtc.handlers.supervisor import await_supervised
from fastrtc.limits import Limits
from fastrtc.server.memory import resident_mb
from fastrtc.server.origins import Origins
from fastrtc.server.rtc_configuration import is_coroutine_function
from fastrtc.transports.meter import Meter

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from fastrtc.visitor import Authorize, Visitor

logger = logging.getLogger(__name__)

AUTHORIZE_TIMEOUT_S = 10.0


class Entrance:
    """Asks everybody who wants in. App loop.

    Args:
        authorize: The app's hook; None: everybody may enter.
        allowed_origins: As of :class:`fastrtc.server.origins.Origins`.
        limits: How many may ask, and how much memory the process may have.

    Raises:
        ConfigurationError: A hook that cannot be called, or an origin that is none.
    """

    def __init__(
        self,
        authorize: Authorize | None = None,
        allowed_origins: Sequence[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        if authorize is not None and not callable(authorize):
            raise ConfigurationError(f"authorize must be a function of a Visitor; got {authorize!r}")
        self.limits = limits or Limits()
        self._authorize = authorize
        self._origins = Origins(allowed_origins)
        self._meter = Meter(self.limits.offers_per_s, self.limits.offer_burst)

    def check_socket(self, connection: HTTPConnection) -> None:
        """Whether a WebSocket may be accepted.

        Raises:
            AccessDeniedError: It is a page of a foreign origin that asks.
        """
        if not self._origins.allow_socket(connection):
            raise self._foreign(connection)

    def check_post(self, connection: HTTPConnection) -> None:
        """The same for a POST of JSON."""
        if not self._origins.allow_post(connection):
            raise self._foreign(connection)

    async def admit(self, visitor: Visitor) -> Any:
        """The user whom the app's hook knows this visitor as; None without a hook.

        Raises:
            AccessDeniedError: The app does not let it in, or its hook failed.
            SignalingError: ``too_many_offers`` or ``server_overloaded``.
        """
        if not self._meter.take():
            raise SignalingError("too_many_offers")
        most_mb = self.limits.max_memory_mb
        if most_mb is not None and (resident_mb() or 0.0) > most_mb:
            logger.warning("no new session: the process takes more than %g MB", most_mb)
            raise SignalingError("server_overloaded")
        return await self._ask(visitor)

    async def _ask(self, visitor: Visitor) -> Any:
        authorize = self._authorize
        if authorize is None:
            return None
        users: list[Any] = []
        errors: list[BaseException] = []

        async def ask() -> None:
            async with asyncio.timeout(AUTHORIZE_TIMEOUT_S):
                direct = is_coroutine_function(authorize)
                answer = authorize(visitor) if direct else await asyncio.to_thread(authorize, visitor)
                users.append(await answer if inspect.isawaitable(answer) else answer)

        if not await await_supervised(ask(), errors.append):
            raise _denial(errors[0] if errors else None)
        if users[0] is None or users[0] is False:
            raise AccessDeniedError()
        return users[0]

    def _foreign(self, connection: HTTPConnection) -> AccessDeniedError:
        origin = connection.headers.get("origin", "")[:200]
        logger.warning(
            "refused a session for a page of %r: it is not the origin of this server (%r). If the page is yours: "
            "Stream(allowed_origins=[...]), or a proxy that passes on the Host",
            origin,
            connection.headers.get("host", "")[:200],
        )
        return AccessDeniedError("the page's origin is not allowed", status=403)


def _denial(error: BaseException | None) -> AccessDeniedError:
    """How an error of the hook is told to the client."""
    if isinstance(error, AccessDeniedError):
        return error
    if isinstance(error, HTTPException):
        return AccessDeniedError(str(error.detail), status=error.status_code)
    logger.error("the authorize hook failed; nobody is let in", exc_info=error)
    return AccessDeniedError("the server could not check who asks", status=500)

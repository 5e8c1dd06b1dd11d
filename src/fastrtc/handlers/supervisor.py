"""The one place where an exception of user code is caught: it is reported, and the session goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fastrtc.errors import SessionEndedError

OnError = Callable[[BaseException], None]


def run_supervised(code: Callable[[], None], on_error: OnError) -> bool:
    """Run user code on this thread.

    Returns:
        Whether it returned without an error.
    """
    try:
        code()
    except SessionEndedError:
        return False
    except Exception as error:
        on_error(error)
        return False
    return True


async def await_supervised(code: Awaitable[object], on_error: OnError) -> bool:
    """Await user code; a cancellation passes through.

    Returns:
        Whether it returned without an error.
    """
    try:
        await code
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except SessionEndedError:
        return False
    except Exception as error:
        on_error(error)
        return False
    return True

"""Ids of sessions that the server made: nobody guesses one, and nobody brings one along."""

from __future__ import annotations

import secrets

_PREFIX = "s."
_RANDOM_BYTES = 18


def new_session_id() -> str:
    """An id of 144 random bits."""
    return _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def is_ours(session_id: str) -> bool:
    """Whether an id has the form of those that :func:`new_session_id` makes."""
    return session_id.startswith(_PREFIX) and len(session_id) == len(_PREFIX) + _RANDOM_BYTES * 4 // 3

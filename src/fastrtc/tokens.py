"""Signed tokens that let a client open sessions for a short time: JWT (RFC 7519) with HS256 (RFC 7515, RFC 7518).

An app makes one for a user whom it knows, the user's client shows it, and the stream trusts it without asking anybody.
Other programs may make and read them, too: the claims are ``aud``, ``iat``, ``exp``, ``jti``, ``user`` and, where a
token is for one session only, ``webrtc_id``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

from fastrtc.errors import AccessDeniedError, ConfigurationError
from fastrtc.visitor import Visitor

MIN_SECRET_BYTES = 32
MAX_TOKEN_CHARS = 8_192
_HEADER = {"alg": "HS256", "typ": "JWT"}


class SessionTokens:
    """Makes tokens and verifies them; as it is, an ``authorize`` hook: ``Stream(..., authorize=tokens)``.

    Args:
        secret: At least 32 bytes that nobody else knows (``secrets.token_urlsafe(32)``); several: the first one signs,
            all are accepted, so that a secret can be replaced. None: a random one, for as long as the process lives.
        lifetime_s: How long a token is good for. A session that was opened with it goes on.
        audience: Which service the tokens are for; those of another are refused.
        now: The time, in seconds since 1970.

    Raises:
        ConfigurationError: A secret that is too short, or a lifetime that is not above 0.
    """

    def __init__(
        self,
        secret: str | bytes | Sequence[str | bytes] | None = None,
        *,
        lifetime_s: float = 60.0,
        audience: str = "fastrtc",
        now: Callable[[], float] = time.time,
    ) -> None:
        given = [secrets.token_bytes(MIN_SECRET_BYTES)] if secret is None else secret
        several = [given] if isinstance(given, str | bytes) else list(given)
        self._secrets = [one.encode() if isinstance(one, str) else one for one in several]
        if not self._secrets or any(len(one) < MIN_SECRET_BYTES for one in self._secrets):
            raise ConfigurationError(
                f"a secret needs at least {MIN_SECRET_BYTES} bytes: make one with secrets.token_urlsafe(32)"
            )
        if not 0 < lifetime_s < float("inf"):
            raise ConfigurationError(f"lifetime_s must be a number above 0; got {lifetime_s!r}")
        self._lifetime_s = lifetime_s
        self._audience = audience
        self._now = now

    def mint(self, user: Any, *, webrtc_id: str | None = None, lifetime_s: float | None = None) -> str:
        """A token for a user.

        Args:
            user: What handlers get as ``Context.user``: a JSON value, not null or false. The client can read it.
            webrtc_id: The one session that it may open; None: any.
            lifetime_s: Another lifetime.

        Raises:
            ConfigurationError: A user that is None or False, that JSON cannot carry, or that is too large; a lifetime
                that is not above 0.
        """
        if user is None or user is False:
            raise ConfigurationError(f"a token is for a user; {user!r} would be refused")
        if lifetime_s is not None and not 0 < lifetime_s < float("inf"):
            raise ConfigurationError(f"lifetime_s must be a number above 0; got {lifetime_s!r}")
        now = self._now()
        claims: dict[str, Any] = {
            "aud": self._audience,
            "iat": int(now),
            "exp": now + (self._lifetime_s if lifetime_s is None else lifetime_s),
            "jti": secrets.token_urlsafe(9),
            "user": user,
        }
        if webrtc_id is not None:
            claims["webrtc_id"] = webrtc_id
        try:
            signed = f"{_encode(_as_json(_HEADER))}.{_encode(_as_json(claims))}"
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"the user of a token must be a JSON value: {error}") from error
        token = f"{signed}.{_encode(_sign(self._secrets[0], signed))}"
        if len(token) > MAX_TOKEN_CHARS:
            raise ConfigurationError(
                f"a token of {len(token)} characters is too long ({MAX_TOKEN_CHARS} may be): put less into the user"
            )
        return token

    def verify(self, token: str, *, webrtc_id: str | None = None) -> Any:
        """The user of a token.

        Args:
            token: What a client showed.
            webrtc_id: The session that it wants to open.

        Raises:
            AccessDeniedError: It is not one of ours, is for another service or session, or has expired.
        """
        claims = self._read(token)
        expires, begins = claims.get("exp"), claims.get("nbf", 0)
        if not _is_number(expires) or not _is_number(begins):
            raise AccessDeniedError("the session token has no valid times")
        if not begins <= self._now() < expires:
            raise AccessDeniedError("the session token has expired" if begins <= self._now() else "not valid yet")
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise AccessDeniedError("the session token is for another service")
        if claims.get("webrtc_id") not in (None, webrtc_id):
            raise AccessDeniedError("the session token is for another session", status=403)
        return claims.get("user")

    def __call__(self, visitor: Visitor) -> Any:
        """Let in who shows a valid token (an ``authorize`` hook)."""
        if visitor.token is None:
            raise AccessDeniedError("a session token is needed")
        return self.verify(visitor.token, webrtc_id=visitor.webrtc_id)

    def _read(self, token: object) -> dict[str, Any]:
        """The claims of a token whose signature is right."""
        broken = AccessDeniedError("the session token is not valid")
        if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise broken
        signed, _, signature = token.rpartition(".")
        head, dot, payload = signed.partition(".")
        given = _decode(signature)
        if not dot or given is None:
            raise broken
        if not any(hmac.compare_digest(_sign(secret, signed), given) for secret in self._secrets):
            raise broken
        header, claims = _load(head), _load(payload)
        # The signature alone says that it is ours; the header is not asked how to verify (RFC 8725, section 3.1).
        if header is None or header.get("alg") != "HS256" or claims is None:
            raise broken
        return claims


def _sign(secret: bytes, signed: str) -> bytes:
    return hmac.digest(secret, signed.encode("ascii"), hashlib.sha256)


def _as_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _load(text: str) -> dict[str, Any] | None:
    decoded = _decode(text)
    try:
        value = None if decoded is None else json.loads(decoded)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False

"""ICE servers from services that lend TURN servers, for ``Stream(rtc_configuration=...)``.

Each function asks one service for credentials that are valid for a while and returns an ``RTCConfiguration`` for the
browser, ``{"iceServers": [{"urls": ..., "username": ..., "credential": ...}]}``. Pass the function itself, so that each
client gets fresh ones: ``Stream(..., rtc_configuration=get_cloudflare_turn_credentials_async)``.

Names, parameters, environment variables and endpoints are FastRTC's. Twilio is asked over HTTPS, without its package.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from fastrtc.errors import ConfigurationError, MissingExtraError, TurnCredentialsError

if TYPE_CHECKING:
    from types import ModuleType

    import httpx

__all__ = [
    "get_cloudflare_turn_credentials",
    "get_cloudflare_turn_credentials_async",
    "get_hf_turn_credentials",
    "get_hf_turn_credentials_async",
    "get_turn_credentials",
    "get_turn_credentials_async",
    "get_twilio_turn_credentials",
    "get_twilio_turn_credentials_async",
]

Method: TypeAlias = Literal["hf", "twilio", "cloudflare"]
Credentials: TypeAlias = dict[str, Any]

CLOUDFLARE_FASTRTC_TURN_URL = "https://turn.fastrtc.org/credentials"
CLOUDFLARE_TURN_URL = "https://rtc.live.cloudflare.com/v1/turn/keys"
TWILIO_URL = "https://api.twilio.com/2010-04-01/Accounts"
TIMEOUT_S = 10.0

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "hf": ("token", "ttl"),
    "cloudflare": ("turn_key_id", "turn_key_api_token", "hf_token", "ttl"),
    "twilio": ("twilio_sid", "twilio_token"),
}


@dataclass(frozen=True, slots=True)
class _Question:
    """One HTTP request; its ``repr`` shows no secret."""

    service: str
    method: str
    url: str
    arguments: Mapping[str, Any] = field(repr=False)


def get_hf_turn_credentials(token: str | None = None, ttl: int = 600) -> Credentials:
    """Ask FastRTC's community server, which knows people by their Hugging Face token.

    Deprecated: ``get_cloudflare_turn_credentials(hf_token=...)`` asks the same server.

    Args:
        token: Hugging Face token; None: the environment variable ``HF_TOKEN``.
        ttl: Seconds that the credentials are to be valid.

    Raises:
        ConfigurationError: There is no token.
        TurnCredentialsError: The server cannot be reached or refuses.
        MissingExtraError: ``httpx`` is not installed.
    """
    _deprecate("get_hf_turn_credentials", "get_cloudflare_turn_credentials")
    return _ask(_hugging_face(token, ttl))


async def get_hf_turn_credentials_async(
    token: str | None = None, ttl: int = 600, client: httpx.AsyncClient | None = None
) -> Credentials:
    """The same as :func:`get_hf_turn_credentials` without blocking.

    Args:
        token: Hugging Face token; None: the environment variable ``HF_TOKEN``.
        ttl: Seconds that the credentials are to be valid.
        client: Sends the request; None: a new one, closed afterwards.
    """
    _deprecate("get_hf_turn_credentials_async", "get_cloudflare_turn_credentials_async")
    return await _ask_async(_hugging_face(token, ttl), client)


def get_cloudflare_turn_credentials(
    turn_key_id: str | None = None,
    turn_key_api_token: str | None = None,
    hf_token: str | None = None,
    ttl: int = 600,
) -> Credentials:
    """Ask Cloudflare, with a TURN key of your own or a Hugging Face token (which goes first).

    Args:
        turn_key_id: Cloudflare's id of the key; None: the environment variable ``CLOUDFLARE_TURN_KEY_ID``.
        turn_key_api_token: Its API token; None: ``CLOUDFLARE_TURN_KEY_API_TOKEN``.
        hf_token: Hugging Face token, for FastRTC's community server; None: ``HF_TOKEN``.
        ttl: Seconds that the credentials are to be valid.

    Raises:
        ConfigurationError: There is neither a token nor a key.
        TurnCredentialsError: The server cannot be reached or refuses.
        MissingExtraError: ``httpx`` is not installed.
    """
    return _ask(_cloudflare(turn_key_id, turn_key_api_token, hf_token, ttl))


async def get_cloudflare_turn_credentials_async(
    turn_key_id: str | None = None,
    turn_key_api_token: str | None = None,
    hf_token: str | None = None,
    ttl: int = 600,
    client: httpx.AsyncClient | None = None,
) -> Credentials:
    """The same as :func:`get_cloudflare_turn_credentials` without blocking.

    Args:
        turn_key_id: Cloudflare's id of the key; None: the environment variable ``CLOUDFLARE_TURN_KEY_ID``.
        turn_key_api_token: Its API token; None: ``CLOUDFLARE_TURN_KEY_API_TOKEN``.
        hf_token: Hugging Face token, for FastRTC's community server; None: ``HF_TOKEN``.
        ttl: Seconds that the credentials are to be valid.
        client: Sends the request; None: a new one, closed afterwards.
    """
    return await _ask_async(_cloudflare(turn_key_id, turn_key_api_token, hf_token, ttl), client)


def get_twilio_turn_credentials(twilio_sid: str | None = None, twilio_token: str | None = None) -> Credentials:
    """Ask Twilio's Network Traversal Service; the media then go through its servers only.

    Args:
        twilio_sid: Account SID; None: the environment variable ``TWILIO_ACCOUNT_SID``.
        twilio_token: Auth token; None: ``TWILIO_AUTH_TOKEN``.

    Returns:
        ``{"iceServers": [...], "iceTransportPolicy": "relay"}``.

    Raises:
        ConfigurationError: SID or token is missing.
        TurnCredentialsError: Twilio cannot be reached or refuses.
        MissingExtraError: ``httpx`` is not installed.
    """
    return _relay_only(_ask(_twilio(twilio_sid, twilio_token)))


async def get_twilio_turn_credentials_async(
    twilio_sid: str | None = None, twilio_token: str | None = None, client: httpx.AsyncClient | None = None
) -> Credentials:
    """The same as :func:`get_twilio_turn_credentials` without blocking.

    Args:
        twilio_sid: Account SID; None: the environment variable ``TWILIO_ACCOUNT_SID``.
        twilio_token: Auth token; None: ``TWILIO_AUTH_TOKEN``.
        client: Sends the request; None: a new one, closed afterwards.
    """
    return _relay_only(await _ask_async(_twilio(twilio_sid, twilio_token), client))


def get_turn_credentials(method: Method = "cloudflare", **kwargs: Any) -> Credentials:
    """Ask the service that ``method`` names.

    Args:
        method: ``"cloudflare"``, ``"twilio"``, or ``"hf"`` (deprecated).
        **kwargs: Parameters of that service's function; those of another service are ignored.

    Raises:
        ConfigurationError: Another method, or what the service's function needs is missing.
        TypeError: A parameter that no service has.
        TurnCredentialsError: The service cannot be reached or refuses.
    """
    chosen = _chosen(method, kwargs, ())
    if method == "hf":
        return get_hf_turn_credentials(**chosen)
    if method == "twilio":
        return get_twilio_turn_credentials(**chosen)
    return get_cloudflare_turn_credentials(**chosen)


async def get_turn_credentials_async(method: Method = "cloudflare", **kwargs: Any) -> Credentials:
    """The same as :func:`get_turn_credentials` without blocking; ``client`` may be an ``httpx.AsyncClient``."""
    chosen = _chosen(method, kwargs, ("client",))
    if method == "hf":
        return await get_hf_turn_credentials_async(**chosen)
    if method == "twilio":
        return await get_twilio_turn_credentials_async(**chosen)
    return await get_cloudflare_turn_credentials_async(**chosen)


def _chosen(method: str, given: Mapping[str, Any], further: tuple[str, ...]) -> dict[str, Any]:
    if method not in _PARAMETERS:
        raise ConfigurationError(f'method must be "cloudflare", "twilio" or "hf", got {method!r}')
    known = {name for names in _PARAMETERS.values() for name in names} | set(further)
    unknown = sorted(set(given) - known)
    if unknown:
        raise TypeError(f"no service has a parameter {unknown[0]!r}; {method} has {', '.join(_PARAMETERS[method])}")
    return {name: value for name, value in given.items() if name in (*_PARAMETERS[method], *further)}


def _deprecate(name: str, instead: str) -> None:
    warnings.warn(f"{name} is deprecated; {instead}(hf_token=...) asks the same server", UserWarning, stacklevel=3)


def _hugging_face(token: str | None, ttl: int) -> _Question:
    token = (token or os.getenv("HF_TOKEN") or "").strip()
    if not token:
        raise ConfigurationError("there is no Hugging Face token: pass token=..., or set HF_TOKEN")
    return _Question(
        "FastRTC's TURN service",
        "GET",
        CLOUDFLARE_FASTRTC_TURN_URL,
        {"headers": {"Authorization": f"Bearer {token}"}, "params": {"ttl": ttl}},
    )


def _cloudflare(key_id: str | None, api_token: str | None, hf_token: str | None, ttl: int) -> _Question:
    hf_token = os.getenv("HF_TOKEN", "") if hf_token is None else hf_token
    if hf_token.strip():
        return _hugging_face(hf_token, ttl)
    if not key_id or not api_token:
        key_id, api_token = os.getenv("CLOUDFLARE_TURN_KEY_ID"), os.getenv("CLOUDFLARE_TURN_KEY_API_TOKEN")
    if not key_id or not api_token:
        raise ConfigurationError(
            "there are no TURN credentials: set CLOUDFLARE_TURN_KEY_ID and CLOUDFLARE_TURN_KEY_API_TOKEN, or HF_TOKEN, "
            "or pass turn_key_id and turn_key_api_token, or hf_token"
        )
    return _Question(
        "Cloudflare",
        "POST",
        f"{CLOUDFLARE_TURN_URL}/{key_id}/credentials/generate-ice-servers",
        {"headers": {"Authorization": f"Bearer {api_token}"}, "json": {"ttl": ttl}},
    )


def _twilio(sid: str | None, token: str | None) -> _Question:
    if not sid and not token:
        sid, token = os.getenv("TWILIO_ACCOUNT_SID"), os.getenv("TWILIO_AUTH_TOKEN")
    if not sid or not token:
        raise ConfigurationError(
            "there are no Twilio credentials: pass twilio_sid and twilio_token, or set TWILIO_ACCOUNT_SID and "
            "TWILIO_AUTH_TOKEN"
        )
    return _Question("Twilio", "POST", f"{TWILIO_URL}/{sid}/Tokens.json", {"auth": (sid, token)})


def _relay_only(answer: Credentials) -> Credentials:
    return {"iceServers": answer.get("ice_servers", []), "iceTransportPolicy": "relay"}


def _httpx() -> ModuleType:
    try:
        import httpx
    except ImportError as error:
        raise MissingExtraError("asking for TURN credentials", "turn") from error
    return httpx


def _ask(question: _Question) -> Credentials:
    httpx = _httpx()
    try:
        response = httpx.request(question.method, question.url, timeout=TIMEOUT_S, **question.arguments)
    except httpx.HTTPError as error:
        raise _unreachable(question, error) from error
    return _credentials(question, response)


async def _ask_async(question: _Question, client: httpx.AsyncClient | None) -> Credentials:
    httpx = _httpx()
    if client is None:
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            return await _ask_async(question, client)
    try:
        response = await client.request(question.method, question.url, **question.arguments)
    except httpx.HTTPError as error:
        raise _unreachable(question, error) from error
    return _credentials(question, response)


def _unreachable(question: _Question, error: Exception) -> TurnCredentialsError:
    return TurnCredentialsError(
        f"{question.service} ({question.url}) cannot be reached: {error or type(error).__name__}"
    )


def _credentials(question: _Question, response: httpx.Response) -> Credentials:
    if not response.is_success:
        raise TurnCredentialsError(
            f"{question.service} gave no TURN credentials: status {response.status_code}, {response.text[:200]!r}"
        )
    try:
        answer = response.json()
    except ValueError as error:
        raise TurnCredentialsError(f"{question.service} answered with no JSON: {response.text[:200]!r}") from error
    if not isinstance(answer, dict):
        raise TurnCredentialsError(f"{question.service} answered with no object: {response.text[:200]!r}")
    return answer

"""Offers, candidates and refusals over HTTP, as a client sends and meets them."""

from __future__ import annotations

import asyncio
import http.client
import json
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from fastrtc.errors import ConfigurationError, SignalingError

HTTP_TIMEOUT_S = 10.0
MAX_BODY_BYTES = 1_000_000
NOT_MOUNTED = "perhaps no Stream is mounted there (stream.mount(app) does; a path given to it is part of the address)"


def checked_url(url: str) -> str:
    """The address of a service, without a slash at its end.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")
    except ValueError:
        is_address = False
    if not is_address or not url.isprintable() or " " in url:
        raise ConfigurationError(f"the address of a service is like https://voice.example.org; got {url!r}")
    return url.rstrip("/")


async def post_json(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST a JSON object.

    Raises:
        ConnectionError: No server answers, or its answer is no JSON object.
        SignalingError: The server refused; ``code`` is its ``meta.error``.
    """
    answer = await asyncio.to_thread(_post, url, json.dumps(body).encode())
    if answer.get("status") == "failed":
        meta = dict(answer.get("meta") or {})
        raise SignalingError(str(meta.pop("error", "unknown")), **meta)
    return answer


def _post(url: str, body: bytes) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as response:
            text = response.read(MAX_BODY_BYTES)
    except urllib.error.HTTPError as error:
        detail = error.read(MAX_BODY_BYTES).decode("utf-8", "replace")
        error.close()
        refusal = _read_refusal(detail)
        if refusal is not None:
            return refusal
        raise ConnectionError(f"{url} answered {error.code} {error.reason}: {_advise(error.code, detail)}") from None
    except (urllib.error.URLError, OSError) as error:
        raise ConnectionError(f"no server answers at {url}: {getattr(error, 'reason', error)}") from None
    except http.client.HTTPException as error:
        raise ConnectionError(f"what answers at {url} is no HTTP server: {error!r}") from None
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ConnectionError(f"{url} did not answer with a JSON object: is it the address of a FastRTC server?")
    return answer


def _advise(status: int, detail: str) -> str:
    if status == HTTPStatus.NOT_FOUND:
        return NOT_MOUNTED
    return detail[:500]


def _read_refusal(text: str) -> dict[str, Any] | None:
    """A refusal in the body of an HTTP error, or in its ``detail`` where the app has a route of its own."""
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    for found in (answer, answer.get("detail")) if isinstance(answer, dict) else ():
        if isinstance(found, dict) and found.get("status") == "failed":
            return found
    return None

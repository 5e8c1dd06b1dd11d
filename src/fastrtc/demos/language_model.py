"""A partner that asks a language model: anything with the endpoint ``/chat/completions`` that OpenAI defined."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from fastrtc.context import WebRTCError
from fastrtc.replies import Reply, current_reply

TIMEOUT_S = 60.0
REMEMBERED_MESSAGES = 20
MANNERS = (
    "You are talking with someone, by voice. Answer in one to three short sentences, in plain words to be read aloud: "
    "no lists, no formatting, no emoji. Their words come from a speech recogniser and may be misheard."
)


class LanguageModelPartner:
    """Keeps the conversation of one session; of an answer that was interrupted, what was heard.

    Args:
        url: Of the API, such as ``http://localhost:11434/v1``.
        model: The model's name; empty: the first one that the server lists.
        api_key: Sent as a bearer token if there is one; None: ``OPENAI_API_KEY`` of the environment.
    """

    def __init__(self, url: str, model: str = "", api_key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._model = model
        self._key = os.environ.get("OPENAI_API_KEY", "") if api_key is None else api_key
        self._messages: list[dict[str, str]] = []
        self._last: Reply | None = None

    def greeting(self) -> str:
        """What it says first."""
        return "Hello! What would you like to talk about?"

    def answer(self, said: str) -> Iterator[str]:
        """The answer as the model writes it.

        Raises:
            WebRTCError: The server cannot be reached or refuses; the page shows it.
        """
        self._forget_unheard()
        self._messages.append({"role": "user", "content": said})
        self._last = current_reply.get()
        written = ""
        try:
            for part in self._stream():
                written += part
                yield part
        finally:
            self._messages.append({"role": "assistant", "content": written.strip() or "..."})
            del self._messages[:-REMEMBERED_MESSAGES]

    def _forget_unheard(self) -> None:
        """What was interrupted has not been said, though it was written."""
        if self._last is not None and self._last.interrupted:
            self._messages[-1]["content"] = self._last.heard_text or "..."

    def _stream(self) -> Iterator[str]:
        body = {
            "model": self._model or self._first_model(),
            "messages": [{"role": "system", "content": MANNERS}, *self._messages],
            "stream": True,
        }
        with self._open("/chat/completions", body) as answer:
            for line in answer:
                data = line.decode("utf-8", "replace").strip().removeprefix("data:").strip()
                if data == "[DONE]":
                    return
                if data.startswith("{"):
                    yield from _parts(json.loads(data))

    def _first_model(self) -> str:
        with self._open("/models", None) as answer:
            listed = json.load(answer).get("data") or []
        if not listed:
            raise WebRTCError(f"The server at {self._url} lists no model: name one with --llm-model")
        self._model = str(listed[0]["id"])
        return self._model

    def _open(self, path: str, body: dict[str, Any] | None) -> http.client.HTTPResponse:
        request = urllib.request.Request(
            self._url + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
        )
        try:
            opened: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(300).decode("utf-8", "replace").strip()
            raise WebRTCError(f"The language model at {self._url} answers {error.code}: {said}") from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise WebRTCError(f"The language model at {self._url} cannot be reached: {reason}") from error
        return opened


def _parts(chunk: dict[str, Any]) -> Iterator[str]:
    for choice in chunk.get("choices") or ():
        content = (choice.get("delta") or {}).get("content")
        if content:
            yield content

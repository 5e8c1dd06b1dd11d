"""Cartesia's voices, a service: https://docs.cartesia.ai (``POST /tts/bytes``, raw PCM in the answer's body)."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrtc.audio import PCM, aggregate_bytes_to_16bit, async_aggregate_bytes_to_16bit
from fastrtc.errors import ConfigurationError, MissingExtraError, SpeechServiceError
from fastrtc.speech.sentences import async_sentences_of, sentences_of
from fastrtc.speech.synthesis import check_text
from fastrtc.speech.text_to_speech import AsyncText, CartesiaTTSOptions, Text

if TYPE_CHECKING:
    import httpx

ADDRESS = "https://api.cartesia.ai"
TIMEOUT_S = 20.0


class CartesiaTTSModel:
    """The voice ``"cartesia"``. Closing a stream closes its connection, which ends the work at the service, too.

    Args:
        api_key: Cartesia's key; empty: ``CARTESIA_API_KEY`` of the environment.
        base_url: Where the service is; None: :data:`ADDRESS`.

    Raises:
        ConfigurationError: There is no key.
        MissingExtraError: ``httpx`` is not installed.
    """

    def __init__(self, api_key: str = "", *, base_url: str | None = None) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtraError('the voice "cartesia"', "cartesia") from error
        self._key = api_key or os.environ.get("CARTESIA_API_KEY", "")
        if not self._key:
            raise ConfigurationError(
                'the voice "cartesia" needs a key: get_tts_model("cartesia", cartesia_api_key=...), or '
                "CARTESIA_API_KEY in the environment"
            )
        self._base_url = base_url or ADDRESS
        self._httpx = httpx
        self._client: httpx.Client | None = None

    def close(self) -> None:
        """Close the connection that plain functions share; the next call opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def tts(self, text: str, options: CartesiaTTSOptions | None = None) -> tuple[int, PCM]:
        """The whole text, as ``int16``."""
        rate_hz = _checked(options).sample_rate
        pieces = [pcm for _, pcm in self.stream_tts_sync(text, options)]
        return rate_hz, np.concatenate(pieces) if pieces else np.zeros(0, np.int16)

    def stream_tts_sync(
        self, text: Text, options: CartesiaTTSOptions | None = None
    ) -> Generator[tuple[int, PCM], None, None]:
        """The audio as it comes, in pieces of any length."""
        check_text(text)
        return self._stream(sentences_of(text), _checked(options))

    def stream_tts(
        self, text: AsyncText, options: CartesiaTTSOptions | None = None
    ) -> AsyncGenerator[tuple[int, PCM], None]:
        """The same for the event loop."""
        check_text(text)
        return self._astream(async_sentences_of(text), _checked(options))

    def _stream(self, sentences: Iterator[str], options: CartesiaTTSOptions) -> Generator[tuple[int, PCM], None, None]:
        if self._client is None:
            self._client = self._httpx.Client(base_url=self._base_url, timeout=TIMEOUT_S)
        for sentence in sentences:
            try:
                with self._client.stream("POST", "/tts/bytes", **self._request(sentence, options)) as answer:
                    if answer.is_error:
                        raise _refusal(answer.status_code, answer.read())
                    for samples in aggregate_bytes_to_16bit(answer.iter_bytes()):
                        yield options.sample_rate, samples.reshape(-1)
            except self._httpx.TransportError as error:
                raise self._unreachable(error) from error

    async def _astream(
        self, sentences: AsyncIterator[str], options: CartesiaTTSOptions
    ) -> AsyncGenerator[tuple[int, PCM], None]:
        # A client belongs to one event loop, and a model may serve several.
        async with self._httpx.AsyncClient(base_url=self._base_url, timeout=TIMEOUT_S) as client:
            async for sentence in sentences:
                try:
                    async with client.stream("POST", "/tts/bytes", **self._request(sentence, options)) as answer:
                        if answer.is_error:
                            raise _refusal(answer.status_code, await answer.aread())
                        async for samples in async_aggregate_bytes_to_16bit(answer.aiter_bytes()):
                            yield options.sample_rate, samples.reshape(-1)
                except self._httpx.TransportError as error:
                    raise self._unreachable(error) from error

    def _request(self, sentence: str, options: CartesiaTTSOptions) -> dict[str, Any]:
        voice: dict[str, Any] = {"mode": "id", "id": options.voice}
        if options.emotion:
            voice["__experimental_controls"] = {"emotion": options.emotion}
        return {
            "headers": {"X-API-Key": self._key, "Cartesia-Version": options.cartesia_version},
            "json": {
                "model_id": options.model,
                "transcript": sentence,
                "voice": voice,
                "language": options.language,
                "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": options.sample_rate},
            },
        }

    def _unreachable(self, error: Exception) -> SpeechServiceError:
        return SpeechServiceError(
            f'Cartesia cannot be reached at {self._base_url} ({error}); get_tts_model("hibari") needs no network'
        )


def _checked(options: CartesiaTTSOptions | None) -> CartesiaTTSOptions:
    options = options or CartesiaTTSOptions()
    if not isinstance(options, CartesiaTTSOptions):
        raise ConfigurationError(f'the voice "cartesia" takes CartesiaTTSOptions, got {type(options).__name__}')
    return options


def _refusal(status: int, body: bytes) -> SpeechServiceError:
    said = body.decode("utf-8", "replace").strip()[:500]
    hint = "; is the key right?" if status in (401, 403) else ""
    return SpeechServiceError(f"Cartesia answers {status}{': ' + said if said else ''}{hint}")

"""Voices: what one must offer, the options of those that are known by name, and how to get one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fastrtc.errors import ConfigurationError, MissingExtraError

Speech: TypeAlias = tuple[int, NDArray[np.float32] | NDArray[np.int16]]
"""``(sample_rate, array)``, of shape ``(n,)``; a reply function may yield it as it is."""

Text: TypeAlias = str | Iterable[str]
"""A text, or its parts as they come, for example from a language model."""

AsyncText: TypeAlias = Text | AsyncIterable[str]


class TTSOptions:
    """How a text is to be spoken; each kind of voice has options of its own."""


T_contra = TypeVar("T_contra", bound=TTSOptions, contravariant=True)


@dataclass
class HibariTTSOptions(TTSOptions):
    """Options of the voice ``"hibari"``.

    Attributes:
        voice: ``heart`` is installed; ``fenrir``, ``kore``, ``emma`` and ``fable`` are downloaded (8 MB) when first
            used. The last two are British.
        speed: 0.5 to 2.
    """

    voice: str = "heart"
    speed: float = 1.0


@dataclass
class KokoroTTSOptions(TTSOptions):
    """Options of the voice ``"kokoro"``.

    Attributes:
        voice: One of Kokoro's names, such as ``af_heart``.
        speed: 0.5 to 2.
        lang: Language, such as ``en-us``.
    """

    voice: str = "af_heart"
    speed: float = 1.0
    lang: str = "en-us"


@dataclass
class CartesiaTTSOptions(TTSOptions):
    """Options of the voice ``"cartesia"``.

    Attributes:
        voice: Cartesia's id of a voice.
        language: Of the text.
        emotion: Such as ``positivity:high``.
        cartesia_version: Version of Cartesia's API.
        model: Cartesia's name of a model.
        sample_rate: In Hz.
    """

    voice: str = "71a7ad14-091c-4e8e-a314-022ece01c121"
    language: str = "en"
    emotion: list[str] = field(default_factory=list)
    cartesia_version: str = "2024-06-10"
    model: str = "sonic-2"
    sample_rate: int = 22_050


@runtime_checkable
class TextToSpeech(Protocol[T_contra]):
    """Speaks a text. Write one to use a voice of your own.

    The streams give audio sentence by sentence, the first as soon as it is ready. Closing one (``aclose`` and
    ``close``, which a session calls when the reply is interrupted) stops the work: no further sentence is begun.
    """

    def tts(self, text: str, options: T_contra | None = None) -> Speech:
        """The whole text as one array; not on an event loop, because it takes its time."""
        ...

    def stream_tts(self, text: AsyncText, options: T_contra | None = None) -> AsyncGenerator[Speech, None]:
        """The text, sentence by sentence; for ``async`` functions."""
        ...

    def stream_tts_sync(self, text: Text, options: T_contra | None = None) -> Generator[Speech, None, None]:
        """The same for plain functions."""
        ...


TTSModel = TextToSpeech
"""FastRTC's name of :class:`TextToSpeech`."""

_DEFAULTS = ("hibari", "kokoro")
_PACKAGES = {"hibari": "hibari", "kokoro": "kokoro_onnx"}

ModelName: TypeAlias = Literal["hibari", "kokoro", "cartesia"]


def get_tts_model(model: ModelName | None = None, **kwargs: Any) -> TextToSpeech[Any]:
    """A voice, ready to speak; the same one each time, which many sessions may use at once.

    ========  =================  ==========================================  =======================
    name      install            weights                                     languages
    ========  =================  ==========================================  =======================
    hibari    ``fastrtc[tts]``   in the package (8 MB)                       English
    kokoro    ``[kokoro]``       downloaded when first used (354 MB)         English, French, ... (9)
    cartesia  ``[cartesia]``     none: a service, with a key                 what the service offers
    ========  =================  ==========================================  =======================

    Args:
        model: Its name; None: hibari where it is installed, else kokoro.
        **kwargs: Of cartesia: ``cartesia_api_key`` (else ``CARTESIA_API_KEY`` of the environment).

    Raises:
        ConfigurationError: No such name or argument, or a key is missing.
        MissingExtraError: It is not installed; the message says what to install.
        ModelDownloadError: Its weights are not here and cannot be fetched.
    """
    name = model or _installed()
    if name not in get_args(ModelName):
        raise ConfigurationError(f'there is no voice {name!r}: get_tts_model() knows "hibari", "kokoro" and "cartesia"')
    unknown = set(kwargs) - ({"cartesia_api_key", "base_url"} if name == "cartesia" else set())
    if unknown:
        raise ConfigurationError(f"the voice {name!r} takes no argument {', '.join(sorted(unknown))}")
    return _voice(name, **kwargs)


@lru_cache
def _voice(name: str, **kwargs: Any) -> TextToSpeech[Any]:
    if name == "hibari":
        from fastrtc.speech.hibari import HibariTTSModel

        return HibariTTSModel()
    if name == "kokoro":
        from fastrtc.speech.kokoro import KokoroTTSModel

        return KokoroTTSModel()
    from fastrtc.speech.cartesia import CartesiaTTSModel

    return CartesiaTTSModel(kwargs.get("cartesia_api_key", ""), base_url=kwargs.get("base_url"))


def _installed() -> str:
    for name in _DEFAULTS:
        if find_spec(_PACKAGES[name]) is not None:
            return name
    raise MissingExtraError("a voice (get_tts_model)", "tts")

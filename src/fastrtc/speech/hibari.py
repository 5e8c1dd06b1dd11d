"""The default voice: English, 8 MB, in a wheel, a hundred times faster than speech (hibari-tts, Apache-2.0)."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np

from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.speech.download import Weights, fetched
from fastrtc.speech.synthesis import SentenceVoice, Wave, check_speed, trimmed
from fastrtc.speech.text_to_speech import HibariTTSOptions, KokoroTTSOptions, TTSOptions

GAIN = 1.6  # from -25 to -21 dBFS of its speech, the level of telephone prompts; its highest peak stays below 0.9
VOICES_URL = "https://huggingface.co/maureesewilliams/hibari/resolve/main/voices/"


class HibariTTSModel(SentenceVoice[HibariTTSOptions]):
    """The voice ``"hibari"``. It also takes ``KokoroTTSOptions`` for those of Kokoro's voices that it was made from.

    Raises:
        MissingExtraError: ``hibari-tts`` is not installed.
    """

    rate_hz = 24_000

    def __init__(self) -> None:
        try:
            from hibari.voices import VOICES
        except ImportError as error:
            raise MissingExtraError('the voice "hibari"', "tts") from error
        self._known: Mapping[str, Mapping[str, Any]] = VOICES
        self._voices: dict[str, Any] = {}
        self._lock = Lock()
        self.tts("Hello, world!")

    def options_of(self, options: TTSOptions | None) -> HibariTTSOptions:
        if isinstance(options, KokoroTTSOptions):
            options = HibariTTSOptions(self._made_from(options.voice), options.speed)
        options = options or HibariTTSOptions()
        if not isinstance(options, HibariTTSOptions):
            raise ConfigurationError(f'the voice "hibari" takes HibariTTSOptions, got {type(options).__name__}')
        if options.voice not in self._known:
            raise ConfigurationError(
                f"hibari has no voice {options.voice!r}; it has {', '.join(map(repr, sorted(self._known)))}"
            )
        check_speed(options.speed)
        return options

    def speak(self, sentence: str, options: HibariTTSOptions) -> Wave:
        voice = self._voice(options.voice)
        with self._lock:  # What it reads from is shared; that takes a millisecond.
            phonemes: list[str] = voice.phonemize(sentence)
        waves = [voice.from_phonemes(one, options.speed, seed=0) for one in phonemes]
        if not waves:
            return np.zeros(0, np.float32)
        wave = trimmed(np.concatenate(waves), self.rate_hz)
        louder: Wave = np.clip(wave * np.float32(GAIN), -1.0, 1.0)
        return louder

    def _made_from(self, kokoro: str) -> str:
        for name, voice in self._known.items():
            if voice["kokoro"] == kokoro:
                return name
        raise ConfigurationError(f'hibari has no voice like {kokoro!r}; Kokoro itself has: get_tts_model("kokoro")')

    def _voice(self, name: str) -> Any:
        with self._lock:
            if name not in self._voices:
                from hibari import Hibari

                self._voices[name] = Hibari(voice=name, model=self._weights(name))
            return self._voices[name]

    def _weights(self, name: str) -> str | None:
        voice = self._known[name]
        if voice.get("bundled"):
            return None
        file: str = voice["file"]
        weights = Weights(f"hibari/{file}", VOICES_URL + file, voice["bytes"], voice["sha256"])
        return str(fetched(weights, f'the voice {name!r} of hibari (voice="heart" needs no download)'))

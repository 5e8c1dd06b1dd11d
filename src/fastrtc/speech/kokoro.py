"""Kokoro, FastRTC's default voice: 82 million parameters, nine languages, weights downloaded when first used."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.speech.download import Weights, fetched
from fastrtc.speech.synthesis import SentenceVoice, Wave, check_speed, trimmed
from fastrtc.speech.text_to_speech import KokoroTTSOptions, TTSOptions

_RELEASE = "https://github.com/thewh1teagle/kokoro-onnx/releases/download/model-files-v1.0"
MODEL = Weights(
    "kokoro/kokoro-v1.0.onnx",
    f"{_RELEASE}/kokoro-v1.0.onnx",
    325_532_387,
    "7d5df8ecf7d4b1878015a32686053fd0eebe2bc377234608764cc0ef3636a6c5",
)
VOICES = Weights(
    "kokoro/voices-v1.0.bin",
    f"{_RELEASE}/voices-v1.0.bin",
    28_214_398,
    "bca610b8308e8d99f32e6fe4197e7ec01679264efed0cac9140fe9c29f1fbf7d",
)
_WHAT = 'the voice "kokoro" (get_tts_model("hibari") needs no download)'


class KokoroTTSModel(SentenceVoice[KokoroTTSOptions]):
    """The voice ``"kokoro"``.

    Raises:
        MissingExtraError: ``kokoro-onnx`` is not installed.
        ModelDownloadError: Its weights are not here and cannot be fetched.
    """

    rate_hz = 24_000

    def __init__(self) -> None:
        try:
            from kokoro_onnx import Kokoro
        except ImportError as error:
            raise MissingExtraError('the voice "kokoro"', "kokoro") from error
        self.model: Any = Kokoro(str(fetched(MODEL, _WHAT)), str(fetched(VOICES, _WHAT)))
        self._reading = Lock()
        self.tts("Hello, world!")

    def options_of(self, options: TTSOptions | None) -> KokoroTTSOptions:
        options = options or KokoroTTSOptions()
        if not isinstance(options, KokoroTTSOptions):
            raise ConfigurationError(f'the voice "kokoro" takes KokoroTTSOptions, got {type(options).__name__}')
        if options.voice not in self.model.voices:
            raise ConfigurationError(f"Kokoro has no voice {options.voice!r}; it has {', '.join(self.model.voices)}")
        check_speed(options.speed)
        return options

    def speak(self, sentence: str, options: KokoroTTSOptions) -> Wave:
        with self._reading:  # espeak-ng, which reads the text, is one per process.
            phonemes = self.model.tokenizer.phonemize(sentence, options.lang)
        if not phonemes.strip():
            return np.zeros(0, np.float32)
        wave, _ = self.model.create(phonemes, voice=options.voice, speed=options.speed, is_phonemes=True)
        return trimmed(np.asarray(wave, np.float32).reshape(-1), self.rate_hz)

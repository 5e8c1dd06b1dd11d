"""Wake words that a small network was trained for: ``pymicro-wakeword`` (Apache-2.0), with its models in its wheel."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrtc.audio import PCM, float_to_int16
from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.media.resample import resample_clip
from fastrtc.speech.spotting import CUT_REST_S
from fastrtc.speech.stop_words import StopWords, words_of

RATE_HZ = 16_000
FEATURE_SAMPLES = 160
LATE_S = 0.1  # The mean over some windows is above the threshold about this long after the word has ended.
LEAD_S = 0.3  # of silence that the front end's noise estimate has heard before a piece of speech
LEAST_CUTOFF, MOST_CUTOFF = 0.5, 1.0


class MicroSpotter:
    """Listens for words that have a network of their own: "alexa", "hey jarvis", "hey mycroft", "okay nabu".

    A second of speech costs some 4 ms of one core, a fifth of what a recogniser does, and near misses are rarer.

    Args:
        wanted: The stop words.
        sensitivity: From 0 to 1; at 0.5 each network's own threshold counts.

    Raises:
        MissingExtraError: ``pymicro-wakeword`` is not installed.
        ConfigurationError: It knows no such word.
    """

    rest_s = CUT_REST_S

    def __init__(self, wanted: StopWords, sensitivity: float) -> None:
        package = _package()
        known = {" ".join(words_of(model.value.replace("_", " "))): model for model in package.Model}
        self._front = package.MicroWakeWordFeatures()
        self._networks: list[tuple[str, Any, float]] = []
        for phrase in wanted.phrases:
            model = known.get(" ".join(words_of(phrase)))
            if model is None:
                words = ", ".join(sorted(known))
                raise ConfigurationError(f"pymicro-wakeword has no network for {phrase!r}; it has: {words}")
            network = package.MicroWakeWord.from_builtin(model)
            self._networks.append((phrase, network, _cutoff(network.probability_cutoff, sensitivity)))

    def spot(self, rate_hz: int, audio: PCM) -> str | None:
        found = self._find(rate_hz, audio)
        return None if found is None else found[0]

    def end_of(self, rate_hz: int, audio: PCM, phrase: str, known: int) -> int:
        """Where its network is sure of it, less the time that takes."""
        found = self._find(rate_hz, audio)
        return len(audio) if found is None else found[1]

    def _find(self, rate_hz: int, audio: PCM) -> tuple[str, int] | None:
        pcm = audio if rate_hz == RATE_HZ else float_to_int16(resample_clip(audio, rate_hz, RATE_HZ))
        self._front.reset()
        for _, network, _ in self._networks:
            network.reset()
        silence = np.zeros(round(LEAD_S * RATE_HZ), np.int16)
        scale = rate_hz / RATE_HZ
        features = self._front.process_streaming(np.concatenate([silence, pcm]).tobytes())
        for count, feature in enumerate(features, 1):
            end = round((count * FEATURE_SAMPLES - silence.size - LATE_S * RATE_HZ) * scale)
            for phrase, network, cutoff in self._networks:
                if network.process_streaming_prob(feature) > cutoff:
                    return phrase, min(max(end, 0), len(audio))
        return None


def _cutoff(own: float, sensitivity: float) -> float:
    """The network's own threshold at 0.5, from there in a straight line to the least and to the most."""
    if sensitivity >= 0.5:
        return own + (LEAST_CUTOFF - own) * (2 * sensitivity - 1)
    return MOST_CUTOFF + (own - MOST_CUTOFF) * 2 * sensitivity


def _package() -> Any:
    try:
        import pymicro_wakeword
    except ImportError as error:
        raise MissingExtraError("the wake-word engine pymicro-wakeword", "wakeword") from error
    return pymicro_wakeword

"""Voices by name: what they give, how soon, and what happens with what cannot work."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

import fastrtc
from fastrtc import CartesiaTTSOptions, HibariTTSOptions, KokoroTTSOptions, TextToSpeech, get_tts_model
from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.speech import synthesis
from fastrtc.speech.synthesis import SentenceVoice, Wave, trimmed
from fastrtc.speech.text_to_speech import TTSOptions

RATE_HZ = 1000


class Beep(SentenceVoice[HibariTTSOptions]):
    """One sample of a sentence's number for each of its letters; a sentence may be made to wait."""

    rate_hz = RATE_HZ

    def __init__(self) -> None:
        self.spoken: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.waits_for = ""

    def speak(self, sentence: str, options: HibariTTSOptions) -> Wave:
        if self.waits_for and self.waits_for in sentence:
            assert self.gate.wait(10)
        self.spoken.append(sentence)
        return np.full(len(sentence), options.speed, np.float32)

    def options_of(self, options: TTSOptions | None) -> HibariTTSOptions:
        assert options is None or isinstance(options, HibariTTSOptions)
        return options or HibariTTSOptions()


def settle() -> None:
    """Wait until the voices' threads have nothing to do."""
    done = [synthesis.voice_threads().submit(lambda: None) for _ in range(2 * synthesis.THREADS)]
    for one in done:
        one.result()


def test_a_text_is_spoken_with_pauses_between_its_sentences() -> None:
    rate_hz, wave = Beep().tts("One. Two two.", HibariTTSOptions(speed=2.0))
    pause = [0.0] * round(synthesis.PAUSE_S * RATE_HZ)
    assert rate_hz == RATE_HZ
    assert wave.dtype == np.float32
    assert wave.tolist() == [2.0] * 4 + pause + [2.0] * 8


def test_the_first_sentence_comes_before_the_second_is_made() -> None:
    voice = Beep()
    voice.gate.clear()
    voice.waits_for = "Two"
    stream = voice.stream_tts_sync("One. Two. Three.")
    assert next(stream)[1].size == 4
    assert voice.spoken == ["One."]
    voice.gate.set()
    next(stream)
    assert voice.spoken[:2] == ["One.", "Two."]
    stream.close()


def test_closing_a_stream_begins_no_further_sentence() -> None:
    voice = Beep()
    stream = voice.stream_tts_sync("One. Two. Three. Four.")
    next(stream)
    stream.close()
    settle()
    assert voice.spoken in (["One."], ["One.", "Two."])


def test_closing_does_not_wait_for_the_sentence_that_is_being_made() -> None:
    voice = Beep()
    voice.gate.clear()
    voice.waits_for = "Two"
    stream = voice.stream_tts_sync("One. Two.")
    next(stream)
    stream.close()
    assert voice.spoken == ["One."]
    voice.gate.set()
    settle()


def test_text_that_comes_in_parts_is_spoken_as_it_comes() -> None:
    voice = Beep()
    asked: list[str] = []

    def model() -> Iterator[str]:
        for part in ("One. T", "wo. ", "Three."):
            asked.append(part)
            yield part

    stream = voice.stream_tts_sync(model())
    next(stream)
    assert asked == ["One. T"], "what is ready is given before more text is asked for"
    assert len(list(stream)) == 2
    assert voice.spoken == ["One.", "Two.", "Three."]


def test_an_asynchronous_stream_leaves_the_loop_free() -> None:
    voice = Beep()
    voice.gate.clear()
    voice.waits_for = "One"

    async def tokens() -> AsyncIterator[str]:
        yield "One. "
        yield "Two."

    async def scenario() -> list[int]:
        sizes = []
        asyncio.get_running_loop().call_soon(voice.gate.set)
        async for rate_hz, wave in voice.stream_tts(tokens()):
            assert rate_hz == RATE_HZ
            sizes.append(wave.size)
        return sizes

    assert asyncio.run(scenario()) == [4, round(synthesis.PAUSE_S * RATE_HZ) + 4]


def test_a_cancelled_task_ends_an_asynchronous_stream_at_once() -> None:
    voice = Beep()
    voice.gate.clear()
    voice.waits_for = "Two"

    async def scenario() -> None:
        begun = asyncio.Event()

        async def speak() -> None:
            async for _ in voice.stream_tts("One. Two. Three."):
                begun.set()

        task = asyncio.create_task(speak())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    voice.gate.set()
    settle()
    assert "Three." not in voice.spoken


@pytest.mark.parametrize("text", [None, 3, b"bytes"])
def test_what_is_no_text_is_refused_when_it_is_given(text: Any) -> None:
    for speak in (Beep().stream_tts_sync, Beep().stream_tts, Beep().tts):
        with pytest.raises(ConfigurationError, match=f"speaks text.*got {type(text).__name__}"):
            speak(text)


def test_a_text_without_words_is_silence() -> None:
    rate_hz, wave = Beep().tts(" ... ")
    assert (rate_hz, wave.size) == (RATE_HZ, 0)


def test_trimming_keeps_a_little_around_the_speech() -> None:
    wave = np.zeros(24_000, np.float32)
    wave[8000:16000] = 0.5
    cut = trimmed(wave, 24_000)
    assert 0.0 < np.flatnonzero(cut)[0] / 24_000 <= synthesis.LEAD_S + synthesis.FRAME_S
    assert 8000 < cut.size <= 8000 + round((synthesis.LEAD_S + synthesis.TAIL_S + 2 * synthesis.FRAME_S) * 24_000)
    assert trimmed(np.zeros(24_000, np.float32), 24_000).size == 0
    assert trimmed(np.zeros(3, np.float32), 24_000).size == 0


# ---------------------------------------------------------------- the default voice


@pytest.fixture(scope="module")
def hibari() -> TextToSpeech[Any]:
    pytest.importorskip("hibari", reason="the voice hibari is not installed (extra tts)")
    return get_tts_model("hibari")


def test_the_default_voice_is_the_installed_one(hibari: TextToSpeech[Any]) -> None:
    assert get_tts_model() is hibari
    assert isinstance(hibari, TextToSpeech)
    assert get_tts_model("hibari") is hibari, "one for all sessions"


def test_it_speaks_at_once_and_at_a_telephones_level(hibari: TextToSpeech[Any]) -> None:
    rate_hz, wave = hibari.tts("The quick brown fox jumps over the lazy dog.")
    assert (rate_hz, wave.dtype, wave.ndim) == (24_000, np.float32, 1)
    assert 1.5 < wave.size / rate_hz < 5.0
    loud = np.abs(wave) > 0.05
    assert np.flatnonzero(loud)[0] / rate_hz < 0.15, "no silence before the first sound"
    assert -27.0 < 20 * np.log10(np.sqrt(np.mean(wave**2))) < -17.0
    assert np.abs(wave).max() <= 1.0


def test_the_same_text_sounds_the_same_in_every_way_of_asking(hibari: TextToSpeech[Any]) -> None:
    text = "One. Two."
    _, whole = hibari.tts(text)
    streamed = np.concatenate([wave for _, wave in hibari.stream_tts_sync(text)])

    async def collect() -> list[Any]:
        return [wave async for _, wave in hibari.stream_tts(text)]

    assert np.array_equal(whole, streamed)
    assert np.array_equal(whole, np.concatenate(asyncio.run(collect())))


def test_options_change_the_pace(hibari: TextToSpeech[Any]) -> None:
    text = "We shall see each other tomorrow."
    slow, fast = (hibari.tts(text, HibariTTSOptions(speed=speed))[1].size for speed in (0.7, 1.4))
    assert 1.6 < slow / fast < 2.4


def test_kokoros_options_work_for_the_voice_that_was_made_from_it(hibari: TextToSpeech[Any]) -> None:
    _, own = hibari.tts("Hello.")
    _, kokoros = hibari.tts("Hello.", KokoroTTSOptions(voice="af_heart"))
    assert np.array_equal(own, kokoros)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (HibariTTSOptions(voice="nobody"), r"no voice 'nobody'; it has 'emma', .*'heart'"),
        (HibariTTSOptions(speed=3.0), r"speed must be from 0\.5 to 2, got 3\.0"),
        (KokoroTTSOptions(voice="af_bella"), r'no voice like \'af_bella\'; .*get_tts_model\("kokoro"\)'),
        (CartesiaTTSOptions(), "takes HibariTTSOptions, got CartesiaTTSOptions"),
    ],
)
def test_options_that_cannot_work_are_refused_when_they_are_given(
    hibari: TextToSpeech[Any], options: TTSOptions, says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        hibari.stream_tts_sync("Hello.", options)


def test_another_voice_says_what_it_would_download(
    hibari: TextToSpeech[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any, free_port: int
) -> None:
    from fastrtc.speech import hibari as module
    from fastrtc.speech.download import ModelDownloadError

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "VOICES_URL", f"http://127.0.0.1:{free_port}/")
    with pytest.raises(ModelDownloadError, match=r"cannot download the voice 'emma'.*8 MB.*bf_emma.*put it at"):
        hibari.tts("Hello.", HibariTTSOptions(voice="emma"))


# ---------------------------------------------------------------- by name


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(ConfigurationError, match=r'no voice \'siri\': .*"hibari", "kokoro" and "cartesia"'):
        get_tts_model("siri")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="'hibari' takes no argument device"):
        get_tts_model("hibari", device="cpu")


def test_without_any_voice_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastrtc.speech import text_to_speech

    text_to_speech._voice.cache_clear()
    monkeypatch.setattr(text_to_speech, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "fastrtc\[tts\]"'):
        get_tts_model()
    monkeypatch.setitem(sys.modules, "hibari.voices", None)
    with pytest.raises(MissingExtraError, match=r'the voice "hibari" needs .*"fastrtc\[tts\]"'):
        get_tts_model("hibari")
    monkeypatch.setitem(sys.modules, "kokoro_onnx", None)
    with pytest.raises(MissingExtraError, match=r'the voice "kokoro" needs .*"fastrtc\[kokoro\]"'):
        get_tts_model("kokoro")
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingExtraError, match=r'the voice "cartesia" needs .*"fastrtc\[cartesia\]"'):
        get_tts_model("cartesia", cartesia_api_key="key")


def test_fastrtcs_defaults_are_kept() -> None:
    assert KokoroTTSOptions() == KokoroTTSOptions(voice="af_heart", speed=1.0, lang="en-us")
    cartesia = fastrtc.CartesiaTTSOptions()
    assert cartesia.voice == "71a7ad14-091c-4e8e-a314-022ece01c121"
    assert (cartesia.language, cartesia.emotion, cartesia.cartesia_version) == ("en", [], "2024-06-10")
    assert (cartesia.model, cartesia.sample_rate) == ("sonic-2", 22_050)

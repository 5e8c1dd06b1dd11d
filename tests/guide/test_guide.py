"""Every code block of FastRTC's audio guide, executed as printed, and spoken to with recorded speech.

A block gets what it leaves out and nothing else: the names that it uses without importing or defining them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pytest
from tests.fakes.certificate import write_certificate
from tests.fakes.gemini import GeminiLive
from tests.fakes.serving import Served, serving
from tests.fakes.sound import COMPARE_HZ, Clip, labelled_clips, likeness, read_clip, windowed_likeness
from tests.guide.blocks import GUIDE, NAMES, read_blocks

import fastrtc
from fastrtc.audio import PCM, float_to_int16
from fastrtc.cli import make_app
from fastrtc.client import Call, connect
from fastrtc.media.resample import resample_clip

pytestmark = [
    pytest.mark.speech,
    pytest.mark.skipif(not GUIDE.is_file(), reason="there is no guide beside the checkout (../shared/seed)"),
]

WAIT_S = 30.0


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    return read_blocks()


@pytest.fixture(scope="module")
def clips(speech: Path) -> list[Clip]:
    pytest.importorskip("soundfile")
    return labelled_clips(speech)


def run_block(text: str, left_out: dict[str, Any]) -> dict[str, Any]:
    """Execute a block as the only content of a module; its stream makes no noise."""
    module = ModuleType("guide")
    vars(module).update(left_out)
    exec(compile(text, "audio-streaming.md", "exec", dont_inherit=True), vars(module))
    vars(module)["stream"].verbose = False
    return vars(module)


def heard(call: Call) -> PCM:
    sound = call.heard
    return float_to_int16(resample_clip(sound.pcm, sound.rate_hz, COMPARE_HZ))


def at_compare_hz(pcm: PCM, rate_hz: int) -> PCM:
    return float_to_int16(resample_clip(pcm, rate_hz, COMPARE_HZ))


async def say(url: str, *clips: Clip, gap_s: float = 0.0, transport: Any = "websocket") -> Call:
    """Call, say the clips, and stay until the reply has been heard."""
    async with connect(url, transport) as call:
        for clip in clips:
            await call.speak(clip.pcm, clip.rate_hz)
            await call.listen(gap_s)
        await call.wait_for(lambda message: message.event == "playback_finished", WAIT_S)
    return call


def generate_response(sample_rate: int, audio_array: PCM) -> Iterator[PCM]:
    """What the first block leaves out: here the user's own words, in pieces of a second."""
    assert audio_array.ndim == 2
    assert audio_array.shape[0] == 1
    for start in range(0, audio_array.shape[1], sample_rate):
        yield audio_array[:, start : start + sample_rate]


def test_the_guide_has_these_blocks(blocks: dict[str, str]) -> None:
    assert list(blocks) == list(NAMES)


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
def test_reply_on_pause(blocks: dict[str, str], clips: list[Clip], transport: Any) -> None:
    names = run_block(blocks["reply_on_pause"], {"np": np, "generate_response": generate_response})
    with serving(make_app(names["stream"])) as served:
        call = asyncio.run(say(served.url, clips[0], transport=transport))
    compare = likeness if transport == "websocket" else windowed_likeness
    assert compare(heard(call), clips[0].speech()) > (0.95 if transport == "websocket" else 0.6)


def test_its_parameters(blocks: dict[str, str], clips: list[Clip]) -> None:
    before = run_block(blocks["reply_on_pause"], {"np": np, "generate_response": generate_response})
    left_out = {name: before[name] for name in ("ReplyOnPause", "Stream", "response")}
    stream = run_block(blocks["parameters"], left_out)["stream"]
    assert stream.modality == "audio"
    assert stream.event_handler.algo_options.audio_chunk_duration == 0.6
    assert stream.event_handler.model_options.min_silence_duration_ms == 100
    with serving(make_app(stream)) as served:
        call = asyncio.run(say(served.url, clips[1]))
    assert likeness(heard(call), clips[1].speech()) > 0.95


@pytest.fixture(scope="module")
def computer(speech: Path) -> Clip:
    pytest.importorskip("soundfile")
    return read_clip(min((speech / "picovoice-wake-word-benchmark" / "computer").glob("*.flac")))


def test_reply_on_stopwords(blocks: dict[str, str], clips: list[Clip], computer: Clip) -> None:
    pytest.importorskip("moonshine_voice", reason="there is no recogniser (pip install 'fastrtc[stt]')")
    calls, beep = [], float_to_int16(np.sin(np.arange(8000) / 5)[None] / 4)
    # Loaded before anybody speaks, as in an app that has been up for some seconds.
    assert fastrtc.get_stt_model().stt((computer.rate_hz, computer.pcm.reshape(1, -1))) == "Computer."

    def generate(audio: tuple[int, PCM]) -> Any:
        calls.append(audio)
        return names["response"](audio)

    left_out = {"np": np, "generate": generate, "generated_audio": [beep, beep], "sampling_rate": 16_000}
    names = run_block(blocks["reply_on_stopwords"], left_out)
    with serving(make_app(names["stream"])) as served:
        call = asyncio.run(say(served.url, clips[1], computer, clips[0], gap_s=1.0))
    assert sum(message.type == "stopword" for message in call.messages) == 1
    ((rate_hz, audio),) = calls
    assert (rate_hz, audio.shape[0]) == (16_000, 1)
    command = at_compare_hz(audio[0], rate_hz)
    assert likeness(command, clips[0].speech()) > 0.95
    assert likeness(command, computer.speech()) < 0.5
    assert likeness(heard(call), at_compare_hz(beep[0], 16_000)) > 0.95


@pytest.fixture
def gradio(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block imports Gradio and uses nothing of it; where it is not installed, an empty module stands for it."""
    if importlib.util.find_spec("gradio") is None:
        monkeypatch.setitem(sys.modules, "gradio", ModuleType("gradio"))


@pytest.mark.filterwarnings("default")  # Gradio's own.
def test_stream_handler(blocks: dict[str, str], clips: list[Clip], gradio: None) -> None:
    names = run_block(blocks["stream_handler"], {"np": np, "Stream": fastrtc.Stream})
    assert names["WebRTC"] is fastrtc.WebRTC

    async def talk(url: str) -> Call:
        async with connect(url, "websocket") as call:
            await call.speak(clips[0].pcm, clips[0].rate_hz)
            await call.listen(1.0)
            assert session_threads()
        return call

    with serving(make_app(names["stream"])) as served:
        call = asyncio.run(talk(served.url))
        # Its emit waits in queue.get() for a frame that will not come: the thread ends with the session nevertheless.
        for thread in session_threads():
            thread.join(WAIT_S)
            assert not thread.is_alive(), thread.name
    assert likeness(heard(call), clips[0].speech()) > 0.95


def session_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.endswith(("-emit", "-receive"))]


@pytest.fixture
def gemini(speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiLive]:
    """A Live API that Google's SDK finds, under the name of the package that the guide imports."""
    genai = pytest.importorskip("google.genai", reason="google-genai is not installed (pip install 'fastrtc[gemini]')")
    pytest.importorskip("soundfile")
    pytest.importorskip("cryptography")
    monkeypatch.setitem(sys.modules, "google.generativeai", genai)
    monkeypatch.setitem(sys.modules, "google.generativeai.types", genai.types)
    monkeypatch.setattr(sys.modules["google"], "generativeai", genai, raising=False)
    voice = read_clip(speech / "fleurs-mini" / "fleurs-en-004.flac").speech(24_000)[: 2 * 24_000]
    service = GeminiLive([voice], "AIza-good")
    certificate = write_certificate(tmp_path)
    with serving(service.app, certificate) as served:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", served.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        service.voice = voice
        yield service


@pytest.mark.filterwarnings("ignore:.*start_stream.*is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*send.*is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Tasks that start_stream leaves behind.
def test_async_stream_handler(blocks: dict[str, str], clips: list[Clip], gemini: GeminiLive) -> None:
    left_out = {
        "np": np,
        "Literal": Literal,
        "AsyncGenerator": AsyncGenerator,
        "async_aggregate_bytes_to_16bit": fastrtc.async_aggregate_bytes_to_16bit,
        "stream": fastrtc.Stream(None, modality="audio"),
    }
    names = run_block(blocks["async_stream_handler"], left_out)
    stream = fastrtc.Stream(names["GeminiHandler"](), modality="audio", mode="send-receive", verbose=False)

    async def talk(served: Served) -> Call:
        async with connect(served.url, "websocket") as call:
            await call.wait_for(lambda message: message.type == "send_input", WAIT_S)
            stream.set_input(call.session_id, "AIza-good", "Kore")
            await call.speak(clips[0].pcm, clips[0].rate_hz)
            async with asyncio.timeout(WAIT_S):
                while windowed_likeness(heard(call), answer) < 0.8:
                    await call.listen(0.1)
            assert stream.handlers[call.session_id].latest_args == ["__webrtc_value__", "AIza-good", "Kore"]
        return call

    answer = at_compare_hz(gemini.voice, 24_000)
    with serving(make_app(stream)) as served:
        asyncio.run(talk(served))
    (seen,) = gemini.calls
    assert seen.setup["model"] == "models/gemini-2.0-flash-exp"
    voice = seen.setup["generationConfig"]["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]
    assert voice == {"voiceName": "Kore"}
    assert seen.mime_types == {"audio/pcm"}
    assert likeness(at_compare_hz(seen.hearing.audio, 16_000), clips[0].speech()) > 0.95


# ---- the old package -------------------------------------------------------------------------------------------


def test_the_guides_import_of_googles_old_package_says_what_to_install(blocks: dict[str, str]) -> None:
    if _installed("google.generativeai"):
        pytest.skip("google-generativeai is installed")
    lines = blocks["async_stream_handler"].split("class GeminiHandler")[0]
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'google.generativeai'. " in done.stderr
    assert 'pip install "fastrtc[gemini]"' in done.stderr


def test_who_only_asks_whether_it_is_there_gets_the_usual_answer() -> None:
    pytest.importorskip("google")
    assert importlib.util.find_spec("google.no_such_package") is None
    if not _installed("google.generativeai"):
        assert importlib.util.find_spec("google.generativeai") is None
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'google\.no_such_package'$"):
        importlib.import_module("google.no_such_package")


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False

"""Every example, run as a program and spoken to with recorded speech."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.examples.running import EXAMPLES, running
from tests.fakes.certificate import write_certificate
from tests.fakes.gemini import GeminiLive
from tests.fakes.openai_http import OpenAiHttp
from tests.fakes.openai_realtime import OpenAiRealtime
from tests.fakes.phone import LINE_HZ, called
from tests.fakes.serving import serving
from tests.fakes.sound import COMPARE_HZ, Clip, labelled_clips, likeness, read_clip, windowed_likeness

from fastrtc import get_stt_model
from fastrtc.audio import PCM, float_to_int16
from fastrtc.client import Call, connect
from fastrtc.errors import SignalingError
from fastrtc.media.resample import resample_clip

pytestmark = [pytest.mark.speech, pytest.mark.slow]

WAIT_S = 30.0
DRIVEN = {
    "async_stream_handler",
    "echo_handler",
    "gemini_live",
    "offline_talk",
    "openai_realtime",
    "reply_on_pause",
    "reply_on_pause_parameters",
    "reply_on_stopwords",
    "requesting_inputs",
    "session_tokens",
    "stop_words",
    "telephone",
}


@pytest.fixture(scope="module")
def clips(speech: Path) -> list[Clip]:
    pytest.importorskip("soundfile")
    return labelled_clips(speech)


@pytest.fixture(scope="module")
def voices(speech: Path) -> list[PCM]:
    """Two recordings for a model to say, at 24 kHz: up to 4 s each, equally loud."""
    pytest.importorskip("soundfile")
    paths = [speech / "fleurs-mini" / f"fleurs-en-00{number}.flac" for number in (0, 4)]
    clips = [read_clip(path).speech(24_000)[: 4 * 24_000] for path in paths]
    return [(clip * (16_000 / np.abs(clip).max())).astype(np.int16) for clip in clips]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "example.log"


def heard(call: Call, since_s: float = 0.0) -> PCM:
    """What the caller heard, at the rate for comparisons."""
    sound = call.heard
    pcm = sound.pcm[round(since_s * sound.rate_hz) :]
    return float_to_int16(resample_clip(pcm, sound.rate_hz, COMPARE_HZ))


def at_compare_hz(pcm: PCM, rate_hz: int) -> PCM:
    return float_to_int16(resample_clip(pcm, rate_hz, COMPARE_HZ))


async def once_there_is_a_place(talk: Callable[[str], Awaitable[Call]], url: str) -> Call:
    """Call again while the session before is still being shut down."""
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return await talk(url)
            except SignalingError as error:
                assert error.code == "concurrency_limit_reached"
                await asyncio.sleep(0.05)


async def until(condition: Any, call: Call) -> None:
    """Stay in the call until a condition holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await call.listen(0.1)


def test_every_example_is_driven_here_and_says_how_to_run_it() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names >= DRIVEN
    for path in EXAMPLES.glob("*.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        assert docstring is not None, path
        assert f"python examples/{path.name}" in docstring
        assert "pip install" in docstring


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
@pytest.mark.parametrize("name", ["reply_on_pause", "reply_on_pause_parameters"])
def test_what_was_said_before_a_pause_comes_back(name: str, transport: Any, clips: list[Clip], log: Path) -> None:
    clip = clips[0]

    async def talk(url: str) -> Call:
        async with connect(url, transport) as call:
            await call.speak(clip.pcm, clip.rate_hz)
            await call.wait_for(lambda message: message.event == "playback_finished", WAIT_S)
        return call

    with running(name, log) as example:
        assert "fastrtc" in httpx.get(example.url).text
        call = asyncio.run(talk(example.url))
    assert sum(message.event == "turn_committed" for message in call.messages) == 1
    compare = likeness if transport == "websocket" else windowed_likeness
    assert compare(heard(call), clip.speech()) > (0.95 if transport == "websocket" else 0.6)


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
def test_session_tokens_let_in_who_has_logged_in(transport: Any, clips: list[Clip], log: Path) -> None:
    clip = clips[0]

    async def talk(url: str, token: str) -> Call:
        with pytest.raises(SignalingError, match="unauthorized"):
            async with connect(url, transport):
                pass
        async with connect(url, transport, token=token) as call:
            await call.speak(clip.pcm, clip.rate_hz)
            output = await call.wait_for(lambda message: message.type == "output", WAIT_S)
            assert output.data["data"] == ["ada said this"]
        return call

    with running("session_tokens", log) as example:
        assert "talk/#token=" in httpx.get(example.url).text
        assert httpx.get(f"{example.url}/talk/").status_code == 200
        wrong = httpx.post(f"{example.url}/token", json={"name": "ada", "password": "turing"})
        assert wrong.status_code == 401
        right = httpx.post(f"{example.url}/token", json={"name": "ada", "password": "lovelace"})
        asyncio.run(talk(example.url, right.json()["token"]))


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
def test_the_echo_handler_gives_back_every_frame(transport: Any, clips: list[Clip], log: Path) -> None:
    clip = clips[1]

    async def talk(url: str) -> Call:
        async with connect(url, transport) as call:
            await call.speak(clip.pcm, clip.rate_hz)
            await call.listen(1.0)
        return call

    with running("echo_handler", log) as example:
        calls = [asyncio.run(talk(example.url))]
        calls.append(asyncio.run(once_there_is_a_place(talk, example.url)))
    compare = likeness if transport == "websocket" else windowed_likeness
    for call in calls:
        assert compare(heard(call), clip.speech()) > (0.95 if transport == "websocket" else 0.6)


@pytest.mark.parametrize("plain", ["", "1"])
@pytest.mark.parametrize("way", ["hook", "message"])
def test_inputs_are_asked_for_and_change_what_is_heard(plain: str, way: str, clips: list[Clip], log: Path) -> None:
    clip = clips[2]

    async def give(url: str, call: Call, volume: float) -> None:
        if way == "message":
            call.send_message({"type": "input", "data": [volume]})
            return
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{url}/input_hook", json={"webrtc_id": call.session_id, "volume": volume})
            assert answer.json() == {"status": "ok"}

    async def talk(url: str) -> list[float]:
        loudness = []
        async with connect(url, "websocket") as call:
            await call.wait_for(lambda message: message.type == "send_input", WAIT_S)
            await call.speak(clip.pcm, clip.rate_hz)
            loudness.append(rms(heard(call)))
            for volume in (1.0, 0.25):
                await give(url, call, volume)
                await call.listen(0.2)
                since_s = call.now_s
                await call.speak(clip.pcm, clip.rate_hz)
                await call.listen(0.5)
                loudness.append(rms(heard(call, since_s)))
        return loudness

    with running("requesting_inputs", log, PLAIN=plain) as example:
        page = httpx.get(example.url).text
        silent, loud, soft = asyncio.run(talk(example.url))
    assert "sendInput" in page
    assert silent == 0.0
    assert soft / loud == pytest.approx(0.25, rel=0.15)


def test_a_conversation_without_a_network(speech: Path, log: Path) -> None:
    pytest.importorskip("hibari")
    clip = read_clip(speech / "pocketsphinx-testdata" / "goforward.flac")

    async def talk(url: str) -> Call:
        async with connect(url, "websocket") as call:
            await call.speak(clip.pcm, clip.rate_hz)
            await call.wait_for(lambda message: message.event == "playback_finished", WAIT_S)
        return call

    with running("offline_talk", log) as example:
        call = asyncio.run(talk(example.url))
    final = [one.data["data"] for one in call.messages if one.type == "transcript" and one.data["data"]["final"]]
    assert [one["text"] for one in final] == ["Go forward ten meters."]
    answer = get_stt_model().stt((call.heard.rate_hz, call.heard.pcm))
    assert "you said" in answer.lower()
    assert "forward" in answer.lower()


def test_a_telephone_line_reads_out_what_was_typed(speech: Path, log: Path) -> None:
    pytest.importorskip("hibari")
    clip = read_clip(speech / "pocketsphinx-testdata" / "goforward.flac")
    with running("telephone", log, TWILIO_AUTH_TOKEN="12345") as example:
        assert httpx.post(f"{example.url}/telephone/incoming", data={"CallSid": "CA1"}).status_code == 403
        with called(example.url, "MZ1", auth_token="12345") as phone:
            phone.begin()
            told = [phone.hear_out()]
            phone.press("42#")
            told.append(phone.hear_out())
            phone.say(np.concatenate([clip.at(LINE_HZ), np.zeros(LINE_HZ, np.int16)]))
            told.append(phone.hear_out())
            phone.hang_up()
    greeting, typed, said = (get_stt_model().stt((LINE_HZ, pcm)).lower() for pcm in told)
    assert "type a number" in greeting
    assert "typed four" in typed
    assert "you said" in said


def rms(pcm: PCM) -> float:
    return float(np.sqrt(np.mean(np.square(pcm, dtype=np.float64))))


# ---- services --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def computer(speech: Path) -> Clip:
    """Somebody says "computer"."""
    pytest.importorskip("soundfile")
    paths = sorted((speech / "picovoice-wake-word-benchmark" / "computer").glob("*.flac"))
    return read_clip(paths[0])


def test_what_follows_the_stop_word_comes_back(computer: Clip, clips: list[Clip], log: Path) -> None:
    pytest.importorskip("openai")
    word, command = computer.speech(), clips[0]

    def transcribe(audio: tuple[int, PCM]) -> str:
        return "Computer!" if likeness(at_compare_hz(audio[1], audio[0]), word) > 0.8 else "Mumble."

    service = OpenAiHttp(transcribe)

    async def talk(url: str) -> Call:
        async with connect(url, "websocket") as call:
            await call.speak(clips[1].pcm, clips[1].rate_hz)
            await call.listen(1.5)
            assert not any(message.type == "stopword" for message in call.messages)
            await call.speak(computer.pcm, computer.rate_hz)
            await call.speak(command.pcm, command.rate_hz)
            await call.wait_for(lambda message: message.type == "stopword", WAIT_S)
            await call.wait_for(lambda message: message.event == "playback_finished", WAIT_S)
        return call

    with serving(service.app) as server:
        variables = {"OPENAI_API_KEY": "sk-good", "OPENAI_BASE_URL": f"{server.url}/v1"}
        with running("reply_on_stopwords", log, **variables) as example:
            call = asyncio.run(talk(example.url))
    assert {"Computer!", "Mumble."} == set(service.transcripts)
    assert likeness(heard(call), command.speech()) > 0.95
    assert likeness(heard(call), word) < 0.5
    assert likeness(heard(call), clips[1].speech()) < 0.5


def test_stop_words_without_a_network(computer: Clip, speech: Path, log: Path) -> None:
    command = read_clip(speech / "pocketsphinx-testdata" / "goforward.flac")

    async def talk(url: str) -> Call:
        async with connect(url, "websocket") as call:
            await call.speak(command.pcm, command.rate_hz)
            await call.listen(1.5)
            assert not any(message.type == "stopword" for message in call.messages)
            await call.speak(computer.pcm, computer.rate_hz)
            await call.speak(command.pcm, command.rate_hz)
            await call.wait_for(lambda message: message.event == "playback_finished", WAIT_S)
        return call

    with running("stop_words", log) as example:
        call = asyncio.run(talk(example.url))
    assert sum(message.type == "stopword" for message in call.messages) == 1
    assert likeness(heard(call), command.speech()) > 0.95


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    pytest.importorskip("cryptography")
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def gemini(voices: list[PCM], certificate: tuple[Path, Path]) -> Iterator[tuple[GeminiLive, dict[str, str]]]:
    """A Live API, and the environment in which Google's SDK finds it."""
    pytest.importorskip("google.genai")
    service = GeminiLive(voices, "AIza-good")
    with serving(service.app, certificate) as server:
        variables = {"GOOGLE_GEMINI_BASE_URL": server.url, "SSL_CERT_FILE": str(certificate[0])}
        yield service, variables


async def talk_and_interrupt(url: str, clip: Clip, replies: list[PCM]) -> Call:
    """Say something, hear half of the answer, say something else, hear the whole answer to that."""
    async with connect(url, "websocket") as call:
        await call.speak(clip.pcm, clip.rate_hz)
        await until(lambda: np.count_nonzero(np.abs(heard(call)) > 300) > COMPARE_HZ, call)
        await call.speak(clip.pcm, clip.rate_hz)
        last = at_compare_hz(replies[1], 24_000)[-COMPARE_HZ:]
        await until(lambda: windowed_likeness(heard(call), last) > 0.8, call)
    return call


def check_conversation(call: Call, replies: list[PCM]) -> None:
    first, second = (at_compare_hz(reply, 24_000) for reply in replies)
    everything = heard(call)
    assert likeness(everything, first[:COMPARE_HZ]) > 0.9
    assert windowed_likeness(everything, second) > 0.9
    # What the model had said beyond what was heard when the user interrupted is never heard.
    assert likeness(everything, first[-COMPARE_HZ:]) < 0.5


def test_gemini_hears_answers_and_is_interrupted(
    gemini: tuple[GeminiLive, dict[str, str]], clips: list[Clip], voices: list[PCM], log: Path
) -> None:
    service, variables = gemini
    with running("gemini_live", log, GEMINI_API_KEY="AIza-good", **variables) as example:
        call = asyncio.run(talk_and_interrupt(example.url, clips[0], voices))
        (seen,) = service.calls
    check_conversation(call, voices)
    assert seen.setup["model"] == "models/gemini-live-2.5-flash-preview"
    generation = seen.setup["generationConfig"]
    assert generation["responseModalities"] == ["AUDIO"]
    assert generation["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"] == "Puck"
    assert seen.mime_types == {"audio/pcm;rate=16000"}
    assert likeness(at_compare_hz(seen.hearing.audio, 16_000), clips[0].speech()) > 0.95
    assert seen.interruptions == 1
    assert seen.sent[0] < len(voices[0])
    assert seen.over


def test_gemini_without_a_key_says_so(gemini: tuple[GeminiLive, dict[str, str]], tmp_path: Path) -> None:
    service, variables = gemini

    async def talk(url: str, wanted: str) -> None:
        async with connect(url, "websocket") as call:
            await call.wait_for(lambda message: message.type == "error" and wanted in str(message.data), WAIT_S)

    # Both are reported with their tracebacks in the server's log; the caller is told in a sentence.
    for key, wanted in [("", "GEMINI_API_KEY"), ("AIza-bad", "API key not valid")]:
        log = tmp_path / "log"
        with running("gemini_live", log, tracebacks=True, GEMINI_API_KEY=key, **variables) as example:
            asyncio.run(talk(example.url, wanted))
        assert "Traceback" in example.log
    assert service.calls == []


def test_the_guides_gemini_handler_asks_for_its_key_and_answers(
    gemini: tuple[GeminiLive, dict[str, str]], clips: list[Clip], voices: list[PCM], log: Path
) -> None:
    service, variables = gemini
    clip = clips[0]

    async def talk(url: str) -> Call:
        async with connect(url, "websocket") as call:
            await call.wait_for(lambda message: message.type == "send_input", WAIT_S)
            inputs = {"webrtc_id": call.session_id, "api_key": "AIza-good", "voice_name": "Kore"}
            async with httpx.AsyncClient() as client:
                await client.post(f"{url}/input_hook", json=inputs)
            await call.speak(clip.pcm, clip.rate_hz)
            last = at_compare_hz(voices[0], 24_000)[-COMPARE_HZ:]
            await until(lambda: windowed_likeness(heard(call), last) > 0.8, call)
        return call

    # Google's deprecated start_stream leaves a task behind, of which asyncio complains at the end.
    with running("async_stream_handler", log, tracebacks=True, **variables) as example:
        call = asyncio.run(talk(example.url))
        (seen,) = service.calls
    assert windowed_likeness(heard(call), at_compare_hz(voices[0], 24_000)) > 0.9
    assert seen.version == "v1alpha"
    voice = seen.setup["generationConfig"]["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]
    assert voice == {"voiceName": "Kore"}
    assert likeness(at_compare_hz(seen.hearing.audio, 16_000), clip.speech()) > 0.95
    assert seen.over


def test_openai_hears_answers_and_is_interrupted(clips: list[Clip], voices: list[PCM], log: Path) -> None:
    pytest.importorskip("openai")
    service = OpenAiRealtime(voices, "sk-good")
    with serving(service.app) as server:
        variables = {"OPENAI_API_KEY": "sk-good", "OPENAI_BASE_URL": f"{server.url}/v1"}
        with running("openai_realtime", log, **variables) as example:
            call = asyncio.run(talk_and_interrupt(example.url, clips[0], voices))
            (seen,) = service.calls
    check_conversation(call, voices)
    assert seen.session["audio"]["output"]["voice"] == "marin"
    assert likeness(at_compare_hz(seen.hearing.audio, 24_000), clips[0].speech()) > 0.95
    assert seen.statuses[0] == "cancelled"
    (heard_ms,) = seen.truncations
    assert 0 < heard_ms <= 1000 * seen.sent[0] / 24_000
    assert seen.over

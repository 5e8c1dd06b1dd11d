"""What the documentation shows is true: its code runs, its commands and messages are ones that the package knows.

The Python blocks of a page run in order, as one module. A block may be marked in the line above it:
``<!-- snippet: compile -->`` (needs what is not here), ``<!-- snippet: speech -->`` (needs recorded speech). Functions
that a block calls ``test_...`` are run, too.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.docs.blocks import DOCS, PAGES, ROOT, Block, blocks_of
from tests.docs.pages import HEARD, run_page, write_question
from tests.fakes.serving import serving

import fastrtc
from fastrtc import cli
from fastrtc.cli import make_app
from fastrtc.client import connect, read_audio
from fastrtc.wire import messages, offer, twilio, websocket

NEEDED = {"gradio.md": "gradio", "migrating.md": "google.genai", "tutorial.md": "moonshine_voice"}
# A ``gr.Blocks()`` outside a loop makes two loops and closes none; importing Gradio calls what is deprecated.
NOISE = [
    pytest.mark.filterwarnings(ignored)
    for ignored in ("ignore:unclosed:ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
]
PYTHON_PAGES = [
    pytest.param(page, marks=NOISE if page == "gradio.md" else ()) for page in PAGES if any(blocks_of(page, "python"))
]


@pytest.fixture
def gradios_loops() -> Iterator[None]:
    """Let go of Gradio's loops while their warnings are ignored, and not in some later test."""
    yield
    asyncio.set_event_loop(None)
    gc.collect()


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_the_python_blocks_run(page: str, working_directory: Path, request: pytest.FixtureRequest) -> None:
    if page in NEEDED:
        pytest.importorskip(NEEDED[page], reason=f"{NEEDED[page]} is not installed")
    if page == "gradio.md":
        request.getfixturevalue("gradios_loops")
    names = run_page(page)
    made = [value for value in names.values() if isinstance(value, fastrtc.Stream | fastrtc.ReplyOnPause)]
    assert made or page == "migrating.md"


@pytest.mark.parametrize("page", [page for page in PAGES if page not in NEEDED])
def test_a_block_names_its_language(page: str) -> None:
    fences = re.findall(r"^ *```(.*)$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert [fence for fence in fences[::2] if not fence] == []
    assert set(fences[1::2]) <= {""}


def test_a_note_is_one_that_these_tests_know() -> None:
    found = {block.note for page in PAGES for block in blocks_of(page, "python")}
    assert found <= {"", "compile", "speech"}
    marks = [line for page in PAGES for line in (DOCS / page).read_text().splitlines() if line.startswith("<!-- snip")]
    noted = [block for page in PAGES for block in blocks_of(page, "python") if block.note]
    assert len(marks) == len(noted), "a comment that is not in the line above a block does nothing"


@pytest.mark.speech
def test_recorded_speech_is_one_turn(working_directory: Path, speech: Path) -> None:
    pytest.importorskip("soundfile")
    write_question(working_directory, speech)
    assert "test_one_question_is_one_turn" in "".join(block.text for block in blocks_of("how-to/testing.md", "python"))
    run_page("how-to/testing.md", speech)


@pytest.mark.speech
@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_the_caller_in_python_gets_an_answer(working_directory: Path, speech: Path, transport: str) -> None:
    pytest.importorskip("soundfile")
    write_question(working_directory, speech)
    names = run_page("how-to/testing.md")
    names["stream"].verbose = False
    with serving(make_app(names["stream"])) as served:
        (turn,) = asyncio.run(names["ask"](served.url, transport))
    assert turn.wait_ms > 0
    assert turn.reply_end_s - turn.reply_start_s == pytest.approx(2.0, abs=0.2)


# ---------------------------------------------------------------- pages that show something


def test_the_credentials_for_coturn_are_those_of_its_rest_api(working_directory: Path) -> None:
    import hashlib
    import hmac

    (server,) = run_page("how-to/deployment.md")["turn_servers"]()["iceServers"]
    expected = hmac.new(b"secret", server["username"].encode(), hashlib.sha1).digest()
    assert base64.b64decode(server["credential"]) == expected
    assert server["username"].isdecimal()


def test_an_interrupted_answer_is_remembered_as_heard(working_directory: Path) -> None:
    from fastrtc.testing import Rehearsal, ScriptedVad

    names = run_page("how-to/interruptions.md")
    sound = (24_000, np.full((1, 24_000 * 2), 500, np.int16))
    names["sentences_of_the_answer"] = lambda audio: [("one two three four", sound), ("never reached", sound)]
    handler = fastrtc.ReplyOnPause(
        names["answer"],
        on_interrupt=names["told"],
        model=ScriptedVad([(0.5, 1.5), (4.0, 5.5)]),
        input_sample_rate=16_000,
    )
    rehearsal = Rehearsal(handler, 16_000)
    rehearsal.silence(5.5)
    rehearsal.close()
    assert rehearsal.errors == []
    (entry,) = names["history"]
    assert entry["cut"]
    assert "one two three four".startswith(entry["content"])
    assert 0 < len(entry["content"].split()) < 4
    assert names["interruptions"][0][2] == entry["content"]


def test_the_assistant_of_the_tutorial_tells_its_sessions_apart(working_directory: Path) -> None:
    pytest.importorskip(NEEDED["tutorial.md"])
    names = run_page("tutorial.md")
    names["stream"].verbose = False
    with serving(names["app"]) as served:
        assert httpx.get(f"{served.url}/conversations").json() == {"rehearsal": 2}
        assert httpx.get(f"{served.url}/config.json").json()["base"] == "voice"
        assert httpx.post(f"{served.url}/voice/webrtc/offer", json={}).status_code == 422
    assert [turn["role"] for turn in names["conversations"]["rehearsal"]] == ["user", "assistant"]


def test_an_offer_goes_through_the_code_of_the_app(working_directory: Path) -> None:
    names = run_page("how-to/fastapi.md")
    body = {"type": "offer", "webrtc_id": "x", "sdp": "no offer"}
    with serving(names["app"]) as served, httpx.Client(base_url=served.url) as client:
        assert client.post("/private/webrtc/offer", json=body).status_code == 401
        client.cookies.set("session", "mine")
        assert client.post("/private/webrtc/offer", json=body).json()["meta"]["error"] == "invalid_sdp"
        assert client.get("/sessions").json() == []
        assert [client.get(path).status_code for path in ("/", "/talk/", "/talk/client/index.js")] == [200, 200, 200]
        assert client.get("/talk/config.json").json()["base"] == "../voice"


def test_a_call_is_answered_and_told_where_to_go(working_directory: Path) -> None:
    names = run_page("how-to/phones.md")
    with serving(names["app"]) as served:
        own = httpx.post(f"{served.url}/my/incoming").text
        built_in = httpx.post(f"{served.url}/telephone/incoming", data={"From": "+15550100"}).text
    assert 'url="wss://your.example/telephone/handler"' in own
    assert 'value="spring"' in own
    assert f'url="wss://127.0.0.1:{served.port}/telephone/handler"' in built_in
    assert "+15550100" in built_in


def test_a_page_can_ask_for_turn_servers(working_directory: Path) -> None:
    names = run_page("how-to/deployment.md")
    names["stream"].rtc_configuration = names["turn_servers"]
    with serving(names["app"]) as served:
        (server,) = httpx.get(f"{served.url}/rtc-configuration").json()["iceServers"]
    assert server["urls"][0].startswith("turn:")
    assert set(server) == {"urls", "username", "credential"}


@pytest.mark.speech
def test_the_app_gets_inputs_and_gives_outputs(working_directory: Path, speech: Path) -> None:
    """The page's routes, with a function that shows the input it was given."""
    pytest.importorskip("soundfile")
    write_question(working_directory, speech)
    names = run_page("how-to/inputs-outputs.md")

    def shows(audio: Any, volume: float) -> Iterator[Any]:
        yield fastrtc.AdditionalOutputs(volume)
        yield fastrtc.CloseStream("done")

    stream = fastrtc.Stream(fastrtc.ReplyOnPause(shows), modality="audio", verbose=False)
    names["stream"] = stream
    app = names["FastAPI"]()
    stream.mount(app)
    app.post("/input_hook")(names["input_hook"])
    app.get("/outputs")(names["outputs"])

    async def call_it(url: str) -> str:
        rate, pcm = read_audio(HEARD)
        async with (
            httpx.AsyncClient(base_url=url, timeout=30) as client,
            connect(url, "websocket", session_id="caller") as call,
        ):
            reading = asyncio.create_task(client.get("/outputs", params={"webrtc_id": "caller"}))
            await call.speak(pcm, rate)
            await call.wait_for(lambda message: message.type == "send_input", timeout_s=30)
            await client.post("/input_hook", json={"webrtc_id": "caller", "volume": 1.5})
            return (await reading).text

    with serving(app) as served:
        assert asyncio.run(call_it(served.url)) == "event: output\ndata: 1.5\n\n"


# ---------------------------------------------------------------- what is not Python


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in blocks_of(page, "bash"):
            for line in block.text.splitlines():
                yield page, line


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_a_command_is_one_that_there_is(page: str, command: str) -> None:
    program, *arguments = shlex.split(command, comments=True)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert set(arguments) <= set(targets)
    elif program == "fastrtc":
        options = cli._parser(arguments[0]).parse_args(arguments)
        assert isinstance(options, argparse.Namespace)
    else:
        assert program in ("pip", "python", "uvicorn")


PARSERS: dict[str, Callable[[str], object]] = {
    "offer": lambda text: offer.parse_offer_body(json.loads(text)),
    "socket-client": websocket.parse_client_frame,
    "socket-server": websocket.parse_server_frame,
    "client": messages.parse_client_message,
    "server": messages.parse_server_message,
    "twilio": twilio.parse_call_message,
}


@pytest.mark.parametrize("block", list(blocks_of("protocol.md", "json")), ids=lambda block: f"line-{block.line}")
def test_a_message_of_the_protocol_is_understood(block: Block) -> None:
    for line in block.text.splitlines():
        assert not isinstance(PARSERS[block.note](line), messages.FreeText | messages.AppMessage), line


def test_the_page_about_the_protocol_knows_every_message() -> None:
    page = (DOCS / "protocol.md").read_text(encoding="utf-8")
    from fastrtc import events
    from fastrtc.server import signaling

    assert [name for name in events._NAMES.values() if f"| `{name}` |" not in page] == []
    refusals = re.findall(r"^``(\w+)``", signaling.__doc__ or "", re.MULTILINE)
    assert len(refusals) > 5
    assert [name for name in refusals if f"| `{name}` |" not in page] == []


def test_the_page_about_turns_knows_every_option() -> None:
    from dataclasses import fields

    page = (DOCS / "how-to" / "turn-taking.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", page, re.MULTILINE))
    options = fastrtc.AlgoOptions()
    assert list(rows) == [name for name in rows if hasattr(options, name)]
    assert set(rows) == {field.name for field in fields(options)}
    for name, shown in rows.items():
        value = getattr(options, name)
        written = {None: "chosen", float("inf"): "none"}.get(value)
        if written is None:
            written = f'`"{value}"`' if isinstance(value, str) else f"`{value}`" if value is True else f"{value:g}"
        assert shown.strip() == written, name


def test_the_browser_client_has_what_the_pages_import() -> None:
    exported = (ROOT / "js" / "client" / "src" / "index.js").read_text(encoding="utf-8")
    for page in PAGES:
        for names in re.findall(r"import \{ ([^}]+) \} from", (DOCS / page).read_text(encoding="utf-8")):
            assert [name for name in names.split(", ") if not re.search(rf"\b{name}\b", exported)] == []


def test_the_page_about_own_pages_knows_the_options_and_events_of_the_client() -> None:
    page = (DOCS / "how-to" / "own-page.md").read_text(encoding="utf-8")
    types = (ROOT / "js" / "client" / "src" / "session-types.js").read_text(encoding="utf-8")
    known = set(re.findall(r"@property \{.*\} \[?(\w+)\]?", types))
    shown: set[str] = set()
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        for first in re.findall(r"^\| (`[^|]*`) \|", table, re.MULTILINE):
            shown |= set(re.findall(r"`(\w+)`", first))
    assert shown <= known
    assert {"base", "inputs", "activity", "output", "ended"} <= shown

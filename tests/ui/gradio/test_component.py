"""The component and the page in Python: arguments, what the page is told, which app gets the endpoints."""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import fastrtc.ui.gradio
from fastrtc import AdditionalOutputs, ReplyOnPause, Stream, StreamHandler, WebRTC, WebRTCData
from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.ui.gradio.attaching import Attachments
from fastrtc.ui.gradio.carrying import Carrier
from fastrtc.ui.gradio.component import START, StreamComponent, picture

PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'


def reply(audio: Any) -> Any:
    yield audio


class Silent(StreamHandler):
    def receive(self, frame: Any) -> None: ...

    def emit(self) -> None: ...

    def copy(self) -> Silent:
        return Silent()


class Recorded:
    """Stands for a stream; remembers what it was told."""

    def __init__(self, outputs: list[AdditionalOutputs] | None = None) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._outputs = outputs or []

    def set_input(self, webrtc_id: str, *args: Any) -> None:
        self.told.append((webrtc_id, *args))

    def trigger_response(self, webrtc_id: str) -> None:
        self.told.append(("trigger", webrtc_id))

    async def output_stream(self, webrtc_id: str) -> Any:
        self.told.append(("follow", webrtc_id))
        for outputs in self._outputs:
            yield outputs

    async def fetch_latest_output(self, webrtc_id: str) -> AdditionalOutputs:
        self.told.append(("fetch", webrtc_id))
        return self._outputs[0]

    async def update_connection(self, webrtc_data: Any, desired_state: Any) -> None:
        self.told.append(("update", webrtc_data, desired_state))

    def mount(self, app: Starlette, path: str = "", tags: Any = None) -> None:
        Stream(Silent()).mount(app, path, tags)

    def page(self, base: str = ".") -> list[Any]:
        return Stream(Silent()).page(base)


def listeners(blocks: Any, component: Any) -> dict[str, list[Any]]:
    """The functions of a page by the name of the component's event that calls them."""
    found: dict[str, list[Any]] = {}
    for function in blocks.fns.values():
        for block_id, event in function.targets:
            if block_id == component._id:
                found.setdefault(event, []).append(function)
    return found


# ---------------------------------------------------------------------- its import


def test_importing_it_does_not_import_gradio() -> None:
    code = "from fastrtc import WebRTC; import sys; isinstance(1, WebRTC); print('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


def test_without_gradio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(fastrtc.ui.gradio, "version", missing)
    with pytest.raises(MissingExtraError, match=r"fastrtc\[gradio\]"):
        _ = Stream(Silent()).ui


@pytest.mark.parametrize("old", ["5.49.1", "6.9.0"])
def test_an_old_gradio_is_refused(monkeypatch: pytest.MonkeyPatch, old: str) -> None:
    monkeypatch.setattr(fastrtc.ui.gradio, "version", lambda _: old)
    with pytest.raises(ConfigurationError, match=rf"needs Gradio 6\.10 or newer and found {re.escape(old)}"):
        _ = Stream(Silent()).ui


def test_gradio_writes_no_stub_beside_the_module() -> None:
    folder = Path(str(inspect.getsourcefile(StreamComponent))).parent
    assert list(folder.glob("*.pyi")) == []


def test_front_and_component_have_the_same_arguments() -> None:
    front, inside = inspect.signature(WebRTC), inspect.signature(StreamComponent)
    assert list(front.parameters) == list(inside.parameters)
    assert [p.default for p in front.parameters.values()] == [p.default for p in inside.parameters.values()]


def test_the_fronts_methods_are_the_components() -> None:
    assert WebRTC.stream.__qualname__ == "StreamComponent.stream"
    with pytest.raises(AttributeError):
        _ = WebRTC.no_such_method


def test_it_can_be_subclassed() -> None:
    class Mine(WebRTC):
        """A component with a setting of its own."""

        def __init__(self, *args: Any, greeting: str = "hello", **options: Any) -> None:
            super().__init__(*args, **options)
            self.greeting = greeting

        def set_input(self, webrtc_id: str, *args: Any) -> None:
            super().set_input(webrtc_id, self.greeting, *args)

    assert issubclass(Mine, WebRTC)
    assert issubclass(Mine, StreamComponent)
    assert not issubclass(gr.HTML, WebRTC)
    assert issubclass(WebRTC, WebRTC)
    with gr.Blocks():
        mine = Mine(modality="audio", greeting="ahoy")
        mine.stream(Silent(), inputs=[mine], outputs=[mine])
    assert isinstance(mine, WebRTC)
    assert (mine.modality, mine.greeting) == ("audio", "ahoy")
    stream = Recorded()
    mine.serve(stream, Silent())
    mine.set_input("one", 1)
    assert stream.told == [("one", "ahoy", 1)]


# ---------------------------------------------------------------------- the component


def test_the_page_is_told_the_looks_and_no_secret() -> None:
    secret = {"iceServers": [{"urls": "turn:example.org", "username": "u", "credential": "hush"}]}
    component = WebRTC(
        label="Voice",
        height=200,
        width="50%",
        modality="audio",
        rtc_configuration=secret,
        server_rtc_configuration=secret,
        icon_button_color="red",
        button_labels={"start": "Go"},
        full_screen=None,
    )
    assert isinstance(component, WebRTC)
    config = component.get_config()
    assert "hush" not in json.dumps(config)
    looks = config["props"]
    assert looks["size"] == {"height": "200px", "width": "50%"}
    assert looks["button_labels"] == {"start": "Go", "stop": "", "waiting": ""}
    assert (looks["icon_button_color"], looks["caption"], looks["full_screen"]) == ("red", "Voice", True)
    assert WebRTC(label="Voice", show_label=False).get_config()["props"]["caption"] == ""


def test_a_picture_becomes_part_of_the_page(tmp_path: Path) -> None:
    file = tmp_path / "icon.svg"
    file.write_bytes(PICTURE)
    assert str(picture(str(file))).startswith("data:image/svg+xml;base64,")
    assert picture("https://example.org/a.png") == "https://example.org/a.png"
    assert picture(None) is None


@pytest.mark.parametrize("name", ["missing.png", "notes.txt"])
def test_another_icon_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ConfigurationError, match="icon"):
        WebRTC(icon=str(tmp_path / name))


def test_the_value_names_the_session() -> None:
    value = {"webrtc_id": "abc", "textbox": "hello"}
    assert WebRTC().preprocess(value) == "abc"
    assert WebRTC(variant="textbox").preprocess(value) == WebRTCData(webrtc_id="abc", textbox="hello")
    for other in (None, START, {}, {"webrtc_id": 3}):
        assert WebRTC().preprocess(other) is None


def test_without_a_handler_it_says_so() -> None:
    with pytest.raises(ConfigurationError, match="no handler"):
        WebRTC().set_input_gradio("abc", 1)


# ---------------------------------------------------------------------- its stream


@pytest.mark.parametrize(
    ("mode", "inputs", "outputs", "message"),
    [
        ("send-receive", [], "self", "first input"),
        ("send", ["other", "self"], "self", "first input"),
        ("send-receive", ["self"], "other", "only output"),
        ("receive", ["self"], "self", "is no input"),
        ("receive", [], "self", "needs a trigger"),
    ],
)
def test_wrong_components_are_refused(mode: Any, inputs: list[str], outputs: str, message: str) -> None:
    with gr.Blocks():
        named = {"self": WebRTC(mode=mode, modality="audio"), "other": gr.Textbox()}
        with pytest.raises(ConfigurationError, match=message):
            named["self"].stream(Silent(), [named[name] for name in inputs], [named[outputs]])


def test_stream_connects_the_events() -> None:
    handler = ReplyOnPause(reply)
    with gr.Blocks() as page:
        component = WebRTC(modality="audio", variant="textbox")
        level, name = gr.Slider(), gr.Textbox()
        component.stream(handler, [component, level, name], [component], time_limit=9, concurrency_limit=3)
    assert (component.event_handler, component.time_limit, handler.needs_args) == (handler, 9, True)
    stream = component.served()
    assert (stream.concurrency_limit, stream.time_limit) == (3, 9)
    assert sorted(listeners(page, component)) == ["submit", "tick"]
    for changing in (level, name):
        (sent,) = listeners(page, changing)["change"]
        assert [block._id for block in sent.inputs] == [component._id, level._id, name._id]


def test_inputs_may_be_sent_on_submit_only() -> None:
    with gr.Blocks() as page:
        component, name = WebRTC(modality="audio"), gr.Textbox()
        component.stream(Silent(), [component, name], component, send_input_on="submit")
    assert sorted(listeners(page, name)) == ["submit"]


def test_a_received_stream_starts_with_its_trigger() -> None:
    with gr.Blocks() as page:
        component, button, name = WebRTC(modality="audio", mode="receive"), gr.Button(), gr.Textbox()
        component.stream(Silent(), [name], [component], trigger=button.click)
    (click,) = listeners(page, button)["click"]
    assert click.fn() == START
    assert [block._id for block in listeners(page, component)["tick"][0].inputs] == [component._id, name._id]


def test_inputs_reach_the_session() -> None:
    stream = Recorded()
    component = StreamComponent()
    component.serve(stream, None)
    component.set_input_gradio("abc", 0.5, "Ada")
    component.set_input_gradio("abc")
    typed = WebRTCData(webrtc_id="abc", textbox="hello")
    component.set_input_on_submit(typed, 0.5)
    assert stream.told == [
        ("abc", 0.5, "Ada"),
        ("abc", WebRTCData(webrtc_id="abc")),
        ("abc", typed, 0.5),
        ("trigger", "abc"),
    ]


def test_what_a_stream_does_the_component_does_for_its_sessions() -> None:
    stream = Recorded([AdditionalOutputs(1)])
    component = StreamComponent()
    component.serve(stream, None)

    async def scenario() -> None:
        component.set_input("abc", 1)
        assert [outputs.args async for outputs in component.output_stream("abc")] == [(1,)]
        assert (await component.fetch_latest_output("abc")).args == (1,)
        await component.update_connection("abc", "closed")

    asyncio.run(scenario())
    assert stream.told == [("abc", 1), ("follow", "abc"), ("fetch", "abc"), ("update", "abc", "closed")]


def test_what_the_stream_knows_the_component_knows() -> None:
    stream = Stream(Silent(), modality="audio", concurrency_limit=3, rtc_configuration={"iceServers": []})
    component = stream.webrtc_component
    candidate = {"type": "ice-candidate", "webrtc_id": "nobody", "candidate": {"candidate": ""}}

    async def scenario() -> None:
        assert await component.resolve_rtc_configuration() == {"iceServers": []}
        assert (await component.offer(candidate))["meta"]["error"] == "unknown_connection"
        outputs = component.set_additional_outputs("abc")
        assert (await component.handle_offer(candidate, outputs))["status"] == "failed"

    asyncio.run(scenario())
    component.clean_up("nobody")
    stream.additional_outputs.open("abc")
    assert component.concurrency_limit == 3
    assert component.connections == component.handlers == component.data_channels == {}
    assert list(component.additional_outputs) == ["abc"]


def test_a_component_without_a_stream_has_no_sessions() -> None:
    component = WebRTC(modality="audio", icon_radius=7, button_labels={"start": "Call"}, height=300)
    assert component.concurrency_limit is None
    assert component.connections == component.handlers == component.data_channels == component.additional_outputs == {}
    assert (component.icon_radius, component.button_labels, component.height) == (7, {"start": "Call"}, 300)
    with pytest.raises(ConfigurationError, match="no handler"):
        component.clean_up("abc")


def outputs_of(fn: Callable[..., Any], yielded: list[AdditionalOutputs], *values: Any) -> list[Any]:
    """What Gradio gets from the listener of ``on_additional_outputs`` with two components, both ways."""
    component = StreamComponent()
    component.serve(Recorded(yielded), None)
    with gr.Blocks() as page:
        component.render()
        shown = [gr.Textbox(), gr.Number()]
        component.on_additional_outputs(fn, shown, shown)
    (listener,) = listeners(page, component)["state_change"]
    assert listener.show_progress == "hidden"

    async def collect() -> list[Any]:
        return [result async for result in listener.fn("abc", *values)]

    return asyncio.run(collect())


def test_outputs_are_passed_with_the_values_before_them() -> None:
    yielded = [AdditionalOutputs("b"), AdditionalOutputs("c")]
    given = outputs_of(lambda text, number, more: (text + more, number + 1), yielded, "a", 1)
    assert given == [("ab", 2), ("abc", 3)]


def test_without_outputs_nothing_is_changed() -> None:
    assert outputs_of(lambda *_: "never called", [], "a", 1) == [(gr.skip(), gr.skip())]
    assert Carrier([], [gr.Textbox()]).unchanged == gr.skip()
    assert Carrier([], []).unchanged is None


def test_an_outputs_handler_may_be_async_and_update_properties() -> None:
    async def update(text: str, number: int, more: str) -> Any:
        await asyncio.sleep(0)
        return text + more, gr.skip()

    given = outputs_of(update, [AdditionalOutputs("b"), AdditionalOutputs("c")], "a", 1)
    assert [text for text, _ in given] == ["ab", "abc"]


def test_what_a_handler_gave_is_carried() -> None:
    text, number, other = gr.Textbox(), gr.Number(), gr.Slider()
    carrier = Carrier([text, other, number], [number, text])
    assert carrier.after(["a", 0, 1], (2, "b")) == ["b", 0, 2]
    assert carrier.after(["a", 0, 1], {text: "c"}) == ["c", 0, 1]
    assert carrier.after(["a", 0, 1], (gr.Number(visible=False), "b")) == ["b", 0, 1]
    assert carrier.after(["a", 0, 1], None) == ["a", 0, 1]
    assert Carrier([text], [text]).after(["a"], ["a", "list"]) == [["a", "list"]]


# ---------------------------------------------------------------------- endpoints


def test_endpoints_live_under_the_token_and_as_long_as_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    ended: list[str] = []

    class Served(Recorded):
        def mount(self, app: Starlette, path: str = "", tags: Any = None) -> None:
            super().mount(app, path, tags)
            outer = app.router.lifespan_context

            @asynccontextmanager
            async def lifespan(inner: Starlette) -> Any:
                try:
                    async with outer(inner):
                        yield
                finally:
                    ended.append("closed")

            app.router.lifespan_context = lifespan

    app, stream, attachments = Starlette(), Served(), Attachments("secret")

    async def attach() -> None:
        assert attachments.add(app, stream) == "/gradio_api/fastrtc/secret/"
        assert attachments.add(app, stream) == "/gradio_api/fastrtc/secret/"
        await asyncio.sleep(0)

    asyncio.run(attach())
    assert ended == ["closed"]
    # Gradio says where its page is; a visitor's token does not belong into logs.
    assert capsys.readouterr().err == ""
    client = TestClient(app)
    for path in ("config.json", "static/gradio/component.js", "client/index.js"):
        assert client.get("/gradio_api/fastrtc/secret/" + path).status_code == 200
    assert client.get("/gradio_api/fastrtc/guessed/config.json").status_code == 404
    assert client.post("/gradio_api/fastrtc/secret/webrtc/offer", json={}).status_code == 422
    assert client.post("/webrtc/offer", json={}).status_code == 404


# ---------------------------------------------------------------------- stream.ui


@pytest.mark.parametrize("mode", ["send-receive", "send", "receive"])
@pytest.mark.parametrize("modality", ["audio", "video", "audio-video"])
def test_every_mode_has_a_page(mode: Any, modality: Any) -> None:
    stream = Stream(
        reply, mode=mode, modality=modality, additional_inputs=[gr.Slider()], ui_args={"subtitle": "a <b>bold</b> one"}
    )
    page = stream.ui
    assert stream.ui is page
    assert isinstance(stream.webrtc_component, WebRTC)
    config = stream.webrtc_component.get_config()["props"]
    assert (config["mode"], config["modality"]) == (mode, modality)
    assert stream.webrtc_component.served() is stream
    texts = [block.value for block in page.blocks.values() if type(block) is gr.HTML]
    assert "a <b>bold</b> one" in texts[0]
    assert any(isinstance(block, gr.Button) for block in page.blocks.values()) is (mode == "receive")


def test_the_page_follows_the_looks() -> None:
    looks: Any = {"hide_title": True, "icon_radius": 20, "pulse_color": "blue", "full_screen": False}
    stream = Stream(Silent(), ui_args=looks)
    told = stream.webrtc_component.get_config()["props"]
    assert (told["icon_radius"], told["pulse_color"], told["full_screen"]) == (20, "blue", False)
    assert not any(type(block) is gr.HTML for block in stream.ui.blocks.values())


def test_titles_are_text_unless_they_are_html() -> None:
    stream = Stream(Silent(), ui_args={"title": "Q & A"})
    (heading,) = [block.value for block in stream.ui.blocks.values() if type(block) is gr.HTML]
    assert "<h1>Q &amp; A</h1>" in heading
    assert stream.ui.title == "Q & A"
    assert Stream(Silent(), ui_args={"title": "<h2>Big</h2>"}).ui.title == "Big"


def test_a_chat_stands_above_a_compact_component_and_each_input_once() -> None:
    chat, level = gr.Chatbot(), gr.Slider()
    stream = Stream(
        Silent(),
        additional_inputs=[chat, level],
        additional_outputs=[chat],
        additional_outputs_handler=lambda before, after: after,
    )
    page = stream.ui
    order = [block._id for block in page.blocks.values()]
    assert order.index(chat._id) < order.index(stream.webrtc_component._id) < order.index(level._id)
    assert stream.webrtc_component.get_config()["props"]["full_screen"] is False
    assert set(listeners(page, stream.webrtc_component)) == {"tick", "submit", "state_change"}

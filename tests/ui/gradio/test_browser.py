"""A person uses the Gradio page: real Gradio, real browser, real sessions, a recorded file as the microphone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.interop.browser.camera import write_camera

from fastrtc import (
    AdditionalOutputs,
    AsyncAudioVideoStreamHandler,
    CloseStream,
    ReplyOnPause,
    Stream,
    StreamHandler,
    Warning,
    WebRTC,
    WebRTCData,
    WebRTCError,
    wait_for_item,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RATE_HZ = 24_000
BACKGROUND = "e => getComputedStyle(e).backgroundColor"


def tone(seconds: float, hz: float = 440.0) -> tuple[int, Any]:
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return RATE_HZ, (8000 * np.sin(2 * np.pi * hz * time_s)).astype(np.int16).reshape(1, -1)


def activity(page: Page, *expected: str) -> None:
    page.locator(",".join(f".stage[data-activity={name}]" for name in expected)).wait_for()


def talk(page: Page) -> None:
    page.locator("button.main").last.click()
    page.locator(".stage[data-live]").wait_for()


def eventually(page: Page, condition: Callable[[], bool]) -> None:
    """Let the page go on until something is true in Python."""
    for _ in range(300):
        if condition():
            return
        page.wait_for_timeout(50)
    pytest.fail("it did not come to that")


def toasts(page: Page, kind: str) -> Locator:
    return page.locator(f".toast-body.{kind}")


class Talking(StreamHandler):
    """Says a tone at once and for ever; tells a test what happens to it."""

    def __init__(self, log: list[str] | None = None, ended: threading.Event | None = None) -> None:
        super().__init__()
        self.log = [] if log is None else log
        self.ended = ended or threading.Event()

    def start_up(self) -> None:
        self.wait_for_args_sync()
        self.log.append(repr(self.latest_args))

    def receive(self, frame: Any) -> None: ...

    def emit(self) -> Any:
        return tone(0.02)

    def shutdown(self) -> None:
        self.ended.set()

    def copy(self) -> Talking:
        return Talking(self.log, self.ended)


# ---------------------------------------------------------------------- a conversation


@pytest.mark.speech
@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_a_conversation_with_inputs_and_a_chat(
    launch_page: Any, launch_browser: Any, open_page: Any, sentence: Path, transport: str
) -> None:
    lengths: list[float] = []

    def answer(audio: tuple[int, Any], chat: list[Any], name: str, level: float) -> Iterator[Any]:
        rate_hz, samples = audio
        lengths.append(samples.shape[1] / rate_hz)
        chat = [*(chat or []), {"role": "user", "content": f"{name} spoke at {level:g}"}]
        yield AdditionalOutputs(chat)
        yield tone(1.0)
        yield AdditionalOutputs([*chat, {"role": "assistant", "content": "beep"}])

    chat = gr.Chatbot()
    name, level = gr.Textbox("Ada", label="Name"), gr.Slider(0, 10, value=3, label="Level")
    stream = Stream(
        ReplyOnPause(answer),
        modality="audio",
        additional_inputs=[chat, name, level],
        additional_outputs=[chat],
        additional_outputs_handler=lambda _, after: after,
    )
    page: Page = open_page(launch_browser(microphone=sentence), f"{launch_page(stream.ui)}?transport={transport}")
    page.get_by_label("Name").fill("Grace")
    talk(page)
    activity(page, "replying")
    expect(page.locator(".message.user").first).to_have_text("Grace spoke at 3")
    expect(page.locator(".message.bot").first).to_have_text("beep")
    assert page.evaluate("sessions[0].transport") == transport
    # The next turn gets what the page shows by then: another name, and the chat so far.
    page.get_by_label("Name").fill("Hedy")
    expect(page.locator(".message.user").nth(1)).to_have_text("Hedy spoke at 3")
    assert 1.0 < lengths[0] < 4.0
    assert page.evaluate("loudest") > 0.5
    assert len(stream.connections) == 1
    page.get_by_role("button", name="Stop").click()
    activity(page, "ended")
    expect(page.locator(".state")).to_have_text("Ended")


def test_typing_opens_a_session_without_a_microphone(mount_page: Any, launch_browser: Any, open_page: Any) -> None:
    seen: list[Any] = []

    def answer(data: WebRTCData, chat: list[Any], name: str) -> Iterator[Any]:
        seen.append((data.textbox, data.webrtc_id, name))
        yield AdditionalOutputs([*(chat or []), {"role": "user", "content": data.textbox}])
        yield tone(0.3)

    chat, name = gr.Chatbot(), gr.Textbox("Ada", label="Name")
    stream = Stream(
        ReplyOnPause(answer),
        modality="audio",
        ui_args={"variant": "textbox"},
        additional_inputs=[chat, name],
        additional_outputs=[chat],
        additional_outputs_handler=lambda _, after: after,
    )
    page: Page = open_page(launch_browser(allowed=False), mount_page(stream.ui).url)
    box = page.get_by_role("textbox", name="Message")
    box.fill("What time is it?")
    box.press("Enter")
    expect(page.get_by_test_id("user")).to_have_text("What time is it?")
    box.fill("And now?")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_test_id("user")).to_have_text(["What time is it?", "And now?"])
    session_id = page.evaluate("sessions[0].id")
    assert seen == [("What time is it?", session_id, "Ada"), ("And now?", session_id, "Ada")]
    expect(box).to_have_value("")
    # Without the permission to talk the typed session is not lost to a failed attempt without a word about it.
    page.get_by_role("button", name="Talk").click()
    expect(page.get_by_role("alert")).to_contain_text("The microphone is blocked")
    page.get_by_role("button", name="Type instead").click()
    expect(box).to_be_focused()


# ---------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("act", "kind", "text"),
    [
        (lambda: (_ for _ in ()).throw(WebRTCError("The model is asleep")), "error", "The model is asleep"),
        (lambda: Warning("The model is slow"), "warning", "The model is slow"),
        (lambda: 1 / 0, "error", "division by zero"),
    ],
    ids=["WebRTCError", "Warning", "another exception"],
)
def test_errors_and_warnings_are_toasts(
    launch_page: Any, launch_browser: Any, open_page: Any, act: Callable[[], Any], kind: str, text: str
) -> None:
    def answer(data: WebRTCData) -> Iterator[Any]:
        act()
        yield tone(0.1)

    stream = Stream(ReplyOnPause(answer), modality="audio", ui_args={"variant": "textbox"})
    page: Page = open_page(launch_browser(), launch_page(stream.ui))
    page.get_by_label("Message").fill("hello")
    page.keyboard.press("Enter")
    expect(toasts(page, kind)).to_contain_text(text)
    assert page.evaluate("sessions[0].activity") != "ended"


def test_a_refused_microphone_is_explained_and_tried_again(
    launch_page: Any, launch_browser: Any, open_page: Any
) -> None:
    stream = Stream(Talking(), modality="audio")
    page: Page = open_page(launch_browser(allowed=False), launch_page(stream.ui))
    page.get_by_role("button", name="Talk").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The microphone is blocked")
    expect(page.locator(".state")).to_have_text("Not connected")
    page.get_by_role("button", name="Try again").click()
    expect(alert).to_contain_text("The microphone is blocked")
    assert len(page.evaluate("sessions.map((session) => session.id)")) == 2
    assert len(stream.connections) == 0


def test_a_full_server_says_so(launch_page: Any, launch_browser: Any, open_page: Any) -> None:
    stream = Stream(Talking(), modality="audio", concurrency_limit=1)
    url = launch_page(stream.ui)
    browser: Browser = launch_browser()
    first: Page = open_page(browser, url)
    talk(first)
    second: Page = open_page(browser, url)
    second.get_by_role("button", name="Talk").click()
    expect(second.get_by_role("alert")).to_contain_text("The server is full")
    activity(first, "listening")


def test_the_handler_may_end_the_session(launch_page: Any, launch_browser: Any, open_page: Any) -> None:
    def answer(data: WebRTCData) -> Iterator[Any]:
        yield AdditionalOutputs("last words")
        yield CloseStream("That was all")

    shown = gr.Textbox(label="Shown")
    stream = Stream(
        ReplyOnPause(answer),
        modality="audio",
        ui_args={"variant": "textbox"},
        additional_outputs=[shown],
        additional_outputs_handler=lambda _, after: after,
    )
    page: Page = open_page(launch_browser(), launch_page(stream.ui))
    page.get_by_label("Message").fill("hello")
    page.keyboard.press("Enter")
    activity(page, "ended")
    expect(page.locator(".notice")).to_contain_text("That was all")
    expect(page.get_by_label("Shown")).to_have_value("last words")


# ---------------------------------------------------------------------- states


def test_muting_and_stopping(launch_page: Any, launch_browser: Any, open_page: Any) -> None:
    ended = threading.Event()
    stream = Stream(Talking(ended=ended), modality="audio")
    page: Page = open_page(launch_browser(), launch_page(stream.ui))
    talk(page)
    page.get_by_role("button", name="Mute").click()
    expect(page.locator(".state")).to_have_text("Muted")
    assert page.evaluate("sessions[0].inputStream.getAudioTracks()[0].enabled") is False
    page.get_by_role("button", name="Unmute").click()
    expect(page.locator(".state")).to_have_text("Listening")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Talk")).to_be_visible()
    assert page.evaluate("sessions[0].inputStream.getAudioTracks()[0].readyState") == "ended"
    assert ended.wait(15)


def test_leaving_the_page_or_stopping_gradio_ends_the_session(
    mount_page: Any, launch_browser: Any, open_page: Any
) -> None:
    ended = threading.Event()
    stream = Stream(Talking(ended=ended), modality="audio")
    mounted = mount_page(stream.ui)
    page: Page = open_page(launch_browser(), mounted.url)
    talk(page)
    mounted.stop()
    assert ended.is_set()


def test_the_components_own_labels_events_and_custom_pages(
    launch_page: Any, launch_browser: Any, open_page: Any
) -> None:
    log: list[str] = []
    with gr.Blocks() as blocks:
        voice = WebRTC(
            modality="audio", button_labels={"start": "Call", "stop": "Hang up"}, full_screen=False, label="Line 1"
        )
        level, shown = gr.Number(5, label="Level"), gr.Textbox(label="Session")
        voice.stream(Talking(log), inputs=[voice, level], outputs=[voice], concurrency_limit=2)
        voice.start_recording(lambda session_id: f"on {session_id}", voice, shown)
        voice.stop_recording(lambda session_id: f"off {session_id}", voice, shown)
    page: Page = open_page(launch_browser(), launch_page(blocks))
    expect(page.locator(".caption")).to_have_text("Line 1")
    page.get_by_role("button", name="Call").click()
    page.locator(".stage[data-live]").wait_for()
    expect(page.get_by_label("Session")).to_have_value(page.evaluate("'on ' + sessions[0].id"))
    page.wait_for_function("sessions[0].levels.output > 0.2")
    eventually(page, lambda: log == ["['__webrtc_value__', 5]"])
    page.get_by_label("Level").fill("7")
    (session,) = voice.served().connections.values()
    eventually(page, lambda: session.handler.latest_args == ["__webrtc_value__", 7])
    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_label("Session")).to_have_value(page.evaluate("'off ' + sessions[0].id"))


def test_a_stream_that_is_only_received(launch_page: Any, launch_browser: Any, open_page: Any) -> None:
    log: list[str] = []
    stream = Stream(Talking(log), modality="audio", mode="receive", additional_inputs=[gr.Number(4, label="Level")])
    page: Page = open_page(launch_browser(allowed=False), launch_page(stream.ui))
    start = page.get_by_role("button", name="Start stream")
    start.click()
    page.wait_for_function("sessions[0]?.levels.output > 0.2")
    expect(page.locator(".state")).to_have_text("Playing")
    eventually(page, lambda: log == ["['__webrtc_value__', 4]"])
    # Once more while it runs: nothing happens to it.
    start.click()
    page.get_by_role("button", name="Stop").click()
    activity(page, "ended")
    start.click()
    page.wait_for_function("sessions[1]?.levels.output > 0.2")
    assert page.evaluate("sessions.length") == 2


@pytest.mark.parametrize("mode", ["send-receive", "send", "receive"])
def test_a_camera_is_shown_as_the_function_changed_it(
    launch_page: Any, launch_browser: Any, open_page: Any, mode: Any
) -> None:
    seen: list[tuple[int, ...]] = []

    def half(frame: Any) -> Any:
        seen.append(frame.shape)
        return np.ascontiguousarray(frame[: frame.shape[0] // 4 * 2])

    def send(frame: Any) -> Any:
        seen.append(frame.shape)
        return AdditionalOutputs(len(seen))

    def receive() -> Iterator[Any]:
        while True:
            yield np.full((120, 160, 3), 200, np.uint8)

    function = {"send-receive": half, "send": send, "receive": receive}[mode]
    page: Page = open_page(launch_browser(), launch_page(Stream(function, modality="video", mode=mode).ui))
    page.get_by_role("button", name="Start", exact=True).click()
    shown = page.locator("video.own" if mode == "send" else "video.reply")
    expect(shown).to_be_visible()
    page.wait_for_function("(video) => video.videoWidth > 2", arg=shown.element_handle())
    width, height = shown.evaluate("(video) => [video.videoWidth, video.videoHeight]")
    if mode == "receive":
        assert width / height == 160 / 120
    else:
        eventually(page, lambda: bool(seen))
        whole = seen[-1][1] / seen[-1][0]
        assert width / height == pytest.approx(whole if mode == "send" else 2 * whole, rel=0.03)
    assert page.locator("video:visible").count() == 1
    frame = page.locator(".screen").bounding_box()
    assert frame is not None
    assert frame["width"] / frame["height"] == pytest.approx(width / height, rel=0.02)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(shown).to_be_hidden()


class Mirror(AsyncAudioVideoStreamHandler):
    """Gives sound back as it is, and pictures upside down."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=RATE_HZ, output_sample_rate=RATE_HZ)
        self.sound: asyncio.Queue[Any] = asyncio.Queue()
        self.pictures: asyncio.Queue[Any] = asyncio.Queue(1)

    async def start_up(self) -> None: ...

    async def receive(self, frame: Any) -> None:
        self.sound.put_nowait(frame)

    async def emit(self) -> Any:
        return await wait_for_item(self.sound)

    async def video_receive(self, frame: Any) -> None:
        if not self.pictures.full():
            self.pictures.put_nowait(frame)

    async def video_emit(self) -> Any:
        return np.ascontiguousarray((await self.pictures.get())[::-1])

    def copy(self) -> Mirror:
        return Mirror()


# Mean brightness of the upper and of the lower half of what a video element shows.
HALVES = """(video) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
  canvas.getContext("2d").drawImage(video, 0, 0, 8, 8);
  const { data } = canvas.getContext("2d").getImageData(0, 0, 8, 8);
  const half = (start) => data.slice(start, start + 128).filter((_, i) => i % 4 < 3).reduce((a, b) => a + b) / 96;
  return [half(0), half(128)];
}"""


def test_a_camera_and_a_microphone_come_back(
    launch_page: Any, launch_browser: Any, open_page: Any, tmp_path: Path
) -> None:
    scene = np.full((480, 640, 3), 220, np.uint8)
    scene[240:] = 20
    camera = write_camera(tmp_path / "camera.y4m", scene)
    stream = Stream(Mirror(), modality="audio-video")
    page: Page = open_page(launch_browser(camera=camera), launch_page(stream.ui))
    page.get_by_role("button", name="Start", exact=True).click()
    reply, own = page.locator("video.reply"), page.locator("video.own")
    for video in (reply, own):
        expect(video).to_be_visible()
        page.wait_for_function("(video) => video.videoWidth > 2", arg=video.element_handle())
    up, down = own.evaluate(HALVES)
    assert up > down + 150
    page.wait_for_function(
        f"(video) => {{ const [up, down] = ({HALVES})(video); return down > up + 150; }}", arg=reply.element_handle()
    )
    # The browser's own microphone beeps once a second.
    page.wait_for_function("loudest > 0.1")
    inset, frame = own.bounding_box(), reply.bounding_box()
    assert inset is not None
    assert frame is not None
    assert inset["width"] < frame["width"] / 2
    assert own.evaluate("(video) => getComputedStyle(video).transform") == "matrix(-1, 0, 0, 1, 0, 0)"
    page.get_by_role("button", name="Mute").click()
    expect(page.locator(".state")).to_have_text("Muted")
    page.get_by_role("button", name="Stop", exact=True).click()
    for video in (reply, own):
        expect(video).to_be_hidden()
    eventually(page, lambda: not stream.connections)


def test_a_login_protects_the_sessions_too(launch_page: Any, launch_browser: Any, open_page: Any) -> None:
    stream = Stream(Talking(), modality="audio")
    url = launch_page(stream.ui, auth=("ada", "secret"))
    page: Page = launch_browser().new_page()
    page.goto(url)
    component = stream.webrtc_component
    body = {"component_id": component._id, "fn_name": "attach_endpoints", "data": {}, "session_hash": "x"}
    refused = page.request.post(f"{url}gradio_api/component_server/", data=body)
    assert refused.status == 401
    page.get_by_label("username").fill("ada")
    page.get_by_label("password").fill("secret")
    page.get_by_role("button", name="Login").click()
    page.locator(".stage").wait_for()
    talk(page)
    activity(page, "listening")


# ---------------------------------------------------------------------- looks

LOOKS: dict[str, dict[str, Any]] = {
    "wave": {},
    "icon": {"icon": "https://example.invalid/icon.svg", "icon_button_color": "rgb(1, 2, 3)", "icon_radius": 20},
    "bar": {"full_screen": False},
    "textbox": {"variant": "textbox"},
}


@pytest.mark.parametrize("variant", LOOKS)
def test_every_variant_fits_in_light_and_dark(
    launch_page: Any, launch_browser: Any, open_page: Any, variant: str
) -> None:
    looks: Any = LOOKS[variant]
    url = launch_page(Stream(Talking(), modality="audio", ui_args=looks).ui)
    browser: Browser = launch_browser()
    grounds = {}
    for theme in ("light", "dark"):
        for width, height in ((1280, 800), (390, 844)):
            page: Page = open_page(browser, f"{url}?__theme={theme}", viewport={"width": width, "height": height})
            stage = page.locator(".stage")
            box = stage.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert (box["height"] > 300) is (variant in ("wave", "icon"))
            grounds[theme] = stage.evaluate(BACKGROUND)
            inks = stage.evaluate("e => getComputedStyle(e).color")
            assert inks != grounds[theme]
            if variant == "icon":
                main = page.locator("button.main.pictured")
                assert main.evaluate(BACKGROUND) == "rgb(1, 2, 3)"
                assert main.evaluate("e => getComputedStyle(e).borderRadius") == "20%"
            page.context.close()
    assert grounds["light"] != grounds["dark"]

"""The component: a ``gr.HTML`` whose script loads the browser client and draws the controls."""

from __future__ import annotations

import asyncio
import base64
import inspect
import mimetypes
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import gradio as gr
from gradio.blocks import Block
from gradio.components.base import server

from fastrtc.errors import ConfigurationError
from fastrtc.outputs import AdditionalOutputs, WebRTCData
from fastrtc.ui.gradio.attaching import Attachments
from fastrtc.ui.gradio.carrying import Carrier
from fastrtc.ui.gradio.served import ServedComponent, id_of

START = "start_webrtc_stream"
FOLLOW_S = 1.0

SCRIPT = """
(async () => {
  const root = (window.gradio_config?.root ?? new URL(".", document.baseURI).href).replace(/[/]$/, "");
  const base = new URL(root + (await server.attach_endpoints({})));
  const { show } = await import(new URL("static/gradio/component.js", base).href);
  await show({ element, props, trigger, watch, base });
})().catch((error) => {
  element.textContent = "The stream cannot be reached. Reload the page to try again.";
  trigger("error", String(error?.message ?? error));
});
"""

PASSED_ON = ("label", "scale", "min_width", "visible", "elem_id", "elem_classes", "render", "key")
# Applications may read them; the page is told them in another form.
KEPT = (
    "height",
    "width",
    "mirror_webcam",
    "icon",
    "icon_button_color",
    "pulse_color",
    "icon_radius",
    "button_labels",
    "full_screen",
)
TOLD = ("mode", "modality", "variant", "mirror_webcam", "rtp_params", "icon_button_color", "pulse_color", "icon_radius")
# The script draws everything, its frame and label too.
FRAME: Mapping[str, Any] = {
    "value": None,
    "show_label": False,
    "html_template": "",
    "apply_default_css": False,
    "js_on_load": SCRIPT,
    "container": False,
    "padding": False,
}


class StreamComponent(ServedComponent):
    """Speaks with a handler from inside a Gradio page.

    Its value as an input of an event is the session's ``webrtc_id``, or with ``variant="textbox"`` a
    :class:`fastrtc.WebRTCData` that holds what was typed, too.

    Args:
        value: Ignored; FastRTC has it.
        height: Of the component: pixels, or a CSS length.
        width: Of the component.
        label: Shown in its corner.
        every: Ignored, as ``value`` is.
        inputs: Ignored, as ``value`` is.
        show_label: Whether the label is shown.
        container: Whether it stands in a card of its own.
        scale: Its share of a row.
        min_width: Pixels below which the row is broken.
        interactive: Ignored; FastRTC has it.
        visible: Whether it is there.
        elem_id: Its id in the page.
        elem_classes: Its classes in the page.
        render: Whether it is rendered where it is made.
        key: Identity across re-renders.
        mirror_webcam: Show the camera as a mirror does.
        rtc_configuration: ICE servers of the browser: a dict, or a function or coroutine function that makes one.
        server_rtc_configuration: ICE servers of this side.
        track_constraints: What the browser asks of its devices.
        time_limit: Seconds that a session may last.
        allow_extra_tracks: Ignore tracks that the modality does not use.
        mode: Direction of the media, as the browser sees it.
        modality: Kind of the media.
        rtp_params: Parameters of the browser's RTP senders.
        icon: File or URL of a picture that stands on the button instead of the wave.
        icon_button_color: CSS colour of the button.
        pulse_color: CSS colour of the rings around it.
        icon_radius: Roundness of the button in percent.
        button_labels: Texts of the button: ``start``, ``stop``, ``waiting``.
        variant: ``"wave"``, or ``"textbox"`` to type as well as speak.
        full_screen: Take the height of the window. False: a compact bar.

    Raises:
        ConfigurationError: An argument that cannot work.
    """

    EVENTS: ClassVar[list[Any]] = ["tick", "state_change", "submit", "start_recording", "stop_recording"]

    def __init__(
        self,
        value: None = None,
        height: int | str | None = None,
        width: int | str | None = None,
        label: str | None = None,
        every: Any = None,
        inputs: Any = None,
        show_label: bool | None = None,
        container: bool = True,
        scale: int | None = None,
        min_width: int = 160,
        interactive: bool | None = None,
        visible: bool = True,
        elem_id: str | None = None,
        elem_classes: list[str] | str | None = None,
        render: bool = True,
        key: int | str | None = None,
        mirror_webcam: bool = True,
        rtc_configuration: Any = None,
        server_rtc_configuration: dict[str, Any] | None = None,
        track_constraints: dict[str, Any] | None = None,
        time_limit: float | None = None,
        allow_extra_tracks: bool = False,
        mode: Literal["send-receive", "receive", "send"] = "send-receive",
        modality: Literal["video", "audio", "audio-video"] = "video",
        rtp_params: dict[str, Any] | None = None,
        icon: str | None = None,
        icon_button_color: str | None = None,
        pulse_color: str | None = None,
        icon_radius: int | None = None,
        button_labels: dict[str, str] | None = None,
        variant: Literal["textbox", "wave"] = "wave",
        full_screen: bool | None = True,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        self.mode = mode
        self.modality = modality
        self.variant = variant
        self.rtc_configuration = rtc_configuration
        self.server_rtc_configuration = server_rtc_configuration
        self.track_constraints = track_constraints
        self.time_limit = time_limit
        self.allow_extra_tracks = allow_extra_tracks
        self.rtp_params = rtp_params or {}
        for name in KEPT:
            setattr(self, name, given[name])
        self._attachments = Attachments(secrets.token_urlsafe(16))
        super().__init__(**{name: given[name] for name in PASSED_ON}, **FRAME, **_looks(given))

    # ------------------------------------------------------------------ what Gradio asks

    def get_config(self) -> dict[str, Any]:
        """What the page is told: the properties of ``gr.HTML``, and nothing of the server's configuration."""
        config: dict[str, Any] = super().get_config()
        for private in ("rtc_configuration", "server_rtc_configuration", *KEPT):
            config.pop(private, None)
        return config

    def preprocess(self, payload: Mapping[str, Any] | str | None) -> WebRTCData | str | None:
        """The component as an input: which session, and what was typed."""
        if not isinstance(payload, Mapping) or not isinstance(payload.get("webrtc_id"), str):
            return None
        if self.variant == "textbox":
            return WebRTCData(webrtc_id=payload["webrtc_id"], textbox=str(payload.get("textbox") or ""))
        return str(payload["webrtc_id"])

    def postprocess(self, value: Any) -> Any:
        """The component as an output: nothing, or the word that starts a stream that is only received."""
        return value

    def api_info(self) -> dict[str, Any]:
        """Schema of the value."""
        return {"type": "object", "properties": {"webrtc_id": {"type": "string"}, "textbox": {"type": "string"}}}

    def example_payload(self) -> Any:
        """A value of :meth:`api_info`'s schema."""
        return {"webrtc_id": "id", "textbox": ""}

    def example_value(self) -> Any:
        """No value can be given."""
        return None

    @server  # type: ignore[untyped-decorator]
    async def attach_endpoints(self, _: Any, request: gr.Request) -> str:
        """See to it that the page can reach the stream, and say where (for the component's own script).

        Raises:
            ConfigurationError: The component has no stream.
        """
        return self._attachments.add(request.app, self.served())

    # ------------------------------------------------------------------ the stream

    def stream(
        self,
        fn: Any = None,
        inputs: Any = None,
        outputs: Any = None,
        js: str | None = None,
        concurrency_limit: int | Literal["default"] | None = "default",
        concurrency_id: str | None = None,
        time_limit: float | None = None,
        trigger: Callable[..., Any] | None = None,
        send_input_on: Literal["submit", "change"] = "change",
    ) -> Any:
        """Give the component its handler, and the handler the values of other components.

        Args:
            fn: The handler.
            inputs: This component first (not in mode ``receive``), then those whose values the handler gets.
            outputs: This component.
            js: Runs in the page before inputs are sent.
            concurrency_limit: Sessions at once; ``"default"`` and None mean one.
            concurrency_id: Group of Gradio's queue in which inputs are sent.
            time_limit: Seconds that a session may last.
            trigger: In mode ``receive`` the event that starts it, for example ``button.click``.
            send_input_on: When inputs are sent besides the handler's asking for them: at every ``change``, or at
                ``submit``.

        Raises:
            ConfigurationError: Other components than these, or no trigger where one is needed.
        """
        self.time_limit = time_limit if time_limit is not None else self.time_limit
        if self.variant == "textbox" and hasattr(fn, "needs_args"):
            fn.needs_args = True
        self.serve(self.new_stream(fn, concurrency_limit), fn)
        return self.send_inputs(
            inputs, outputs, js=js, concurrency_id=concurrency_id, trigger=trigger, send_input_on=send_input_on
        )

    def send_inputs(
        self,
        inputs: Any,
        outputs: Any,
        *,
        js: str | None = None,
        concurrency_id: str | None = None,
        trigger: Callable[..., Any] | None = None,
        send_input_on: Literal["submit", "change"] = "change",
    ) -> Any:
        """Connect the events that give a session its inputs; the arguments are those of :meth:`stream`.

        Raises:
            ConfigurationError: As of :meth:`stream`.
        """
        given, shown = _listed(inputs), _listed(outputs)
        if shown != [self]:
            raise ConfigurationError("the only output of a stream is the WebRTC component itself: outputs=[webrtc]")
        if self.mode == "receive":
            if self in given:
                raise ConfigurationError('in mode "receive" the WebRTC component is no input of its stream')
            if trigger is None:
                raise ConfigurationError('mode "receive" needs a trigger that starts it, for example button.click')
            trigger(lambda: START, inputs=None, outputs=self, show_progress="hidden", api_visibility="private")
            given = [self, *given]
        elif not given or given[0] is not self:
            raise ConfigurationError("the first input of a stream is the WebRTC component: inputs=[webrtc, ...]")
        options: dict[str, Any] = {
            "inputs": given,
            "outputs": None,
            "js": js,
            "concurrency_id": concurrency_id,
            "concurrency_limit": None,
            "show_progress": "hidden",
            "trigger_mode": "multiple",
            "api_visibility": "private",
        }
        for component in given[1:]:
            listen = getattr(component, send_input_on, None)
            if listen is not None:
                listen(self.set_input_gradio, **options | {"trigger_mode": "always_last"})
        self.submit(self.set_input_on_submit, **options)
        return self.tick(self.set_input_gradio, **options)

    def on_additional_outputs(
        self,
        fn: Callable[..., Any],
        inputs: Any = None,
        outputs: Any = None,
        js: str | None = None,
        concurrency_limit: int | Literal["default"] | None = "default",
        concurrency_id: str | None = None,
        show_progress: Literal["full", "minimal", "hidden"] = "full",
        queue: bool = True,
    ) -> Any:
        """Update components with what the handler yields as ``AdditionalOutputs``.

        Args:
            fn: Called with the values of ``inputs`` and then the yielded ones; gives the values of ``outputs``. A
                component in both has the value that ``fn`` gave last.
            inputs: Components.
            outputs: Components.
            js: Runs in the page before.
            concurrency_limit: Sessions at once whose outputs are shown; ``"default"``: all.
            concurrency_id: Group of Gradio's queue.
            show_progress: How the components show that they change. ``"full"`` would cover them each time and is taken
                as ``"hidden"``.
            queue: Ignored: this always goes through Gradio's queue.
        """
        carrier = Carrier(_listed(inputs), _listed(outputs))

        async def follow(webrtc: WebRTCData | str | None, *values: Any) -> AsyncIterator[Any]:
            given, shown = list(values), False
            following = self.served().output_stream(id_of(webrtc))
            # An event that lasted as long as the session would keep servers from stopping: they wait for connections.
            while (beside := await _next_within(following, FOLLOW_S)) is not None:
                result = await _called(fn, *given, *beside.args)
                given = carrier.after(given, result)
                shown = True
                yield result
            if not shown:
                # Gradio clears the components of a generator that ends without a value.
                yield carrier.unchanged

        return self.state_change(
            follow,
            inputs=[self, *_listed(inputs)],
            outputs=outputs,
            js=js,
            concurrency_limit=None if concurrency_limit == "default" else concurrency_limit,
            concurrency_id=concurrency_id,
            show_progress="hidden" if show_progress == "full" else show_progress,
            trigger_mode="always_last",
            api_visibility="private",
        )


def _looks(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the component's script is told, as further properties of ``gr.HTML``."""
    caption = given["label"] if given["show_label"] is not False else None
    return {
        **{name: given[name] for name in TOLD},
        "framed": given["container"],
        "caption": caption or "",
        "size": {"height": _length(given["height"]), "width": _length(given["width"])},
        "icon": picture(given["icon"]),
        "button_labels": {"start": "", "stop": "", "waiting": "", **(given["button_labels"] or {})},
        "full_screen": given["full_screen"] is not False,
    }


def picture(icon: str | None) -> str | None:
    """An icon as an address that every page can load: files are put into the address itself.

    Raises:
        ConfigurationError: It is neither a URL nor a picture file.
    """
    if not icon or icon.startswith(("http://", "https://", "data:", "/gradio_api/")):
        return icon or None
    path = Path(icon)
    kind = mimetypes.guess_type(path.name)[0] or ""
    if not path.is_file() or not kind.startswith("image/"):
        raise ConfigurationError(f"icon must be a URL or the path of a picture, and {icon!r} is neither")
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


async def _next_within(outputs: AsyncIterator[AdditionalOutputs], seconds: float) -> AdditionalOutputs | None:
    """The next outputs; None once the session is over, or when none came for a while."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(outputs)
    except (TimeoutError, StopAsyncIteration):
        return None


async def _called(fn: Callable[..., Any], *args: Any) -> Any:
    if inspect.iscoroutinefunction(fn):
        return await fn(*args)
    return await asyncio.to_thread(fn, *args)


def _listed(components: Any) -> list[Any]:
    if components is None:
        return []
    if isinstance(components, Block):
        return [components]
    return list(components)


def _length(value: int | str | None) -> str:
    return f"{value}px" if isinstance(value, int) else value or ""

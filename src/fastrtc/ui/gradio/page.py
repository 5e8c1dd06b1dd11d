"""The page that ``stream.ui`` makes: a title, the component, and the stream's inputs and outputs around it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import gradio as gr

from fastrtc.ui.gradio.attaching import ComponentStream
from fastrtc.ui.gradio.component import StreamComponent

MEDIA = {"audio": "Audio", "video": "Video", "audio-video": "Video"}
LOOKS = ("icon", "icon_button_color", "pulse_color", "icon_radius")


class PagedStream(ComponentStream, Protocol):
    """What the page needs of a ``Stream``; see there."""

    @property
    def event_handler(self) -> Any: ...
    @property
    def mode(self) -> Any: ...
    @property
    def modality(self) -> Any: ...
    @property
    def ui_args(self) -> Mapping[str, Any] | None: ...
    @property
    def rtp_params(self) -> dict[str, Any] | None: ...
    @property
    def track_constraints(self) -> dict[str, Any] | None: ...
    @property
    def additional_input_components(self) -> list[Any] | None: ...
    @property
    def additional_output_components(self) -> list[Any] | None: ...
    @property
    def additional_outputs_handler(self) -> Callable[..., Any] | None: ...


def make_page(stream: PagedStream) -> tuple[gr.Blocks, StreamComponent]:
    """The page, and the component in it."""
    looks = stream.ui_args or {}
    inputs, outputs = stream.additional_input_components or [], stream.additional_output_components or []
    chat = _chat([*inputs, *outputs])
    sides = [side for side in dict.fromkeys([*inputs, *outputs]) if side is not chat]
    trigger = None
    with gr.Blocks(title=_plain(_title(stream))) as page:
        if not looks.get("hide_title"):
            gr.HTML(_heading(_title(stream), str(looks.get("subtitle") or "")))
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                if chat is not None:
                    chat.render()
                component = _component(stream, compact=chat is not None)
            if sides or stream.mode == "receive":
                with gr.Column(scale=1, min_width=280):
                    for side in sides:
                        side.render()
                    if stream.mode == "receive":
                        trigger = gr.Button("Start stream", variant="primary").click
        component.send_inputs(
            inputs if stream.mode == "receive" else [component, *inputs],
            [component],
            trigger=trigger,
            send_input_on=looks.get("send_input_on", "change"),
        )
        if outputs and stream.additional_outputs_handler is not None:
            component.on_additional_outputs(stream.additional_outputs_handler, inputs=outputs, outputs=outputs)
    return page, component


def _component(stream: PagedStream, *, compact: bool) -> StreamComponent:
    looks = stream.ui_args or {}
    named: dict[str, Any] = {name: looks.get(name) for name in LOOKS}
    component = StreamComponent(
        mode=stream.mode,
        modality=stream.modality,
        rtp_params=stream.rtp_params,
        track_constraints=stream.track_constraints,
        variant=looks.get("variant", "wave"),
        full_screen=looks.get("full_screen") is not False and not compact,
        **named,
    )
    component.serve(stream, stream.event_handler)
    return component


def _chat(components: list[Any]) -> Any:
    """The first Chatbot, which stands above the component, or None."""
    return next((component for component in components if component.get_block_name() == "chatbot"), None)


def _title(stream: PagedStream) -> str:
    return str((stream.ui_args or {}).get("title") or f"{MEDIA[stream.modality]} streaming")


def _heading(title: str, subtitle: str) -> str:
    top = title if _is_html(title) else f"<h1>{html.escape(title)}</h1>"
    below = subtitle if _is_html(subtitle) else f"<p>{html.escape(subtitle)}</p>" if subtitle else ""
    return f'<div style="text-align: center; text-wrap: balance; padding: 8px 0 4px">{top}{below}</div>'


def _is_html(text: str) -> bool:
    return re.search(r"<[^<>]+>", text) is not None


def _plain(title: str) -> str:
    return html.unescape(re.sub(r"<[^<>]+>", "", title)).strip() or "Stream"

"""The component: a ``gr.HTML`` whose script loads the browser client and draws the controls."""

from __future__ import annotations

import secrets
from abc import ABCMeta
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import gradio as gr
from gradio.component_meta import ComponentMeta, updateable
from gradio.components.base import server
from gradio.events import EventListener

from fastrtc.errors import ConfigurationError
from fastrtc.outputs import WebRTCData
from fastrtc.ui.gradio.attaching import Attachments, ComponentStream
from fastrtc.ui.gradio.carrying import Carrier

START = "start_webrtc_stream"
SPEECH = {"echoCancellation": True, "noiseSuppression": True, "autoGainControl": True}

# Every event is named in quotes here, which is how gr.HTML knows that there is such an event.
SCRIPT = """
const events = ["tick", "state_change", "submit", "start_recording", "stop_recording"];
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


class _WithoutStub(ComponentMeta):
    """Makes components as Gradio's own metaclass does, which would write a ``.pyi`` file beside this module."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> Any:
        if "__init__" in attrs:
            attrs["__init__"] = updateable(attrs["__init__"])
        if "EVENTS" in attrs:
            attrs["EVENTS"] = [EventListener(event_name=event) for event in attrs["EVENTS"]]
            attrs |= {str(event): event.listener for event in attrs["EVENTS"]}
        return ABCMeta.__new__(mcs, name, bases, attrs)

"""``WebRTC``, the component for Gradio pages, without the cost of importing Gradio until one is made."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from fastrtc.ui.gradio.component import StreamComponent

__all__ = ["WebRTC"]


class _Front(type):
    """A class whose instances and subclasses are of another class."""

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], **options: Any) -> Any:
        if not any(isinstance(base, _Front) for base in bases):
            return super().__new__(mcs, name, bases, body)
        component = _component_class()
        real = tuple(component if isinstance(base, _Front) else base for base in bases)
        make: Any = type(component)
        return make(name, real, body, **options)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_component_class(), name)

    def __instancecheck__(cls, instance: object) -> bool:
        return issubclass(type(instance), cls)

    def __subclasscheck__(cls, other: type) -> bool:
        component = sys.modules.get("fastrtc.ui.gradio.component")
        return other is cls or (component is not None and issubclass(other, component.StreamComponent))


class WebRTC(metaclass=_Front):
    """A Gradio component that speaks with a handler; see :class:`fastrtc.ui.gradio.component.StreamComponent`.

    Raises:
        MissingExtraError: Gradio is not installed (extra ``gradio``).
        ConfigurationError: An argument that cannot work, or a Gradio older than 6.
    """

    def __new__(
        cls,
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
    ) -> Any:
        arguments = {name: given for name, given in locals().items() if name != "cls"}
        return _component_class()(**arguments)


@lru_cache(maxsize=1)
def _component_class() -> type[StreamComponent]:
    from fastrtc.ui.gradio import need_gradio

    need_gradio("the component WebRTC")
    from fastrtc.stream import Stream
    from fastrtc.ui.gradio.component import StreamComponent

    class Component(StreamComponent):
        """A component that makes the stream it speaks to."""

        def new_stream(self, handler: Any, concurrency_limit: int | Literal["default"] | None) -> Stream:
            return Stream(
                handler,
                mode=self.mode,
                modality=self.modality,
                concurrency_limit=concurrency_limit,
                time_limit=self.time_limit,
                allow_extra_tracks=self.allow_extra_tracks,
                rtp_params=self.rtp_params,
                rtc_configuration=self.rtc_configuration,
                server_rtc_configuration=self.server_rtc_configuration,
                track_constraints=self.track_constraints,
                ui_args={"variant": self.variant},
                verbose=False,
            )

    return Component

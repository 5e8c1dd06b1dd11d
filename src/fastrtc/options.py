"""What a ``Stream`` can be told: the types of its arguments, and whether a value is one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias, TypedDict

from fastrtc.errors import ConfigurationError

Mode: TypeAlias = Literal["send-receive", "receive", "send"]
Modality: TypeAlias = Literal["video", "audio", "audio-video"]
RtcConfiguration: TypeAlias = dict[str, Any]
RtcConfigurationSource: TypeAlias = (
    RtcConfiguration | Callable[[], RtcConfiguration] | Callable[[], Awaitable[RtcConfiguration]]
)

GRADIO_PREFIX = "/gradio_api/fastrtc"
"""Prefix of a stream's endpoints inside a Gradio app."""


class UIArgs(TypedDict, total=False):
    """What the Gradio page of a stream can be told.

    Attributes:
        title: Heading of the page.
        subtitle: Text below it.
        icon: File or URL of the picture on the button.
        icon_button_color: CSS colour of the button.
        pulse_color: CSS colour of its animation.
        icon_radius: Roundness of the picture in percent.
        send_input_on: When inputs are sent: at every ``change``, or at ``submit``.
        hide_title: Show no heading.
        full_screen: Fill the window.
        variant: ``"textbox"`` to type as well as speak.
    """

    title: str
    subtitle: str
    icon: str
    icon_button_color: str
    pulse_color: str
    icon_radius: int
    send_input_on: Literal["submit", "change"]
    hide_title: bool
    full_screen: bool
    variant: Literal["wave", "textbox"]


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Whether an argument is one of its possible values.

    Raises:
        ConfigurationError: It is not; the message names them.
    """
    if value not in choices:
        raise ConfigurationError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")


def check_arguments(mode: str, modality: str, additional_outputs: object, updates_outputs: object) -> None:
    """Whether a stream's arguments fit together.

    Raises:
        ConfigurationError: They do not.
    """
    check_choice("mode", mode, ("send-receive", "receive", "send"))
    check_choice("modality", modality, ("video", "audio", "audio-video"))
    if additional_outputs and updates_outputs is None:
        raise ConfigurationError("additional_outputs needs an additional_outputs_handler that updates them")


def concurrency_limit_of(value: int | str | None) -> int:
    """How many sessions may live at once, from what ``concurrency_limit`` was given.

    Raises:
        ConfigurationError: Neither a whole number from 1 nor ``"default"`` nor None.
    """
    if value is None or value == "default":
        return 1
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f'concurrency_limit must be a whole number from 1, "default" or None; got {value!r}')
    return value

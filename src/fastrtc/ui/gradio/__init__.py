"""The Gradio side (extra ``gradio``): the component, and the page of ``stream.ui``. Nothing here is imported before
it is needed, because Gradio itself takes seconds to import.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from fastrtc.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from fastrtc.ui.gradio.page import PagedStream

OLDEST = (6, 10)


def need_gradio(feature: str) -> None:
    """See to it that a usable Gradio is installed, without importing it.

    Args:
        feature: What the user asked for, for the message.

    Raises:
        MissingExtraError: There is none.
        ConfigurationError: It is older than Gradio 6.10, whose ``gr.HTML`` the component is made of.
    """
    try:
        installed = version("gradio")
    except PackageNotFoundError as error:
        raise MissingExtraError(feature, "gradio") from error
    if tuple(int(number) for number in re.findall(r"\d+", installed)[:2]) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise ConfigurationError(
            f'{feature} needs Gradio {wanted} or newer and found {installed}: pip install "fastrtc[gradio]"'
        )


def make_ui(stream: PagedStream) -> tuple[Any, Any]:
    """The page of a stream: a ``gr.Blocks``, and the component in it.

    Raises:
        MissingExtraError: Gradio is not installed.
        ConfigurationError: It is too old.
    """
    need_gradio("stream.ui")
    from fastrtc.ui.gradio.page import make_page

    return make_page(stream)

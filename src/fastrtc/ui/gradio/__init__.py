"""The Gradio side (extra ``gradio``): the component, and the page of ``stream.ui``. Nothing here is imported before
it is needed, because Gradio itself takes seconds to import.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from fastrtc.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from fastrtc.ui.gradio.page import PagedStream

OLDEST_MAJOR = 6


def need_gradio(feature: str) -> None:
    """See to it that a usable Gradio is installed, without importing it.

    Args:
        feature: What the user asked for, for the message.

    Raises:
        MissingExtraError: There is none.
        ConfigurationError: It is older than Gradio 6, whose ``gr.HTML`` the component is made of.
    """
    try:
        installed = version("gradio")
    except PackageNotFoundError as error:
        raise MissingExtraError(feature, "gradio") from error
    if int(installed.split(".", maxsplit=1)[0]) < OLDEST_MAJOR:
        raise ConfigurationError(f'{feature} needs Gradio 6 and found {installed}: pip install "fastrtc[gradio]"')


def make_ui(stream: PagedStream) -> tuple[Any, Any]:
    """The page of a stream: a ``gr.Blocks``, and the component in it.

    Raises:
        MissingExtraError: Gradio is not installed.
        ConfigurationError: It is too old.
    """
    need_gradio("stream.ui")
    from fastrtc.ui.gradio.page import make_page

    return make_page(stream)

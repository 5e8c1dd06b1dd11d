"""The ``fastrtc`` command: ``demo``, ``serve``, ``call``, ``doctor`` and ``inspect``."""

from __future__ import annotations

import argparse
import importlib.metadata
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastrtc.demos.command import add_arguments as add_demo_arguments
from fastrtc.errors import ConfigurationError, MissingExtraError
from fastrtc.serving import CommandError, make_app

if TYPE_CHECKING:
    from fastrtc.serving import ServeSettings

__all__ = ["CommandError", "main", "make_app"]

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 7860
DEFAULT_DRAIN_S = 30.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments without the program's name; None: those of the process.

    Returns:
        The exit status: 0, or 2 for a wrong use.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser("".join(arguments[:1]))
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        command = next(word for word in arguments if not word.startswith("-"))
        parser.exit(2, f"fastrtc {command} does not take {shlex.join(unknown)}: see fastrtc {command} --help\n")
    try:
        status: int | None = options.run(options)
    except (CommandError, MissingExtraError) as error:
        sys.stderr.write(f"fastrtc: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 0
    return status or 0


def _parser(given: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastrtc", description="Real-time voice services from Python functions.")
    parser.add_argument("--version", action="version", version=f"fastrtc {importlib.metadata.version('fastrtc')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="serve something to talk to, with its page: echo, talk or computer")
    add_demo_arguments(demo)
    _add_address(demo)
    _add_running(demo)
    demo.set_defaults(run=_demo)

    serve = commands.add_parser("serve", help="serve the Stream of a module, with a page to talk to it")
    serve.add_argument(
        "target",
        metavar="MODULE:STREAM",
        help="for example app:stream, for `stream = Stream(...)` in app.py; or a FastAPI or Starlette app",
    )
    serve.add_argument("--path", default="", help="prefix of the page and the endpoints, for example /voice")
    _add_address(serve)
    serve.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes; each takes sessions up to the stream's concurrency_limit (%(default)s)",
    )
    _add_running(serve)
    serve.set_defaults(run=_serve)

    inspect = commands.add_parser("inspect", help="draw a recorded session and say how its turns went")
    if given == "inspect":
        from fastrtc.client import inspection

        inspection.add_arguments(inspect)
        inspect.set_defaults(run=inspection.main)

    call = commands.add_parser("call", help="talk to a server with a recorded file, and record the reply")
    if given == "call":
        from fastrtc.client import command

        command.add_arguments(call)
        call.set_defaults(run=command.main)

    doctor = commands.add_parser("doctor", help="look for what keeps a voice service from connecting")
    if given == "doctor":
        from fastrtc.doctor import command as doctor_command
        from fastrtc.serving import load_stream

        doctor_command.add_arguments(doctor)
        doctor.set_defaults(run=lambda options: doctor_command.main(options, load_stream))
    return parser


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on (%(default)s; 0.0.0.0: everywhere)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port to listen on (%(default)s; 0: any)")


def _add_running(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--drain",
        type=float,
        default=DEFAULT_DRAIN_S,
        metavar="SECONDS",
        help="how long sessions may go on after SIGTERM, while new ones are refused (%(default)g)",
    )
    parser.add_argument("--log", choices=("text", "json"), default="text", help="form of the log (%(default)s)")
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        help="what is logged (text: warning, json: info, which tells of every session and turn)",
    )
    parser.add_argument("--metrics", action="store_true", help="answer /metrics for Prometheus (extra metrics)")
    parser.add_argument(
        "--otel", action="store_true", help="send traces and metrics to OpenTelemetry, as OTEL_* says (extra otel)"
    )
    parser.add_argument("--record", metavar="FOLDER", help="record every session: a stereo file and its events")


def _demo(options: argparse.Namespace) -> int:
    from fastrtc.demos.command import make_stream
    from fastrtc.serving import serve

    try:
        stream = make_stream(options)
    except ConfigurationError as error:
        raise CommandError(str(error)) from error
    return serve(_settings(options), options.host, options.port, stream=stream)


def _serve(options: argparse.Namespace) -> int:
    from fastrtc.serving import serve

    path: str = options.path.rstrip("/")
    if path and not path.startswith("/"):
        raise CommandError(f'--path must begin with "/", for example --path /{path}')
    settings = _settings(options, target=options.target, path=path)
    return serve(settings, options.host, options.port, workers=options.workers)


def _settings(options: argparse.Namespace, **more: Any) -> ServeSettings:
    from fastrtc.serving import ServeSettings

    if not options.drain >= 0:
        raise CommandError(f"--drain must be seconds from 0, got {options.drain:g}")
    level = options.log_level or ("info" if options.log == "json" else "warning")
    return ServeSettings(
        drain_s=options.drain,
        log_format=options.log,
        log_level=level,
        metrics=options.metrics,
        otel=options.otel,
        record=options.record,
        **more,
    )


if __name__ == "__main__":
    sys.exit(main())

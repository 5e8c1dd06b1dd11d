"""The ``fastrtc`` command: ``demo``, ``serve`` and ``call``."""

from __future__ import annotations

import argparse
import errno
import importlib
import importlib.metadata
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastrtc.demos.command import add_arguments as add_demo_arguments

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from fastrtc.stream import Stream

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 7860
MAX_PORT = 65_535
_SHUTDOWN_S = 5
_LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")


class CommandError(Exception):
    """The command cannot do what it was asked to; the message says what would help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments without the program's name; None: those of the process.

    Returns:
        The exit status: 0, or 2 for a wrong use.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = _parser(with_call=arguments[:1] == ["call"]).parse_args(arguments)
    try:
        status: int | None = options.run(options)
    except CommandError as error:
        sys.stderr.write(f"fastrtc: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 0
    return status or 0


def _parser(*, with_call: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastrtc", description="Real-time voice services from Python functions.")
    parser.add_argument("--version", action="version", version=f"fastrtc {importlib.metadata.version('fastrtc')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="serve something to talk to, with its page: echo, talk or computer")
    add_demo_arguments(demo)
    _add_address(demo)
    demo.set_defaults(run=_demo)

    serve = commands.add_parser("serve", help="serve the Stream of a module, with a page to talk to it")
    serve.add_argument(
        "target", metavar="MODULE:STREAM", help="for example app:stream, for `stream = Stream(...)` in app.py"
    )
    serve.add_argument("--path", default="", help="prefix of the page and the endpoints, for example /voice")
    _add_address(serve)
    serve.set_defaults(run=_serve)

    call = commands.add_parser("call", help="talk to a server with a recorded file, and record the reply")
    if with_call:
        from fastrtc.client import command

        command.add_arguments(call)
        call.set_defaults(run=command.main)
    return parser


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on (%(default)s; 0.0.0.0: everywhere)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port to listen on (%(default)s; 0: any)")


def _demo(options: argparse.Namespace) -> None:
    from fastrtc.demos.command import make_stream
    from fastrtc.errors import ConfigurationError, MissingExtraError

    try:
        stream = make_stream(options)
    except (ConfigurationError, MissingExtraError) as error:
        raise CommandError(str(error)) from error
    _run(stream, options.host, options.port, "")


def _serve(options: argparse.Namespace) -> None:
    path: str = options.path.rstrip("/")
    if path and not path.startswith("/"):
        raise CommandError(f'--path must begin with "/", for example --path /{path}')
    _run(load_stream(options.target), options.host, options.port, path)


def load_stream(target: str) -> Stream:
    """Import the ``Stream`` that ``module:attribute`` names; modules are looked for in the working directory, too.

    Raises:
        CommandError: There is none; the message says what would help. An error inside the module is not caught.
    """
    from fastrtc.stream import Stream

    module_name, _, attribute = target.partition(":")
    if module_name.endswith(".py"):
        dotted = module_name.removesuffix(".py").replace("/", ".")
        raise CommandError(f"give the module, not the file: fastrtc serve {dotted}:{attribute or 'stream'}")
    if not module_name or not attribute:
        raise CommandError(f"say which stream, as MODULE:STREAM: fastrtc serve {module_name or 'app'}:stream")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name == error.name or module_name.startswith(error.name + ".")):
            raise
        raise CommandError(
            f"there is no module {module_name!r} in {Path.cwd()} or among the installed packages; "
            f"run the command where {module_name.split('.')[0]}.py is"
        ) from error
    found = getattr(module, attribute, None)
    if isinstance(found, Stream):
        return found
    names = [name for name, value in vars(module).items() if isinstance(value, Stream)]
    hint = f"; there is {module_name}:{names[0]}" if names else "; it has no Stream: stream = Stream(handler, ...)"
    if not hasattr(module, attribute):
        raise CommandError(f"the module {module_name!r} has nothing called {attribute!r}{hint}")
    raise CommandError(f"{target} is no Stream but of type {type(found).__name__}{hint}")


def make_app(stream: Stream, path: str = "") -> Starlette:
    """An app with a stream's endpoints and its page, both under ``path``."""
    from starlette.applications import Starlette
    from starlette.responses import RedirectResponse
    from starlette.routing import Mount, Route

    app = Starlette()
    stream.mount(app, path)
    if path:
        app.router.routes.append(Route("/", lambda _: RedirectResponse(f"{path}/")))
        app.router.routes.append(Mount(path, routes=stream.page()))
    else:
        app.router.routes.extend(stream.page())
    return app


def _run(stream: Stream, host: str, port: int, path: str) -> None:
    import uvicorn

    with _listen(host, port) as listener:
        app = make_app(stream, path)
        config = uvicorn.Config(
            app, log_level="warning", ws_per_message_deflate=False, timeout_graceful_shutdown=_SHUTDOWN_S
        )
        actual_port = listener.getsockname()[1]
        shown = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        sys.stdout.write(f"Open http://{shown}:{actual_port}{path}/ and speak. Ctrl-C stops.\n")
        if host not in _LOCAL_HOSTS:
            sys.stdout.write(
                "From other machines browsers give no microphone to http:// pages: put https:// in front.\n"
            )
        sys.stdout.flush()
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= MAX_PORT:
        raise CommandError(f"--port must be from 0 to {MAX_PORT}, got {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # create_server lets the address be used again at once after a server has stopped.
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"port {port} is in use, perhaps by another fastrtc; stop that or take another port: --port {port + 1}"
            ) from error
        raise CommandError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


if __name__ == "__main__":
    sys.exit(main())

"""``fastrtc serve`` and ``fastrtc demo``: an app for a stream, what watches it, and the processes that serve it."""

from __future__ import annotations

import errno
import importlib
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastrtc.errors import ConfigurationError

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

    from fastrtc.stream import Stream

MAX_PORT = 65_535
MAX_WORKERS = 256
LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")
_SHUTDOWN_S = 5


class CommandError(Exception):
    """The command cannot do what it was asked to; the message says what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """How to serve; the same for every worker.

    Attributes:
        target: ``module:stream`` or ``module:app``; empty for the demo.
        path: Prefix of a stream's page and endpoints.
        drain_s: How long sessions may go on after SIGTERM.
        log_format: ``text`` or ``json``.
        log_level: ``debug``, ``info``, ``warning`` or ``error``.
        metrics: Whether ``/metrics`` answers for Prometheus.
        otel: Whether traces and metrics go to OpenTelemetry.
        record: Folder for recordings of all sessions; None: none are made.
        number: Of this worker; None where there is one process only.
    """

    target: str = ""
    path: str = ""
    drain_s: float = 30.0
    log_format: str = "text"
    log_level: str = "warning"
    metrics: bool = False
    otel: bool = False
    record: str | None = None
    number: int | None = None

    @property
    def metrics_path(self) -> str | None:
        """Where metrics are answered."""
        return f"{self.path}/metrics" if self.metrics else None


def set_up(settings: ServeSettings) -> None:
    """Prepare this process: logs, draining, and what watches every session.

    Raises:
        CommandError: Recordings cannot go where they are to.
        MissingExtraError: What was asked for needs an extra.
    """
    from fastrtc.observe.logs import SessionLog, configure_logging
    from fastrtc.observe.observer import observe_all
    from fastrtc.server.termination import the_termination

    configure_logging(settings.log_format, settings.log_level, worker=settings.number)
    the_termination.timeout_s = settings.drain_s
    observe_all(SessionLog())
    if settings.metrics:
        from fastrtc.observe.prometheus import prometheus_observer

        observe_all(prometheus_observer())
    if settings.otel:
        from fastrtc.observe.otel import configure_otel

        observe_all(configure_otel())
    if settings.record is not None:
        from fastrtc.observe.recorder import Recorder

        try:
            observe_all(Recorder(settings.record))
        except ConfigurationError as error:
            raise CommandError(f"--record: {error}") from error


def uvicorn_config(app: Starlette, settings: ServeSettings) -> uvicorn.Config:
    """For uvicorn; h11, because it closes connections whose requests say so."""
    import uvicorn

    from fastrtc.server.paced_socket import PacedWebSocketProtocol

    return uvicorn.Config(
        app,
        http="h11",
        log_config=None,
        log_level="debug" if settings.log_level == "debug" else "warning",
        access_log=False,
        ws=PacedWebSocketProtocol,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )


def serve(settings: ServeSettings, host: str, port: int, *, workers: int = 1, stream: Stream | None = None) -> int:
    """Serve until told to stop.

    Args:
        settings: How.
        host: Address to listen on.
        port: Port; 0: any.
        workers: Processes.
        stream: What to serve; None: what ``settings.target`` names.

    Returns:
        The exit status.

    Raises:
        CommandError: It cannot be.
        MissingExtraError: What was asked for needs an extra.
    """
    if not 1 <= workers <= MAX_WORKERS:
        raise CommandError(f"--workers must be from 1 to {MAX_WORKERS}, got {workers}")
    if workers > 1 and not hasattr(socket, "send_fds"):
        raise CommandError("--workers needs Linux or macOS: this system cannot hand connections to other processes")
    with listen(host, port) as listener:
        if workers == 1:
            import uvicorn

            set_up(settings)
            app = load_app(settings) if stream is None else _with_metrics(make_app(stream, settings.path), settings)
            _say_where(listener, host, settings.path)
            uvicorn.Server(uvicorn_config(app, settings)).run(sockets=[listener])
            return 0
        from fastrtc.observe.logs import configure_logging
        from fastrtc.workers.server import run_workers

        configure_logging(settings.log_format, settings.log_level)
        return run_workers(
            listener,
            workers,
            asdict(settings),
            drain_s=settings.drain_s,
            metrics_path=settings.metrics_path,
            on_started=lambda: _say_where(listener, host, settings.path),
        )


def load_app(settings: ServeSettings) -> Starlette:
    """The app that ``settings.target`` names, or one made for the stream that it names.

    Raises:
        CommandError: There is none.
    """
    from starlette.applications import Starlette

    found = load_target(settings.target)
    if not isinstance(found, Starlette):
        return _with_metrics(make_app(found, settings.path), settings)
    if settings.path:
        raise CommandError(f"{settings.target} is an app with paths of its own: --path is for streams")
    return _with_metrics(found, settings)


def load_stream(target: str) -> Stream:
    """Import the ``Stream`` that ``module:attribute`` names; modules are looked for in the working directory, too.

    Raises:
        CommandError: There is none; the message says what would help. An error inside the module is not caught.
    """
    from fastrtc.stream import Stream

    found = load_target(target)
    if not isinstance(found, Stream):
        raise CommandError(f"{target} is no Stream but of type {type(found).__name__}")
    return found


def load_target(target: str) -> Stream | Starlette:
    """Import the ``Stream``, or the FastAPI or Starlette app, that ``module:attribute`` names.

    Raises:
        CommandError: There is none; the message says what would help. An error inside the module is not caught.
    """
    from starlette.applications import Starlette

    from fastrtc.stream import Stream

    module_name, _, attribute = target.partition(":")
    if module_name.endswith(".py"):
        dotted = module_name.removesuffix(".py").replace("/", ".")
        raise CommandError(f"give the module, not the file: fastrtc serve {dotted}:{attribute or 'stream'}")
    if not module_name or not attribute:
        raise CommandError(f"say which stream, as MODULE:STREAM, for example {module_name or 'app'}:stream")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    if module_name.startswith("."):
        raise CommandError(
            f"give the module's whole name, without a dot in front: {module_name.lstrip('.')}:{attribute}"
        )
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
    if isinstance(found, Stream | Starlette):
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
    # The app has no routes of its own, so the short names are free.
    short = [
        Route(f"{path}/{name}", route.endpoint)
        for name in ("health", "ready")
        for route in app.routes
        if isinstance(route, Route) and route.path == f"{path}/webrtc/{name}"
    ]
    app.router.routes.extend(short)
    if path:
        app.router.routes.append(Route("/", lambda _: RedirectResponse(f"{path}/")))
        app.router.routes.append(Mount(path, routes=stream.page()))
    else:
        app.router.routes.extend(stream.page())
    return app


def _with_metrics(app: Starlette, settings: ServeSettings) -> Starlette:
    if settings.metrics_path is not None:
        from starlette.routing import Route

        from fastrtc.observe.prometheus import metrics_endpoint

        # With a path, its page answers everything below that; without one, an app's own routes come first.
        place = len(app.router.routes) if not settings.path else 0
        app.router.routes.insert(place, Route(settings.metrics_path, metrics_endpoint))
    return app


def _say_where(listener: socket.socket, host: str, path: str) -> None:
    actual_port = listener.getsockname()[1]
    shown = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    sys.stdout.write(f"Open http://{shown}:{actual_port}{path}/ and speak. Ctrl-C stops.\n")
    if host not in LOCAL_HOSTS:
        sys.stdout.write("From other machines browsers give no microphone to http:// pages: put https:// in front.\n")
    sys.stdout.flush()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        CommandError: The address cannot be had.
    """
    if not 0 <= port <= MAX_PORT:
        raise CommandError(f"--port must be from 0 to {MAX_PORT}, got {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # create_server lets the address be used again at once after a server has stopped.
        return socket.create_server(address[:2], family=family, backlog=1024)
    except UnicodeError as error:
        raise CommandError(f"--host takes an address or a name of this machine, got {host!r}") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"port {port} is in use, perhaps by another fastrtc; stop that or take another port: --port {port + 1}"
            ) from error
        raise CommandError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error

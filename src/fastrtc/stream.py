"""``Stream``: a handler, the connections to it, and the routes that an app mounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from fastrtc.errors import AccessDeniedError, ConfigurationError, FastRTCError
from fastrtc.observe.observer import Observers, SessionObserver
from fastrtc.options import (
    Modality,
    Mode,
    RtcConfiguration,
    RtcConfigurationSource,
    UIArgs,
    check_arguments,
    concurrency_limit_of,
)
from fastrtc.server.body import Body
from fastrtc.server.entrance import Entrance
from fastrtc.server.handlers import ask_for_inputs, is_audio_only, session_handler
from fastrtc.server.live_sessions import LiveSessions, SetOutputs

if TYPE_CHECKING:
    from enum import Enum

    from starlette.applications import Starlette
    from starlette.routing import BaseRoute

    from fastrtc.events import Event
    from fastrtc.limits import Limits
    from fastrtc.server.health import Health
    from fastrtc.server.host import SessionHost
    from fastrtc.server.signaling import Signaling
    from fastrtc.transports.webrtc.engine import RtcEngine
    from fastrtc.visitor import Authorize

__all__ = ["Body", "Modality", "Mode", "RtcConfiguration", "RtcConfigurationSource", "SetOutputs", "Stream", "UIArgs"]


class Stream(LiveSessions):
    """Serves a handler over WebRTC, WebSocket and telephone.

    Args:
        handler: ``ReplyOnPause`` or another stream handler; every session gets a ``copy()`` of it. For video also a
            function of an image, or a ``VideoStreamHandler`` around one.
        additional_outputs_handler: Updates the page's components with additional outputs.
        mode: Direction of the media, as the client sees it.
        modality: Kind of the media. A handler of audio is served as audio whatever is said here.
        concurrency_limit: Sessions at once; ``"default"`` and None mean one.
        time_limit: Seconds that a session may last.
        allow_extra_tracks: Ignore tracks of the client that the modality does not use, instead of refusing them.
        rtp_params: ``RTCRtpSendParameters``: ``degradationPreference`` and ``encodings`` with ``maxBitrate``,
            ``maxFramerate`` or ``scaleResolutionDownBy``, for the video that the browser and this side send.
        rtc_configuration: ICE servers for the browser: a dict, or a function or coroutine function that makes one.
        server_rtc_configuration: ``iceServers``, ``iceTransportPolicy`` and ``portRange`` (UDP ports) of this side.
        track_constraints: What the browser asks of its devices.
        additional_inputs: Gradio components whose values the handler gets.
        additional_outputs: Gradio components that additional outputs update.
        ui_args: Looks of the Gradio page.
        verbose: Say where the endpoints are when the app starts.
        engine: The WebRTC engine, or its name: ``"wrtc"`` or ``"aiortc"``; None: ``FASTRTC_ENGINE``, else ``"wrtc"``.
        on_event: Called with a session's id and each of its events, on the app's loop.
        observers: Told what happens to sessions: metrics, traces, logs, recordings
            (:class:`fastrtc.observe.SessionObserver`).
        drain_timeout: Seconds that running sessions may go on after SIGTERM, while new ones are refused; None: they
            end when the server does.
        authorize: Asked about everybody who wants a session, with a :class:`fastrtc.visitor.Visitor`: a function or
            coroutine function that returns the user (handlers find it as ``get_current_context().user``), or refuses:
            None, False or ``AccessDeniedError``. :class:`fastrtc.tokens.SessionTokens` is one. None: all may enter.
        allowed_origins: Origins of pages that may open sessions, beside the server's own and localhost. None: those
            that the app's ``CORSMiddleware`` allows.
        limits: What one client, and all together, may cost.
        twilio_auth_token: Of the account at Twilio: telephone requests that Twilio did not sign are refused then.

    Raises:
        ConfigurationError: An argument that cannot work.
    """

    def __init__(
        self,
        handler: Any,
        *,
        additional_outputs_handler: Callable[..., Any] | None = None,
        mode: Mode = "send-receive",
        modality: Modality = "video",
        concurrency_limit: int | Literal["default"] | None = "default",
        time_limit: float | None = None,
        allow_extra_tracks: bool = False,
        rtp_params: dict[str, Any] | None = None,
        rtc_configuration: RtcConfigurationSource | None = None,
        server_rtc_configuration: RtcConfiguration | None = None,
        track_constraints: dict[str, Any] | None = None,
        additional_inputs: list[Any] | None = None,
        additional_outputs: list[Any] | None = None,
        ui_args: UIArgs | None = None,
        verbose: bool = True,
        engine: str | RtcEngine | None = None,
        on_event: Callable[[str, Event], None] | None = None,
        observers: Sequence[SessionObserver] = (),
        drain_timeout: float | None = None,
        authorize: Authorize | None = None,
        allowed_origins: Sequence[str] | None = None,
        limits: Limits | None = None,
        twilio_auth_token: str | None = None,
    ) -> None:
        check_arguments(mode, modality, additional_outputs, additional_outputs_handler)
        if twilio_auth_token is not None and not twilio_auth_token:
            raise ConfigurationError("twilio_auth_token is empty; leave it out to check no signatures")
        self.event_handler = handler
        self.mode: Mode = mode
        self.modality: Modality = "audio" if is_audio_only(handler) else modality
        self.concurrency_limit = concurrency_limit_of(concurrency_limit)
        self.concurrency_limit_gradio = concurrency_limit
        self.time_limit = time_limit
        self.allow_extra_tracks = allow_extra_tracks
        self.rtp_params = rtp_params
        self.rtc_configuration = rtc_configuration
        self.server_rtc_configuration = server_rtc_configuration
        self.track_constraints = track_constraints
        self.additional_outputs_handler = additional_outputs_handler
        self.additional_input_components = additional_inputs
        self.additional_output_components = additional_outputs
        self.ui_args = ui_args
        self.verbose = verbose
        self.engine = engine
        self._on_event = on_event
        self.drain_timeout = drain_timeout
        self._observers = Observers(observers)
        self._entrance = Entrance(authorize, allowed_origins, limits)
        self._twilio_auth_token = twilio_auth_token
        self._ui: Any = None
        self._component: Any = None
        self._made_host: SessionHost | None = None
        self._made_signaling: Signaling | None = None
        self._made_health: Health | None = None
        ask_for_inputs(handler, ui_args)

    # ------------------------------------------------------------------ the Gradio page

    @property
    def ui(self) -> Any:
        """The Gradio page (a ``gr.Blocks``), made when first asked for: launch it, mount it, or set another.

        Raises:
            MissingExtraError: Gradio is not installed (extra ``gradio``).
        """
        if self._ui is None:
            from fastrtc.ui.gradio import make_ui

            self._ui, self._component = make_ui(self)
        return self._ui

    @ui.setter
    def ui(self, blocks: Any) -> None:
        self._ui = blocks

    @property
    def webrtc_component(self) -> Any:
        """The component ``WebRTC`` of the page that :attr:`ui` makes.

        Raises:
            ConfigurationError: Another page was set.
        """
        if self.ui is not None and self._component is None:
            raise ConfigurationError("the page was set: its components are not the stream's")
        return self._component

    # ------------------------------------------------------------------ serving

    def mount(self, app: Starlette, path: str = "", tags: list[str | Enum] | None = None) -> None:
        """Add the endpoints to an app; its sessions end when the app stops.

        ``POST /webrtc/offer``, ``/websocket/offer`` (WebSocket), ``POST /telephone/incoming``, ``/telephone/handler``
        (WebSocket), ``GET /webrtc/health`` and ``GET /webrtc/ready``.

        Args:
            app: A FastAPI or Starlette app.
            path: Prefix of the endpoints.
            tags: Of the endpoints in FastAPI's documentation.

        Raises:
            ConfigurationError: Another kind of app, or a prefix that cannot be one.
        """
        from fastrtc.server import routes

        endpoints: list[routes.RouteDefinition] = [
            routes.HttpRoute(
                "/webrtc/offer",
                routes.json_endpoint(self._answer_request),
                "Answer a WebRTC offer",
                routes.OFFER_SCHEMA,
            ),
            routes.SocketRoute("/websocket/offer", self.websocket_offer),
            routes.HttpRoute("/telephone/incoming", self.handle_incoming_call, "Answer a telephone call"),
            routes.SocketRoute("/telephone/handler", self.telephone_handler),
            routes.HttpRoute("/webrtc/health", self._health.health, "Whether the server lives", method="GET"),
            routes.HttpRoute("/webrtc/ready", self._health.ready, "Whether it takes new sessions", method="GET"),
        ]
        routes.mount(app, path, endpoints, tags=tags, lifespan=lambda: self._while_serving(path))

    async def offer(self, body: Body) -> dict[str, Any]:
        """Answer an offer or take an ICE candidate, for apps that have a route of their own.

        Args:
            body: ``webrtc_id``, ``type`` and ``sdp`` or ``candidate``; a mapping does, too.

        Returns:
            ``{"sdp", "type"}``, ``{"status": "success"}`` or ``{"status": "failed", "meta": {"error": ...}}``.

        Raises:
            HTTPException: 422, for a body that is none of these; 401 or 403, for a client that may not enter. A hook
                for ``authorize`` sees no request here; see :meth:`offer_for`.
        """
        return await self.offer_for(body, None)

    async def offer_for(self, body: Body | Mapping[str, Any], user: Any) -> dict[str, Any]:
        """The same as :meth:`offer`, for a user whom the app has let in itself: the ``authorize`` hook is not asked.

        Args:
            body: As of :meth:`offer`.
            user: What handlers find as ``get_current_context().user``; None: the hook is asked.
        """
        from fastrtc.errors import ProtocolError
        from fastrtc.server.routes import denied, unprocessable

        try:
            return await self._signaling.handle(body.model_dump() if isinstance(body, Body) else body, user=user)
        except ProtocolError as error:
            raise unprocessable(error) from error
        except AccessDeniedError as error:
            raise denied(error) from error

    async def handle_offer(self, body: Mapping[str, Any], set_outputs: SetOutputs) -> dict[str, Any]:
        """The same as :meth:`offer` for apps that take the session's outputs themselves.

        Args:
            body: As of :meth:`offer`, a mapping.
            set_outputs: Called on the app's loop with the additional outputs as they come; what
                :meth:`set_additional_outputs` gave leaves them for :meth:`output_stream`.
        """
        from fastrtc.server.outputs import QueuedOutputs, pass_on

        answer = await self.offer_for(body, None)
        if "sdp" in answer and not isinstance(set_outputs, QueuedOutputs):
            webrtc_id = answer.get("webrtc_id") or body["webrtc_id"]
            self._host.spawn(pass_on(self.output_stream(webrtc_id), set_outputs), "fastrtc-outputs")
        return answer

    async def websocket_offer(self, websocket: WebSocket) -> None:
        """Serve a session over this WebSocket; returns when it is over."""
        from fastrtc.transports.websocket import WebSocketConversation

        await WebSocketConversation(websocket, self._host).run()

    async def telephone_handler(self, websocket: WebSocket) -> None:
        """Serve a telephone call (Twilio Media Streams) over this WebSocket; returns when it is over."""
        from fastrtc.server.telephone import may_stream
        from fastrtc.transports.telephone import TelephoneConversation

        if not may_stream(websocket, self._twilio_auth_token):
            await websocket.close()
            return
        await TelephoneConversation(websocket, self._host).run()

    async def handle_incoming_call(self, request: Request) -> Response:
        """Answer Twilio's webhook of an incoming call with TwiML that connects it to ``/telephone/handler``.

        With ``twilio_auth_token`` a request without Twilio's signature gets 403.
        """
        from fastrtc.server.telephone import incoming_call

        return await incoming_call(request, self._twilio_auth_token)

    async def close(self, reason: str = "server_shutdown") -> None:
        """End all sessions; returns when they are shut down. Apps that mount the stream need not call it."""
        if self._made_host is not None:
            await self._made_host.close_all(reason)

    async def drain(self, timeout: float) -> None:
        """Refuse new sessions, with the reason ``server_draining``; returns when the running ones are over.

        Args:
            timeout: Seconds after which those that still run are ended.
        """
        await self._host.drain(timeout)

    def add_observer(self, observer: SessionObserver) -> None:
        """Tell one more observer about sessions that begin from now on."""
        self._observers.add(observer)

    def page(self, base: str = ".") -> list[BaseRoute]:
        """The routes of the built-in page: ``app.router.routes.extend(stream.page())``, or a ``Mount`` of them.

        Args:
            base: Where the stream is mounted, seen from the page: ``"."`` beside it, ``".."`` one above.
        """
        from fastrtc.ui.page import PageConfig, page_routes

        looks = self.ui_args or {}
        config = PageConfig(
            title=looks.get("title") or "fastrtc",
            subtitle=looks.get("subtitle") or "",
            modality=self.modality,
            mode=self.mode,
            base=base,
            rtc_configuration=self.rtc_configuration,
            track_constraints=self.track_constraints or {},
            rtp_params=self.rtp_params or {},
            time_limit_s=self.time_limit,
            captions=getattr(self.event_handler, "captions", None) is not None,
            stop_words=getattr(self.event_handler, "stop_words", ()),
        )
        return page_routes(config)

    def fastphone(self, token: str | None = None, host: str = "127.0.0.1", port: int = 8000, **kwargs: Any) -> None:
        """FastRTC's borrowed telephone number, which this package does not have.

        Raises:
            FastRTCError: Always; it says what to do instead.
        """
        raise FastRTCError(
            "there is no FastPhone: it was a service of FastRTC's makers, and this package does not call it. With a "
            "number of your own, mount the stream and let Twilio's webhook for calls be POST /telephone/incoming"
        )

    async def resolve_rtc_configuration(self) -> RtcConfiguration:
        """The browser's ``RTCConfiguration``; empty if none was given."""
        return await self.get_rtc_configuration() or {}

    async def get_rtc_configuration(self) -> RtcConfiguration | None:
        """The browser's ``RTCConfiguration``, from wherever it comes; plain functions run on a thread."""
        from fastrtc.server.rtc_configuration import resolve_rtc_configuration

        return await resolve_rtc_configuration(self.rtc_configuration)

    # ------------------------------------------------------------------ parts, made when first needed

    @property
    def _host(self) -> SessionHost:
        if self._made_host is None:
            from fastrtc.server.host import SessionHost

            self._made_host = SessionHost(
                session_handler(self.event_handler, self.modality, self.mode),
                concurrency_limit=self.concurrency_limit,
                time_limit_s=self.time_limit,
                on_event=self._on_event,
                entrance=self._entrance,
                observers=self._observers,
            )
        return self._made_host

    @property
    def _health(self) -> Health:
        if self._made_health is None:
            from fastrtc.server.health import Health

            self._made_health = Health(self._host)
        return self._made_health

    @property
    def _signaling(self) -> Signaling:
        if self._made_signaling is None:
            from fastrtc.server.signaling import Signaling

            self._made_signaling = Signaling(
                self._host,
                engine=self.engine,
                modality=self.modality,
                mode=self.mode,
                rtp_params=self.rtp_params,
                allow_extra_tracks=self.allow_extra_tracks,
                rtc_configuration=self.server_rtc_configuration,
            )
        return self._made_signaling

    async def _answer_request(self, body: Any, request: Request) -> dict[str, Any]:
        self._entrance.check_post(request)
        return await self._signaling.handle(body, request)

    def _while_serving(self, path: str) -> AbstractAsyncContextManager[None]:
        from fastrtc.server.lifespan import say_hello, warn_without_turn, while_serving

        if self.verbose:
            say_hello(path)
        if self.rtc_configuration is None:
            warn_without_turn()
        host, signaling = self._host, self._signaling

        async def warm_up() -> None:
            await signaling.warm_up()
            await host.warmed_up()

        host.sessions.admits = True
        return while_serving(warm_up, self.close, self._health, host.drain, self.drain_timeout)

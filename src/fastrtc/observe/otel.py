"""Traces and measurements for OpenTelemetry (extra ``otel``).

A session is a span (``fastrtc.session``), and in it each turn (``fastrtc.turn``), from the end of the user's speech
until the reply was heard or cut off; in a turn the parts of the wait: ``decision``, ``call``, ``first_yield``,
``playout``. No text and no audio of users is in them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastrtc.errors import MissingExtraError
from fastrtc.events import (
    FirstAudio,
    HandlerFailed,
    PlaybackFinished,
    PlaybackStarted,
    ReplyInterrupted,
    SessionClosed,
    TurnCommitted,
    event_name,
)
from fastrtc.observe.instruments import INSTRUMENTS, Instrument
from fastrtc.observe.observer import SessionObserver
from fastrtc.observe.telemetry import Telemetry, as_code

if TYPE_CHECKING:
    from fastrtc.events import Event
    from fastrtc.session import Session

SCOPE = "fastrtc"
PARTS = ("decision", "call", "first_yield")
_NS_PER_S = 1_000_000_000


class OtelMeter:
    """See :class:`fastrtc.observe.instruments.Meter`.

    Args:
        provider: An OpenTelemetry ``MeterProvider``.
    """

    def __init__(self, provider: Any) -> None:
        meter = provider.get_meter(SCOPE)
        make = {"counter": meter.create_counter, "gauge": meter.create_gauge, "histogram": meter.create_histogram}
        self._metrics: dict[str, Any] = {}
        for one in INSTRUMENTS:
            more: dict[str, Any] = {"unit": one.unit or "1", "description": one.description}
            if one.kind == "histogram":
                more["explicit_bucket_boundaries_advisory"] = list(one.buckets)
            self._metrics[one.name] = make[one.kind](one.name, **more)

    def count(self, instrument: Instrument, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        self._metrics[instrument.name].add(amount, labels)

    def set(self, instrument: Instrument, value: float) -> None:
        """Set a gauge."""
        self._metrics[instrument.name].set(value)

    def record(self, instrument: Instrument, value: float, **labels: str) -> None:
        """Add one value to a distribution."""
        self._metrics[instrument.name].record(value, labels)


@dataclass(slots=True)
class _Spans:
    session: Any
    turns: dict[int, tuple[Any, float, int]]  # span, end of speech in seconds of the session, the span's start in ns


class SessionTracer(SessionObserver):
    """Makes the spans.

    Args:
        provider: An OpenTelemetry ``TracerProvider``.
    """

    def __init__(self, provider: Any) -> None:
        self._tracer = provider.get_tracer(SCOPE)
        self._spans: dict[int, _Spans] = {}

    def session_opened(self, session: Session) -> None:
        attributes = {"session.id": session.id, "fastrtc.transport": type(session.link).__name__}
        self._spans[id(session)] = _Spans(self._tracer.start_span("fastrtc.session", attributes=attributes), {})

    def session_event(self, session: Session, event: Event) -> None:
        spans = self._spans.get(id(session))
        if spans is None:
            return
        match event:
            case TurnCommitted():
                self._begin_turn(spans, event)
            case FirstAudio():
                self._note_latency(spans, event)
            case PlaybackStarted():
                self._note_playout(spans, event)
            case ReplyInterrupted() | PlaybackFinished():
                span, _, _ = spans.turns.pop(event.turn, (None, 0.0, 0))
                if span is not None:
                    span.set_attribute("fastrtc.heard_s", event.heard_s)
                    span.add_event(event_name(event))
                    span.end()
            case HandlerFailed():
                span = spans.turns[event.turn][0] if event.turn in spans.turns else spans.session
                span.add_event("handler_failed")
                span.set_status(_error_status())
            case SessionClosed():
                spans.session.set_attribute("fastrtc.close_reason", as_code(event.reason))

    def session_closed(self, session: Session) -> None:
        spans = self._spans.pop(id(session), None)
        if spans is not None:
            for span, _, _ in spans.turns.values():
                span.end()
            spans.session.end()

    def _begin_turn(self, spans: _Spans, event: TurnCommitted) -> None:
        attributes: dict[str, Any] = {"fastrtc.turn": event.turn, "fastrtc.turn.reason": event.reason}
        if event.probability is not None:
            attributes["fastrtc.turn.probability"] = event.probability
        start_ns = time.time_ns() - round((event.at_s - event.end_s) * _NS_PER_S)
        span = self._tracer.start_span(
            "fastrtc.turn", context=_inside(spans.session), start_time=start_ns, attributes=attributes
        )
        spans.turns[event.turn] = (span, event.end_s, start_ns)

    def _note_latency(self, spans: _Spans, event: FirstAudio) -> None:
        span, end_s, _ = spans.turns.get(event.turn, (None, 0.0, 0))
        if span is None:
            return
        span.add_event("first_audio")
        at_ns = time.time_ns() - round((event.at_s - end_s) * _NS_PER_S)
        for part in PARTS:
            milliseconds = event.latency_ms.get(part, 0.0)
            until_ns = at_ns + round(milliseconds * 1e6)
            child = self._tracer.start_span(f"fastrtc.turn.{part}", context=_inside(span), start_time=at_ns)
            child.end(until_ns)
            at_ns = until_ns
        for name, value in event.latency_ms.items():
            span.set_attribute(f"fastrtc.latency.{name}_ms", value)

    def _note_playout(self, spans: _Spans, event: PlaybackStarted) -> None:
        span, _, start_ns = spans.turns.get(event.turn, (None, 0.0, 0))
        if span is None:
            return
        milliseconds, total = event.latency_ms.get("playout", 0.0), event.latency_ms.get("total", 0.0)
        # By the start of the turn: this event may come some time after the moment that it tells of.
        heard_ns = start_ns + round(total * 1e6)
        child = self._tracer.start_span(
            "fastrtc.turn.playout", context=_inside(span), start_time=heard_ns - round(milliseconds * 1e6)
        )
        child.end(heard_ns)
        span.set_attribute("fastrtc.latency.playout_ms", milliseconds)
        span.set_attribute("fastrtc.latency.heard_ms", total)


class OtelObserver(SessionObserver):
    """Traces and measures sessions with the providers of the app.

    Args:
        tracer_provider: None: the global one.
        meter_provider: None: the global one.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """

    def __init__(self, tracer_provider: Any = None, meter_provider: Any = None) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            raise MissingExtraError("telemetry", "otel") from error
        self._tracer = SessionTracer(tracer_provider or trace.get_tracer_provider())
        self._telemetry = Telemetry(OtelMeter(meter_provider or metrics.get_meter_provider()))

    def session_opened(self, session: Session) -> None:
        self._tracer.session_opened(session)
        self._telemetry.session_opened(session)

    def session_refused(self, code: str) -> None:
        self._telemetry.session_refused(code)

    def session_event(self, session: Session, event: Event) -> None:
        self._tracer.session_event(session, event)
        self._telemetry.session_event(session, event)

    def session_closed(self, session: Session) -> None:
        self._tracer.session_closed(session)
        self._telemetry.session_closed(session)


def configure_otel() -> OtelObserver:
    """Send traces and measurements over OTLP/HTTP to where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says.

    The environment variables of OpenTelemetry hold, such as ``OTEL_SERVICE_NAME``. An app that has set up providers of
    its own uses :class:`OtelObserver` instead.

    Raises:
        MissingExtraError: The SDK or its exporter is not installed.
    """
    try:
        from opentelemetry import metrics, trace
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingExtraError("telemetry", "otel") from error
    traces = TracerProvider()
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(traces)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
    return OtelObserver()


def _inside(span: Any) -> Any:
    from opentelemetry import trace

    return trace.set_span_in_context(span)


def _error_status() -> Any:
    from opentelemetry.trace import Status, StatusCode

    return Status(StatusCode.ERROR)

"""What is counted, in Prometheus' and in OpenTelemetry's words."""

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from fastrtc.errors import MissingExtraError
from fastrtc.events import (
    FirstAudio,
    HandlerFailed,
    PlaybackFinished,
    PlaybackStarted,
    ReplyHeld,
    ReplyInterrupted,
    ReplyStarted,
    SessionClosed,
    TurnCommitted,
)
from fastrtc.observe import telemetry as module
from fastrtc.observe.exposition import merge_expositions
from fastrtc.observe.instruments import INSTRUMENTS
from fastrtc.observe.otel import OtelObserver
from fastrtc.observe.prometheus import PrometheusMeter, metric_name, metrics_endpoint, prometheus_observer
from fastrtc.observe.telemetry import Telemetry, as_code
from fastrtc.transports.webrtc.engine import PeerStats

LATENCY = {"decision": 200.0, "call": 10.0, "first_yield": 40.0, "total": 250.0}
EVENTS = [
    TurnCommitted(turn=1, at_s=2.0, start_s=0.5, end_s=1.8, reason="silence", probability=0.9),
    ReplyStarted(turn=1, at_s=2.01),
    FirstAudio(turn=1, at_s=2.05, latency_ms=LATENCY),
    PlaybackStarted(turn=1, at_s=2.15, latency_ms=LATENCY | {"playout": 100.0, "total": 350.0}),
    ReplyHeld(turn=1, at_s=2.5),
    ReplyInterrupted(turn=1, at_s=3.01, heard_s=0.9, reason="user"),
    TurnCommitted(turn=2, at_s=5.0, start_s=4.0, end_s=4.8, reason="silence"),
    ReplyStarted(turn=2, at_s=5.0),
    PlaybackFinished(turn=2, at_s=7.0, heard_s=1.5),
    HandlerFailed(at_s=7.5, message="what the user said"),
    SessionClosed(at_s=8.0, reason="time_limit_reached"),
]


class Link:
    """Its network gets worse."""

    def __init__(self) -> None:
        self.asked = 0
        self.asked_thrice = asyncio.Event()

    async def stats(self) -> PeerStats:
        self.asked += 1
        if self.asked == 3:
            self.asked_thrice.set()
        return PeerStats(packets_received=100 * self.asked, packets_lost=2 * self.asked, jitter_ms=3.0)


def session(name: str = "a") -> Any:
    return SimpleNamespace(id=name, link=Link(), closed=False, queued_ms=120.0)


def live(observer: Any, one: Any) -> None:
    """A session's whole life."""
    observer.session_refused("concurrency_limit_reached")
    observer.session_opened(one)
    for event in EVENTS:
        observer.session_event(one, event)
    observer.session_closed(one)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    found: float | None = registry.get_sample_value(name, labels)
    return found


def test_a_session_is_counted() -> None:
    registry = CollectorRegistry()

    async def scenario() -> None:
        live(Telemetry(PrometheusMeter(registry)), session())

    asyncio.run(scenario())
    assert value(registry, "fastrtc_sessions") == 0
    assert value(registry, "fastrtc_sessions_opened_total") == 1
    assert value(registry, "fastrtc_sessions_refused_total", reason="concurrency_limit_reached") == 1
    assert value(registry, "fastrtc_sessions_closed_total", reason="time_limit_reached") == 1
    assert value(registry, "fastrtc_turns_total", reason="silence") == 2
    assert value(registry, "fastrtc_turn_latency_seconds_sum", part="total") == pytest.approx(0.25)
    assert value(registry, "fastrtc_turn_latency_seconds_sum", part="playout") == pytest.approx(0.1)
    assert value(registry, "fastrtc_turn_latency_seconds_sum", part="heard") == pytest.approx(0.35)
    assert value(registry, "fastrtc_reply_duration_seconds_count") == 2
    assert value(registry, "fastrtc_reply_duration_seconds_sum") == pytest.approx(3.0)
    assert value(registry, "fastrtc_replies_held_total") == 1
    assert value(registry, "fastrtc_replies_interrupted_total", reason="user") == 1
    assert value(registry, "fastrtc_handler_failures_total") == 1


def test_running_sessions_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAG_EVERY_S", 0.001)
    monkeypatch.setattr(module, "NETWORK_EVERY_S", 0.0)
    registry = CollectorRegistry()

    async def scenario() -> None:
        observer, one = Telemetry(PrometheusMeter(registry)), session()
        observer.session_opened(one)
        async with asyncio.timeout(20):
            await one.link.asked_thrice.wait()
            assert value(registry, "fastrtc_sessions") == 1
            observer.session_closed(one)
            await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "fastrtc-telemetry"])

    asyncio.run(scenario())
    assert (value(registry, "fastrtc_network_packets_received_total") or 0) >= 200
    assert (value(registry, "fastrtc_network_packets_lost_total") or 0) >= 4
    assert (value(registry, "fastrtc_playout_queue_seconds_sum") or 0) >= 0.24
    assert (value(registry, "fastrtc_event_loop_lag_seconds_count") or 0) >= 2


def test_a_network_that_cannot_be_measured_does_not_end_the_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAG_EVERY_S", 0.001)
    monkeypatch.setattr(module, "NETWORK_EVERY_S", 0.0)
    registry = CollectorRegistry()

    async def scenario() -> None:
        observer, broken, one = Telemetry(PrometheusMeter(registry)), session("broken"), session()
        monkeypatch.setattr(broken.link, "stats", failing)
        observer.session_opened(broken)
        observer.session_opened(one)
        async with asyncio.timeout(20):
            await one.link.asked_thrice.wait()
            for each in (broken, one):
                observer.session_closed(each)
            await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "fastrtc-telemetry"])

    async def failing() -> PeerStats:
        raise RuntimeError("the engine has no statistics")

    asyncio.run(scenario())
    assert (value(registry, "fastrtc_network_packets_received_total") or 0) >= 200


@pytest.mark.parametrize(("reason", "code"), [("user", "user"), ("It broke: 'x'", "other"), ("a" * 60, "other")])
def test_reasons_make_few_series(reason: str, code: str) -> None:
    assert as_code(reason) == code


def test_the_endpoint_answers_what_prometheus_reads() -> None:
    prometheus_observer()
    text = bytes(metrics_endpoint(None).body).decode()  # type: ignore[arg-type]
    families = {family.name for family in text_string_to_metric_families(text)}
    assert {metric_name(one) for one in INSTRUMENTS} <= families
    assert "process_resident_memory_bytes" in families or sys.platform != "linux"


def test_expositions_of_workers_become_one() -> None:
    prometheus_observer()
    text = bytes(metrics_endpoint(None).body).decode()  # type: ignore[arg-type]
    merged = list(text_string_to_metric_families(merge_expositions({"0": text, "1": text}, "worker")))
    assert len({family.name for family in merged}) == len(merged)
    sessions = next(family for family in merged if family.name == "fastrtc_sessions")
    assert [sample.labels for sample in sessions.samples] == [{"worker": "0"}, {"worker": "1"}]
    assert merge_expositions({}, "worker") == ""


def test_spans_say_when_what_happened() -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    traces = TracerProvider(shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(spans))
    meters = MeterProvider([reader], shutdown_on_exit=False)

    async def scenario() -> None:
        live(OtelObserver(traces, meters), session("abc"))

    asyncio.run(scenario())
    done = spans.get_finished_spans()
    names = [span.name for span in done]
    assert names == [
        "fastrtc.turn.decision",
        "fastrtc.turn.call",
        "fastrtc.turn.first_yield",
        "fastrtc.turn.playout",
        "fastrtc.turn",
        "fastrtc.turn",
        "fastrtc.session",
    ]
    whole, turn, playout = done[-1], done[4], done[3]
    assert whole.attributes["session.id"] == "abc"
    assert whole.attributes["fastrtc.close_reason"] == "time_limit_reached"
    assert turn.parent.span_id == whole.context.span_id
    assert done[0].parent.span_id == turn.context.span_id
    assert turn.attributes["fastrtc.latency.total_ms"] == 250.0
    assert [child.end_time - child.start_time for child in done[:3]] == [200_000_000, 10_000_000, 40_000_000]
    assert playout.end_time - playout.start_time == 100_000_000
    assert playout.end_time - turn.start_time == 350_000_000
    assert "what the user said" not in "".join(span.to_json() for span in done)
    points = {
        metric.name: metric
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert points["fastrtc.turns"].data.data_points[0].value == 2
    assert points["fastrtc.turn.latency"].unit == "s"
    traces.shutdown()
    meters.shutdown()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtraError, match=r"fastrtc\[metrics\]"):
        PrometheusMeter(None)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(MissingExtraError, match=r"fastrtc\[otel\]"):
        OtelObserver()

"""Measurements for Prometheus (extra ``metrics``)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fastrtc.errors import MissingExtraError
from fastrtc.observe.instruments import INSTRUMENTS, Instrument
from fastrtc.observe.telemetry import Telemetry

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def metric_name(instrument: Instrument) -> str:
    """The name in Prometheus: ``fastrtc_turn_latency_seconds``; counters end in ``_total`` besides."""
    return instrument.name.replace(".", "_") + ("_seconds" if instrument.unit == "s" else "")


class PrometheusMeter:
    """See :class:`fastrtc.observe.instruments.Meter`.

    Args:
        registry: A ``prometheus_client.CollectorRegistry``.

    Raises:
        MissingExtraError: ``prometheus_client`` is not installed.
    """

    def __init__(self, registry: Any) -> None:
        client = _client()
        kinds = {"counter": client.Counter, "gauge": client.Gauge, "histogram": client.Histogram}
        self._metrics: dict[str, Any] = {}
        for one in INSTRUMENTS:
            more: dict[str, Any] = {"buckets": one.buckets} if one.kind == "histogram" else {}
            self._metrics[one.name] = kinds[one.kind](
                metric_name(one), one.description, one.labels, registry=registry, **more
            )

    def count(self, instrument: Instrument, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        self._of(instrument, labels).inc(amount)

    def set(self, instrument: Instrument, value: float) -> None:
        """Set a gauge."""
        self._of(instrument, {}).set(value)

    def record(self, instrument: Instrument, value: float, **labels: str) -> None:
        """Add one value to a distribution."""
        self._of(instrument, labels).observe(value)

    def _of(self, instrument: Instrument, labels: dict[str, str]) -> Any:
        metric = self._metrics[instrument.name]
        return metric.labels(**labels) if labels else metric


@lru_cache(maxsize=1)
def registry() -> Any:
    """The process's ``CollectorRegistry``: sessions, and CPU, memory and file descriptors of the process.

    Raises:
        MissingExtraError: ``prometheus_client`` is not installed.
    """
    client = _client()
    made = client.CollectorRegistry()
    client.ProcessCollector(registry=made)
    client.GCCollector(registry=made)
    return made


@lru_cache(maxsize=1)
def prometheus_observer() -> Telemetry:
    """The process's observer that measures for :func:`metrics_endpoint`; give it to ``Stream(observers=[...])``.

    Raises:
        MissingExtraError: ``prometheus_client`` is not installed.
    """
    return Telemetry(PrometheusMeter(registry()))


def metrics_endpoint(_request: Request) -> Response:
    """Answer ``GET /metrics``: ``app.add_route("/metrics", metrics_endpoint)``."""
    from starlette.responses import Response

    prometheus_observer()
    return Response(_client().generate_latest(registry()), media_type="text/plain; version=0.0.4; charset=utf-8")


def _client() -> Any:
    try:
        import prometheus_client
    except ImportError as error:
        raise MissingExtraError("the endpoint for Prometheus", "metrics") from error
    return prometheus_client

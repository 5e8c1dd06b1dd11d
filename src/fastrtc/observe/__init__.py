"""What sessions can be seen by from outside: logs, metrics, traces, recordings.

Every name is loaded when it is first used (PEP 562): a stream that nobody observes pays for none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastrtc.lazy import lazy_names

if TYPE_CHECKING:
    from fastrtc.observe.logs import JsonFormatter, SessionIds, SessionLog, configure_logging
    from fastrtc.observe.observer import SessionObserver, observe_all
    from fastrtc.observe.otel import OtelObserver, configure_otel
    from fastrtc.observe.prometheus import metrics_endpoint, prometheus_observer
    from fastrtc.observe.recorder import Recorder

__all__ = [
    "JsonFormatter",
    "OtelObserver",
    "Recorder",
    "SessionIds",
    "SessionLog",
    "SessionObserver",
    "configure_logging",
    "configure_otel",
    "metrics_endpoint",
    "observe_all",
    "prometheus_observer",
]

_HOMES = {
    "JsonFormatter": "logs",
    "OtelObserver": "otel",
    "Recorder": "recorder",
    "SessionIds": "logs",
    "SessionLog": "logs",
    "SessionObserver": "observer",
    "configure_logging": "logs",
    "configure_otel": "otel",
    "metrics_endpoint": "prometheus",
    "observe_all": "observer",
    "prometheus_observer": "prometheus",
}


__getattr__, __dir__ = lazy_names(__name__, _HOMES)

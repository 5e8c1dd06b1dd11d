"""Events as values and as JSON."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, get_args

import pytest

from fastrtc.events import Event, FirstAudio, ReplyInterrupted, TurnCommitted, event_as_json, event_name

KINDS: list[Any] = list(get_args(Event))


def example(kind: Any) -> Any:
    """An event with something in every field that has no default."""
    values: dict[str, Any] = {"float": 1.5, "int": 2, "str": "text", "bool": True}
    return kind(
        **{
            one.name: values[str(one.type)]
            for one in dataclasses.fields(kind)
            if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        }
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_event_has_a_name_and_goes_through_json(kind: Any) -> None:
    event = example(kind)
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
    assert event_name(event) == snake
    data = event_as_json(event)
    assert data["name"] == snake
    assert json.loads(json.dumps(data)) == data
    assert set(data) == {"name"} | {one.name for one in dataclasses.fields(kind)}
    assert "at_s" in data


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_events_are_values(kind: Any) -> None:
    event = example(kind)
    assert event == example(kind)
    assert not hasattr(event, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.at_s = 3.0


def test_names_are_distinct() -> None:
    names = [event_name(example(kind)) for kind in KINDS]
    assert len(set(names)) == len(names)


def test_fields_go_along() -> None:
    committed = TurnCommitted(turn=3, at_s=2.0, start_s=0.5, end_s=1.7, reason="silence", probability=0.8)
    assert event_as_json(committed) == {
        "name": "turn_committed",
        "turn": 3,
        "at_s": 2.0,
        "start_s": 0.5,
        "end_s": 1.7,
        "reason": "silence",
        "probability": 0.8,
    }
    assert event_as_json(FirstAudio(turn=1, at_s=1.0, latency_ms={"total": 250.0}))["latency_ms"] == {"total": 250.0}
    assert event_as_json(ReplyInterrupted(turn=1, at_s=1.0, heard_s=0.4))["reason"] == "user"

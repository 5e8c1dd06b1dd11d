"""Limits: numbers above 0, whole where they count."""

from dataclasses import fields
from typing import Any

import pytest

from fastrtc.errors import ConfigurationError
from fastrtc.limits import Limits


@pytest.mark.parametrize("name", [item.name for item in fields(Limits)])
@pytest.mark.parametrize("wrong", [0, -1, "many", True, float("inf"), float("nan")])
def test_what_is_no_limit_is_refused_by_name(name: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Limits(**{name: wrong})


def test_counts_are_whole() -> None:
    with pytest.raises(ConfigurationError, match="whole"):
        Limits(message_burst=1.5)  # type: ignore[arg-type]
    assert Limits(messages_per_s=1.5, max_memory_mb=None).messages_per_s == 1.5

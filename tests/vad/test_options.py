"""Names and defaults are a contract with applications; wrong values are found when they are given."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest

from fastrtc.errors import ConfigurationError
from fastrtc.vad.options import SileroVadOptions


def test_fields_and_defaults_are_those_of_fastrtc() -> None:
    assert asdict(SileroVadOptions()) == {
        "threshold": 0.5,
        "min_speech_duration_ms": 250,
        "max_speech_duration_s": math.inf,
        "min_silence_duration_ms": 2000,
        "window_size_samples": 1024,
        "speech_pad_ms": 400,
    }
    assert list(asdict(SileroVadOptions()))[:2] == ["threshold", "min_speech_duration_ms"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", -0.1),
        ("threshold", 1.5),
        ("threshold", math.nan),
        ("min_speech_duration_ms", -1),
        ("min_silence_duration_ms", -1),
        ("min_silence_duration_ms", math.inf),
        ("speech_pad_ms", -1),
        ("max_speech_duration_s", 0),
        ("max_speech_duration_s", math.nan),
        ("window_size_samples", 0),
    ],
)
def test_a_value_that_cannot_work_is_named(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=name):
        SileroVadOptions(**{name: value})


def test_an_application_may_change_its_options() -> None:
    options = SileroVadOptions()
    options.threshold = 0.7
    assert options == SileroVadOptions(threshold=0.7)

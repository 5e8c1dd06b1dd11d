"""What a user may say about turn-taking, and what becomes of it in samples."""

from __future__ import annotations

import math
from typing import Any

import pytest

from fastrtc.errors import ConfigurationError
from fastrtc.speech.backchannel import SoundFilter
from fastrtc.speech.end_of_turn import EndOfTurnModel
from fastrtc.turns.options import AlgoOptions, turn_settings


def test_defaults_of_the_guide() -> None:
    options = AlgoOptions()
    assert options.audio_chunk_duration == 0.6
    assert options.started_talking_threshold == 0.2
    assert options.speech_threshold == 0.1
    assert options.max_continuous_speech_s == math.inf


def test_the_guides_fields_come_first() -> None:
    assert AlgoOptions(1.0, 0.3, 0.2, 30.0) == AlgoOptions(
        audio_chunk_duration=1.0, started_talking_threshold=0.3, speech_threshold=0.2, max_continuous_speech_s=30.0
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"audio_chunk_duration": 0.0},
        {"audio_chunk_duration": math.nan},
        {"max_continuous_speech_s": 0.0},
        {"idle_timeout_s": -1.0},
        {"started_talking_threshold": -0.1},
        {"speech_threshold": 0.6},
        {"pre_roll_s": -0.5},
        {"hold_speech_s": -0.1},
        {"interrupt_speech_s": -0.1},
        {"resume_silence_s": math.nan},
        {"shortest_silence_s": -3.0},
        {"longest_silence_s": 0.3, "shortest_silence_s": 0.4},
        {"turn_detector": "magic"},
        {"turn_detector": None},
        {"turn_detector": EndOfTurnModel},
        {"interruption_filter": "magic"},
        {"interruption_filter": SoundFilter},
        {"longest_backchannel_s": -1.0},
        {"interrupt_words": -1},
        {"interrupt_words": 1.5},
        {"interrupt_words": 2, "interruption": "cancel"},
        {"interrupt_words": 2, "interruption_filter": None},
        {"detector_gain_db": -1.0},
        {"pre_roll_s": "long"},
        {"interruption": "pause"},
        {"turn_detection": "never"},
    ],
)
def test_what_cannot_work_is_said_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        AlgoOptions(**wrong)


def test_in_samples() -> None:
    settings = turn_settings(
        AlgoOptions(max_continuous_speech_s=10.0),
        rate_hz=48_000,
        threshold=0.6,
        min_speech_ms=250,
        speech_pad_ms=400,
        can_interrupt=False,
    )
    assert settings.gate.window_samples == 28_800
    assert settings.gate.min_speech_samples == 12_000
    assert settings.gate.release == pytest.approx(0.45)
    assert settings.pre_roll_samples == 43_200
    assert settings.max_speech_samples == 480_000
    assert settings.can_interrupt is False
    assert settings.ms(480) == 10.0


def test_the_threshold_of_the_guide_counts_padded_speech() -> None:
    settings = turn_settings(
        AlgoOptions(started_talking_threshold=0.5),
        rate_hz=16_000,
        threshold=0.5,
        min_speech_ms=64,
        speech_pad_ms=400,
        can_interrupt=True,
    )
    assert settings.gate.min_speech_samples == 1600


def test_the_release_stays_above_zero() -> None:
    settings = turn_settings(
        AlgoOptions(), rate_hz=16_000, threshold=0.05, min_speech_ms=0, speech_pad_ms=0, can_interrupt=True
    )
    assert settings.gate.release == 0.01

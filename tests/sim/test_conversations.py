"""Hundreds of simulated conversations: interruptions at every phase of every kind of reply."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sim.conversation import KINDS, PHASES, Conversation, TurnPlan


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(("sound", "sound_s"), [("cough", 0.13), ("remark", 0.9)])
@pytest.mark.parametrize("interruption", ["hold", "cancel"])
def test_every_phase_of_every_kind(kind: str, phase: str, sound: str, sound_s: float, interruption: str) -> None:
    for seconds, think in ((0.3, 12), (1.5, 1)):
        plan = TurnPlan(kind, seconds, think, phase, sound, sound_s)
        after = TurnPlan("frames", 0.4, 1, "none", sound, sound_s)
        Conversation([plan, plan, after], interruption=interruption).run().check_nothing_was_lost()


@pytest.mark.parametrize(
    ("options", "seeds"),
    [
        ({}, 200),
        ({"interruption": "cancel"}, 100),
        ({"can_interrupt": False}, 50),
        ({"lead_ms": 200}, 100),
        ({"lead_ms": 100, "interruption": "cancel"}, 50),
    ],
    ids=["hold", "cancel", "deaf", "buffering", "buffering, cancel"],
)
def test_seeded_conversations(options: dict[str, Any], seeds: int) -> None:
    interruptions = holds = resumes = turns = 0
    for seed in range(seeds):
        conversation = Conversation.seeded(seed, **options)
        try:
            referee = conversation.run()
            if options.get("can_interrupt", True):
                referee.check_nothing_was_lost()
        except AssertionError as error:
            raise AssertionError(f"conversation {seed}: {error}") from error
        assert referee.stale_ticks == 0
        interruptions += len(referee.interrupted)
        holds += referee.holds
        resumes += referee.resumes
        turns += referee.turn
    assert turns > 2.5 * seeds
    if not options.get("can_interrupt", True):
        assert interruptions == holds == 0
    elif options.get("interruption") == "cancel":
        assert interruptions > seeds / 3
    else:
        assert interruptions > seeds / 3
        assert resumes > seeds / 10


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "raises"])
def test_a_cough_resumes_where_the_reply_stopped(kind: str) -> None:
    plan = TurnPlan(kind, 2.0, 3, "middle", "cough", 0.13)
    referee = Conversation([plan]).run()
    assert (referee.holds, referee.resumes, len(referee.interrupted)) == (1, 1, 0)
    assert referee.positions[1] == 48_000
    assert referee.turn == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_remark_interrupts_and_is_answered(kind: str) -> None:
    plan = TurnPlan(kind, 2.0, 3, "first", "remark", 0.9)
    after = TurnPlan("frames", 0.4, 1, "none", "remark", 0.9)
    conversation = Conversation([plan, after])
    referee = conversation.run()
    assert list(referee.interrupted) == [1]
    assert list(referee.finished) == [2]
    onset_s = conversation.utterances[1].start_s
    assert referee.interrupted[1] - onset_s < 0.45
    assert referee.positions[1] / 24_000 <= 0.15 + 0.02, "silent within 150 ms of the first word"


def test_without_can_interrupt_every_reply_is_heard_whole() -> None:
    plan = TurnPlan("frames", 1.0, 1, "middle", "remark", 0.9)
    referee = Conversation([plan, plan], can_interrupt=False).run()
    assert referee.interrupted == {}
    assert all(position == 24_000 for position in referee.positions.values())

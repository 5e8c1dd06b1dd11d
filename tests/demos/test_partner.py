"""The partner without a model, and the house: what they answer."""

from __future__ import annotations

from datetime import datetime

import pytest

from fastrtc.demos.computer import House
from fastrtc.demos.partner import RulePartner, calculate


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ("what is twelve times 7", "84"),
        ("one hundred and five plus twenty two", "127"),
        ("three thousand four hundred minus fifty", "3,350"),
        ("how much is 2.5 times four", "10"),
        ("ten divided by three", "3.33"),
        ("twenty-one plus 4 times 2", "29"),
        ("five divided by zero", "more than I can say, because nothing can be divided by zero"),
        (" times ".join(["999999999"] * 40), "more than I can say"),
        ("one two three", None),
        ("the five of them", None),
        ("plus", None),
        ("", None),
    ],
)
def test_arithmetic(said: str, result: str | None) -> None:
    assert calculate(said) == result


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("What time is it?", "It is 3:05 p.m."),
        ("What's the date today?", "It is Monday, March 2."),
        ("What is 3 + 4?", "That is 7."),
        ("Repeat after me, fresh bread.", "Fresh bread."),
        ("Hello!", "Hello."),
        ("Thank you.", "You are welcome."),
        ("Go forward ten meters.", "I heard: Go forward ten meters. I only know a few rules; ask what I can do."),
    ],
)
def test_rules(said: str, answer: str) -> None:
    partner = RulePartner(now=lambda: datetime(2026, 3, 2, 15, 5))
    assert list(partner.answer(said)) == [answer]


def test_it_remembers_a_name() -> None:
    partner = RulePartner()
    assert partner.reply("Who am I?") == "I do not know your name. Tell me: my name is."
    assert partner.reply("My name is anna.") == "Nice to meet you, Anna."
    assert partner.reply("Good morning!") == "Hello, Anna."
    assert RulePartner().reply("Goodbye") == "Goodbye."


def test_a_story_is_long_enough_to_be_interrupted() -> None:
    assert len(RulePartner().reply("Tell me a story").split(". ")) >= 6


def test_the_lights_of_a_house() -> None:
    house = House()
    assert house.obey("Turn on the lights in the kitchen.") == "The lights in the kitchen are on."
    assert (
        house.obey("switch the bedroom lamp and the hall lights on") == "The lights in the bedroom and the hall are on."
    )
    assert house.lights == {"kitchen": "on", "bedroom": "on", "hall": "on"}
    assert house.obey("lights off") == "The lights are off."
    assert set(house.lights.values()) == {"off"}
    assert House().obey("turn the lights on") == "The lights are on."


def test_coffee_and_everything_else() -> None:
    house = House()
    assert (
        house.obey("Get me a large iced coffee with light roast.")
        == "One large iced coffee with light roast, coming up."
    )
    assert house.obey("Can I have two americanos?") == "One americano, coming up."
    assert house.obey("Turn on the radio") == "I heard: Turn on the radio. I only know a few rules; ask what I can do."
    assert house.lights == {}


def test_whatever_is_typed_is_answered() -> None:
    partner = RulePartner()
    for said in ("9" * 5_000 + " plus 1", "one plus " * 100_000, "say " + "a" * 100_000):
        assert len(partner.reply(said)) <= 1_100

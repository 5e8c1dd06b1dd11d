"""A partner for the demos that needs no model: it knows a handful of things and says so."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol

Number = int | float

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMBERS = {word: value for value, word in enumerate(_SMALL.split())} | {
    word: 10 * tens for tens, word in enumerate(_TENS.split(), 2)
}
_SCALES = {"thousand": 1000, "million": 1_000_000}
_SIGNS = {
    "plus": "+",
    "minus": "-",
    "less": "-",
    "times": "*",
    "x": "*",
    "multiplied": "*",
    "divided": "/",
    "over": "/",
}
_OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

STORY = (
    "Once upon a time there was a telephone that nobody called. It stood in a narrow hall between the umbrellas and "
    "the winter coats. Every evening it listened to the clock, and every morning it listened to the rain. One day a "
    "child picked it up, and said hello. The telephone had waited so long that it had forgotten what to answer. So it "
    "said the only thing it knew, a long and steady tone. The child laughed, and hung up. But from that day on it came "
    "back every evening, to say good night to the telephone. And the telephone always answered with the same tone, a "
    "little softer."
)
LONGEST = 1_000
ABILITIES = (
    "I can tell the time and the date, calculate, repeat after you, and remember your name. Ask me for a story, and "
    "interrupt it."
)


class Partner(Protocol):
    """Whoever answers in ``fastrtc demo talk``; one for each session."""

    def greeting(self) -> str:
        """What it says first."""
        ...

    def answer(self, said: str) -> Iterator[str]:
        """The answer, in parts of any length; closed when the user interrupts."""
        ...


class RulePartner:
    """Answers by rules; it remembers a name.

    Args:
        now: Tells the time.
    """

    def __init__(self, now: Callable[[], datetime] = datetime.now) -> None:
        self._now = now
        self._name = ""
        self._rules: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
            (re.compile(pattern), reply)
            for pattern, reply in (
                (r"\bmy name is (\w+)|\bcall me (\w+)", self._meet),
                (r"\b(who am i|my name)\b", lambda _: self._who()),
                (r"\b(your name|who are you)\b", lambda _: "I am the demo of fastrtc, a few rules and a voice."),
                (r"\bwhat can (you|i)\b|\bhelp\b", lambda _: ABILITIES),
                (r"\bstory\b", lambda _: STORY),
                (r"\brepeat after me (.+)|\bsay (.+)", lambda match: f"{(match[1] or match[2]).strip().capitalize()}."),
                (r"\b(time|clock)\b", lambda _: self._time()),
                (r"\b(date|day|today)\b", lambda _: self._date()),
                (r"\bhow are you\b", lambda _: "I am well, thank you. Nobody interrupts me as kindly as you do."),
                (r"\b(thank you|thanks)\b", lambda _: "You are welcome."),
                (r"\b(goodbye|good bye|bye|good night)\b", lambda _: self._to("Goodbye")),
                (r"\b(hello|hi|hey|good (morning|afternoon|evening))\b", lambda _: self._to("Hello")),
            )
        ]

    def greeting(self) -> str:
        """What it says first."""
        return "Hello! You can talk to me, and interrupt me. Ask what I can do."

    def answer(self, said: str) -> Iterator[str]:
        """One answer, all of it at once."""
        yield self.reply(said)

    def reply(self, said: str) -> str:
        """The answer to what was said."""
        # Nobody says more in one breath; what is typed may be anything.
        said = said[:LONGEST]
        heard = re.sub(r"[^\w\s'+*/.-]", " ", said.casefold()).strip(" .")
        result = calculate(heard)
        if result is not None:
            return f"That is {result}."
        for pattern, reply in self._rules:
            match = pattern.search(heard)
            if match is not None:
                return reply(match)
        return f"I heard: {said.strip().rstrip('.?!')}. I only know a few rules; ask what I can do."

    def _meet(self, match: re.Match[str]) -> str:
        self._name = (match[1] or match[2]).capitalize()
        return f"Nice to meet you, {self._name}."

    def _who(self) -> str:
        return f"You are {self._name}." if self._name else "I do not know your name. Tell me: my name is."

    def _to(self, greeting: str) -> str:
        return f"{greeting}, {self._name}." if self._name else f"{greeting}."

    def _time(self) -> str:
        now = self._now()
        return f"It is {now.hour % 12 or 12}:{now.minute:02d} {'a.m.' if now.hour < 12 else 'p.m.'}"

    def _date(self) -> str:
        now = self._now()
        return f"It is {now:%A}, {now:%B} {now.day}."


def calculate(heard: str) -> str | None:
    """The result of the arithmetic in a sentence such as ``what is twelve times 7``; None if there is none."""
    terms = _terms(re.findall(r"[a-z']+|\d+(?:\.\d+)?|[+*/-]", re.sub(r"(?<=[a-z])-(?=[a-z])", " ", heard)))
    if not re.fullmatch(r"\d+(?:\.\d+)?(?:[+*/-]\d+(?:\.\d+)?)+", terms):
        return None
    try:
        value = float(_value(ast.parse(terms, mode="eval").body))
    except ZeroDivisionError:
        return "more than I can say, because nothing can be divided by zero"
    except OverflowError:
        return "more than I can say"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def _terms(words: list[str]) -> str:
    """Numbers and signs without the words around them: ``12*7``."""
    terms: list[str] = []
    while words:
        number, length = _number(words)
        word = words[0]
        if length:
            terms.append(str(number))
        elif terms and (word in _SIGNS or word in "+*/-"):
            terms.append(_SIGNS.get(word, word))
        words = words[max(1, length) :]
    return "".join(terms)


def _number(words: list[str]) -> tuple[Number, int]:
    """The number that the words begin with, and how many of them it takes: ``three thousand four hundred and five``."""
    if words[0][0].isdigit():
        return (float(words[0]) if "." in words[0] else int(words[0])), 1
    total, current, length = 0, 0, 0
    for position, word in enumerate(words):
        if word in _NUMBERS:
            current += _NUMBERS[word]
        elif word == "hundred" and length:
            current *= 100
        elif word in _SCALES and length:
            total, current = total + current * _SCALES[word], 0
        elif word == "and" and position == length > 0 and words[position - 1] in {"hundred", *_SCALES}:
            continue
        else:
            break
        length = position + 1
    return total + current, length


def _value(node: ast.expr) -> Number:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, int | float)
    return node.value

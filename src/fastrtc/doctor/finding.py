"""What the doctor found, as text for people and as JSON for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_WIDTH = 100
_INDENT = 22


class Status(StrEnum):
    """How a check ended.

    ========  ==================================================================
    status    meaning
    ========  ==================================================================
    OK        it works
    NOTE      worth knowing, nothing to do
    WARNING   it works here, and may fail for some clients
    PROBLEM   it does not work; the advice says what to change
    ========  ==================================================================
    """

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: Its name, stable for programs, for example ``turn``.
        status: How it ended.
        summary: One sentence.
        advice: What to change; empty where nothing is to be done.
        facts: Values for programs: numbers, addresses.
    """

    check: str
    status: Status
    summary: str
    advice: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return {
            "check": self.check,
            "status": self.status.value,
            "summary": self.summary,
            "advice": self.advice,
            "facts": dict(self.facts),
        }

    def as_text(self) -> str:
        """The finding as lines for a terminal."""
        head = f"{self.status.value:<9}{self.check:<{_INDENT - 9}}"
        indent = " " * _INDENT
        lines = textwrap.wrap(self.summary, _WIDTH, initial_indent=head, subsequent_indent=indent)
        if self.advice:
            lines += textwrap.wrap(self.advice, _WIDTH, initial_indent=f"{indent}-> ", subsequent_indent=f"{indent}   ")
        return "\n".join(lines)


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Whether there is no problem."""
    return all(finding.status is not Status.PROBLEM for finding in findings)


def conclusion(findings: Sequence[Finding]) -> str:
    """The last line of the report."""
    problems = sum(finding.status is Status.PROBLEM for finding in findings)
    warnings = sum(finding.status is Status.WARNING for finding in findings)
    if not problems and not warnings:
        return "Everything that was checked works."
    parts = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in _counted(problems, warnings) if count]
    return f"{' and '.join(parts)}; each says what to change."


def _counted(problems: int, warnings: int) -> tuple[tuple[int, str], ...]:
    return (problems, "problem"), (warnings, "warning")

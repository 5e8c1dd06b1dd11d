"""The text that Prometheus reads, from several processes made one. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def merge_expositions(texts: Mapping[str, str], label: str) -> str:
    """One exposition of several: each sample gets a label that says where it is from.

    Args:
        texts: Expositions in Prometheus' text format 0.0.4 by the value of the label.
        label: Name of the label.
    """
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for value, text in texts.items():
        family = ""
        for line in text.splitlines():
            if line.startswith(("# HELP ", "# TYPE ")):
                family = line.split(" ")[2]
                head = heads.setdefault(family, [])
                if line not in head:
                    head.append(line)
            elif line and not line.startswith("#"):
                samples.setdefault(family, []).append(_labelled(line, label, value))
    lines = [line for family in samples for line in [*heads.get(family, []), *samples[family]]]
    return "\n".join([*lines, ""])


def _labelled(sample: str, label: str, value: str) -> str:
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{{label}="{value}",{rest}'
    name, _, rest = sample.partition(" ")
    return f'{name}{{{label}="{value}"}} {rest}'

"""Values of components between two calls of an additional outputs handler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.blocks import Block


class Carrier:
    """Keeps the arguments of a handler that is called again and again in one Gradio event.

    Gradio reads the inputs once, when the event begins, and one event may show many outputs. A component that is an
    input and an output gets what the handler gave last, so that a handler may append to a chat.

    Args:
        inputs: The components whose values are the handler's first arguments.
        outputs: The components that it updates.
    """

    def __init__(self, inputs: Sequence[Block], outputs: Sequence[Block]) -> None:
        self._inputs = inputs
        self._outputs = outputs

    def after(self, values: Sequence[Any], result: Any) -> list[Any]:
        """The handler's arguments after it has returned ``result``."""
        given = self._by_component(result)
        return [
            given[component._id] if component._id in given and _is_plain(given[component._id]) else value
            for component, value in zip(self._inputs, values, strict=True)
        ]

    @property
    def unchanged(self) -> Any:
        """What a handler gives that leaves its outputs as they are."""
        skipped = [gr.skip() for _ in self._outputs]
        return skipped[0] if len(skipped) == 1 else tuple(skipped) or None

    def _by_component(self, result: Any) -> dict[int, Any]:
        if isinstance(result, Mapping) and result and all(isinstance(key, Block) for key in result):
            return {component._id: value for component, value in result.items()}
        values = [result] if len(self._outputs) == 1 else result
        if not isinstance(values, list | tuple) or len(values) != len(self._outputs):
            return {}
        return {component._id: value for component, value in zip(self._outputs, values, strict=True)}


def _is_plain(value: Any) -> bool:
    """Whether it is a value, and not an update of a component's properties."""
    return not isinstance(value, Block) and not (isinstance(value, dict) and "__type__" in value)

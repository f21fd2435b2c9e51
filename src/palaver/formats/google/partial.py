"""A call whose arguments are streamed in pieces, each under the JSON path of its value (`partialArgs`, Vertex AI)."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, cast

from palaver.formats.google.turns import call_in
from palaver.formats.google.usage import either
from palaver.formats.wire import is_array, is_object

__all__ = ["PartialCall", "is_partial"]

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\[(?:'([^']*)'|"([^"]*)")\]""")
_MANY = 10_000
"""Longest list that a path may make."""


def is_partial(call: Any, *, open_call: bool) -> bool:
    """Whether a functionCall is a piece of one: more will follow, or it ends the one that is open."""
    if not is_object(call):
        return False
    if either(call, "willContinue", "will_continue") or either(call, "partialArgs", "partial_args"):
        return True
    return open_call and not call.get("name") and call.get("args") is None


class PartialCall:
    """A call in the making."""

    def __init__(self) -> None:
        self._part: dict[str, Any] = {}
        self._call: dict[str, Any] = {}
        self._args: Any = {}

    def take(self, part: dict[str, Any]) -> dict[str, Any] | None:
        """Take a piece; the whole part when it is the last."""
        call = call_in(part)
        key = "function_call" if part.get("functionCall") is None else "functionCall"
        self._part.update({name: value for name, value in part.items() if name != key and value is not None})
        for name, value in call.items():
            if name not in ("partialArgs", "partial_args", "willContinue", "will_continue", "args"):
                self._call[name] = value
        if is_object(call.get("args")):
            self._args.update(call["args"])
        pieces = either(call, "partialArgs", "partial_args")
        for piece in pieces if is_array(pieces) else []:
            if is_object(piece):
                self._put(piece)
        if either(call, "willContinue", "will_continue"):
            return None
        return {key: {**self._call, "args": self._args}, **self._part}

    def _put(self, piece: dict[str, Any]) -> None:
        path = either(piece, "jsonPath", "json_path")
        steps: list[str | int] = []
        if isinstance(path, str):
            for name, index, single, double in _STEP.findall(path):
                steps.append(int(index) if index else name or single or double)
        if not steps or any(isinstance(step, int) and step >= _MANY for step in steps):
            return
        value, goes_on = _value(piece)
        node: Any = self._args
        for step, after in pairwise(steps):
            inside: Any = _at(node, step)
            if not (is_array(inside) if isinstance(after, int) else is_object(inside)):
                inside = cast("Any", [] if isinstance(after, int) else {})
                _set(node, step, inside)
            node = inside
        before = _at(node, steps[-1])
        _set(node, steps[-1], before + value if goes_on and isinstance(before, str) else value)


def _value(piece: dict[str, Any]) -> tuple[Any, bool]:
    """The value of a piece, and whether it goes on where the one before it stopped: texts come in pieces."""
    text = either(piece, "stringValue", "string_value")
    if text is not None:
        return str(text), True
    for camel, snake in (("numberValue", "number_value"), ("boolValue", "bool_value")):
        found = either(piece, camel, snake)
        if found is not None:
            return found, False
    return None, False


def _at(node: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return node[step] if is_array(node) and step < len(node) else None
    return node.get(step) if is_object(node) else None


def _set(node: Any, step: str | int, value: Any) -> None:
    if isinstance(step, int):
        node.extend([None] * (step + 1 - len(node)))
    node[step] = value

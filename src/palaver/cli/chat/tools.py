"""What the model may call in a chat: a clock and a calculator. They touch nothing, so that any model may run them."""

from __future__ import annotations

import ast
import json
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from palaver.clock import utc_now
from palaver.model import Message, ToolCall, tool

__all__ = ["TOOLS", "ToolSpec", "run"]

MAX_LENGTH = 400
"""Characters of an expression."""
MAX_BITS = 4_096
"""Size of the largest whole number that is calculated with; beyond it a power would take for ever."""


class ToolSpec(NamedTuple):
    """A tool, as providers are told of it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments."""
    run: Callable[[Mapping[str, Any]], str]


def _clock(arguments: Mapping[str, Any]) -> str:
    zone = str(arguments.get("time_zone") or "UTC")
    try:
        return utc_now().astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError(f"there is no time zone {zone!r}; use a name such as Europe/Rome") from exc


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: operator.mod,
    ast.Pow: lambda a, b: a**b,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def _calculate(arguments: Mapping[str, Any]) -> str:
    text = str(arguments.get("expression", ""))
    if not text.strip() or len(text) > MAX_LENGTH:
        raise ValueError(f"give an expression of 1 to {MAX_LENGTH} characters, such as 2 * (3 + 4)")
    try:
        return str(_value(ast.parse(text.strip(), mode="eval").body))
    except (SyntaxError, RecursionError, MemoryError, TypeError) as exc:
        raise ValueError(f"{text!r} is no arithmetic expression") from exc
    except ArithmeticError as exc:
        raise ValueError(f"{text!r} has no value: {exc}") from exc


def _value(node: ast.expr) -> int | float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return cast("int | float", node.value)
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        found: int | float = _UNARY[type(node.op)](_value(node.operand))
        return found
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _value(node.left), _value(node.right)
        both = isinstance(left, int) and isinstance(right, int)
        if isinstance(node.op, ast.Pow) and both and abs(right) * max(int(left).bit_length(), 1) > MAX_BITS:
            raise ValueError("that power is too large")
        done: Any = _BINARY[type(node.op)](left, right)
        if isinstance(done, complex) or (isinstance(done, int) and done.bit_length() > 2 * MAX_BITS):
            raise ValueError("that number is too large, or none")
        return done  # type: ignore[no-any-return]  # a number: complex ones are gone
    raise ValueError(f"{ast.unparse(node)!r} is not arithmetic: numbers, + - * / // % ** and parentheses are")


TOOLS = (
    ToolSpec(
        "clock",
        "The current date and time in a time zone.",
        {
            "type": "object",
            "properties": {
                "time_zone": {"type": "string", "description": "IANA name such as Europe/Rome; UTC if left out"}
            },
        },
        _clock,
    ),
    ToolSpec(
        "calculator",
        "The value of an arithmetic expression: numbers, + - * / // % ** and parentheses.",
        {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
        _calculate,
    ),
)
_BY_NAME = {spec.name: spec for spec in TOOLS}


def run(call: ToolCall) -> Message:
    """The result of a call; what goes wrong is told to the model, which asked for it."""
    try:
        return tool(call.call_id, _result(call), name=call.name)
    except (ValueError, RecursionError) as exc:
        return tool(call.call_id, f"Error: {exc}", name=call.name, is_error=True)


def _result(call: ToolCall) -> str:
    spec = _BY_NAME.get(call.name)
    if spec is None:
        raise ValueError(f"there is no tool {call.name!r}; there are {', '.join(_BY_NAME)}")
    arguments: Any = json.loads(call.arguments or "{}")
    if not isinstance(arguments, dict):
        raise ValueError("the arguments are no JSON object")
    return spec.run(cast("dict[str, Any]", arguments))

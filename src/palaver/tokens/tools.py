"""How many tokens the definitions of tools take: they are in each prompt, and in no window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from palaver.tokens.scripts import text_tokens

__all__ = ["tools_tokens"]

_TOOL_TOKENS = 8
_MEMBER_TOKENS = 1
_PREAMBLE: dict[str, int] = {"anthropic": 346, "bedrock": 346}
"""Anthropic, "Tool use: pricing": the instructions that come with tools; 346 for Claude 4 at `tool_choice` auto."""
_OTHER_PREAMBLE = 12
"""OpenAI's cookbook, "How to count tokens with tiktoken": what ends the list of functions."""


def tools_tokens(tools: Sequence[Any], wire: str | None = None) -> int:
    """About how many tokens tool definitions are, given as the JSON values that any wire takes; none: 0.

    Their names, descriptions and schemas as text, and a little for each: providers do not send the JSON itself to the
    model. A window's budget is for messages: subtract this from what a prompt may have.
    """
    if not tools:
        return 0
    total = _PREAMBLE.get(wire or "", _OTHER_PREAMBLE) + _TOOL_TOKENS * len(tools)
    waiting: list[Any] = list(tools)
    while waiting:
        value = waiting.pop()
        if _is_object(value):
            for key, inner in value.items():
                total += _MEMBER_TOKENS + text_tokens(str(key))
                waiting.append(inner)
        elif _is_array(value):
            waiting.extend(value)
        elif isinstance(value, str):
            total += text_tokens(value)
        elif value is not None:
            total += 1
    return total


def _is_object(value: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _is_array(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, (list, tuple))

"""Responses items to test adapters with."""

from __future__ import annotations

from typing import Any

Item = dict[str, Any]


def said(text: str) -> Item:
    """What a person says, in the short form that the SDK stores."""
    return {"role": "user", "content": text}


def answer(text: str, number: int = 1) -> Item:
    """What a model answers."""
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": content}


def thought(number: int = 1) -> Item:
    """Reasoning that the server keeps."""
    return {"type": "reasoning", "id": f"rs_{number}", "summary": []}


def call(number: int = 1) -> Item:
    """A call of a tool."""
    arguments = '{"city": "Oslo"}'
    return {
        "type": "function_call",
        "id": f"fc_{number}",
        "call_id": f"call_{number}",
        "name": "weather",
        "arguments": arguments,
        "status": "completed",
    }


def output(number: int = 1) -> Item:
    """What the tool gave."""
    return {"type": "function_call_output", "call_id": f"call_{number}", "output": "rain"}


def turn(number: int = 1) -> list[Item]:
    """A whole turn with a tool: five items, of which the model gave two and one."""
    return [said(f"question {number}"), thought(number), call(number), output(number), answer("It rains.", number)]

"""Items as OpenAI shows them: with an id and a status, content as a list, and no more than was asked for. Pure.

Stored is what the client gave; a provider is sent that, and not what is added here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, TypeAlias

from palaver.formats.openai_responses.kinds import CALLS, OUTPUTS, kind_of
from palaver.formats.wire import is_array, is_object

__all__ = ["Include", "spelled"]

Include: TypeAlias = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]
"""What a client may ask for besides. Images and encrypted reasoning are always there: without them an item could not
be sent to a model again, and what cannot be sent again is no history."""

_ON_REQUEST: dict[str, tuple[str, Include]] = {
    "file_search_call": ("results", "file_search_call.results"),
    "web_search_call": ("results", "web_search_call.results"),
    "code_interpreter_call": ("outputs", "code_interpreter_call.outputs"),
}
_WITH_STATUS = frozenset({"message", "function_call", "function_call_output", *CALLS, *OUTPUTS}) - {
    "mcp_approval_request",
    "mcp_approval_response",
}


def spelled(item: Any, name: str, include: Collection[str] = ()) -> dict[str, Any]:
    """An item as the API shows it, under an id."""
    given: dict[str, Any] = dict(item) if is_object(item) else {"type": "unknown", "value": item}
    kind = kind_of(given)
    out: dict[str, Any] = {"id": name, "type": kind or given.get("type", "unknown"), **given}
    out["id"] = name
    if kind in _WITH_STATUS and out.get("status") is None:
        out["status"] = "completed"
    if kind == "message":
        out["content"] = _content(out.get("role"), given.get("content"), include)
    elif kind in _ON_REQUEST:
        key, wanted = _ON_REQUEST[kind]
        if wanted not in include and key in out:
            out[key] = None
    if kind == "web_search_call" and "web_search_call.action.sources" not in include and is_object(out.get("action")):
        out["action"] = {key: value for key, value in out["action"].items() if key != "sources"}
    return out


def _content(role: Any, content: Any, include: Collection[str]) -> list[Any]:
    said = role == "assistant"
    if isinstance(content, str):
        content = [{"type": "output_text" if said else "input_text", "text": content}]
    if not is_array(content):
        return []
    return [_entry(entry, include) for entry in content]


def _entry(entry: Any, include: Collection[str]) -> Any:
    if not is_object(entry):
        return entry
    kind = entry.get("type")
    if kind == "output_text":
        logprobs = entry.get("logprobs") if "message.output_text.logprobs" in include else None
        return {**entry, "annotations": entry.get("annotations") or [], "logprobs": logprobs or []}
    if kind == "input_image":
        return {"detail": "auto", **entry}
    return entry

"""The item types of the Responses API that Palaver knows, and what each of them demands.

From the types of the `openai` package, 3.51 (`ResponseInputItemParam`, `ResponseOutputItem`); the prefixes of ids are
those that the API gives. A type that is not here is kept and sent back as it came.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from palaver.model import Role

__all__ = [
    "CALLS",
    "ID_REQUIRED",
    "INPUT_ROLES",
    "OUTPUTS",
    "PREFIXES",
    "WIRE",
    "Call",
    "call_id_key",
    "is_client_call",
    "kind_of",
]

WIRE = "openai_responses"
INPUT_ROLES: dict[str, Role] = {"user": "user", "system": "system", "developer": "developer"}


class Call(NamedTuple):
    """How a call that the client has to answer is spelled."""

    output: str
    """Type of the item that answers it."""
    said: str
    """The key of what the model wrote; empty where that is every key but type and id."""
    name: str | None
    """The tool's name, where the item does not carry one."""
    is_text: bool = False
    """Whether what the model wrote is text; else it is any JSON value."""


CALLS: dict[str, Call] = {
    "function_call": Call("function_call_output", "arguments", None, is_text=True),
    "custom_tool_call": Call("custom_tool_call_output", "input", None, is_text=True),
    "tool_search_call": Call("tool_search_output", "arguments", "tool_search"),
    "computer_call": Call("computer_call_output", "action", "computer"),
    "local_shell_call": Call("local_shell_call_output", "action", "local_shell"),
    "shell_call": Call("shell_call_output", "action", "shell"),
    "apply_patch_call": Call("apply_patch_call_output", "operation", "apply_patch"),
    "mcp_approval_request": Call("mcp_approval_response", "", "mcp_approval_request"),
}
OUTPUTS: dict[str, str] = {call.output: kind for kind, call in CALLS.items()}
"""Which calls an output answers, by its type."""

PREFIXES: dict[str, str] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "tool_search_call": "tsc",
    "computer_call": "cu",
    "web_search_call": "ws",
    "file_search_call": "fs",
    "code_interpreter_call": "ci",
    "image_generation_call": "ig",
    "mcp_list_tools": "mcpl",
    "mcp_call": "mcp",
    "mcp_approval_request": "mcpr",
    "compaction": "cmp",
}
"""What OpenAI's ids of items begin with."""

ID_REQUIRED = frozenset(
    {
        "code_interpreter_call",
        "file_search_call",
        "image_generation_call",
        "item_reference",
        "local_shell_call_output",
        "mcp_approval_request",
        "mcp_call",
        "mcp_list_tools",
        "program",
        "program_output",
        "web_search_call",
    }
)
"""Items that mean nothing without their id."""


def kind_of(item: dict[str, Any]) -> str:
    """The type of an item; a message and a reference may leave it out. Empty where it is none of ours."""
    kind = item.get("type")
    if isinstance(kind, str):
        return kind
    if kind is None:
        if "role" in item:
            return "message"
        if isinstance(item.get("id"), str):
            return "item_reference"
    return ""


def call_id_key(item: dict[str, Any], kind: str) -> str:
    """Where an item has the id that pairs calls and outputs.

    An approval is paired by the id of its request. Local shell outputs are by `id` in the SDK's types and by `call_id`
    in OpenAI's guide.
    """
    if kind == "mcp_approval_request":
        return "id"
    if kind == "mcp_approval_response":
        return "approval_request_id"
    if kind == "local_shell_call_output" and not isinstance(item.get("call_id"), str):
        return "id"
    return "call_id"


def is_client_call(item: dict[str, Any], kind: str) -> bool:
    """Whether an item is a call, or the output of one, that the client runs. The server runs some tool searches."""
    if kind in ("tool_search_call", "tool_search_output"):
        return item.get("execution") != "server" and isinstance(item.get("call_id"), str)
    return kind in CALLS or kind in OUTPUTS

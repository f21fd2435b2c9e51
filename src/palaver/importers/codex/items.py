"""Items of a rollout: what Codex sent to OpenAI's Responses API, and what came from there.

Items that the model made in one go are sent back together, and reasoning only before the item that it led to. So a
message here is one item, with the reasoning before it; those of one answer are joined.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from palaver.errors import InvalidMessage
from palaver.formats import parse
from palaver.formats.wire import is_array, is_object
from palaver.importers.chat_records import Unusable
from palaver.model import Message, TextPart

__all__ = ["Names", "is_injected", "is_reasoning", "read_items"]

_OWN = frozenset({"end_turn", "internal_chat_message_metadata_passthrough", "metadata"})
"""Keys that Codex keeps beside an item and never sends."""
_TEXTS = {
    "function_call": ("name", "arguments", "call_id"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call": ("name", "input", "call_id"),
    "custom_tool_call_output": ("call_id", "output"),
}
_INJECTED = (
    "<environment_context>",
    "<user_instructions>",
    "<user_action>",
    "<user_shell_command>",
    "<turn_aborted>",
    "<skill>",
    "<subagent_notification>",
    "<permissions instructions>",
    "# AGENTS.md instructions",
)
"""How texts begin that Codex itself puts in as the user's."""


def is_reasoning(item: dict[str, Any]) -> bool:
    """Whether an item is reasoning, which goes with the item after it."""
    return item.get("type") == "reasoning"


def read_items(items: Sequence[dict[str, Any]]) -> tuple[list[Message], list[str]]:
    """The message that an item is, with the reasoning before it, and what was mended. Raises Unusable."""
    repairs: list[str] = []
    wire = [_sent(item, repairs) for item in items]
    try:
        messages = parse("openai_responses", wire)
    except InvalidMessage as exc:
        raise Unusable(str(exc)) from exc
    flagged = [m.replace(flags=("injected",)) if m.role == "user" and is_injected(m) else m for m in messages]
    return flagged, repairs


def is_injected(message: Message) -> bool:
    """Whether Codex wrote a user message, and not a person."""
    text = next((part.text for part in message.parts if isinstance(part, TextPart)), "")
    return text.lstrip().startswith(_INJECTED)


def _sent(item: dict[str, Any], repairs: list[str]) -> dict[str, Any]:
    """The item as it was sent: Codex leaves out what is null."""
    out = {key: each for key, each in item.items() if each is not None and key not in _OWN}
    kind = out.get("type")
    if not isinstance(kind, str):
        raise Unusable("it has no type" if kind is None else f"its type is {kind!r:.40}")
    output = out.get("output")
    if is_object(output) and kind.endswith("_output"):  # before 0.30: {"content": …, "success": …}
        content = output.get("content")
        out["output"] = content if isinstance(content, str) or is_array(content) else json.dumps(output)
    for key in _TEXTS.get(kind, ()):
        given = out.get(key)
        if not isinstance(given, str) and not (key == "output" and is_array(given)):
            out[key] = "" if given is None else json.dumps(given)
            repairs.append(f"it has no {key}" if given is None else f"its {key} was no text, and became it")
    if kind == "message":
        if not isinstance(out.get("role"), str):
            raise Unusable("it has no role")
        if not isinstance(out.get("content"), str) and not is_array(out.get("content")):
            raise Unusable("it has no content")
    return out


class Names:
    """Ids of messages: of what an item says and how often it was said before, so that they are those of its copies.

    A fork has the records of the session that it goes on, with times of its own.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def of(self, items: Sequence[dict[str, Any]]) -> str:
        """The id of the message that these items are."""
        try:
            said = msgspec.json.encode(items)
        except (msgspec.MsgspecError, ValueError, OverflowError):  # numbers that msgspec has no room for
            said = json.dumps(items).encode()
        digest = hashlib.sha256(said).hexdigest()[:24]
        count = self._seen[digest] = self._seen.get(digest, 0) + 1
        return f"cx-{digest}" + (f"-{count}" if count > 1 else "")

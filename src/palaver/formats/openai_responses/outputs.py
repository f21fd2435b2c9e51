"""What the client answered to calls, parsed and spelled.

The layout of a result is a set of words: the type of the item, unless that is function_call_output, and `list` where
its output is a list of entries. What other types have as JSON is JSON text in the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palaver.codec import json_text
from palaver.formats.failures import failed
from palaver.formats.media import Media, breadcrumb
from palaver.formats.openai_responses.content import parse_entry, spell_entry, text_entry
from palaver.formats.openai_responses.extras import NOTHING, combined, loaded, unchanged, verbatim, without
from palaver.formats.openai_responses.kinds import OUTPUTS, WIRE, call_id_key, kind_of
from palaver.formats.wire import Notes, is_array, is_object, leftover
from palaver.model import AudioPart, FilePart, ImagePart, Opaque, ResultPart, TextPart, ToolResult

__all__ = ["answer", "parse_output", "spell_output"]

_KEYS = {"tool_search_output": "tools", "mcp_approval_response": ""}
"""Where an output has what it says, if not under `output`; empty: it is every key but type and id."""
_JSON = frozenset({"tool_search_output", "shell_call_output", "mcp_approval_response"})
_LISTS = frozenset({"function_call_output", "custom_tool_call_output"})
_WORDS = frozenset({*_LISTS, "local_shell_call_output", "apply_patch_call_output"})


def parse_output(raw: dict[str, Any], where: str) -> ToolResult:
    """The result that an item is. A malformed one is read as far as it goes."""
    kind = kind_of(raw)
    key, said = call_id_key(raw, kind), _KEYS.get(kind, "output")
    words = [] if kind == "function_call_output" else [kind]
    if kind == "local_shell_call_output" and key == "call_id":
        words.append(key)
    given: Any = raw.get(said) if said else without(raw, "type", key)
    parts: tuple[ResultPart, ...] = ()
    if kind in _WORDS and isinstance(given, str):
        parts = (TextPart(text=given),)
    elif kind in _LISTS and is_array(given):
        words.append("list")
        parts = tuple(parse_entry(entry, f"{where}.output[{i}]", "input_text") for i, entry in enumerate(given))
    elif kind in _JSON and given is not None:
        parts = (TextPart(text=json_text(given, where)),)
    elif kind == "computer_call_output" and is_object(given):
        parts = (parse_entry(given, f"{where}.output", "input_text"),)
    known = ("type", key, said) if parts or "list" in words else ("type", key)
    result = ToolResult(
        call_id=raw[key] if isinstance(raw.get(key), str) else "",
        parts=parts,
        is_error=True if raw.get("status") == "failed" else None,
        layout=" ".join(words) or None,
        extra=leftover(without(raw, *known), where) if said else None,
    )
    if spell_output(result, result.call_id) == raw:
        return result
    return verbatim(result, raw, where)  # type: ignore[no-any-return]


def spell_output(result: ToolResult, call_id: str) -> Any:
    """The item that says a result of this wire, under its call's id; NOTHING where it has to be said otherwise."""
    layout = result.layout
    parts = result.parts
    if layout is None and len(parts) == 1 and type(parts[0]) is TextPart:
        plain = {"type": "function_call_output", "call_id": call_id, "output": parts[0].text}
        return plain if result.extra is None else combined(plain, result.extra)
    kept = unchanged(result)
    if kept:
        if call_id != result.call_id:
            kept[call_id_key(kept, kind_of(kept))] = call_id
        return kept
    words = (layout or "").split()
    kind = words[0] if words and words[0] in OUTPUTS else "function_call_output"
    key = "call_id" if "call_id" in words else call_id_key({}, kind)
    said = _KEYS.get(kind, "output")
    value = _value(kind, parts, words)
    if value is NOTHING or (not said and not is_object(value)):
        return NOTHING
    if not said:
        return {**value, "type": kind, key: call_id}
    typed: dict[str, Any] = {"type": kind, key: call_id}
    if value is not None:
        typed[said] = value
    return combined(typed, result.extra)


def _value(kind: str, parts: Sequence[ResultPart], words: list[str]) -> Any:
    """What stands under the key of an output; None: the key is absent, NOTHING: it cannot be said there."""
    if "list" in words:
        entries = [spell_entry(part, "input_text") for part in parts]
        return NOTHING if any(entry is NOTHING for entry in entries) else entries
    only = parts[0] if len(parts) == 1 else None
    if kind == "computer_call_output":
        return NOTHING if only is None else spell_entry(only, "input_text")
    if not parts and kind == "apply_patch_call_output":
        return None
    if type(only) is not TextPart:
        return NOTHING
    return loaded(only.text) if kind in _JSON else only.text


def answer(result: ToolResult, call_id: str, call: str, wire: str | None, notes: Notes) -> dict[str, Any]:
    """An item that answers a call of this type with what a result says, whoever wrote it.

    A computer call wants a screenshot; one that has none must have become a function call before.
    """
    if call == "computer_call" and (shot := screenshot(result, wire)) is not None:
        return {"type": "computer_call_output", "call_id": call_id, "output": shot}
    output = _said(result, wire, notes)
    if result.is_error and wire != WIRE and call not in ("apply_patch_call", "shell_call"):
        output = failed(output, notes, entry="input_text")
    if call in ("function_call", "custom_tool_call"):
        return {"type": f"{call}_output", "call_id": call_id, "output": output}
    text = output if isinstance(output, str) else "\n".join(entry.get("text", "") for entry in output)
    if call == "local_shell_call":
        return {"type": "local_shell_call_output", "id": call_id, "output": text}
    if call == "apply_patch_call":
        status = "failed" if result.is_error else "completed"
        return {"type": "apply_patch_call_output", "call_id": call_id, "status": status, "output": text}
    if call == "shell_call":
        code = 1 if result.is_error else 0
        stdout, stderr = ("", text) if result.is_error else (text, "")
        entry = {"stdout": stdout, "stderr": stderr, "outcome": {"type": "exit", "exit_code": code}}
        return {"type": "shell_call_output", "call_id": call_id, "output": [entry]}
    if call == "mcp_approval_request":
        said = loaded(text)
        allowed = is_object(said) and said.get("approve") is True
        return {"type": "mcp_approval_response", "approval_request_id": call_id, "approve": allowed, "reason": text}
    # A tool search may be answered by a function's output.
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def screenshot(result: ToolResult, wire: str | None) -> dict[str, Any] | None:
    """The picture that answers a computer call, where a result has one."""
    for part in result.parts:
        entry = spell_entry(part, "input_text", wire) if type(part) is ImagePart else NOTHING
        if is_object(entry):
            where = "image_url" if "image_url" in entry else "file_id"
            return {"type": "computer_screenshot", where: entry[where]}
    return None


def _said(result: ToolResult, wire: str | None, notes: Notes) -> str | list[Any]:
    """The output of a result: text where it is one text, else a list of entries."""
    parts = result.parts
    if len(parts) == 1 and type(parts[0]) is TextPart:
        return parts[0].text
    out: list[Any] = []
    for part in parts:
        entry = spell_entry(part, "input_text", wire)
        if entry is not NOTHING:
            out.append(entry)
        elif isinstance(part, Opaque):
            notes.add("opaque_left_out", f"a part of {part.wire} in a result means nothing on {WIRE}")
        elif isinstance(part, (ImagePart, AudioPart, FilePart)):
            out.append(_missing(part, notes))
    return out or ""


def _missing(part: Media, notes: Notes) -> dict[str, Any]:
    notes.add("media_left_out", f"{breadcrumb(part)} cannot be shown in a tool's output")
    return text_entry(breadcrumb(part), "input_text")

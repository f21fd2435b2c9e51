"""One message as OpenAI's wire spells it: its own exactly, those of other wires as well as it can say them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from palaver.formats.call_ids import shortened
from palaver.formats.failures import failed
from palaver.formats.media import breadcrumb
from palaver.formats.openai_chat.dialect import Dialect
from palaver.formats.openai_chat.ordinary import FUNCTION_NAME
from palaver.formats.openai_chat.parts import is_refusal, spell_call
from palaver.formats.wire import Notes, RepairKind, fingerprint, is_object, merged
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    Part,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)

__all__ = ["fitting_name", "say_no_reasoning", "spell", "spell_result", "verbatim"]


def verbatim(message: Message, dialect: Dialect) -> dict[str, Any] | None:
    """The object that a message came as, where it was kept whole and the message was not changed since."""
    if message.wire != dialect.wire or message.extra is None or not (message.layout or "").startswith("verbatim"):
        return None
    kept = json.loads(message.extra)
    return kept if message.layout == f"verbatim {fingerprint(message)}" else None


def spell(
    message: Message, dialect: Dialect, notes: Notes, call_ids: Sequence[str] | None = None
) -> dict[str, Any] | None:
    """The object that says this message; None, noted, where nothing of it can be said.

    With `call_ids`, one for each of its calls, what is said is also made such as the wire takes it.
    """
    if message.role == "tool":
        results = message.tool_results
        return spell_result(results[0], message, dialect, notes) if len(results) == 1 == len(message.parts) else None
    kept = verbatim(message, dialect)
    if kept is not None:
        return kept if call_ids is None else _with_ids(kept, message, call_ids)
    native = message.wire == dialect.wire
    content, beside = _content(message, dialect, notes)
    out: dict[str, Any] = {"role": message.role}
    if content is not None or "absent" not in _words(message, dialect):
        out["content"] = content if content is not None or message.role == "assistant" else ""
    if message.name is not None:
        out["name"] = message.name
    out.update(beside)
    calls = message.tool_calls if message.role == "assistant" else ()
    ids = [call.call_id for call in calls] if call_ids is None else call_ids
    if len(calls) == 1 and not ids[0] and dialect.legacy:
        extra = calls[0].extra if native else None
        called = {"name": calls[0].name, "arguments": calls[0].arguments}
        out["function_call"] = merged({"function": called}, extra)["function"]
    elif calls:
        names = [call.name if call_ids is None else fitting_name(call.name, notes) for call in calls]
        out["tool_calls"] = [
            spell_call(call, call_id, name, native=native)
            for call, call_id, name in zip(calls, ids, names, strict=True)
        ]
    if not native and out.get("content") is None and not calls:
        if message.parts:
            notes.add("message_left_out", f"nothing of it can be said on {dialect.wire}")
            return None
        out["content"] = ""
    out = merged(out, _extra(message, dialect))
    if call_ids is not None and not calls and out.get("tool_calls"):
        del out["tool_calls"]  # no calls of the message, and nobody could answer them
        notes.add("part_left_out", "its tool_calls are none, and were left out")
    return out


def _with_ids(kept: dict[str, Any], message: Message, call_ids: Sequence[str]) -> dict[str, Any]:
    """An object that was kept whole, its calls under the given ids; what is no call becomes what was read from it."""
    calls: Any = kept.get("tool_calls")
    for index, (call, call_id) in enumerate(zip(message.tool_calls, call_ids, strict=True)):
        if not call_id:  # a legacy function call, which has none
            continue
        if is_object(calls[index]):
            calls[index]["id"] = call_id
        else:
            calls[index] = spell_call(call, call_id, call.name)
    return kept


def fitting_name(name: str, notes: Notes) -> str:
    """The function name, or one that OpenAI takes: letters, digits, `_` and `-`, at most 64 of them."""
    if FUNCTION_NAME.fullmatch(name):
        return name
    if not name:
        notes.add("name_missing", "a call has no function name; it got 'unknown'")
        return "unknown"
    found = re.sub(r"[^a-zA-Z0-9_-]", "_", shortened(name, 64))
    notes.add("name_changed", f"the function name {name!r} is refused here; it became {found!r}")
    return found


def _words(message: Message, dialect: Dialect) -> frozenset[str]:
    return frozenset((message.layout or "").split()) if message.wire == dialect.wire else frozenset()


def _extra(message: Message, dialect: Dialect) -> str | None:
    """The keys that come back beside the typed ones."""
    return message.extra if message.wire == dialect.wire and "verbatim" not in _words(message, dialect) else None


def _content(message: Message, dialect: Dialect, notes: Notes) -> tuple[Any, dict[str, Any]]:
    """The content of a message that is no tool result, and the keys that stand beside it."""
    native, words = message.wire == dialect.wire, _words(message, dialect)
    beside: dict[str, Any] = {}
    said: list[Part] = []
    for part in message.parts:
        if isinstance(part, ThinkingPart) and not (native and dialect.inner_reasoning):
            _say_thinking(part, message, dialect, beside, notes)
        elif isinstance(part, AudioPart) and native and message.role == "assistant" and part.file_id is not None:
            audio = {"id": part.file_id} if part.data is None else {"id": part.file_id, "data": part.data}
            beside["audio"] = merged(audio, part.extra)
        elif isinstance(part, TextPart) and native and "list" not in words and is_refusal(part):
            beside["refusal"] = part.text
        elif isinstance(part, ToolResult):
            notes.add("part_left_out", f"a tool result does not belong in a {message.role} message")
        elif isinstance(part, ToolCall):
            if message.role != "assistant":
                notes.add("part_left_out", f"a tool call does not belong in a {message.role} message")
        else:
            said.append(part)
    if not said and "list" not in words:
        return None, beside
    if len(said) == 1 and isinstance(said[0], TextPart) and "list" not in words:
        return said[0].text, beside
    spelled = _entries(said, message, dialect, notes)
    if native or (message.role == "user" and len(spelled) != 1):
        return spelled or (spelled if "list" in words else None), beside
    texts = _texts(spelled)
    if texts is None:
        return spelled, beside
    return ("" if message.role == "assistant" else "\n").join(texts) if texts else None, beside


def _texts(spelled: Sequence[Any]) -> list[str] | None:
    """The texts of content entries that are nothing but text; None for any others."""
    if all(
        is_object(entry) and entry.get("type") == "text" and isinstance(entry.get("text"), str) for entry in spelled
    ):
        return [entry["text"] for entry in spelled]
    return None


def say_no_reasoning(message: Message, dialect: Dialect, notes: Notes) -> None:
    """Note that reasoning is not said."""
    said = f"reasoning of {message.wire or 'no wire'} in a {message.role} message"
    notes.add("thinking_left_out", f"{said} means nothing on {dialect.wire}")


def _say_thinking(part: ThinkingPart, message: Message, dialect: Dialect, beside: dict[str, Any], notes: Notes) -> None:
    if message.wire != dialect.wire or message.role != "assistant" or part.text is None or dialect.inner_reasoning:
        say_no_reasoning(message, dialect, notes)
        return
    words = _words(message, dialect)
    for key in ("reasoning_content", "reasoning"):
        if "both" in words or (key == "reasoning") == ("reasoning" in words):
            beside[key] = beside.get(key, "") + part.text


def _entries(parts: Sequence[Part], message: Message, dialect: Dialect, notes: Notes) -> list[Any]:
    """The entries of a content list. Media that cannot be shown become a breadcrumb in what the model reads."""
    native = message.wire == dialect.wire
    out: list[Any] = []
    for part in parts:
        may = native or message.role == "user" or isinstance(part, (TextPart, Opaque))
        entry = dialect.spell_part(part, message.wire) if may else None
        if entry is not None:
            out.append(entry)
        elif isinstance(part, Opaque):
            notes.add("opaque_left_out", f"{_kind(part)} of {part.wire} means nothing on {dialect.wire}")
        elif isinstance(part, (ImagePart, AudioPart, FilePart)):
            notes.add("media_left_out", f"{breadcrumb(part)} cannot be shown in a {message.role} message")
            if message.role in ("user", "tool"):
                out.append({"type": "text", "text": breadcrumb(part)})
    return out


def _kind(part: Opaque) -> str:
    try:
        data = json.loads(part.data)
    except ValueError:
        return "a part that is no JSON"
    kind = data.get("type") if is_object(data) else None
    return f"a part of type {kind!r}" if isinstance(kind, str) else "a part"


def spell_result(
    result: ToolResult,
    message: Message,
    dialect: Dialect,
    notes: Notes,
    *,
    answers: tuple[str, str] | None = None,
    alone: bool = True,
) -> dict[str, Any] | None:
    """The object of one result; `answers` are the id and the name of its call, where that was looked up.

    `alone`: the keys of the message are those of this result.
    """
    native = message.wire == dialect.wire
    call_id, name = result.call_id, result.name
    if answers is not None:
        call_id, called = answers
        if not call_id:
            name = fitting_name(called, Notes())  # as the call has it; that was noted there
            if native and name != result.name:
                kind: RepairKind = "name_changed" if result.name else "name_missing"
                notes.add(kind, f"the result of a call of {name!r} got that name")
        answers = call_id, name or ""
    elif not native and not call_id:
        notes.add("result_left_out", f"a result of {result.name!r} names no call, and none waits for it")
        return None
    kept = verbatim(message, dialect) if alone else None
    if kept is not None:
        return kept if answers is None else _addressed(kept, answers)
    words = _words(message, dialect)
    out: dict[str, Any] = {"role": "tool", "tool_call_id": call_id}
    if not call_id and dialect.legacy:
        out = {"role": "function"}
    if name is not None and (native or not call_id):
        out["name"] = name
    content = _result_content(result, message, dialect, notes)
    if content is not None or "absent" not in words:
        out["content"] = "" if content is None else content
    return merged(out, _extra(message, dialect)) if alone else out


def _addressed(kept: dict[str, Any], answers: tuple[str, str]) -> dict[str, Any]:
    """A result that was kept whole, as the answer to this call; one without an id is a legacy function call."""
    call_id, name = answers
    if call_id:
        kept.update(role="tool", tool_call_id=call_id)
    else:
        kept["role"] = "function"
        kept.pop("tool_call_id", None)
        kept["name"] = name
    return kept


def _result_content(result: ToolResult, message: Message, dialect: Dialect, notes: Notes) -> Any:
    native, parts = message.wire == dialect.wire, result.parts
    if len(parts) == 1 and isinstance(parts[0], TextPart) and "list" not in _words(message, dialect):
        said: Any = parts[0].text
    elif not parts and "list" not in _words(message, dialect):
        said = None
    else:
        spelled = _entries(parts, message, dialect, notes)
        if native:
            return spelled
        texts = _texts(spelled)
        said = spelled if texts is None else "\n".join(texts)
    return failed(said, notes) if result.is_error and not native else said

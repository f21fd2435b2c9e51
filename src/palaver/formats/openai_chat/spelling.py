"""OpenAI chat messages as this wire spells them: their own exactly, those of other wires as well as it can say them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, cast

from palaver.formats.call_ids import CallIds, shortened
from palaver.formats.openai_chat.parts import WIRE, is_refusal, spell_call, spell_part
from palaver.formats.wire import Notes, Rendered, fingerprint, is_object, merged
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    ResultPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)

__all__ = ["render", "spell"]

MAX_CALL_ID = 64
"""OpenAI refuses a longer `tool_calls[].id`."""

_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_PARTICIPANT = re.compile(r"[^\s<|\\/>]+")


def render(messages: Sequence[Message], notes: Notes, *, repair: bool) -> Rendered:
    """The payload of a request. `system` is None: this wire has its system prompt among the messages."""
    out: list[Any] = []
    ids = CallIds(fit_call_id) if repair else None
    for index, message in enumerate(_joined(messages)):
        notes.at(index, message.seq)
        if message.role == "tool":
            out.extend(_results(message, notes, ids))
            continue
        spelled = spell(message, notes, ids, f"m{index}")
        if spelled is not None:
            out.append(spelled)
    return Rendered(None, out, notes.repairs(), ids.changed if ids is not None else {})


def fit_call_id(call_id: str) -> str:
    """The id itself, or one that OpenAI takes: no longer than 64 characters, of any alphabet."""
    return shortened(call_id, MAX_CALL_ID)


def _joined(messages: Iterable[Message]) -> list[Message]:
    """One message where another wire had several for one response: here the calls of a response stand together."""
    out: list[Message] = []
    for message in messages:
        before = out[-1] if out else None
        if (
            message.joins
            and before is not None
            and message.role == before.role == "assistant"
            and WIRE not in (message.wire, before.wire)
        ):
            out[-1] = before.replace(parts=before.parts + message.parts, name=before.name or message.name)
        else:
            out.append(message)
    return out


def _verbatim(message: Message) -> dict[str, Any] | None:
    """The object that a message came as, where it was kept whole and the message was not changed since."""
    if message.wire != WIRE or message.extra is None or not (message.layout or "").startswith("verbatim"):
        return None
    kept = json.loads(message.extra)
    return kept if message.layout == f"verbatim {fingerprint(message)}" else None


def _words(message: Message) -> frozenset[str]:
    return frozenset((message.layout or "").split()) if message.wire == WIRE else frozenset()


def _extra(message: Message) -> str | None:
    """The keys that come back beside the typed ones."""
    return message.extra if message.wire == WIRE and "verbatim" not in _words(message) else None


def spell(message: Message, notes: Notes, ids: CallIds | None = None, label: str = "") -> dict[str, Any] | None:
    """The object that says this message; None, noted, where nothing of it can be said."""
    if message.role == "tool":
        spelled = _results(message, notes, ids)
        return spelled[0] if len(spelled) == 1 else None
    native = message.wire == WIRE
    call_ids, changed = _call_ids(message, notes, ids, label)
    kept = None if changed else _verbatim(message)
    if kept is not None:
        if ids is not None and message.tool_calls:
            ids.late(kept["tool_calls"])
        return kept
    words = _words(message)
    content, beside = _content(message, notes)
    out: dict[str, Any] = {"role": message.role}
    if content is not None or "absent" not in words:
        out["content"] = content if content is not None or message.role == "assistant" else ""
    if message.name is not None and _fits_participant(message, notes):
        out["name"] = message.name
    out.update(beside)
    calls = message.tool_calls
    if len(calls) == 1 and not call_ids[0]:
        out["function_call"] = merged({"name": calls[0].name, "arguments": calls[0].arguments}, calls[0].extra)
    elif calls:
        names = [call.name if native or ids is None else _function_name(call.name, notes) for call in calls]
        out["tool_calls"] = [
            spell_call(call, call_id, name, native=native)
            for call, call_id, name in zip(calls, call_ids, names, strict=True)
        ]
        if ids is not None:
            ids.late(out["tool_calls"])
    if not native and out.get("content") is None and not calls:
        if message.parts:
            notes.add("message_left_out", "nothing of it can be said on openai_chat")
            return None
        out["content"] = ""
    return merged(out, _extra(message))


def _call_ids(message: Message, notes: Notes, ids: CallIds | None, label: str) -> tuple[list[str], bool]:
    calls = message.tool_calls
    given = [call.call_id for call in calls]
    if ids is None or not calls:
        return given, False
    native = message.wire == WIRE
    if native and given == [""] and _verbatim(message) is None:
        ids.opened(calls, given)
        return given, False
    label = str(message.seq) if message.seq else label
    made = ids.calls(calls, label=label, notes=notes, native=native)
    return made, made != given


def _function_name(name: str, notes: Notes) -> str:
    if _FUNCTION_NAME.fullmatch(name):
        return name
    if not name:
        notes.add("name_missing", "a call has no function name; it got 'unknown'")
        return "unknown"
    found = re.sub(r"[^a-zA-Z0-9_-]", "_", shortened(name, 64))
    notes.add("name_changed", f"the function name {name!r} is refused by OpenAI; it became {found!r}")
    return found


def _fits_participant(message: Message, notes: Notes) -> bool:
    if message.wire == WIRE or _PARTICIPANT.fullmatch(message.name or ""):
        return True
    notes.add("name_left_out", f"the participant name {message.name!r} is refused by OpenAI")
    return False


def _content(message: Message, notes: Notes) -> tuple[Any, dict[str, Any]]:
    """The content of a message that is no tool result, and the keys that stand beside it."""
    native, words = message.wire == WIRE, _words(message)
    beside: dict[str, Any] = {}
    said: list[ResultPart] = []
    for part in message.parts:
        if isinstance(part, ThinkingPart):
            _say_thinking(part, message, words, beside, notes)
        elif isinstance(part, AudioPart) and native and message.role == "assistant" and part.file_id is not None:
            audio = {"id": part.file_id} if part.data is None else {"id": part.file_id, "data": part.data}
            beside["audio"] = merged(audio, part.extra)
        elif isinstance(part, TextPart) and native and "list" not in words and is_refusal(part):
            beside["refusal"] = part.text
        elif isinstance(part, ToolResult):
            notes.add("part_left_out", f"a tool result does not belong in a {message.role} message")
        elif not isinstance(part, ToolCall):
            said.append(part)
    if not said and "list" not in words:
        return None, beside
    if len(said) == 1 and isinstance(said[0], TextPart) and "list" not in words:
        return said[0].text, beside
    spelled = _entries(said, message, notes)
    if native or (message.role == "user" and len(spelled) != 1):
        return spelled or (spelled if "list" in words else None), beside
    if all(entry["type"] == "text" for entry in spelled):
        glue = "" if message.role == "assistant" else "\n"
        return glue.join(entry["text"] for entry in spelled) if spelled else None, beside
    return spelled, beside


def _say_thinking(
    part: ThinkingPart, message: Message, words: frozenset[str], beside: dict[str, Any], notes: Notes
) -> None:
    if message.wire != WIRE or part.text is None:
        notes.add("thinking_left_out", f"reasoning of {message.wire or 'no wire'} means nothing on openai_chat")
        return
    for key in ("reasoning_content", "reasoning"):
        if "both" in words or (key == "reasoning") == ("reasoning" in words):
            beside[key] = beside.get(key, "") + part.text


def _entries(parts: Sequence[ResultPart], message: Message, notes: Notes) -> list[Any]:
    """The entries of a content list. Media that cannot be shown become a breadcrumb in what the model reads."""
    native = message.wire == WIRE
    out: list[Any] = []
    for part in parts:
        may = native or message.role == "user" or isinstance(part, (TextPart, Opaque))
        entry = spell_part(part, native=native) if may else None
        if entry is not None:
            out.append(entry)
        elif isinstance(part, Opaque):
            notes.add("opaque_left_out", f"{_kind(part)} of {part.wire} means nothing on openai_chat")
        elif isinstance(part, (ImagePart, AudioPart, FilePart)):
            notes.add("media_left_out", f"{_breadcrumb(part)} cannot be shown in a {message.role} message")
            if message.role in ("user", "tool"):
                out.append({"type": "text", "text": _breadcrumb(part)})
    return out


def _kind(part: Opaque) -> str:
    data = json.loads(part.data)
    kind = data.get("type") if is_object(data) else None
    return f"a part of type {kind!r}" if isinstance(kind, str) else "a part"


def _breadcrumb(part: ImagePart | AudioPart | FilePart) -> str:
    kind = {ImagePart: "image", AudioPart: "audio", FilePart: "file"}[type(part)]
    what = part.name or part.url or part.media_type
    return f"[{kind}: {what}]" if what else f"[{kind}]"


def _results(message: Message, notes: Notes, ids: CallIds | None) -> list[dict[str, Any]]:
    """One object per tool result, as this wire wants it."""
    out: list[dict[str, Any]] = []
    results = message.tool_results
    for part in message.parts:
        if isinstance(part, ToolResult):
            spelled = _result(part, message, notes, ids, alone=len(results) == 1)
            if spelled is not None:
                out.append(spelled)
        else:
            notes.add("part_left_out", "what is no tool result does not belong in a tool message")
    return out


def _result(
    result: ToolResult, message: Message, notes: Notes, ids: CallIds | None, *, alone: bool
) -> dict[str, Any] | None:
    native = message.wire == WIRE
    call = ids.answer(result, notes) if ids is not None else None
    call_id, name = result.call_id, result.name
    if call is not None:
        call_id, name = call.wire_id, name or (call.name if not call.wire_id else None)
    elif not native:
        if not call_id:
            notes.add("result_left_out", f"a result of {result.name!r} names no call, and none waits for it")
            return None
        call_id = ids.fit(call_id) if ids is not None else call_id
    kept = _verbatim(message) if alone and call_id == result.call_id else None
    if kept is not None:
        return kept
    words = _words(message)
    out: dict[str, Any] = {"role": "tool", "tool_call_id": call_id} if call_id else {"role": "function"}
    if name is not None and (native or not call_id):
        out["name"] = name
    content = _result_content(result, message, words, notes)
    if content is not None or "absent" not in words:
        out["content"] = "" if content is None else content
    return merged(out, _extra(message)) if alone else out


def _result_content(result: ToolResult, message: Message, words: frozenset[str], notes: Notes) -> Any:
    parts = result.parts
    if len(parts) == 1 and isinstance(parts[0], TextPart) and "list" not in words:
        return parts[0].text
    if not parts and "list" not in words:
        return None
    spelled = _entries(parts, message, notes)
    if message.wire == WIRE:
        return spelled
    return "\n".join(cast("str", entry["text"]) for entry in spelled if entry["type"] == "text")

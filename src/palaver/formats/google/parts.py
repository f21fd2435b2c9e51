"""The parts of a content, parsed and spelled. A part that would not come back exactly as it came is Opaque."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from palaver.codec import clean_text, json_text
from palaver.formats.google.keys import (
    MAX_DEPTH,
    NOTHING,
    SIGNATURE,
    SNAKE,
    WIRE,
    Taken,
    compact,
    has_halves,
    kept,
    loaded,
    signature_of,
    words_of,
)
from palaver.formats.google.media import breadcrumb, read_media, spell_media
from palaver.formats.google.results import read_response, spell_response
from palaver.formats.wire import is_array, is_object, leftover
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Opaque,
    Part,
    ResultPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)

__all__ = ["DATA", "Shown", "data_keys", "is_blank", "parse_part", "spell_call", "spell_part", "spell_result"]

Shown: TypeAlias = TextPart | ImagePart | AudioPart | FilePart | ThinkingPart | Opaque

_CAMEL = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
DATA: dict[str, str] = {
    **{key: key for key in _CAMEL},
    **{SNAKE[key]: key for key in _CAMEL if key in SNAKE},
    "executable_code": "executableCode",
    "code_execution_result": "codeExecutionResult",
    "tool_call": "toolCall",
    "tool_response": "toolResponse",
}
"""Keys of a part of which it has exactly one (`oneof data`), in either spelling, and their camelCase."""


def data_keys(raw: dict[str, Any]) -> list[str]:
    """The keys of a part that hold its data; null is as good as absent."""
    return [key for key in raw if key in DATA and raw[key] is not None]


def is_blank(parts: list[Any]) -> bool:
    """Whether these are one empty text and nothing else: to the service a part without data (its default is unset).

    Two of them it took, and so it did one beside another part.
    """
    if len(parts) != 1:
        return False
    part = parts[0]
    if not is_object(part) or part.get("text") != "":
        return False
    return signature_of(part) is None and len(data_keys(part)) == 1


def parse_part(raw: Any, where: str, *, model: bool) -> Part:
    """The part that an entry of `parts` is. Calls are the model's and results the user's; elsewhere they are Opaque."""
    part = _typed(raw, where, model=model) if is_object(raw) else None
    if part is not None and spell_part(part) == raw:
        return part
    return Opaque(wire=WIRE, data=json_text(raw, where))


def _typed(raw: dict[str, Any], where: str, *, model: bool) -> Part | None:
    data = data_keys(raw)
    if len(data) > 1:
        return None
    words: list[str] = []
    outer = Taken(raw, words)
    if not data:
        return _empty(outer, where)
    key, camel = data[0], DATA[data[0]]
    value = outer.take(camel, key)
    if camel == "text" and isinstance(value, str):
        return _text(value, outer, where)
    if not is_object(value):
        return None
    if camel in ("inlineData", "fileData"):
        found = read_media(camel, value)
        if found is None:
            return None
        part, inner = found
        layout = " ".join([*words, *inner.words]) or None
        return msgspec.structs.replace(part, layout=layout, extra=_beside(outer, key, inner, where))
    if camel == "functionCall" and model:
        return _call(value, key, outer, where)
    if camel == "functionResponse" and not model:
        return _result(value, key, outer, where)
    return None


def _beside(outer: Taken, key: str, inner: Taken, where: str) -> str | None:
    rest = {**outer.rest, key: inner.rest} if inner.rest else outer.rest
    return leftover(rest, where)


def _empty(outer: Taken, where: str) -> ThinkingPart | None:
    """A part without data, which only carries a signature."""
    signature = outer.text(SIGNATURE)
    if signature is None:
        return None
    if outer.rest.get("thought") is True:
        del outer.rest["thought"]
    else:
        outer.words.append("bare")
    layout = " ".join(outer.words) or None
    return ThinkingPart(signature=signature, layout=layout, extra=leftover(outer.rest, where))


def _text(text: str, outer: Taken, where: str) -> TextPart | ThinkingPart:
    if outer.rest.get("thought") is not True:
        return TextPart(text=text, extra=leftover(outer.rest, where))
    del outer.rest["thought"]
    signature = outer.text(SIGNATURE)
    layout = " ".join(outer.words) or None
    return ThinkingPart(text=text, signature=signature, layout=layout, extra=leftover(outer.rest, where))


def _call(value: dict[str, Any], key: str, outer: Taken, where: str) -> ToolCall:
    inner = Taken(value, outer.words)
    name, call_id = inner.text("name") or "", inner.text("id") or ""
    arguments = ""
    if inner.rest.get("args") is not None:
        arguments = compact(inner.rest.pop("args"), where)
    layout = " ".join(outer.words) or None
    extra = _beside(outer, key, inner, where)
    return ToolCall(name=name, call_id=call_id, arguments=arguments, layout=layout, extra=extra)


def _result(value: dict[str, Any], key: str, outer: Taken, where: str) -> ToolResult:
    words = outer.words
    inner = Taken(value, words)
    name, call_id = inner.text("name"), inner.text("id") or ""
    parts: list[ResultPart] = []
    is_error: bool | None = None
    if inner.rest.get("response") is not None:
        texts, word = read_response(inner.rest.pop("response"))
        parts.extend(TextPart(text=text) for text in texts)
        if word is not None:
            words.append(word)
            is_error = True if word.startswith("error") else None
    else:
        words.append("absent")
    media = inner.rest.get("parts")
    if is_array(media) and media:
        del inner.rest["parts"]
        parts.extend(_nested(entry, where) for entry in media)
    return ToolResult(
        call_id=call_id,
        name=name,
        parts=tuple(parts),
        is_error=is_error,
        layout=" ".join(words) or None,
        extra=_beside(outer, key, inner, where),
    )


def _nested(raw: Any, where: str) -> ResultPart:
    part = parse_part(raw, where, model=False)
    if isinstance(part, (ImagePart, AudioPart, FilePart, Opaque)):
        return part
    return Opaque(wire=WIRE, data=json_text(raw, where))


def spell_part(part: Part) -> Any:
    """The entry that says a part of this wire, with all that came beside it; NOTHING where nothing can be said.

    Media that a store keeps out of line have nothing to say, nor has what another hand wrote wrongly.
    """
    if isinstance(part, TextPart):
        return {"text": part.text} if part.extra is None else _merged({"text": part.text}, part.extra)
    if isinstance(part, ToolCall):
        return spell_call(part)[0]
    if isinstance(part, ToolResult):
        return spell_result(part)
    if isinstance(part, Opaque):
        return loaded(part.data, MAX_DEPTH + 10, NOTHING) if part.wire == WIRE else NOTHING
    if isinstance(part, ThinkingPart):
        return _spell_thinking(part)
    spelled = spell_media(part, native=True)
    if spelled is None:
        return NOTHING
    words = words_of(part.layout)
    camel, inner = spelled
    return _merged({_key(camel, words): {_key(key, words): value for key, value in inner.items()}}, part.extra)


def _key(camel: str, words: list[str]) -> str:
    snake = SNAKE.get(camel, camel)
    return snake if snake in words else camel


def _merged(typed: dict[str, Any], extra: str | None) -> dict[str, Any]:
    """`typed` with what `extra` kept beside it, one level deep; what a field says wins."""
    for key, beside in kept(extra).items():
        if is_object(beside) and is_object(typed.get(key)):
            typed[key] = {**beside, **typed[key]}
        else:
            typed.setdefault(key, beside)
    return typed


def _spell_thinking(part: ThinkingPart) -> dict[str, Any]:
    words = words_of(part.layout)
    out: dict[str, Any] = {} if part.text is None else {"text": part.text}
    if "bare" not in words or part.text is not None:
        out["thought"] = True
    if part.signature:
        out[_key(SIGNATURE, words)] = part.signature
    return _merged(out, part.extra)


def spell_call(call: ToolCall, *, native: bool = True) -> tuple[dict[str, Any], bool]:
    """The entry that says this call, and whether its arguments had to become others to be an object.

    A native one is given back as it came, its arguments whatever JSON they are.
    """
    words = words_of(call.layout) if native else []
    inner: dict[str, Any] = {"name": call.name} if call.name else {}
    changed = False
    if call.arguments or not native:
        inner["args"], changed = _arguments(call.arguments, native=native)
    if call.call_id:
        inner["id"] = call.call_id
    out = {_key("functionCall", words): inner}
    return (_merged(out, call.extra) if native else out), changed


def _arguments(text: str, *, native: bool) -> tuple[Any, bool]:
    """The value that arguments are; the object around them where they are none, and that it had to be made."""
    if not native and not text.strip():
        return {}, False
    value = loaded(text)
    if is_object(value) or (native and value is not None):
        return value, has_halves(text)
    return {"arguments": clean_text(text) if value is None else value}, True


def spell_result(result: ToolResult) -> dict[str, Any]:
    """The entry that says this result of this wire, as it came."""
    words = words_of(result.layout)
    texts = [part.text for part in result.parts if isinstance(part, TextPart)]
    others = [part for part in result.parts if not isinstance(part, TextPart)]
    media = [entry for part in others if (entry := spell_part(part)) is not NOTHING]
    if len(media) < len(others) and not texts:
        texts = [breadcrumb(part) for part in others if isinstance(part, (ImagePart, AudioPart, FilePart))]
    inner: dict[str, Any] = {"name": result.name} if result.name else {}
    if texts or "absent" not in words:
        inner["response"] = spell_response(texts, words, is_error=bool(result.is_error), native=True)
    if result.call_id and "no-id" not in words:
        inner["id"] = result.call_id
    if media:
        inner["parts"] = media
    return _merged({_key("functionResponse", words): inner}, result.extra)

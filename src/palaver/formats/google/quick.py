"""The ordinary shapes, read without a copy and without a second look: their keys and types prove that they come back.

Plain text, calls and answers. Anything else is None here, and read with care in `parsing`, spelled in `parts`.
"""

from __future__ import annotations

import json
import math
from typing import Any, cast

from palaver.formats.google.keys import BASE64, LONE, SIGNATURE, loaded
from palaver.formats.google.parts import is_blank
from palaver.formats.google.results import KEYS
from palaver.formats.wire import is_array, is_object
from palaver.model import Part, TextPart, ThinkingPart, ToolCall, ToolResult

__all__ = ["is_sound", "quick_entry", "quick_parts"]

_DEPTH = 50
_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_SCALARS = frozenset({str, int, bool, type(None)})


def quick_parts(parts: list[Any], *, model: bool) -> list[Part] | None:
    """The parts of a content, if all of them are ordinary."""
    out: list[Part] = []
    for raw in parts:
        part = _part(cast("dict[str, Any]", raw), model=model) if type(raw) is dict else None
        if part is None:
            return None
        out.append(part)
    return out


def _part(raw: dict[str, Any], *, model: bool) -> Part | None:
    text = raw.get("text")
    if type(text) is str:
        return _text(raw, text) if text.isascii() or not LONE.search(text) else None
    camel, snake = ("functionCall", "function_call") if model else ("functionResponse", "function_response")
    layout = None
    inner = raw.get(camel)
    if inner is None:
        inner, layout = raw.get(snake), snake
    if not is_object(inner):
        return None
    return _call(raw, inner, layout) if model else _result(raw, inner, layout)


def _text(raw: dict[str, Any], text: str) -> Part | None:
    count = len(raw)
    if count == 1:
        return TextPart(text=text)
    signature = raw.get(SIGNATURE)
    signed = type(signature) is str and signature and signature.isascii()
    if raw.get("thought") is True:
        if count == 2:
            return ThinkingPart(text=text)
        return ThinkingPart(text=text, signature=signature) if count == 3 and signed else None
    return TextPart(text=text, extra=_compact({SIGNATURE: signature})) if count == 2 and signed else None


def _call(raw: dict[str, Any], call: dict[str, Any], layout: str | None) -> ToolCall | None:
    extra = None
    if len(raw) != 1:
        key = SIGNATURE if SIGNATURE in raw else "thought_signature"
        signature = raw.get(key)
        if len(raw) != 2 or type(signature) is not str or not signature.isascii():
            return None
        extra = _compact({key: signature})
    name, args, call_id = call.get("name"), call.get("args"), call.get("id")
    if type(name) is not str or not name or not name.isascii() or not is_object(args):
        return None
    arguments = _text_of(args)
    if arguments is None:
        return None
    if len(call) == 2:
        return ToolCall(name=name, arguments=arguments, layout=layout, extra=extra)
    if len(call) == 3 and type(call_id) is str and call_id and call_id.isascii():
        return ToolCall(name=name, call_id=call_id, arguments=arguments, layout=layout, extra=extra)
    return None


def _result(raw: dict[str, Any], answer: dict[str, Any], layout: str | None) -> ToolResult | None:
    name, said, call_id = answer.get("name"), answer.get("response"), answer.get("id")
    if len(raw) != 1 or type(name) is not str or not name or not name.isascii() or not is_object(said) or not said:
        return None
    if len(answer) == 2:
        call_id = ""
    elif len(answer) != 3 or type(call_id) is not str or not call_id or not call_id.isascii():
        return None
    word: str | None = "json"
    is_error = None
    if len(said) > 1 or (key := next(iter(said))) not in KEYS:
        text = _text_of(said)
        if text is None:
            return None
    else:
        text = said[key]
        if type(text) is not str or (not text.isascii() and LONE.search(text)):
            return None
        word, is_error = None if key == "output" else key, True if key == "error" else None
    if word is not None:
        layout = f"{layout} {word}" if layout else word
    parts = (TextPart(text=text),)
    return ToolResult(call_id=call_id, name=name, parts=parts, is_error=is_error, layout=layout)


def _text_of(value: Any) -> str | None:
    """JSON text of a value that has nothing in it but plain JSON."""
    if not _is_plain(value, _DEPTH):
        return None
    text = _compact(value)
    return text if text.isascii() or not LONE.search(text) else None


def _is_plain(value: Any, depth: int) -> bool:
    kind = cast("type[object]", type(value))
    if kind is dict:
        for key, child in value.items():
            if type(key) is not str or not (type(child) in _SCALARS or (depth and _is_plain(child, depth - 1))):
                return False
        return True
    if kind is list:
        return all(type(child) in _SCALARS or (depth and _is_plain(child, depth - 1)) for child in value)
    return kind in _SCALARS or (kind is float and math.isfinite(value))


_SIGNED = '{"thoughtSignature":"'


def quick_entry(part: Part) -> dict[str, Any] | None:
    """The entry that says an ordinary part of this wire; None for any other, which `spell_part` spells."""
    if isinstance(part, TextPart):
        return {"text": part.text} if part.extra is None else None
    if isinstance(part, ToolCall):
        return _call_entry(part)
    return _result_entry(part) if isinstance(part, ToolResult) else None


def _result_entry(result: ToolResult) -> dict[str, Any] | None:
    if len(result.parts) != 1 or result.extra is not None or result.layout is not None or result.is_error:
        return None
    (text,) = result.parts
    if not isinstance(text, TextPart) or not result.name:
        return None
    answer: dict[str, Any] = {"name": result.name, "response": {"output": text.text}}
    if result.call_id:
        answer["id"] = result.call_id
    return {"functionResponse": answer}


def _call_entry(call: ToolCall) -> dict[str, Any] | None:
    extra = call.extra
    signature = None
    if extra is not None:
        signature = extra[len(_SIGNED) : -2]
        if not extra.startswith(_SIGNED) or not extra.endswith('"}') or '"' in signature or "\\" in signature:
            return None
    if call.layout is not None or not call.name or not call.arguments:
        return None
    args = loaded(call.arguments)
    if not is_object(args) or "\\u" in call.arguments:
        return None
    inner: dict[str, Any] = {"name": call.name, "args": args}
    if call.call_id:
        inner["id"] = call.call_id
    return {"functionCall": inner} if signature is None else {"functionCall": inner, SIGNATURE: signature}


def is_sound(contents: list[Any]) -> bool:
    """Whether the contents are of ordinary shape, the user first, every call answered at once and in its order.

    Such contents break no rule; others may, and `check` tells.
    """
    waiting: list[dict[str, Any]] = []
    model = True
    if not contents or contents[0].get("role") != "user":
        return False
    for content in contents:
        role, parts = content.get("role"), content.get("parts")
        if not is_array(parts) or not parts or is_blank(parts):
            return False
        if role == "user":
            if model:
                waiting.reverse()
                model = False
            if not _sound_user(parts, waiting):
                return False
        elif role == "model":
            if (waiting and not model) or not _sound_model(parts, waiting):
                return False
            model = True
        else:
            return False
    return not waiting


def _sound_model(parts: list[Any], waiting: list[dict[str, Any]]) -> bool:
    for part in parts:
        if not is_object(part):
            return False
        count = len(part)
        if type(part.get("text")) is str:
            if count == 1 or (count == 2 and (part.get("thought") is True or _signed(part))):
                continue
            return False
        call = part.get("functionCall") or part.get("function_call")
        if not is_object(call) or not is_object(call.get("args")):
            return False
        name = call.get("name")
        if type(name) is not str or not name or (count != 1 and (count != 2 or not _signed(part))):
            return False
        waiting.append(call)
    return True


def _signed(part: dict[str, Any]) -> bool:
    signature = part.get(SIGNATURE) or part.get("thought_signature")
    return type(signature) is str and BASE64.fullmatch(signature) is not None


def _sound_user(parts: list[Any], waiting: list[dict[str, Any]]) -> bool:
    for part in parts:
        if not is_object(part) or len(part) != 1:
            return False
        if type(part.get("text")) is str:
            if waiting:
                return False
            continue
        answer = part.get("functionResponse") or part.get("function_response")
        if not is_object(answer) or not waiting or not is_object(answer.get("response")):
            return False
        call = waiting.pop()
        if call.get("name") != answer.get("name") or call.get("id") != answer.get("id"):
            return False
    return True

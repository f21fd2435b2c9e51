"""What a stream breaks into pieces, put together again: calls, content, OpenRouter's reasoning details."""

from __future__ import annotations

import json
from typing import Any

from palaver.formats.wire import is_array, is_object

__all__ = ["Call", "grow", "is_whole", "joined_content", "joined_details", "whole"]

_KNOWN = ("index", "id", "type", "function", "custom")


class _Pieces(list[str]):
    """A text in pieces; not to be taken for a list that came as a value."""


class Call:
    """One call of a streamed answer, so far."""

    __slots__ = ("call_id", "index", "inner", "keys", "kind", "type")

    def __init__(self, index: Any) -> None:
        self.index = index
        self.call_id = ""
        self.type = ""
        self.kind = "function"
        self.inner: dict[str, Any] = {}
        """Name and arguments, in pieces where they are text."""
        self.keys: dict[str, Any] = {}

    def begins(self, piece: dict[str, Any]) -> bool:
        """Whether a piece of the same index begins another call.

        Some look-alikes give every call the index 0, or none: an id and a name of its own tell. An id alone does not,
        as others make up one for every piece.
        """
        call_id = piece.get("id")
        return (
            isinstance(call_id, str) and bool(call_id and self.call_id) and call_id != self.call_id and _is_named(piece)
        )

    def take(self, piece: dict[str, Any]) -> None:
        """Add a piece."""
        call_id, kind = piece.get("id"), piece.get("type")
        if isinstance(call_id, str) and not self.call_id:
            self.call_id = call_id
        if isinstance(kind, str) and kind:
            self.type = kind
        if is_object(piece.get("custom")):
            self.kind = "custom"
        for key, value in piece.items():
            if key not in _KNOWN:
                self.keys[key] = value
        inner = piece.get(self.kind)
        if is_object(inner):
            grow(self.inner, inner)

    def spelled(self) -> dict[str, Any]:
        """The call as a whole answer has it, without the index."""
        inner = whole(self.inner)
        inner.setdefault("arguments" if self.kind == "function" else "input", "")
        named = {"id": self.call_id} if self.call_id else {}
        return {**named, "type": self.type or self.kind, self.kind: inner, **self.keys}


def _is_named(piece: dict[str, Any]) -> bool:
    inner = piece.get("custom") if is_object(piece.get("custom")) else piece.get("function")
    return is_object(inner) and isinstance(inner.get("name"), str) and bool(inner["name"])


def grow(target: dict[str, Any], piece: dict[str, Any]) -> None:
    """Add the keys of a piece: texts follow each other, but for ids and names, of anything else the last one counts."""
    for key, value in piece.items():
        before = target.get(key)
        if isinstance(value, str) and key != "id":
            if not isinstance(before, _Pieces) or (key == "name" and value.startswith("".join(before))):
                target[key] = _Pieces([value])  # a name that begins anew is a look-alike's, which repeats it
            else:
                before.append(value)
        elif value is not None:
            target[key] = value


def whole(target: dict[str, Any]) -> dict[str, Any]:
    """What has grown, with its texts in one piece."""
    return {key: "".join(value) if isinstance(value, _Pieces) else value for key, value in target.items()}


def is_whole(inner: Any) -> bool:
    """Whether nothing more can come of a call, though the stream broke off: its arguments are a whole object."""
    if not is_object(inner) or not isinstance(inner.get("name"), str):
        return False
    said = inner.get("arguments")
    try:
        return is_object(said) or (isinstance(said, str) and is_object(json.loads(said)))
    except (ValueError, RecursionError):
        return False


def joined_content(pieces: list[Any]) -> Any:
    """The content of an answer: text, or a list where chunks were among its pieces (Mistral, when it thinks)."""
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    chunks = [{"type": "text", "text": piece} if isinstance(piece, str) else piece for piece in pieces if piece != ""]
    return _joined_chunks(chunks)


def _joined_chunks(chunks: list[Any]) -> list[Any]:
    """Content chunks, whose texts come in pieces: neighbours of one kind become one."""
    out: list[Any] = []
    for group in _runs(chunks, ("text", "thinking")):
        if len(group) == 1:
            out.append(group[0])
            continue
        key = group[0]["type"]
        values: list[Any] = [chunk.get(key) for chunk in group]
        if key == "text" and all(isinstance(value, str) for value in values):
            out.append({**_last_keys(group), "text": "".join(values)})
        elif key == "thinking" and all(is_array(value) for value in values):
            inner = _joined_chunks([chunk for value in values if is_array(value) for chunk in value])
            out.append({**_last_keys(group), "thinking": inner})
        else:
            out.extend(group)
    return out


def joined_details(details: list[Any]) -> list[Any]:
    """OpenRouter's `reasoning_details`: the pieces of one block become one again; its signature comes last."""
    out: list[Any] = []
    for group in _runs(details, ("reasoning.text", "reasoning.summary")):
        if len(group) == 1:
            out.append(group[0])
            continue
        key = "text" if group[0]["type"] == "reasoning.text" else "summary"
        said = [piece[key] for piece in group if isinstance(piece.get(key), str)]
        out.append({**_last_keys(group), key: "".join(said)} if said else _last_keys(group))
    return out


def _runs(pieces: list[Any], kinds: tuple[str, ...]) -> list[list[Any]]:
    """Neighbours that may be one: objects of one type, one of `kinds`, with one index, and not after a signature."""
    runs: list[list[Any]] = []
    for piece in pieces:
        last = runs[-1][-1] if runs else None
        if (
            is_object(last)
            and is_object(piece)
            and piece.get("type") in kinds
            and piece.get("type") == last.get("type")
            and piece.get("index") == last.get("index")
            and not last.get("signature")
        ):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return runs


def _last_keys(group: list[Any]) -> dict[str, Any]:
    """The keys of all pieces; of each the last value that is not null."""
    out: dict[str, Any] = {}
    for piece in group:
        for key, value in piece.items():
            if value is not None or key not in out:
                out[key] = value
    return out

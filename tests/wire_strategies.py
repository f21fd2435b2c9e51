"""Generated payloads and messages for the wire formats: legal ones with anything in any slot, and any message list."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from palaver import formats
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
    user,
)
from tests.corpus.sessions import SESSIONS

__all__ = ["any_messages", "damaged", "json_values", "tidy_turns"]

short = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | short
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(short, inner, max_size=3), max_leaves=5
)


# -- payloads: a legal one, damaged in a few places


def _slots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a value, but its own."""
    if isinstance(value, dict):
        steps: list[tuple[Any, Any]] = list(value.items())
    elif isinstance(value, list):
        steps = list(enumerate(value))
    else:
        return []
    return [found for step, child in steps for found in ((*path, step), *_slots(child, (*path, step)))]


def _values_at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


@st.composite
def damaged(draw: st.DrawFn, wire: str) -> tuple[list[Any], Any]:
    """Messages and system prompt of a legal history, with up to three slots lost, doubled, moved or overwritten."""
    _, messages, system, response = draw(st.sampled_from(SESSIONS[wire]))
    if not isinstance(messages, list):
        messages = [{"role": "user", "content": messages}]
    out: list[Any] = copy.deepcopy([*messages, *(response or ())])
    for _ in range(draw(st.integers(0, 3))):
        slots = _slots(out)
        if not slots:
            break
        path = draw(st.sampled_from(slots))
        place, step = _values_at(out, path[:-1]), path[-1]
        how = draw(st.sampled_from(("lose", "double", "overwrite", "copy", "rename")))
        if how == "lose":
            del place[step]
        elif how == "double" and isinstance(place, list):
            place.insert(step, copy.deepcopy(place[step]))
        elif how == "copy":
            place[step] = copy.deepcopy(_values_at(out, draw(st.sampled_from(slots))))
        elif how == "rename" and isinstance(place, dict):
            place[draw(short)] = place.pop(step)
        else:
            place[step] = draw(json_values)
    return out, system


# -- messages: of any wire or none, with anything in them


def _json_objects() -> st.SearchStrategy[str]:
    from json import dumps

    return st.dictionaries(short, json_values, max_size=2).map(dumps)


WIRES = (None, *formats.wires(), "no_such_wire")
IDS = ("", "a", "a", "b", "call_1", "x" * 70, "with.dot and space", "ÄÖ", "abcdefgh1")
NAMES = ("look", "touch", "shelf.look", "", "ß", "n" * 70)
texts = st.sampled_from(("", " ", "\n", "hi", "hi \n", "好的，没问题", "x" * 90)) | short
extras = st.none() | st.none() | _json_objects()
layouts = st.none() | st.none() | st.sampled_from(("list", "absent", "verbatim 000000000000", "x y", "1 2"))
text_parts = st.builds(
    lambda text, extra, layout: TextPart(text=text, extra=extra, layout=layout), texts, extras, layouts
)
_bytes = st.sampled_from(("AAAA", "iVBORw0KGgo=", "", "not base64"))
_types = st.sampled_from((None, "image/png", "application/pdf", "audio/wav", "audio/mpeg", "text/plain", "x"))
media: st.SearchStrategy[Any] = st.builds(
    lambda kind, where, value, media_type, name: kind(**{where: value}, media_type=media_type, name=name),
    st.sampled_from((ImagePart, AudioPart, FilePart)),
    st.sampled_from(("data", "url", "file_id", "blob", "layout")),
    _bytes,
    _types,
    st.none() | short,
)
thinking = st.builds(
    lambda text, signature, redacted: ThinkingPart(text=text, signature=signature, redacted=redacted),
    st.none() | texts,
    st.none() | st.sampled_from(("c2ln", "")),
    st.none() | st.none() | st.just("cmVk"),
)
opaques = st.builds(
    lambda wire, data: Opaque(wire=wire, data=data), st.sampled_from([w for w in WIRES if w]), _json_objects()
)
calls = st.builds(
    lambda name, call_id, arguments, extra: ToolCall(name=name, call_id=call_id, arguments=arguments, extra=extra),
    st.sampled_from(NAMES),
    st.sampled_from(IDS),
    st.sampled_from(("{}", "", '{"shelf": 3}', "[1]", "no json", "null", '{"a": 1e400}', '{"a":1,"a":2}')),
    extras,
)
results = st.builds(
    lambda call_id, name, parts, is_error: ToolResult(
        call_id=call_id, name=name, parts=tuple(parts), is_error=is_error
    ),
    st.sampled_from(IDS),
    st.none() | st.sampled_from(NAMES),
    st.lists(text_parts | media | opaques, max_size=2),
    st.sampled_from((None, True, False)),
)
_PARTS: dict[str, st.SearchStrategy[Part]] = {
    "system": text_parts | text_parts | opaques | media,
    "developer": text_parts,
    "user": text_parts | text_parts | media | opaques,
    "assistant": text_parts | calls | calls | thinking | opaques | media,
    "tool": results | results | results | text_parts,
}


@st.composite
def _message(draw: st.DrawFn) -> Message:
    role = draw(st.sampled_from(("system", "developer", "user", "user", "assistant", "assistant", "tool", "tool")))
    return Message(
        role=role,  # type: ignore[arg-type]  # one of them
        parts=tuple(draw(st.lists(_PARTS[role], max_size=3))),
        wire=draw(st.sampled_from(WIRES)),
        layout=draw(layouts),
        extra=draw(extras),
        name=draw(st.sampled_from((None, None, "ada", "Ada Lovelace"))),
        joins=draw(st.sampled_from((False, False, True))),
        flags=draw(st.sampled_from(((), (), (), (), ("hidden",), ("delivery",)))),
    )


any_messages = st.lists(_message(), min_size=1, max_size=8)


# -- turns that are as they should be: what a cache holds must not change when they grow


@st.composite
def tidy_turns(draw: st.DrawFn) -> list[list[Message]]:
    """Turns of a conversation, of one wire or of several: a question, calls and their results, an answer."""
    turns: list[list[Message]] = []
    wire = draw(st.sampled_from(WIRES))
    for number in range(draw(st.integers(1, 4))):
        turn = [user(f"question {number}")]
        wire = draw(st.sampled_from((wire, wire, *WIRES)))
        for step in range(draw(st.integers(0, 2))):
            ids = [
                f"{draw(st.sampled_from(('call', 'toolu')))}_{number}_{step}_{i}"
                for i in range(draw(st.integers(1, 2)))
            ]
            turn.append(
                Message(
                    role="assistant",
                    wire=wire,
                    parts=tuple(ToolCall(name="look", call_id=i, arguments="{}") for i in ids),
                )
            )
            turn.extend(
                Message(
                    role="tool", wire=wire, parts=(ToolResult(call_id=i, name="look", parts=(TextPart(text="a jar"),)),)
                )
                for i in ids
            )
        turn.append(Message(role="assistant", wire=wire, parts=(TextPart(text=f"answer {number}"),)))
        turns.append(turn)
    return turns

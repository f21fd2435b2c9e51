"""Hypothesis strategies for wire formats: any JSON, and lists of messages that are not always legal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    Role,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)

short = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | short
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(short, inner, max_size=3), max_leaves=6
)
words = st.sampled_from(["", " ", "\n", "a", "b ", "Hello"])
call_ids = st.sampled_from(["a", "b", "a", "b", "c!", "", "srvtoolu_1", "srvtoolu_2"])


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of these keys, each as described or as something else altogether."""
    optional = {key: values | json_values for key, values in keys.items()}
    return st.fixed_dictionaries({}, optional=optional)


def _media(kind: Any) -> st.SearchStrategy[Any]:
    return st.builds(
        kind,
        media_type=st.sampled_from([None, "image/png", "application/pdf", "text/plain", "audio/mp3", "video/mp4"]),
        data=st.sampled_from([None, "AA==", "JVBERi0", "é"]),
        url=st.sampled_from([None, "https://example.org/a", "gs://b/c", "s3://b/c", "data:image/png;base64,AA=="]),
        file_id=st.none() | words,
        name=st.none() | words,
    )


def histories(blocks: st.SearchStrategy[Any], wires: Sequence[str | None]) -> st.SearchStrategy[list[Message]]:
    """Any list of messages, legal or not, from these wires; `blocks` are what opaque parts of a wire may be."""
    texts = st.builds(TextPart, text=words)
    media = _media(ImagePart) | _media(AudioPart) | _media(FilePart)
    data = blocks.map(json.dumps) | st.just("no JSON")
    opaques = st.builds(Opaque, wire=st.sampled_from([wire for wire in wires if wire is not None]), data=data)
    thinking = st.builds(ThinkingPart, text=st.none() | words, signature=st.none() | words, redacted=st.none() | words)
    arguments = st.sampled_from(["", "{}", '{"a":1}', "[1]", "no", "1e999"])
    calls = st.builds(ToolCall, name=words, call_id=call_ids, arguments=arguments)
    results = st.builds(
        ToolResult,
        call_id=call_ids,
        name=st.none() | words,
        parts=st.lists(texts | media | opaques, max_size=2).map(tuple),
        is_error=st.none() | st.booleans(),
    )
    speech: dict[Role, st.SearchStrategy[Any]] = {
        "system": texts | media | opaques,
        "developer": texts,
        "user": texts | media | opaques | thinking,
        "assistant": texts | media | opaques | thinking | calls | calls,
        "tool": results | results | texts | opaques,
    }

    def spoken(role: Role) -> st.SearchStrategy[Message]:
        return st.builds(
            Message,
            role=st.just(role),
            parts=st.lists(speech[role], max_size=3).map(tuple),
            wire=st.sampled_from(wires),
            joins=st.booleans(),
            name=st.none() | words,
        )

    roles: st.SearchStrategy[Role] = st.sampled_from(["system", "developer", "user", "assistant", "assistant", "tool"])
    return st.lists(roles.flatmap(spoken), max_size=5)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are one, 1 and 1.0 and true told apart."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

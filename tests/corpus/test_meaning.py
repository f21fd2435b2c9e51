"""The comparison behind the cross-wire tests sees what is missing, and takes a repair for an explanation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from palaver.formats import Rendered, Repair, RepairKind
from palaver.model import (
    FilePart,
    ImagePart,
    Message,
    Opaque,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    assistant,
    system,
    tool,
    user,
)
from tests.corpus.meaning import unexplained

SAID = [
    system("Be brief."),
    user(["What is this?", ImagePart(data="AAAA", media_type="image/png")]),
    assistant(
        [ThinkingPart(text="Hm.", signature="c2ln"), Opaque(wire="google", data="{}"), "Looking. "],
        ToolCall(name="look", call_id="a", arguments='{"shelf": 3}'),
    ),
    tool("a", "a jar", is_error=True),
    assistant("A jar."),
    user("Thanks!"),
]


def changed(place: int, change: Callable[[Message], Message | None]) -> list[Message]:
    """The messages with one of them changed, or lost."""
    out = list(SAID)
    made = change(out[place])
    return out[:place] + ([] if made is None else [made]) + out[place + 1 :]


def without(kind: type) -> Callable[[Message], Message]:
    """A message without the parts of a kind."""
    return lambda message: message.replace(parts=tuple(part for part in message.parts if not isinstance(part, kind)))


def with_call(**fields: str) -> Callable[[Message], Message]:
    """A message whose call says something else."""
    call = {"name": "look", "call_id": "a", "arguments": '{"shelf": 3}', **fields}
    return lambda message: message.replace(parts=(*message.parts[:-1], ToolCall(**call)))


def with_result(said: str) -> Callable[[Message], Message]:
    """A result that says something else."""
    return lambda message: message.replace(parts=(ToolResult(call_id="a", parts=(TextPart(text=said),)),))


CASES: list[tuple[str, list[Message], RepairKind | None]] = [
    ("a text", changed(5, lambda _: None), "message_left_out"),
    ("instructions", changed(0, lambda _: None), "message_left_out"),
    ("an image", changed(1, without(ImagePart)), "media_left_out"),
    ("reasoning", changed(2, without(ThinkingPart)), "thinking_left_out"),
    ("what is opaque", changed(2, without(Opaque)), "opaque_left_out"),
    ("a call and its result", [*changed(2, without(ToolCall))[:3], *SAID[4:]], "part_left_out"),
    ("a call's name", changed(2, with_call(name="touch")), "name_changed"),
    ("a call's arguments", changed(2, with_call(arguments='{"shelf": 4}')), "arguments_changed"),
    ("a result's text", changed(3, with_result("a cup")), "text_changed"),
    ("a result", changed(3, lambda _: None), None),
    ("that it is an error", changed(3, with_result("a jar")), "text_changed"),
    ("a role", changed(5, lambda message: message.replace(role="assistant")), "role_changed"),
    ("the order", [*SAID[:1], SAID[5], *SAID[2:5], SAID[1]], None),
]


def rendered(*kinds: RepairKind) -> Rendered:
    """A payload with these repairs; what is in it is told apart from it."""
    return Rendered(None, [], tuple(Repair(kind, 0, "") for kind in kinds))


@pytest.mark.parametrize(
    ("what", "after", "explanation"), CASES, ids=lambda each: each if isinstance(each, str) else ""
)
def test_what_is_missing_is_seen(what: str, after: list[Message], explanation: RepairKind | None) -> None:
    """Each loss is told, and is none where a repair explains it; some nothing can explain."""
    assert unexplained(SAID, rendered(), after) != []
    if explanation is not None:
        assert unexplained(SAID, rendered(explanation), after) == []


def test_what_is_the_same_is_the_same() -> None:
    """Texts may be glued and stripped, kinds of media differ, and arguments have another spelling."""
    after = [
        SAID[0].replace(role="developer"),
        user(["What is this?", FilePart(data="AAAA")]),
        *changed(2, with_call(arguments='{ "shelf":3 }'))[2:4],
        *SAID[4:],
    ]
    assert unexplained(SAID, rendered(), after) == []


def test_ids_lead_back() -> None:
    """Another id is right where `call_ids` leads back from it."""
    after = [*changed(2, with_call(call_id="b"))[:3], tool("b", "a jar", is_error=True), *SAID[4:]]
    assert unexplained(SAID, rendered(), after) != []
    assert unexplained(SAID, Rendered(None, [], (), {"b": "a"}), after) == []

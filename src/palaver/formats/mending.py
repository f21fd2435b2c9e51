"""Rules that say what is wrong in a payload and how to mend it, so that `check` and `render` have one list of them.

A wire walks over its payload and gives findings; `check` tells them, `mend` does what they say until there are none.
Every mend takes something away or puts something in its place, so that there is an end to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple, TypeAlias

from palaver.formats.wire import RepairKind, Violation, is_array, is_object

__all__ = ["Change", "Finding", "Place", "mend", "violations"]

Place: TypeAlias = tuple[int, ...]
"""Indices into `messages`, the message's content, and the content of a block in it; () is the system prompt."""

Change: TypeAlias = Callable[[dict[str, Any]], None]


class Finding(NamedTuple):
    """A rule that a payload breaks, at one place in it."""

    rule: str
    place: Place
    says: str
    remedy: str
    kind: RepairKind
    mend: Change | Literal["drop", "first", "merge"] = "drop"
    """`drop`: take away the message or block; `first`: put the block at the beginning of its turn; `merge`: make one
    message of this one and the one before it; or a change of the block or message."""
    field: str = ""
    """The field of the block or message, for instance `.id`."""
    home: tuple[int, int] = (0, 0)
    """Where `mend` is `first`: the message that the block's turn begins with, and the place in its content."""


def violations(findings: Sequence[Finding]) -> list[Violation]:
    """The findings as `check` tells them, in the order of the payload."""
    return [Violation(each.rule, _where(each), each.says, each.remedy) for each in findings]


def _where(finding: Finding) -> str:
    if not finding.place:
        return f"system{finding.field}"
    first, *inner = finding.place
    return f"messages[{first}]{''.join(f'.content[{index}]' for index in inner)}{finding.field}"


def mend(
    messages: list[Any],
    find: Callable[[list[Any]], Sequence[Finding]],
    note: Callable[[Finding], None],
    nested: Callable[[dict[str, Any]], Any],
    sources: list[Any],
) -> None:
    """Change a payload in place until nothing is found.

    `nested` is the content list inside a block, `sources` is kept in step with `messages`: where a message goes, its
    source goes too. Each finding is noted before it is acted on.
    """
    while found := find(messages):
        for each in found:
            note(each)
        _apply(messages, found, nested, sources)


def _apply(
    messages: list[Any],
    found: Sequence[Finding],
    nested: Callable[[dict[str, Any]], Any],
    sources: list[Any],
) -> None:
    targets = [(each, _target(messages, each.place, nested)) for each in found]
    dropped: set[int] = set()
    moved: list[tuple[Any, Any, int]] = []
    merged: list[int] = []
    for each, target in targets:
        if each.mend == "drop":
            dropped.add(id(target))
        elif each.mend == "first":
            moved.append((target, messages[each.home[0]], each.home[1]))
        elif each.mend == "merge":
            merged.append(each.place[0])
        else:
            each.mend(target)
    touched = {each.place[0] for each in found if each.place}
    dropped.update(id(block) for block, _, _ in moved)
    for index in touched:
        _sweep(messages[index], dropped, nested)
    turns = [list(turn) for _, turn in groupby(moved, key=lambda one: (id(one[1]), one[2]))]
    for turn in reversed(turns):  # reversed: what goes to the same place later stands before it
        _, message, at = turn[0]
        if not is_array(message["content"]):
            message["content"] = [{"type": "text", "text": message["content"]}]
        message["content"][at:at] = [block for block, _, _ in turn]
    _merge(messages, merged, dropped)
    # What was emptied just now says nothing any more; a message that came empty is the rules' affair.
    dropped.update(id(messages[index]) for index in touched if messages[index].get("content") == [])
    kept = [index for index, message in enumerate(messages) if id(message) not in dropped]
    if len(kept) < len(messages):
        messages[:] = [messages[index] for index in kept]
        sources[:] = [sources[index] for index in kept]


def _merge(messages: list[Any], merged: Sequence[int], dropped: set[int]) -> None:
    """Put each of these messages into the one before it, or into the one that this has gone into."""
    heads: dict[int, int] = {}
    for index in sorted(merged):
        if not dropped & {id(messages[index]), id(messages[index - 1])}:
            heads[index] = heads.get(index - 1, index - 1)
            messages[heads[index]]["content"].extend(messages[index]["content"])
    dropped.update(id(messages[index]) for index in heads)


def _target(messages: list[Any], place: Place, nested: Callable[[dict[str, Any]], Any]) -> Any:
    target = messages[place[0]]
    if len(place) > 1:
        target = target["content"][place[1]]
    if len(place) > 2:
        target = nested(target)[place[2]]
    return target


def _sweep(message: Any, dropped: set[int], nested: Callable[[dict[str, Any]], Any]) -> None:
    content = message.get("content") if is_object(message) else None
    if not is_array(content):
        return
    for block in content:
        inner = nested(block) if is_object(block) else None
        if is_array(inner):
            inner[:] = [child for child in inner if id(child) not in dropped]
    content[:] = [block for block in content if id(block) not in dropped]

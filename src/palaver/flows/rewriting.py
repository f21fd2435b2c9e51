"""Verbs that change what of a transcript is live, or what it says. Nothing is removed: all of it can be had back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from palaver.budget import Budget
from palaver.core import Core
from palaver.errors import PalaverError, SessionConflict
from palaver.flows.drafting import drafts
from palaver.info import Page
from palaver.model import Content, Message, Part, TextPart, ToolResult, parts_of
from palaver.operations import Appended, Cut, Edit, Merge, Redo, Redone, Replace
from palaver.replay import replayable
from palaver.rows import MOST
from palaver.steps import Flow, call, commit, long_call, write
from palaver.window import legal_window

__all__ = ["clear", "delete_message", "edit", "merge", "redo", "replace", "retain", "rewind", "truncate", "versions"]

_TRIES = 20
_PAGE = 200


def rewind(core: Core, session_id: str, turns: int, expected_rev: int | None = None) -> Flow[Page]:
    """Take back the newest turns; gives the messages that are live no more."""
    if turns < 1:
        raise ValueError(f"turns is {turns}; rewind takes back at least one")
    for attempt in range(_TRIES):
        taken, last = yield from _newest_turns(core, session_id, turns)
        if not taken:
            return Page()
        done = yield from _cut(
            core,
            session_id,
            taken[0].seq,
            last,
            "rewind",
            expected_seq=last,
            expected_rev=expected_rev,
            again=attempt < _TRIES - 1,
        )
        if done:
            return Page(taken)
    raise AssertionError


def _newest_turns(core: Core, session_id: str, turns: int) -> Flow[tuple[list[Message], int]]:
    """The messages from where the newest turns begin, and the last position.

    A turn begins with a message of the user that follows something else: several in a row are answered together.
    """
    info = yield from call(core.store.info, session_id, core.owner, core.now())
    found: list[Message] = []
    before: int | None = info.last_seq + 1
    begin: int | None = None
    count = 0
    size = _PAGE
    while True:
        page = yield from long_call(
            core.store.page, session_id, core.owner, before=before, limit=size, newest=True, live=True
        )
        found[:0] = page
        shown = [m for m in found if replayable(m)]
        count, begin = 0, None
        for index in range(len(shown) - 1, -1, -1):
            if shown[index].role != "user" or (index and shown[index - 1].role == "user"):
                continue
            if not index and len(page) == size:  # what stands before it has not been read
                break
            count, begin = count + 1, shown[index].seq
            if count == turns:
                break
        if count == turns or len(page) < size:
            break
        before = min((m.seq for m in page), default=1)
        size = min(size * 2, MOST)  # all that was found is looked at again: twice as much each time keeps that linear
    return [m for m in found if begin is not None and m.seq >= begin], info.last_seq


def _cut(
    core: Core,
    session_id: str,
    from_seq: int,
    through_seq: int,
    kind: str,
    *,
    expected_seq: int | None = None,
    expected_rev: int | None = None,
    again: bool = False,
) -> Flow[bool]:
    """Cut a range; False, where `again`, if a message came meanwhile."""
    [outcome] = yield from commit(
        Cut(
            at=core.at(),
            owner=core.owner,
            session_id=session_id,
            from_seq=from_seq,
            through_seq=through_seq,
            kind=kind,
            expected_seq=expected_seq,
            expected_rev=expected_rev,
            unless_running=True,
        )
    )
    if isinstance(outcome, SessionConflict) and again and outcome.expected == expected_seq:
        return False
    if isinstance(outcome, PalaverError):
        raise outcome
    return True


def redo(core: Core, session_id: str, expected_rev: int | None = None) -> Flow[Redone]:
    """Make what the newest cut took away live again."""
    done: Redone = yield from write(
        Redo(at=core.at(), owner=core.owner, session_id=session_id, expected_rev=expected_rev)
    )
    return done


def clear(core: Core, session_id: str) -> Flow[None]:
    """Make nothing live."""
    last = (yield from call(core.store.info, session_id, core.owner, core.now())).last_seq
    if last:
        yield from _cut(core, session_id, 1, last, "clear")


def truncate(core: Core, session_id: str, after: int, expected_rev: int | None = None) -> Flow[None]:
    """Keep what stands at or before a position."""
    if after < 0:
        raise ValueError(f"after is {after}; it is the last position to keep, 0 to keep nothing")
    last = (yield from call(core.store.info, session_id, core.owner, core.now())).last_seq
    if after < last:
        yield from _cut(core, session_id, after + 1, last, "truncate", expected_rev=expected_rev)


def retain(core: Core, session_id: str, last: int) -> Flow[None]:
    """Keep the newest messages, as many as stand in a legal window of that length, and the leading instructions."""
    if last < 1:
        raise ValueError(f"last is {last}; retain keeps at least one message, clear keeps none")
    tail = yield from call(core.store.tail, session_id, core.owner, core.now(), limit=last + 8)
    window = legal_window(tail, Budget(max_messages=last + len(tail.head) + (tail.summary is not None)))
    first = 1 + max((m.seq for m in tail.head), default=0)
    if window.anchor is not None and window.anchor > first:
        yield from _cut(core, session_id, first, window.anchor - 1, "retain")


def delete_message(core: Core, session_id: str, seq: int, expected_rev: int | None) -> Flow[None]:
    """Make one message live no more; one that is not live any more stays so, unless a version is expected."""
    if expected_rev is None and not (
        yield from call(core.store.page, session_id, core.owner, after=seq - 1, before=seq + 1, limit=1)
    ):
        info = yield from call(core.store.info, session_id, core.owner, core.now())
        if 1 <= seq <= info.last_seq:
            return
    yield from _cut(core, session_id, seq, seq, "delete", expected_rev=expected_rev)


def replace(core: Core, session_id: str, messages: Sequence[Message], expected_seq: int | None) -> Flow[Appended]:
    """Put other messages in the place of all that is live, in one transaction."""
    given = yield from drafts(messages)
    operation = Replace(
        at=core.at(),
        owner=core.owner,
        session_id=session_id,
        messages=given,
        expected_seq=expected_seq,
    )
    done: Appended = yield from write(operation)
    return done


def edit(core: Core, session_id: str, seq: int, content: Content | Message, expected_rev: int | None) -> Flow[Message]:
    """Put new content in the place of a message; gives it as it is now."""
    page = yield from call(core.store.page, session_id, core.owner, after=seq - 1, before=seq + 1, limit=1)
    if not page:
        info = yield from call(core.store.info, session_id, core.owner, core.now())
        msg = f"session {session_id!r} has no live message at seq {seq}; its positions go to {info.last_seq}"
        raise SessionConflict(msg, expected=seq, actual=info.last_seq)
    message = page[0]
    if not isinstance(content, Message) and message.role == "tool":
        content = _as_result(message, content)
    new = (
        content
        if isinstance(content, Message)
        else message.replace(parts=parts_of(content), layout=None, extra=None, tokens=None)
    )
    new = new.replace(id=message.id, seq=0, created_at=None)
    yield from write(
        Edit(
            at=core.at(),
            owner=core.owner,
            session_id=session_id,
            seq=seq,
            message=(yield from drafts((new,)))[0],
            expected_rev=expected_rev,
        )
    )
    return new.replace(seq=seq, created_at=message.created_at)


def merge(
    core: Core, session_id: str, seq: int, continuation: int, separator: str, expected_rev: int | None
) -> Flow[Message]:
    """Let an answer say what its continuation says too; gives it as it is then."""
    info = yield from call(core.store.info, session_id, core.owner, core.now())
    found: list[Message] = []
    for position in (seq, continuation):
        page = yield from call(
            core.store.page, session_id, core.owner, after=position - 1, before=position + 1, limit=1
        )
        if not page or page[0].role != "assistant" or page[0].tool_calls:
            msg = f"session {session_id!r} has no live answer without calls at seq {position}: nothing is merged"
            raise SessionConflict(msg, expected=position, actual=info.last_seq)
        found.append(page[0])
    answer, more = found
    new = answer.replace(parts=_joined(answer, more, separator), layout=None, extra=None, tokens=None)
    new = new.replace(seq=0, created_at=None)
    yield from write(
        Merge(
            at=core.at(),
            owner=core.owner,
            session_id=session_id,
            seq=seq,
            continuation=continuation,
            message=(yield from drafts((new,)))[0],
            expected_rev=info.rev if expected_rev is None else expected_rev,
        )
    )
    return new.replace(seq=seq, created_at=answer.created_at)


def _joined(answer: Message, more: Message, separator: str) -> tuple[Part, ...]:
    """Both contents; text that goes on is one text."""
    first, last = answer.parts[-1:], more.parts[:1]
    match (*first, *last):
        case (TextPart() as begun, TextPart() as rest):
            text = TextPart(text=begun.text + separator + rest.text)
            return (*answer.parts[:-1], text, *more.parts[1:])
        case _:
            return (*answer.parts, *more.parts)


def _as_result(message: Message, content: Content) -> Content:
    """What a tool message says otherwise: its one result with new content, which still answers its call."""
    parts = parts_of(content)
    results = message.tool_results
    if any(isinstance(part, ToolResult) for part in parts) or len(results) != 1:
        return parts
    inner: Any = parts
    return msgspec.structs.replace(results[0], parts=inner, extra=None, layout=None)


def versions(core: Core, session_id: str, seq: int) -> Flow[Page]:
    """What a message said before each of its edits, oldest first."""
    return (yield from call(core.store.versions, session_id, core.owner, seq))

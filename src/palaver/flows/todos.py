"""To-dos before a reset: which wait, who takes them, and what became of them."""

from __future__ import annotations

from datetime import timedelta

from palaver import ids
from palaver.core import Core
from palaver.errors import SessionConflict, SessionNotFound
from palaver.info import Todo
from palaver.operations import ClaimTodo, EndTodo
from palaver.rows import TodoRow
from palaver.steps import Flow, call, write
from palaver.stores import views

__all__ = ["acknowledge", "claim", "due", "fail"]


def due(core: Core, limit: int, *, given_up: bool = False) -> Flow[list[Todo]]:
    """To-dos that may be claimed now, or those that were given up, oldest first."""
    now = core.now()
    if given_up:
        return (yield from call(core.store.todos, core.owner, "given_up", now, limit=limit))
    waiting = yield from call(core.store.todos, core.owner, "waiting", now, limit=limit)
    left = yield from call(core.store.todos, core.owner, "claimed", now, limit=limit)
    return sorted([*waiting, *left], key=lambda todo: todo.made_at)[:limit]


def claim(core: Core, todo: Todo | str, lease: timedelta) -> Flow[Todo]:
    """Take a to-do, so that no other worker does it."""
    if lease <= timedelta(0):
        raise ValueError(f"lease is {lease}; it has to be longer than nothing, such as timedelta(minutes=10)")
    session_id = todo if isinstance(todo, str) else todo.session_id
    operation = ClaimTodo(
        at=core.at(),
        owner=core.owner,
        session_id=session_id,
        token=ids.token(),
        holder=core.holder(),
        micros=lease // timedelta(microseconds=1),
    )
    row: TodoRow = yield from write(operation)
    taken = yield from _todo(core, row, session_id)
    if taken.state == "given_up":
        msg = f"the to-do of session {session_id!r} was given up: {taken.failures} workers failed at it, {taken.error}"
        raise SessionConflict(msg)
    return taken


def acknowledge(core: Core, todo: Todo) -> Flow[Todo]:
    """Say that a to-do is done; one that was given up is off the table by it."""
    given_up = todo.state == "given_up"
    operation = EndTodo(
        at=core.at(),
        owner=core.owner,
        session_id=todo.session_id,
        token="" if given_up else todo.token,
        through_seq=todo.through_seq,
    )
    row: TodoRow = yield from write(operation)
    return (yield from _todo(core, row, todo.session_id))


def fail(core: Core, todo: Todo, reason: str) -> Flow[Todo]:
    """Say that a to-do could not be done: it is due again in a while, or given up after its third failure."""
    if not reason.strip():
        raise ValueError("the reason is empty; say what went wrong, for whoever looks at it later")
    operation = EndTodo(at=core.at(), owner=core.owner, session_id=todo.session_id, token=todo.token, error=reason)
    row: TodoRow = yield from write(operation)
    return (yield from _todo(core, row, todo.session_id))


def _todo(core: Core, row: TodoRow, session_id: str) -> Flow[Todo]:
    try:
        found = yield from call(core.store.info, session_id, core.owner, core.now())
    except SessionNotFound:  # deleted since: the to-do is what it is
        return views.todo(row, session_id, core.owner or "")
    return views.todo(row, session_id, found.owner or "")

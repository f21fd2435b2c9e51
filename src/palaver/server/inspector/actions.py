"""What a person may do to a session: by a form, said afterwards, and with its way back where there is one."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from palaver.aio import AsyncSession
from palaver.errors import SessionNotFound
from palaver.exporters import Entry
from palaver.operations.ranges import merged
from palaver.redact import clean
from palaver.server.inspector.conversation import PAGE, found, items_between, running_since
from palaver.server.inspector.stored import record_of
from palaver.server.inspector.templating import link
from palaver.server.inspector.transcript import lines_of
from palaver.server.inspector.visits import Flash, Refusal, View, Visit, moved, page
from palaver.server.inspector.wording import plural
from palaver.server.lookup import session_named
from palaver.server.reach import session_handle

__all__ = ["VIEWS"]

MAX_TAGS = 50


# ------------------------------------------------------------------ pages
async def manage(visit: Visit) -> Response:
    """What can be done with the whole session."""
    _, info = await found(visit)
    return await page(visit, "manage.html", info=info)


async def message(visit: Visit) -> Response:
    """What can be done with one message, or at it."""
    session, info = await found(visit)
    seq = _position(visit.path["seq"])
    record = await record_of(visit.sessions, session.id)
    items = await items_between(visit.sessions, record, after=seq - 1, through=min(seq + PAGE, record.head.last_seq))
    entries = [item for item in items if isinstance(item, Entry) and (item.message.seq == seq or _of_tools(item))]
    running_from = await running_since(visit, info)
    lines = await run_in_threadpool(lines_of, entries, info, record.cuts, running_from=running_from)
    line = next((each for each in lines if each.seq == seq), None)
    if line is None:
        raise Refusal(404, "Not found", f"No message stands at #{seq}: it never did, or it was removed for good.")
    dead = merged(record.cuts)
    gone = sum(min(high, info.last_seq) - max(low, seq + 1) + 1 for low, high in dead if high > seq)
    after = info.last_seq - seq - gone
    return await page(visit, "message.html", info=info, line=line, after=after)


def _of_tools(entry: Entry) -> bool:
    """Whether this may answer a call that stands before it, or ask what answers that could be taken for."""
    return bool(entry.message.tool_calls or entry.message.tool_results)


def _position(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16 and int(text)):
        raise Refusal(404, "Not found", f"{text[:40]!r} is no position of a message.")
    return int(text)


# ------------------------------------------------------------------ forms of a session
async def _session(visit: Visit) -> AsyncSession:
    return await session_named(visit.sessions, visit.path["session_id"])


def _home(session: AsyncSession, seq: int | None = None) -> str:
    return link("sessions", session.id, at=seq) + (f"#m{seq}" if seq else "")


def _said(text: str, session: AsyncSession, verb: str, **fields: str) -> Flash:
    """What was done, and the form that takes it back."""
    return Flash(text=text, action=link("sessions", session.id, verb), fields=fields)


async def rename(visit: Visit) -> Response:
    """Give the session a title, or take it away."""
    session = await _session(visit)
    before = (await session.info()).title
    title = visit.form.get("title", "").strip()
    given = await session.rename(title or None)
    text = f"It is called {given!r} now." if given else "It has no title any more."
    return moved(visit, link("sessions", session.id, "manage"), _said(text, session, "rename", title=before or ""))


async def archive(visit: Visit) -> Response:
    """Put the session away, or take it out again."""
    session = await _session(visit)
    archived = visit.form.get("value") != "no"
    await session.archive(archived)
    text = "Archived: it is out of the list." if archived else "It is in the list again."
    return moved(
        visit,
        link("sessions", session.id, "manage"),
        _said(text, session, "archive", value="no" if archived else "yes"),
    )


async def pin(visit: Visit) -> Response:
    """Pin the session, or take the pin out."""
    session = await _session(visit)
    pinned = visit.form.get("value") != "no"
    await session.pin(pinned)
    text = "Pinned." if pinned else "Not pinned any more."
    return moved(
        visit, link("sessions", session.id, "manage"), _said(text, session, "pin", value="no" if pinned else "yes")
    )


async def hide(visit: Visit) -> Response:
    """Leave the session out of lists and searches, or show it in them again."""
    session = await _session(visit)
    hidden = visit.form.get("value") != "no"
    await session.hide(hidden)
    text = "Hidden: lists and searches leave it out." if hidden else "It is in lists and searches again."
    value = "no" if hidden else "yes"
    return moved(visit, link("sessions", session.id, "manage"), _said(text, session, "hide", value=value))


async def tag(visit: Visit) -> Response:
    """Give the session these tags, in place of those that it has."""
    session = await _session(visit)
    before = (await session.info()).tags
    tags = [each for each in (clean(part) for part in visit.form.get("tags", "").split(",")) if each]
    if len(tags) > MAX_TAGS:
        raise Refusal(422, "Too many tags", f"A session has {MAX_TAGS} tags at most, separated by commas.")
    await session.tag(*tags)
    text = f"Tagged {', '.join(tags)}." if tags else "No tags any more."
    return moved(visit, link("sessions", session.id, "manage"), _said(text, session, "tag", tags=", ".join(before)))


async def fork(visit: Visit) -> Response:
    """A session of its own with copies of all that is live, or of what is up to a message."""
    session = await _session(visit)
    seq = visit.form.get("at")
    made = await session.fork(at=_position(seq) if seq else None, title=visit.form.get("title", "").strip() or None)
    return moved(visit, _home(made), _said("This is the fork. The other session is as it was.", made, "delete"))


async def delete(visit: Visit) -> Response:
    """Make the session not found, until it is brought back."""
    session = await _session(visit)
    await session.delete()
    return moved(visit, "/", _said("The session is deleted.", session, "restore"))


async def restore(visit: Visit) -> Response:
    """Bring a deleted session back."""
    session = await visit.sessions.restore(visit.path["session_id"])
    return moved(visit, _home(session), _said("The session is back.", session, "delete"))


async def erase(visit: Visit) -> Response:
    """Erase the session everywhere, once its id was typed."""
    try:
        session = await _session(visit)
    except SessionNotFound:  # one that was deleted can be erased too
        session = session_handle(visit.sessions, visit.path["session_id"])
    if visit.form.get("confirm", "").strip() != session.id:
        raise Refusal(422, "Not erased", "To erase a session, type its id as it stands above the field.")
    report = await visit.sessions.erase(session=session.id)
    text = f"Erased for good: {plural(report.counts.get('messages', 0), 'message')}."
    if report.backups:
        text += f" Backups may still hold it: {', '.join(report.backups)}."
    if report.scrub is not None and not report.scrub.done:
        text += f" Its traces in the store's files are not cleaned yet: {report.scrub.reason}"
    return moved(visit, "/", Flash(text=text[:1500]))


# ------------------------------------------------------------------ forms of a message
def _rev(visit: Visit) -> int | None:
    """The version that the visitor saw, where the form says so."""
    text = visit.form.get("rev", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


async def rewind(visit: Visit) -> Response:
    """Take back what came after a message, and the message itself if asked to."""
    session = await _session(visit)
    seq = _position(visit.form.get("seq", ""))
    keep = seq - 1 if visit.form.get("with") == "yes" else seq
    await session.truncate(after=keep, expected_rev=_rev(visit))
    return moved(visit, _home(session), _said(f"Everything after #{keep} is taken back.", session, "redo"))


async def redo(visit: Visit) -> Response:
    """Bring back what was taken back last."""
    session = await _session(visit)
    done = await session.redo()
    return moved(visit, _home(session), Flash(text=f"{plural(done.count, 'message')} back again."))


async def delete_message(visit: Visit) -> Response:
    """Take one message out of the conversation."""
    session = await _session(visit)
    seq = _position(visit.form.get("seq", ""))
    await session.delete_message(seq, expected_rev=_rev(visit))
    return moved(visit, _home(session, seq), _said(f"Message #{seq} is out of the conversation.", session, "redo"))


async def edit(visit: Visit) -> Response:
    """Put new text in the place of a message's."""
    session = await _session(visit)
    seq = _position(visit.form.get("seq", ""))
    text = visit.form.get("text", "").replace("\r\n", "\n")
    if not text.strip():
        raise Refusal(422, "Not changed", "A message says something. To take it out of the conversation, delete it.")
    await session.edit(seq, text, expected_rev=_rev(visit))
    return moved(
        visit, _home(session, seq), _said(f"Message #{seq} says something else now.", session, "unedit", seq=str(seq))
    )


async def unedit(visit: Visit) -> Response:
    """Let a message say again what it said before its last edit; that is an edit too."""
    session = await _session(visit)
    seq = _position(visit.form.get("seq", ""))
    versions = await session.versions(seq)
    if not versions:
        raise Refusal(409, "Nothing to take back", f"Message #{seq} was never edited.")
    await session.edit(seq, versions[-1])
    return moved(
        visit, _home(session, seq), _said(f"Message #{seq} says what it said before.", session, "unedit", seq=str(seq))
    )


VIEWS = (
    View("GET", "/sessions/{session_id}/manage", manage),
    View("GET", "/sessions/{session_id}/messages/{seq}", message),
    View("POST", "/sessions/{session_id}/rename", rename),
    View("POST", "/sessions/{session_id}/archive", archive),
    View("POST", "/sessions/{session_id}/pin", pin),
    View("POST", "/sessions/{session_id}/hide", hide),
    View("POST", "/sessions/{session_id}/tag", tag),
    View("POST", "/sessions/{session_id}/fork", fork),
    View("POST", "/sessions/{session_id}/delete", delete),
    View("POST", "/sessions/{session_id}/restore", restore),
    View("POST", "/sessions/{session_id}/erase", erase, administers=True),
    View("POST", "/sessions/{session_id}/rewind", rewind),
    View("POST", "/sessions/{session_id}/redo", redo),
    View("POST", "/sessions/{session_id}/delete-message", delete_message),
    View("POST", "/sessions/{session_id}/edit", edit),
    View("POST", "/sessions/{session_id}/unedit", unedit),
)

"""What the commands that change a session do, and what they say of it."""

from __future__ import annotations

from palaver.cli import records
from palaver.cli.amounts import counted
from palaver.cli.failures import REFUSED, Failure
from palaver.cli.output import Output
from palaver.cli.terminal import one_line
from palaver.manager import SessionManager
from palaver.session import Session
from palaver.titles import suggested_title

__all__ = ["alias", "archive", "fork", "hide", "pin", "redo", "rename", "resume", "tag", "undo"]

SAID = 50
"""Messages of which a title may be made."""


def rename(session: Session, output: Output, title: str | None, *, numbered: bool, suggest: bool) -> None:
    """Give the session a title, or take it away."""
    if suggest:
        title = session.rename(suggested_title(session.messages(limit=SAID)), generated=True)
    else:
        title = session.rename(title, numbered=numbered)
    _tell(session, output, "it has no title now" if title is None else f"its title is {title}")


def alias(session: Session, output: Output, name: str) -> None:
    """Give the session one more name."""
    session.add_alias(name)
    _tell(session, output, f"it is found as {name} too")


def archive(session: Session, output: Output, *, archived: bool) -> None:
    """Leave the session out of lists, or take it back."""
    session.archive(archived)
    _tell(session, output, "archived" if archived else "archived no more")


def pin(session: Session, output: Output, *, pinned: bool) -> None:
    """Keep the session from being archived or expired by age, or no more."""
    session.pin(pinned)
    _tell(session, output, "pinned" if pinned else "pinned no more")


def hide(session: Session, output: Output, *, hidden: bool) -> None:
    """Leave the session out of lists and searches, or show it again."""
    session.hide(hidden)
    _tell(session, output, "hidden" if hidden else "hidden no more")


def tag(session: Session, output: Output, tags: tuple[str, ...]) -> None:
    """Set the session's tags."""
    session.tag(*tags)
    _tell(session, output, f"its tags are {', '.join(tags)}" if tags else "it has no tags now")


def fork(session: Session, output: Output, *, at: int | None, title: str | None) -> None:
    """Make a session with copies. Its id stands alone on its line, for scripts."""
    made = session.fork(at=at, title=title)
    info = made.info()
    if output.json:
        output.record(records.of(info))
        return
    output.text(one_line(info.id))
    output.note(f"with {counted(info.message_count, 'message')} of {session.id}")


def undo(session: Session, output: Output, turns: int) -> None:
    """Take back the newest turns, and name the messages."""
    taken = session.rewind(turns)
    if not taken:
        raise Failure(f"session {session.id!r} has nothing to undo: there is no turn to take back", REFUSED)
    if output.json:
        for message in taken:
            output.record({"type": "message", "live": False, **records.of_message(message)})
        return
    where = _range(taken[0].seq, taken[-1].seq)
    output.text(one_line(f"{session.id}: took back {counted(len(taken), 'message')}, {where}"))
    output.note("`palaver redo` brings back what was taken")


def redo(session: Session, output: Output) -> None:
    """Bring back what was taken back last."""
    done = session.redo()
    if output.json:
        output.record({"session_id": session.id, **records.of(done)})
        return
    whole = done.count == done.through_seq - done.from_seq + 1
    some = "" if whole else f"{counted(done.count, 'message')} of "  # the others were taken back before
    output.text(one_line(f"{session.id}: brought back {some}{_range(done.from_seq, done.through_seq)}"))


def resume(manager: SessionManager, session: Session, key: str, output: Output) -> None:
    """Point the key at the session."""
    _tell(manager.resume(key, session.id), output, f"it goes on under {key}")


def _range(first: int, last: int) -> str:
    return f"#{first}" if first == last else f"#{first} to #{last}"


def _tell(session: Session, output: Output, text: str) -> None:
    """The session as it is now, for a program; for a person what changed."""
    if output.json:
        output.record(records.of(session.info()))
    else:
        output.text(one_line(f"{session.id}: {text}"))

"""What a line that begins with `/` does in a chat."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from palaver.cli import transcript
from palaver.cli.amounts import counted
from palaver.cli.chat.conversation import Conversation
from palaver.cli.moments import shown
from palaver.cli.output import Output
from palaver.cli.terminal import one_line
from palaver.errors import SessionBusy, SessionConflict, SessionNotFound
from palaver.info import SessionInfo
from palaver.turn import Turn

__all__ = ["COMMANDS", "Quit", "perform"]

RECENT = 10
"""Sessions that `/resume` lists."""
WINDOW = 500
"""Messages of the window that `/window` shows."""


class Quit(Exception):
    """The person wants to leave."""


class _Command(NamedTuple):
    usage: str
    help: str
    run: Callable[[Conversation, str, Output], Turn | None]


def perform(line: str, conversation: Conversation, output: Output) -> Turn | None:
    """Do what a line such as `/undo 2` says; a turn that comes back is to be answered. Raises Quit."""
    name, _, rest = line[1:].partition(" ")
    command = COMMANDS.get(name.lower())
    if command is None:
        output.note(f"there is no /{name}; /help lists what there is")
        return None
    try:
        return command.run(conversation, rest.strip(), output)
    except (SessionNotFound, SessionConflict, SessionBusy, ValueError) as exc:
        output.note(str(exc))
        return None


def _new(conversation: Conversation, _rest: str, output: Output) -> None:
    session = conversation.sessions.reset(conversation.target)
    output.note(f"a new conversation, {session.id}; /resume goes back")


def _resume(conversation: Conversation, rest: str, output: Output) -> None:
    if not rest:
        _list(conversation, output)
        return
    session = conversation.sessions.resume(conversation.target, _reference(conversation, rest))
    info = session.info()
    output.note(f"{_title(info)}, {counted(info.message_count, 'message')}")
    transcript.show_transcript(session, output, limit=4, raw=False, hint=False)


def _reference(conversation: Conversation, rest: str) -> str:
    """The id of a session that is named by its place in the list that the person has seen; else the name itself."""
    if rest.isdecimal() and len(rest) <= len(str(RECENT)):
        listed = conversation.listed or tuple(info.id for info in conversation.sessions.list(limit=RECENT))
        if 1 <= int(rest) <= len(listed):
            return listed[int(rest) - 1]
    return rest


def _list(conversation: Conversation, output: Output) -> None:
    current = conversation.session.id
    recent = conversation.sessions.list(limit=RECENT)
    conversation.listed = tuple(info.id for info in recent)
    for number, info in enumerate(recent, 1):
        mark = "*" if info.id == current else " "
        output.text(one_line(f"{mark}{number:>2}  {shown(info.last_active_at)}  {_title(info)}"))
    output.note("/resume NUMBER, TITLE or ID goes on with one of them")


def _title(info: SessionInfo) -> str:
    return info.title or info.preview or info.id


def _undo(conversation: Conversation, rest: str, output: Output) -> None:
    taken = conversation.session.rewind(_count(rest))
    output.note(f"took back {counted(len(taken), 'message')}; /redo brings them back" if taken else "nothing to undo")


def _redo(conversation: Conversation, _rest: str, output: Output) -> None:
    back = conversation.session.redo()
    output.note(f"brought back {counted(back.count, 'message')}")


def _retry(conversation: Conversation, _rest: str, output: Output) -> Turn | None:
    turn = conversation.session.retry(timeout=0)
    output.note(f"asking again: {one_line(turn.message.text) if turn.message is not None else ''}; /redo goes back")
    return turn


def _fork(conversation: Conversation, rest: str, output: Output) -> None:
    fork = conversation.session.fork(title=rest or None)
    conversation.sessions.resume(conversation.target, fork.id)
    output.note(f"this is a fork now, {fork.id}; /resume goes back to where it came from")


def _name(conversation: Conversation, rest: str, output: Output) -> None:
    if not rest:
        output.note(f"the title is {conversation.session.info().title!r}; /title TEXT changes it")
        return
    conversation.session.rename(rest)
    output.note(f"the title is {rest!r}")


def _search(conversation: Conversation, rest: str, output: Output) -> None:
    if not rest:
        output.note("say what to look for: /search umbrella")
        return
    found = conversation.sessions.search(rest, limit=RECENT)
    for hit in found:
        output.text(one_line(f"{hit.session_id} #{hit.seq} {hit.role}: {hit.snippet}"))
    if not found:
        output.note(f"nothing was found for {rest!r}")


def _window(conversation: Conversation, _rest: str, output: Output) -> None:
    transcript.show_window(conversation.session, output, limit=WINDOW)


def _help(_conversation: Conversation, _rest: str, output: Output) -> None:
    for command in COMMANDS.values():
        output.text(f"{command.usage:<16}{command.help}")


def _quit(_conversation: Conversation, _rest: str, _output: Output) -> None:
    raise Quit


def _count(rest: str) -> int:
    if not rest:
        return 1
    if not rest.isdecimal() or int(rest) < 1:
        raise ValueError(f"{rest!r} is no number of turns: give 1 or more")
    return int(rest)


COMMANDS = {
    "new": _Command("/new", "begin a new conversation; the old one stays", _new),
    "resume": _Command("/resume [WHICH]", "list the newest conversations, or go on with one", _resume),
    "undo": _Command("/undo [TURNS]", "take back the last turn, or several", _undo),
    "redo": _Command("/redo", "bring back what was undone, or the answer before a retry", _redo),
    "retry": _Command("/retry", "have the last question answered again", _retry),
    "fork": _Command("/fork [TITLE]", "go on in a copy, and leave this one as it is", _fork),
    "title": _Command("/title [TEXT]", "show or set the title", _name),
    "search": _Command("/search TEXT", "find something in all conversations", _search),
    "window": _Command("/window", "show what the model sees, and why not the rest", _window),
    "help": _Command("/help", "show this list", _help),
    "quit": _Command("/quit", "leave; Ctrl-D does too", _quit),
}

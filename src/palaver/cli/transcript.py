"""`palaver show`: one conversation, as it is stored or as a model would see it."""

from __future__ import annotations

import msgspec

from palaver.cli import records
from palaver.cli.amounts import counted, size
from palaver.cli.failures import FOUND, OK
from palaver.cli.moments import shown
from palaver.cli.output import Output
from palaver.cli.terminal import one_line
from palaver.info import Page, SessionInfo
from palaver.media import size_of
from palaver.model import AudioPart, FilePart, ImagePart, Message, Opaque, Part, TextPart, ThinkingPart, ToolCall
from palaver.session import Session
from palaver.window import Window

__all__ = ["show_chain", "show_transcript", "show_window"]

LONGEST = 2_000
"""Characters of a tool's arguments or result that are shown; `--raw` shows all."""

_WHY = {
    "budget": "beyond the budget: older than what fits",
    "before_user": "before the first message of the user, where a window begins",
    "hidden": "flagged as hidden",
    "command": "a command to the agent",
    "empty": "says nothing",
    "reasoning": "reasoning alone, without a signature",
    "orphan": "a result that answers no call",
    "waiting": "came while a turn runs that was not shown it; it waits for that turn or the next one",
    "corrupt": "its record cannot be decoded; `palaver check` names all such messages",
}


def show_transcript(session: Session, output: Output, *, limit: int, raw: bool, hint: bool = True) -> int:
    """Write the newest messages as they are stored; with `raw` also undone ones, and all of what each holds."""
    info = session.info()
    page = session.messages(limit=limit + 1, newest=True, live=not raw)
    live = {m.seq for m in session.messages(limit=limit + 1, newest=True)} if raw else {m.seq for m in page}
    earlier = len(page) + len(page.corrupt) > limit
    if output.json:
        output.record({"type": "session", **records.of(info)})
    else:
        _heading(info, output)
        if earlier and hint:
            output.text(f"earlier messages are not shown; --limit shows more than {limit}", "dim")
    oldest = min([m.seq for m in page] + list(page.corrupt), default=0)
    for message in [m for m in page if not (earlier and m.seq == oldest)]:
        if output.closed:
            break
        if output.json:
            output.record({"type": "message", "live": message.seq in live, **records.of_message(message)})
        else:
            _message(message, output, raw=raw, note="" if message.seq in live else "undone or replaced")
    return _damaged(page, output)


def show_window(session: Session, output: Output, *, limit: int) -> int:
    """Write what a model would see now, then what was mended for it, and what it does not see, and why."""
    info = session.info()
    window = session.history(max_messages=limit)
    if output.json:
        output.record({"type": "session", **records.of(info)})
        for message in window.messages:
            output.record({"type": "message", **records.of_message(message)})
        for message in window.pending:
            output.record({"type": "pending", **records.of_message(message)})
        for repair in window.repairs:
            output.record({"type": "repair", **records.of(repair)})
        for omitted in window.omitted:
            output.record({"type": "omitted", **records.of(omitted)})
        return OK
    _heading(info, output)
    output.text(f"window    {counted(len(window.messages), 'message')}, about {counted(window.tokens, 'token')}", "dim")
    for message in window.messages:
        _message(message, output, raw=False)
    _notes(window, output)
    return OK


def show_chain(session: Session, output: Output, *, limit: int) -> int:
    """Write the newest messages of a session and of those that it goes on from."""
    info = session.info()
    chain = session.chain(limit=limit)
    if output.json:
        output.record({"type": "session", **records.of(info)})
    else:
        _heading(info, output)
        if chain.missing is not None:
            output.text(one_line(f"it goes on from {chain.missing}, which is not there"), "dim")
        if chain.before is not None:
            output.text(f"earlier messages are not shown; --limit shows more than {limit}", "dim")
    place = ""
    for each in chain:
        if output.closed:
            break
        if output.json:
            output.record({"type": "message", "session_id": each.session_id, **records.of_message(each.message)})
            continue
        if each.session_id != place:
            place = each.session_id
            output.text()
            output.text(one_line(f"-- {place} --"), "dim")
        _message(each.message, output, raw=False)
    for place, seq in chain.corrupt:
        if output.json:
            output.record({"type": "corrupt", "session_id": place, "seq": seq})
        else:
            output.note(f"seq {seq} of {place} cannot be decoded; `palaver check` names all such messages")
    return FOUND if chain.corrupt else OK


def _damaged(page: Page, output: Output) -> int:
    """Name the messages that are missing above because they cannot be decoded; the exit code says whether any are."""
    if not page.corrupt:
        return OK
    if output.json:
        for where in page.corrupt:
            output.record({"type": "corrupt", "seq": where})
        return FOUND
    output.text()
    output.text("not shown, because they cannot be decoded; `palaver check` names all such messages:", "bold")
    for where in page.corrupt:
        output.text(f"seq {where}", indent=2)
    return FOUND


def _heading(info: SessionInfo, output: Output) -> None:
    state = "ended" if info.ended_at is not None else "a turn is running" if info.turn_running else ""
    reason = f" ({info.end_reason})" if info.end_reason else ""
    lines = {
        "session": info.id,
        "key": ", ".join(info.keys),
        "alias": ", ".join(info.aliases),
        "owner": info.owner or "",
        "title": info.title or "",
        "state": ", ".join(word for word in (state + reason, *_marks(info)) if word),
        "tags": ", ".join(info.tags),
        "parent": f"{info.parent} ({info.parent_kind})" if info.parent else "",
        "messages": f"{info.message_count:,}, last active {shown(info.last_active_at)}",
    }
    for name, value in lines.items():
        if value:
            output.text(f"{name:<10}{one_line(value)}", "dim")


def _marks(info: SessionInfo) -> list[str]:
    """What somebody decided about the session, in the words of `palaver ls`."""
    words = {"archived": info.archived, "hidden": info.hidden, "pinned": info.pinned, "held": bool(info.holds)}
    return [word for word, holds in words.items() if holds]


def _message(message: Message, output: Output, *, raw: bool, note: str = "") -> None:
    output.text()
    words = [f"#{message.seq}" if message.seq else "(made for the window)", message.role]
    if message.sender is not None:
        words.append(message.sender.name or message.sender.id or "")
    elif message.name:
        words.append(message.name)
    if message.created_at is not None:
        words.append(shown(message.created_at))
    words += [*message.flags, note]
    output.text(one_line("  ".join(word for word in words if word).replace("  ", " · ")), "bold")
    if raw:
        stored = msgspec.json.encode(message)
        output.text(msgspec.json.format(stored, indent=2).decode(), indent=2)
        return
    for part in message.parts:
        style = None if isinstance(part, TextPart) else "dim"
        output.text(_part(part), style, indent=2)


def _part(part: Part) -> str:
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, ToolCall):
        return f"calls {part.name} {_named(part.call_id)}{_shortened(part.arguments)}"
    if isinstance(part, ThinkingPart):
        if part.text is None:
            return "[reasoning that cannot be read]"
        return f"[reasoning, {counted(len(part.text), 'character')}]"
    if isinstance(part, (ImagePart, AudioPart, FilePart)):
        return _media(part)
    if isinstance(part, Opaque):
        return f"[{part.wire} item, {counted(len(part.data), 'character')}]"
    content = "\n".join(_part(each) for each in part.parts)
    return f"{'error' if part.is_error else 'result'} {_named(part.call_id)}{_shortened(content)}"


def _named(call_id: str) -> str:
    return f"[{call_id}] " if call_id else ""


def _shortened(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n[{counted(len(text) - LONGEST, 'more character')}; --raw shows all]"


def _media(part: ImagePart | AudioPart | FilePart) -> str:
    kind = part.__struct_config__.tag
    length = size(size_of(part)) if part.data is not None or part.blob is not None else None
    where = part.url or part.file_id or (f"sha256 {part.blob.partition('-')[0]}" if part.blob else None)
    return f"[{' '.join(str(word) for word in (kind, part.name, part.media_type, length, where) if word)}]"


def _others(window: Window) -> bool:
    """Whether positions before the first exchange are neither shown nor named: the summary stands for those."""
    if window.anchor is None:
        return True
    before = window.anchor - 1
    seen = sum(0 < message.seq <= before for message in window.messages)
    named = sum(max(min(each.through_seq, before) - each.from_seq + 1, 0) for each in window.omitted)
    return seen + named < before


def _notes(window: Window, output: Output) -> None:
    if window.pending:
        output.text()
        output.text("held back until its calls are answered:", "bold")
        for message in window.pending:
            _message(message, output, raw=False)
    if window.repairs:
        output.text()
        output.text("mended in this view; what is stored did not change:", "bold")
        for repair in window.repairs:
            output.text(one_line(f"#{repair.seq} {repair.kind} {repair.detail}"), indent=2)
    summarised = any(not message.seq for message in window.messages[: window.head_count])
    others = summarised and _others(window)
    if window.omitted or others:
        output.text()
        output.text("not seen by the model:", "bold")
        for each in window.omitted:
            last = f"-{each.through_seq}" if each.through_seq > each.from_seq else ""
            output.text(f"#{each.from_seq}{last} {_WHY[each.reason]}", indent=2)
        if others:
            output.text("all others: the summary stands for them", indent=2)

"""A stretch of a transcript as a page shows it: who said what, calls with their results, what was undone and edited."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from markupsafe import Markup

from palaver.exporters import Entry, Item, Unreadable
from palaver.exporters.wording import media_line
from palaver.info import SessionInfo
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
)
from palaver.redact import clean
from palaver.rows import GONE, CutRow
from palaver.server.inspector import wording
from palaver.server.inspector.markup import prose, tidied
from palaver.server.inspector.templating import link
from palaver.times import from_micros
from palaver.tokens import tokens_of

__all__ = ["Block", "Line", "Row", "Run", "call_line", "lines_of", "raster", "rows_of", "said_of", "speaker_of"]

_NAMES = {"system": "Instructions", "developer": "Developer", "assistant": "Assistant", "tool": "Tool", "user": "User"}
_RASTER = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_CUTS = {
    "rewind": "rewound",
    "rollback": "rolled back",
    "clear": "cleared",
    "delete": "deleted",
    "replace": "replaced",
    "truncate": "cut off",
    "retain": "cut off",
    "retry": "answered again",
}


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of a message."""

    kind: Literal["text", "thinking", "call", "result", "image", "note", "opaque"]
    html: Markup = Markup()
    """Of text and thinking."""
    text: str = ""
    """Of the others: arguments, data, what is said of content."""
    name: str = ""
    line: str = ""
    """A call in one line."""
    src: str | None = None
    inner: tuple[Block, ...] = ()
    """What a tool answered."""
    answer_seq: int = 0
    """Of a call: where its result stands; 0: it is not among these messages."""
    answer_line: str = ""
    took: str = ""
    state: Literal["", "answered", "failed", "waiting", "missing"] = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One message."""

    seq: int
    role: str
    who: str
    at: datetime | None
    blocks: tuple[Block, ...]
    live: bool = True
    undone: str = ""
    """How it was undone, in a word or two."""
    flags: tuple[str, ...] = ()
    tokens: int = 0
    counted: bool = False
    """Whether somebody counted its tokens: they are estimated otherwise."""
    model: str = ""
    copied: bool = False
    edits: tuple[tuple[datetime, tuple[Block, ...]], ...] = ()
    """When it was edited, and what it said before."""
    also: tuple[int, ...] = ()
    """Positions of the results that are shown with its calls."""
    editable: str | None = None
    """Its text, where it is all that the message holds."""
    stamp: str = ""
    """Changes when what is shown changes."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What stands between messages: those that were undone, folded; or a word on what is not there any more."""

    kind: Literal["undone", "purged", "unreadable", "summary", "day"]
    from_seq: int
    through_seq: int
    text: str = ""
    body: str = ""
    lines: tuple[Line, ...] = ()
    stale: bool = False

    @property
    def stamp(self) -> str:
        """Changes when what is shown changes."""
        return f"{self.kind}{self.through_seq}{self.stale}"


Row: TypeAlias = Line | Run


def speaker_of(message: Message, info: SessionInfo) -> str:
    """What to call the one who wrote a message."""
    sender = message.sender
    who = (sender.name or sender.id if sender is not None else None) or message.name
    if not who and message.role == "user" and info.origin is not None:
        who = info.origin.user_name
    return clean(who or "") or _NAMES[message.role]


def raster(data: bytes) -> str | None:
    """The type of an image that a page may show, by its first bytes; None for everything else, drawings too."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for begin, kind in _RASTER if data.startswith(begin)), None)


def said_of(message: Message, limit: int = 400) -> str:
    """What a message says, on one line."""
    said = clean(message.text[: limit * 4])
    if not said:
        said = " ".join(call_line(call) for call in message.tool_calls)
    if not said:
        said = " ".join(
            media_line(part) for part in message.parts if isinstance(part, (ImagePart, AudioPart, FilePart))
        )
    return said if len(said) <= limit else said[: limit - 1].rstrip() + "…"


def call_line(call: ToolCall, limit: int = 120) -> str:
    """A call as one would write it."""
    line = f"{clean(call.name)}({clean(call.arguments[: limit * 2])})"
    return line if len(line) <= limit else line[: limit - 2] + "…)"


def lines_of(items: Sequence[Item], info: SessionInfo, cuts: Sequence[CutRow], *, running_from: int = 0) -> list[Line]:
    """Each message, results folded into the calls that they answer."""
    entries = [item for item in items if isinstance(item, Entry)]
    answers = _answers(entries)
    folded = {result.seq for result, _ in answers.values()}
    whole = {
        entry.message.seq
        for entry in entries
        if entry.message.seq in folded
        and all(
            isinstance(part, ToolResult) and any(kept is part for _, kept in answers.values())
            for part in entry.message.parts
        )
    }
    return [_line(entry, info, cuts, answers, running_from) for entry in entries if entry.message.seq not in whole]


_Answers: TypeAlias = Mapping[tuple[int, int], tuple[Message, ToolResult]]


def _answers(entries: Sequence[Entry]) -> _Answers:
    """The result of each call, by its message's position and its place among the calls there."""
    found: dict[tuple[int, int], tuple[Message, ToolResult]] = {}
    waiting: dict[tuple[str, bool], list[tuple[int, int]]] = {}
    for entry in entries:
        message = entry.message
        for place, call in enumerate(message.tool_calls):
            waiting.setdefault((call.call_id, entry.live), []).append((message.seq, place))
        for result in message.tool_results:
            if asked := waiting.get((result.call_id, entry.live)):
                found[asked.pop(0)] = message, result
    return found


def _line(entry: Entry, info: SessionInfo, cuts: Sequence[CutRow], answers: _Answers, running_from: int) -> Line:
    message = entry.message
    seq = message.seq
    also = tuple(dict.fromkeys(answer[0].seq for (at, _), answer in answers.items() if at == seq))
    parts = message.parts
    only = parts[0].text if len(parts) == 1 and isinstance(parts[0], TextPart) and not parts[0].extra else None
    undone = "" if entry.live else _undone(seq, cuts)
    return Line(
        seq=seq,
        role=message.role,
        who=speaker_of(message, info),
        at=message.created_at,
        blocks=tuple(_blocks(message, info.id, answers, running=0 < running_from <= seq)),
        live=entry.live,
        undone=undone,
        flags=message.flags,
        tokens=tokens_of((message,)),
        counted=message.tokens is not None,
        model=clean((message.usage.model or "") if message.usage is not None else ""),
        copied=message.copied_from is not None,
        edits=tuple(
            (from_micros(at), tuple(_blocks(version, info.id, {})))
            for (_, at), version in zip(entry.edits, entry.versions, strict=False)
        ),
        also=also,
        editable=only if entry.live and message.role in {"user", "assistant", "system"} else None,
        stamp=f"{len(entry.versions)}.{undone}.{'.'.join(map(str, also))}.{running_from <= seq if running_from else 0}",
    )


def _undone(seq: int, cuts: Sequence[CutRow]) -> str:
    kinds = [cut.kind for cut in cuts if not cut.lifted and cut.from_seq <= seq <= cut.through_seq]
    return _CUTS.get(kinds[-1], "undone") if kinds else "undone"


def _blocks(message: Message, session_id: str, answers: _Answers, *, running: bool = False) -> Iterable[Block]:
    place = 0
    for part in message.parts:
        if isinstance(part, ToolCall):
            yield _call(part, message, answers.get((message.seq, place)), session_id, running=running)
            place += 1
        elif isinstance(part, ToolResult):
            if not any(part is kept for _, kept in answers.values()):
                inner = tuple(_block(each, session_id) for each in part.parts)
                line = clean(" ".join(each.text for each in part.parts if isinstance(each, TextPart))[:400])
                yield Block(
                    kind="result",
                    name=clean(part.name or part.call_id),
                    inner=inner,
                    answer_line=line[:160],
                    state="failed" if part.is_error else "answered",
                )
        else:
            yield _block(part, session_id)


def _call(
    call: ToolCall, message: Message, answer: tuple[Message, ToolResult] | None, session_id: str, *, running: bool
) -> Block:
    line = call_line(call)
    arguments = tidied(call.arguments)
    if answer is None:
        state: Literal["waiting", "missing"] = "waiting" if running else "missing"
        return Block(kind="call", name=clean(call.name), line=line, text=arguments, state=state)
    told, result = answer
    said = clean(" ".join(part.text for part in result.parts if isinstance(part, TextPart))[:400])
    took = ""  # also of what was stored with its call: how long it took was not seen
    if told.created_at is not None and message.created_at is not None and told.created_at > message.created_at:
        took = wording.lasted(told.created_at - message.created_at)
    return Block(
        kind="call",
        name=clean(call.name),
        line=line,
        text=arguments,
        inner=tuple(_block(part, session_id) for part in result.parts),
        answer_seq=told.seq,
        answer_line=said if len(said) <= 160 else said[:159] + "…",
        took=took,
        state="failed" if result.is_error else "answered",
    )


def _block(part: Part, session_id: str) -> Block:
    if isinstance(part, TextPart):
        return Block(kind="text", html=prose(part.text), text=tidied(part.text))
    if isinstance(part, ThinkingPart):
        hidden = "Reasoning that only its provider can read."
        return Block(kind="thinking", html=prose(part.text)) if part.text else Block(kind="note", text=hidden)
    if isinstance(part, ImagePart):
        return Block(kind="image", text=media_line(part), src=_source(part, session_id))
    if isinstance(part, (AudioPart, FilePart)):
        kept = link("sessions", session_id, "media", part.blob) if part.blob is not None else None
        return Block(kind="note", text=media_line(part), src=kept)
    if isinstance(part, Opaque):
        return Block(kind="opaque", name=clean(part.wire), text=tidied(part.data))
    return Block(kind="note", text="")


def _source(part: ImagePart, session_id: str) -> str | None:
    """Where a page gets an image from: this server, or the page itself; never from elsewhere."""
    if part.blob is not None:
        return link("sessions", session_id, "media", part.blob)
    if part.data is None:
        return None
    try:
        kind = raster(b64decode(part.data, validate=True))
    except (binascii.Error, ValueError):
        return None
    return f"data:{kind};base64,{part.data}" if kind is not None else None


def rows_of(
    items: Sequence[Item],
    lines: Sequence[Line],
    cuts: Sequence[CutRow],
    *,
    after: int,
    through: int,
) -> list[Row]:
    """What the page shows, in order: days, messages, runs of undone ones, and what is missing."""
    unreadable = [item.seq for item in items if isinstance(item, Unreadable)]
    rows: list[Row] = [
        Run(kind="unreadable", from_seq=seq, through_seq=seq, text=f"Message #{seq} cannot be read; see Health.")
        for seq in unreadable
    ]
    for cut in cuts:
        low, high = max(cut.from_seq, after + 1), min(cut.through_seq, through)
        if cut.kind in GONE and low <= high:
            word = "erased" if cut.kind == "erase" else "purged"
            text = f"{wording.plural(high - low + 1, 'message')} {word} for good"
            rows.append(Run(kind="purged", from_seq=low, through_seq=high, text=text))
    undone: list[Line] = []
    for each in (*lines, None):
        if undone and (each is None or each.live or each.undone != undone[0].undone):
            count = sum(1 + len(line.also) for line in undone)
            text = f"{wording.plural(count, 'message')} {undone[0].undone}"
            rows.append(
                Run(
                    kind="undone",
                    from_seq=undone[0].seq,
                    through_seq=max((undone[-1].seq, *undone[-1].also)),
                    text=text,
                    lines=tuple(undone),
                )
            )
            undone = []
        if each is None:
            break
        if each.live:
            rows.append(each)
        else:
            undone.append(each)
    rows.sort(key=lambda row: row.seq if isinstance(row, Line) else row.from_seq)
    return _dated(rows)


def _dated(rows: Iterable[Row]) -> list[Row]:
    """The rows with a heading where a day begins."""
    out: list[Row] = []
    last = ""
    for row in rows:
        first = row if isinstance(row, Line) else (row.lines[0] if row.lines else None)
        if first is not None and first.at is not None:
            day = wording.day(first.at)
            if day != last:
                out.append(Run(kind="day", from_seq=first.seq, through_seq=first.seq, text=day))
                last = day
        out.append(row)
    return out

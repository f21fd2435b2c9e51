"""A conversation as plain text, for reading.

What somebody wrote is indented, and who wrote it is not: no text can pretend to be somebody else's. Characters that
move a terminal's cursor, or that end a line for some programs and not for others, are not passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from palaver.exporters.entries import Entry, Item
from palaver.exporters.wording import facts, head, media_line, title
from palaver.info import SessionInfo
from palaver.model import AudioPart, FilePart, ImagePart, Message, Opaque, Part, TextPart, ThinkingPart, ToolCall

__all__ = ["page"]

_INDENT = "    "
_LINE_ENDS = re.compile("\r\n?|[\n\v\f\x1c-\x1e\x85\u2028\u2029]")
_UNSHOWN = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of what stands around them."""


def page(info: SessionInfo, items: Iterable[Item]) -> Iterator[str]:
    """The text, piece by piece. Content has a line; undone messages are marked, where they are given."""
    yield f"{_line(title(info))}\n\n"
    yield "".join(f"{name}: {_line(value)}\n" for name, value in facts(info).items())
    for item in items:
        if not isinstance(item, Entry):
            yield f"\n#{item.seq}\n{_INDENT}This message cannot be decoded.\n"
            continue
        who, about = head(item.message, live=item.live)
        yield f"\n{_line(who)} ({_line(', '.join(about))})\n"
        yield from _said(item.message)
        for version in item.versions:
            yield "  Before it was edited:\n"
            yield from _said(version)
        if item.lost_versions:
            yield f"  Earlier versions that cannot be decoded: {item.lost_versions}\n"


def _said(message: Message) -> Iterator[str]:
    for part in message.parts:
        yield "".join(f"{_INDENT}{line}".rstrip() + "\n" for line in _LINE_ENDS.split(_part(part)))


def _part(part: Part) -> str:
    if isinstance(part, TextPart):
        return _shown(part.text)
    if isinstance(part, ThinkingPart):
        return f"[reasoning] {_shown(part.text)}" if part.text else "[reasoning that cannot be read]"
    if isinstance(part, ToolCall):
        return f"[call{_id(part.call_id)}] {_line(part.name) or '?'} {_shown(part.arguments)}"
    if isinstance(part, (ImagePart, AudioPart, FilePart)):
        return _line(media_line(part))
    if isinstance(part, Opaque):
        return f"[an item of {_line(part.wire)}] {_shown(part.data)}"
    what = "error" if part.is_error else "result"
    return f"[{what}{_id(part.call_id)}] " + "\n".join(_part(each) for each in part.parts)


def _id(call_id: str) -> str:
    return f" {_line(call_id)}" if call_id else ""


def _line(text: str) -> str:
    return _shown(" ".join(text.split()))


def _shown(text: str) -> str:
    return _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text)

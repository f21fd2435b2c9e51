"""A conversation as Markdown, for reading.

What somebody wrote stands in fenced blocks, whose fences are longer than any in it: none of it can become a heading,
a link, an image that is fetched, or HTML. Names in headings have ASCII punctuation escaped, which CommonMark 0.31, 2.4,
allows everywhere: all of it but commas and what stands in a date and time, which mean nothing there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from palaver.exporters.entries import Entry, Item
from palaver.exporters.wording import facts, head, media_line, title
from palaver.info import SessionInfo
from palaver.model import AudioPart, FilePart, ImagePart, Message, Opaque, Part, TextPart, ThinkingPart, ToolCall

__all__ = ["page"]

_MOMENT = r"\b\d{4}-\d\d-\d\d \d\d:\d\d UTC\b"
_PUNCTUATION = re.compile(rf"{_MOMENT}|([!-+\-./:-@\[-`{{-~])")
_BACKTICKS = re.compile(r"`{3,}")
_LINE_ENDS = re.compile(r"\r\n?")
_UNSHOWN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def page(info: SessionInfo, items: Iterable[Item]) -> Iterator[str]:
    """The page, piece by piece. Reasoning and content have a line; undone messages are marked, where they are given."""
    yield f"# {_plain(title(info))}\n\n"
    yield "".join(f"- {name}: {_plain(value)}\n" for name, value in facts(info).items())
    for item in items:
        if not isinstance(item, Entry):
            yield f"\n## \\#{item.seq}\n\nThis message cannot be decoded.\n"
            continue
        who, about = head(item.message, live=item.live)
        yield f"\n## {_plain(who)} ({_plain(', '.join(about))})\n"
        yield from _said(item.message)
        for version in item.versions:
            yield "\nBefore it was edited:\n"
            yield from _said(version)
        if item.lost_versions:
            yield f"\nEarlier versions that cannot be decoded: {item.lost_versions}\n"


def _said(message: Message) -> Iterator[str]:
    for part in message.parts:
        yield f"\n{_part(part)}\n"


def _part(part: Part) -> str:
    if isinstance(part, TextPart):
        return _fenced(part.text)
    if isinstance(part, ThinkingPart):
        return f"Reasoning:\n\n{_fenced(part.text)}" if part.text else "Reasoning that cannot be read."
    if isinstance(part, ToolCall):
        return f"Calls **{_plain(part.name) or '?'}** {_id(part.call_id)}:\n\n{_fenced(part.arguments)}"
    if isinstance(part, (ImagePart, AudioPart, FilePart)):
        return _plain(media_line(part))
    if isinstance(part, Opaque):
        return f"An item of {_plain(part.wire)}:\n\n{_fenced(part.data)}"
    what = "Error" if part.is_error else "Result"
    inner = "\n\n".join(_part(each) for each in part.parts)
    return f"{what} {_id(part.call_id)}:\n\n{inner}"


def _id(call_id: str) -> str:
    return f"({_plain(call_id)})" if call_id else ""


def _plain(text: str) -> str:
    """Text that means nothing but itself, on one line."""
    return _PUNCTUATION.sub(_escaped, _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split())))


def _escaped(found: re.Match[str]) -> str:
    return f"\\{found[1]}" if found[1] else found[0]


def _fenced(text: str) -> str:
    text = _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", _LINE_ENDS.sub("\n", text))
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{text}\n{fence}"

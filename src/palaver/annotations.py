"""What a view may write onto messages of the user, and takes off again where a model parrots it.

Timestamps, sender tags and image breadcrumbs tell a model what text does not say. Models learn to write such marks
themselves (nanobot gave its own up for that), so they are off unless asked for, stand on messages of the user only,
and have shapes of their own: an assistant message that begins with one shows an echo, and the view strips it.
Nothing stored changes.
"""

from __future__ import annotations

import re

import msgspec

from palaver.model import ImagePart, Message, Part, Sender, TextPart
from palaver.tokens import text_tokens

__all__ = ["WindowOptions", "annotate", "breadcrumb", "label", "strip_echo"]

NAME_LENGTH = 64
"""Longest sender or file name in an annotation, in characters."""

_ECHO = re.compile(
    r"(?:\[sent \d{4}-\d\d-\d\d \d\d:\d\d UTC\][ \n]?"
    rf"|\[from [^\[\]\n]{{1,{NAME_LENGTH}}}\][ \n]?"
    rf"|\[image attached(?:: [^\[\]\n]{{1,{NAME_LENGTH}}})?\][ \n]?)+",
    re.ASCII,
)
_UNFIT = re.compile(r"[\[\]\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


class WindowOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a window adds to messages of the user; nothing unless asked for.

    Messages that a program wrote (`injected`) get no timestamp and no sender tag.
    """

    timestamps: bool = False
    """`[sent 2026-01-31 17:05 UTC] ` before the text: when the message was stored, never how long ago."""
    senders: bool = False
    """`[from Ada] ` before the text: name of the sender, else the id."""
    image_breadcrumbs: bool = False
    """`[image attached: cat.png]` instead of each image."""
    strip_echoes: bool | None = None
    """Whether these shapes are taken off the beginning of assistant messages; None: when any of them is on."""

    @property
    def strips(self) -> bool:
        """Whether echoes are stripped."""
        if self.strip_echoes is None:
            return self.timestamps or self.senders or self.image_breadcrumbs
        return self.strip_echoes

    @property
    def idle(self) -> bool:
        """Whether these options leave every message as it is."""
        return not (self.timestamps or self.senders or self.image_breadcrumbs or self.strip_echoes)


def annotate(message: Message, options: WindowOptions) -> Message:
    """The user's message with the marks asked for; other messages, and those with nothing to mark, as they are."""
    if message.role != "user":
        return message
    parts = message.parts
    if options.image_breadcrumbs:
        parts = tuple(breadcrumb(p) if isinstance(p, ImagePart) else p for p in parts)
    mark = "" if "injected" in message.flags else _mark(message, options)
    if mark:
        parts = _marked(parts, mark)
    if parts == message.parts:
        return message
    tokens = None if message.tokens is None else message.tokens + text_tokens(mark)
    return message.replace(parts=parts, tokens=tokens)


def breadcrumb(part: ImagePart) -> TextPart:
    """The text that stands for an image which is not shown."""
    name = label(part.name)
    return TextPart(text=f"[image attached: {name}]" if name else "[image attached]")


def strip_echo(message: Message) -> Message:
    """The assistant's message without the marks that it begins with; other messages as they are.

    Only the exact shapes that `annotate` writes are taken off, and only from the beginning of the first text.
    """
    if message.role != "assistant":
        return message
    for index, part in enumerate(message.parts):
        if not isinstance(part, TextPart) or not part.text:
            continue
        echo = _ECHO.match(part.text) if part.text.startswith("[") else None
        if echo is None:
            return message
        rest = part.text[echo.end() :]
        kept = (msgspec.structs.replace(part, text=rest),) if rest else ()
        return message.replace(parts=(*message.parts[:index], *kept, *message.parts[index + 1 :]), tokens=None)
    return message


def _mark(message: Message, options: WindowOptions) -> str:
    mark = ""
    if options.timestamps and message.created_at is not None:
        mark = f"[sent {message.created_at:%Y-%m-%d %H:%M} UTC] "
    if options.senders and message.sender is not None:
        name = _name(message.sender)
        if name:
            mark += f"[from {name}] "
    return mark


def _marked(parts: tuple[Part, ...], mark: str) -> tuple[Part, ...]:
    for index, part in enumerate(parts):
        if isinstance(part, TextPart):
            marked = msgspec.structs.replace(part, text=mark + part.text)
            return (*parts[:index], marked, *parts[index + 1 :])
    return (TextPart(text=mark.rstrip()), *parts)


def _name(sender: Sender) -> str:
    return label(sender.name) or label(sender.id)


def label(name: str | None) -> str:
    """A name that came from outside, such that it cannot end its mark: no brackets, no lines, not too long."""
    return _UNFIT.sub(" ", name or "").strip()[:NAME_LENGTH].strip()

"""Sessions and messages without what tells who took part, as far as rules can find it.

What has a place of its own is hidden for certain: ids, names, keys, owners. In text only what has a shape is found
(phone numbers, e-mail addresses, credentials), and names that are known. Everything else that somebody wrote stays:
a person should read an export before it leaves the house. What cannot be looked into is left out: content, encrypted
or signed reasoning, providers' own fields, metadata.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from palaver.credentials import ISSUED
from palaver.exporters.entries import Entry, Item
from palaver.info import SessionInfo
from palaver.keys import Origin
from palaver.model import (
    Message,
    Opaque,
    Part,
    ResultPart,
    Sender,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)
from palaver.redact import Redaction

__all__ = ["Redactor", "names_in"]

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
# Keys as their issuers make them, whole private keys, and what follows the word in a header.
_CREDENTIAL = re.compile(
    rf"{ISSUED}|(?<=Bearer )[\w.~+/-]{{16,}}=*"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,20000}(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
)
_DATE = re.compile(r"(\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?)")
"""Dates and times as ISO 8601 has them: tools' results are full of them, and they are no phone numbers."""
_LEAST = 3
"""Characters of a name that is looked for in text; shorter ones are parts of too many words."""


def names_in(info: SessionInfo, messages: Iterable[Message]) -> dict[str, str]:
    """Names of the people of a session, with what hides each: their id where it is known, else the name."""
    found: dict[str, str] = {}
    origin = info.origin
    if origin is not None and origin.user_name:
        found[origin.user_name] = origin.user_id or origin.user_name
    if origin is not None and origin.chat_name and origin.chat_type == "dm":
        found.setdefault(origin.chat_name, origin.user_id or origin.chat_name)
    for message in messages:
        sender = message.sender
        if sender is not None and sender.name:
            found.setdefault(sender.name, sender.id or sender.name)
        if message.role == "user" and message.name:
            found.setdefault(message.name, message.name)
    return found


class Redactor:
    """Hides what is known of one session. `names` are of `names_in`; one secret gives everyone one label everywhere."""

    def __init__(self, info: SessionInfo, secret: bytes, names: dict[str, str]) -> None:
        self._platform = info.origin.platform if info.origin is not None else "local"
        self._redaction = Redaction(secret=secret, platforms=(self._platform,))
        self._names = {name.casefold(): self._user(value) for name, value in names.items()}
        for name, value in names.items():
            for word in name.split():
                if len(word) >= _LEAST:
                    self._names.setdefault(word.casefold(), self._user(value))
        self._known = _pattern(name for name in self._names if len(name) >= _LEAST or not name.isascii())

    def info(self, info: SessionInfo) -> SessionInfo:
        """The session without ids and names; its own id stays, which Palaver made."""
        return replace(
            info,
            owner=self._user(info.owner) if info.owner else info.owner,
            keys=tuple(self._chat(key) for key in info.keys),
            aliases=(),
            title=self._optional(info.title),
            preview=self._optional(info.preview),
            origin=self._origin(info.origin) if info.origin is not None else None,
            tags=tuple(self.text(tag) for tag in info.tags),
            end_reason=self._optional(info.end_reason),
            reset_reason=self._optional(info.reset_reason),
            holds=(),
            model=None,
            metadata={},
        )

    def items(self, items: Iterable[Item]) -> Iterator[Item]:
        """The entries, redacted, without content."""
        for item in items:
            if isinstance(item, Entry):
                versions = tuple(self.message(version) for version in item.versions)
                yield replace(
                    item, message=self.message(item.message), versions=versions, media={}, missing=(), edits=()
                )
            else:
                yield item

    def message(self, message: Message) -> Message:
        """The message, as if Palaver had made it: nothing of the wire that it came from is left in it."""
        sender = message.sender
        parts = (self._part(part) for part in message.parts)
        return replace(
            message,
            parts=tuple(part for part in parts if part is not None),
            id=message.id if message.id is not None and message.id.startswith("~") else None,
            sender=self._sender(sender) if sender is not None else None,
            name=self._named(message.name, message.name) if message.name else None,
            wire=None,
            layout=None,
            metadata={},
            extra=None,
        )

    def text(self, text: str) -> str:
        """Text without phone numbers, e-mail addresses, credentials and known names."""
        text = _CREDENTIAL.sub("[credential]", text)
        text = _EMAIL.sub(lambda found: f"mail_{self._user(found[0].casefold()).removeprefix('user_')}", text)
        if self._known is not None:
            text = self._known.sub(self._label, text)
        pieces = _DATE.split(text)
        pieces[::2] = [self._redaction.passage(self._platform, piece) for piece in pieces[::2]]
        return "".join(pieces)

    def _label(self, found: re.Match[str]) -> str:
        return self._names.get(found[0].casefold(), "[name]")  # letters that are more when they are folded

    def _part(self, part: Part) -> Part | None:
        if isinstance(part, ToolResult):
            inner = (self._inner(each) for each in part.parts)
            return ToolResult(
                call_id=part.call_id,
                name=part.name,
                parts=tuple(each for each in inner if each is not None),
                is_error=part.is_error,
            )
        if isinstance(part, ToolCall):
            return ToolCall(name=part.name, call_id=part.call_id, arguments=self._arguments(part.arguments))
        if isinstance(part, ThinkingPart):
            return ThinkingPart(text=self.text(part.text)) if part.text else None
        return self._inner(part)

    def _inner(self, part: ResultPart) -> ResultPart | None:
        if isinstance(part, TextPart):
            return TextPart(text=self._arguments(part.text) if _is_json(part.text) else self.text(part.text))
        if isinstance(part, Opaque):
            return None
        return TextPart(text=f"[{part.__struct_config__.tag} left out]")

    def _arguments(self, text: str) -> str:
        """JSON stays JSON: what is in its strings and numbers is hidden, not what is between them."""
        try:
            value = msgspec.json.decode(text)
            changed = self._value(value)
            return text if changed == value else msgspec.json.encode(changed).decode()
        except (msgspec.DecodeError, RecursionError):
            return self.text(text)

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            return {self.text(name): self._value(each) for name, each in fields.items()}
        if isinstance(value, list):
            return [self._value(each) for each in cast("Sequence[Any]", value)]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # Nine digits and more: shorter ones are counts and years far more often than phone numbers.
            shown = str(value)
            hidden = self.text(f"{shown}.").removesuffix(".")
            return value if hidden == shown else hidden
        return value

    def _origin(self, origin: Origin) -> Origin:
        name: Callable[[str | None], str | None] = self._optional
        user, chat = self._user, self._chat
        return replace(
            origin,
            chat_id=chat(origin.chat_id) if origin.chat_id else None,
            chat_name=chat(origin.chat_name) if origin.chat_name else None,
            chat_topic=name(origin.chat_topic),
            thread_id=chat(origin.thread_id) if origin.thread_id else None,
            user_id=user(origin.user_id) if origin.user_id else None,
            user_name=self._named(origin.user_name, origin.user_id) if origin.user_name else None,
            user_id_alt=user(origin.user_id_alt) if origin.user_id_alt else None,
            chat_id_alt=chat(origin.chat_id_alt) if origin.chat_id_alt else None,
            account=user(origin.account) if origin.account else None,
            space_id=chat(origin.space_id) if origin.space_id else None,
        )

    def _sender(self, sender: Sender) -> Sender:
        return Sender(
            id=self._user(sender.id) if sender.id else None,
            name=self._named(sender.name, sender.id) if sender.name else None,
        )

    def _named(self, name: str | None, value: str | None) -> str:
        known = self._names.get((name or "").casefold())
        return known or self._user(value or name or "")

    def _user(self, value: str) -> str:
        return self._redaction.user(self._platform, value)

    def _chat(self, value: str) -> str:
        return self._redaction.chat(self._platform, value)

    def _optional(self, text: str | None) -> str | None:
        return self.text(text) if text else text


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] in {"{", "["}


def _pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    """Any of the names, the longest first; between other letters only in scripts that have no spaces."""
    spelled = [
        rf"(?<!\w){re.escape(name)}(?!\w)" if name.upper() != name.lower() else re.escape(name)
        for name in sorted(names, key=len, reverse=True)
    ]
    return re.compile("|".join(spelled), re.IGNORECASE) if spelled else None

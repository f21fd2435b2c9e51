"""nanobot's session files, all versions that it wrote: from bytes to values.

A file is JSON lines: a record of metadata (`_type`), since 0.3.5 perhaps the provider's private state, and messages.
Versions differ in what the first record has (a key since 0.1.4.post1, `last_archived` since 0.3.5) and in how the file
is called: the key with `_` for what file names lack, since 0.3.0 base64url of the key. Damage is met at any place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import datetime, tzinfo
from typing import Any

from palaver.errors import InvalidKey
from palaver.formats.wire import is_array, is_object
from palaver.importers.attachments import attached
from palaver.importers.chat_records import Identities, Unusable, read_message
from palaver.importers.jsonl import Record, plain_json, read_records
from palaver.importers.times import instant
from palaver.importers.values import Action, SourceSession, note
from palaver.keys import KeyPolicy, Origin, parse_key
from palaver.model import Flag, Message, Part, Sender

__all__ = ["SYSTEM", "canonical_key", "key_of_name", "read_session"]

SYSTEM = "nanobot"
_KEYS = KeyPolicy(style="nanobot")
_KNOWN = frozenset({"_type", "key", "created_at", "updated_at", "metadata", "last_consolidated", "last_archived"})
_FLAGS: dict[str, Flag] = {"_channel_delivery": "delivery", "_command": "command", "_hidden_history": "hidden"}
_TORN_KEY = re.compile(rb'"key":\s*("(?:[^"\\]|\\.)*")')
_IDENTITY = ("timestamp", "role", "content", "tool_call_id")


def canonical_key(stem: str) -> str | None:
    """The key in a file name since 0.3.0; None for a name of an earlier version."""
    try:
        key = base64.urlsafe_b64decode(stem + "=" * (-len(stem) % 4)).decode()
    except (ValueError, binascii.Error):
        return None
    again = base64.urlsafe_b64encode(key.encode()).rstrip(b"=").decode()
    return key if again == stem and ":" in key and key.isprintable() else None


def key_of_name(stem: str) -> str:
    """The key that a file name tells: exactly since 0.3.0, before that as nanobot itself read it back."""
    return canonical_key(stem) or stem.replace("_", ":", 1)


def read_session(
    data: bytes, *, file: str, stem: str, place: str, zone: tzinfo | None, checkpoint: bytes | None = None
) -> SourceSession:
    """The conversation in a file; `checkpoint` is what its sidecar says. Times without a zone are those of `zone`."""
    return _Reading(file, stem, place, zone).read(data, checkpoint)


class _Reading:
    """One file, while it is read."""

    def __init__(self, file: str, stem: str, place: str, zone: tzinfo | None) -> None:
        self.file = file
        self.stem = stem
        self.zone = zone
        self.head: dict[str, Any] | None = None
        self.torn_key: str | None = None
        self.session = SourceSession(system=SYSTEM, id="", file=file, place=place)
        self.positions = 0
        """Places in nanobot's own list of messages; its cursor counts those that are damaged now too."""
        self.found: list[tuple[int, Record]] = []
        self.identities = Identities("nb-")
        self.seen: dict[bytes, int] = {}
        self.last_at: datetime | None = None

    def note(self, action: Action, line: int | None, reason: str, raw: bytes | None = None) -> None:
        self.session.notes.append(note(action, self.file, line, reason, raw))

    def read(self, data: bytes, checkpoint: bytes | None) -> SourceSession:
        for record in read_records(data):
            self._sort(record)
        session = self.session
        session.records = len(self.found) + sum(n.action == "skipped" for n in session.notes)
        head = self._described()
        positions: list[int] = []
        for position, record in self.found:
            if self._message(record):
                positions.append(position)
        session.created_at = session.created_at or next((m.created_at for m in session.messages), None)
        cursor = self._cursor(head, total=self.positions)
        session.compacted_through = sum(position < cursor for position in positions)
        if session.compacted_through:
            session.facts["compacted_through"] = session.compacted_through
        self._summary()
        if session.compacted_through and session.summary is None:
            told = f"nanobot had archived {session.compacted_through} messages without a summary here"
            self.note("aside", None, f"{told}; windows show them")
        if checkpoint is not None:
            self._checkpoint(checkpoint, head)
        return session

    def _sort(self, record: Record) -> None:
        """Put a record to the messages, or say what else it is."""
        value = record.value
        if record.error is not None:
            torn = _TORN_KEY.search(record.raw) if b'"_type"' in record.raw else None
            if b'"_type"' in record.raw:
                self.note("repaired", record.line, f"the metadata is damaged ({record.error})", record.raw)
                if torn:
                    self.torn_key = _text(torn[1])
                return
            self.note("skipped", record.line, record.error, record.raw)
            self.positions += 1
        elif not is_object(value):
            self.note("skipped", record.line, "it is no object, so no message", record.raw)
            self.positions += 1
        else:
            self._sort_object(record, value)

    def _sort_object(self, record: Record, value: dict[str, Any]) -> None:
        kind = value.get("_type")
        if kind == "provider_state":
            self.note("aside", record.line, "the provider's private state of a running response; it means nothing here")
        elif kind != "metadata" and ("role" in value or "created_at" not in value):
            self.found.append((self.positions, record))
            self.positions += 1
        elif self.head is not None:
            self.note("aside", record.line, "a second record of metadata", record.raw)
        else:
            self.head = value
            for repair in record.repairs if kind == "metadata" else (*record.repairs, f"its type is {kind!r:.40}"):
                self.note("repaired", record.line, f"metadata: {repair}")

    # -- the metadata ------------------------------------------------------------------------------------------

    def _described(self) -> dict[str, Any]:
        """Fill in what the metadata says, as far as it says something."""
        session = self.session
        head = self.head if self.head is not None else {}
        if self.head is None:
            self.note("repaired", None, "there is no record of metadata; the file name and the messages tell the rest")
        key = head.get("key", self.torn_key)
        if not isinstance(key, str) or not key:
            if key is not None:
                self.note("repaired", None, f"the key is {key!r:.40}; the file name tells it")
            key = key_of_name(self.stem)
        session.key = session.id = key
        session.origin = _origin(key)
        for name in ("created_at", "updated_at"):
            at = instant(head.get(name), self.zone)
            setattr(session, name, at)
            if at is None and name in head:
                self.note("repaired", None, f"{name} is {head[name]!r:.40}, no time; the messages tell it")
        metadata = head.get("metadata", {})
        if not is_object(metadata):
            self.note("repaired", None, f"the metadata is {type(metadata).__name__} and not an object")
            metadata = {}
        session.metadata = metadata
        title = metadata.get("title")
        if isinstance(title, str) and title.strip():
            session.title = title
        elif title is not None and title != "":
            self.note("repaired", None, f"the title is {title!r:.40}, no text")
        others = {name: each for name, each in head.items() if name not in _KNOWN}
        if others:
            session.facts["other"] = others
        return head

    def _cursor(self, head: dict[str, Any], total: int) -> int:
        """How many messages nanobot had archived. What cannot be counts as none, as it does for nanobot itself."""
        name = "last_archived" if "last_archived" in head else "last_consolidated"
        given = head.get(name, 0)
        if type(given) is int and 0 <= given <= total:
            return given
        self.note("repaired", None, f"{name} is {given!r:.40} of {total} messages; it counts as 0")
        return 0

    def _summary(self) -> None:
        kept = self.session.metadata.get("_last_summary")
        text = kept.get("text") if is_object(kept) else kept
        if isinstance(text, str) and text.strip():
            self.session.summary = text
        elif text is not None and text != "":
            self.note("repaired", None, "the summary is no text; all messages are replayed")

    def _checkpoint(self, data: bytes, head: dict[str, Any]) -> None:
        """Keep the turn that a crash cut off, unless the conversation went on after it."""
        file = self.file.removesuffix(".jsonl") + ".checkpoint.json"
        notes = self.session.notes
        try:
            value, _ = plain_json(data.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as exc:
            notes.append(note("aside", file, None, f"the checkpoint of a cut-off turn is damaged: {exc}", data))
            return
        current = is_object(value) and (
            value.get("base_updated_at") == head.get("updated_at")
            and value.get("base_message_count") in (None, self.positions)
        )
        if current and is_object(value.get("checkpoint")):
            self.session.facts["interrupted_turn"] = value["checkpoint"]
            notes.append(note("aside", file, None, "what a cut-off turn had begun; it is kept in the metadata"))
        else:
            notes.append(note("aside", file, None, "the checkpoint of a turn that the conversation went on after"))

    # -- the messages ------------------------------------------------------------------------------------------

    def _message(self, record: Record) -> bool:
        """Take a record in as a message; whether it is one."""
        value = record.value
        stamp = value.get("timestamp")
        identity = self.identities.of(value, *_IDENTITY)
        if isinstance(stamp, str) and "." in stamp and self._doubled(record):
            return False
        try:
            message, rest, repairs = read_message(value)
        except Unusable as exc:
            self.note("skipped", record.line, str(exc), record.raw)
            return False
        at = instant(rest.pop("timestamp", None), self.zone)
        if at is None:
            at = self.last_at or self.session.created_at
            repairs.append(f"its time is {stamp!r:.40}; it got that of the one before it")
        self.last_at = at
        flags = tuple(flag for name, flag in _FLAGS.items() if rest.get(name) is True and rest.pop(name))
        sender = rest.pop("sender_id") if isinstance(rest.get("sender_id"), str) and rest["sender_id"] else None
        message = message.replace(
            id=identity,
            created_at=at,
            flags=flags,
            sender=Sender(id=sender) if sender else None,
            parts=(*message.parts, *_media(message, rest)),
            metadata=rest,
        )
        for repair in (*record.repairs, *repairs):
            self.note("repaired", record.line, repair)
        self.session.messages.append(message)
        self.session.lines.append(record.line)
        return True

    def _doubled(self, record: Record) -> bool:
        """Whether the very same record, to the microsecond, came before: it was written twice and said once."""
        digest = hashlib.sha256(record.raw).digest()
        first = self.seen.get(digest)
        if first is None:
            self.seen[digest] = record.line
            return False
        self.note("skipped", record.line, f"the same record, time and all, as on line {first}", record.raw)
        return True


def _text(literal: bytes) -> str | None:
    try:
        value, _ = plain_json(literal.decode("utf-8", "replace"))
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def _media(message: Message, rest: dict[str, Any]) -> tuple[Part, ...]:
    """The files that came with a message, by name: their bytes are not in nanobot's store."""
    paths = rest.get("media")
    if message.role == "tool" or not is_array(paths) or not paths or not all(isinstance(p, str) for p in paths):
        return ()
    del rest["media"]
    return tuple(attached(path) for path in paths)


def _origin(key: str) -> Origin | None:
    """Where the conversation takes place, as far as its key tells."""
    try:
        parts = parse_key(key, _KEYS)
        if parts.platform is None:
            return None
        group = parts.platform == "telegram" and (parts.chat_id or "").startswith("-")
        return Origin(
            parts.platform,
            chat_type="group" if group else "dm",
            chat_id=parts.chat_id,
            thread_id=parts.thread_id,
            user_id=parts.user_id,
        )
    except InvalidKey:
        return None

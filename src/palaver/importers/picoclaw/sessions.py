"""One conversation of picoclaw's, put together from the files that it has."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

import msgspec

from palaver.formats.wire import is_array, is_object
from palaver.importers.attachments import attached
from palaver.importers.chat_records import Identities, Unusable, read_message
from palaver.importers.picoclaw.records import Entry, Transcript, merged, read_legacy, read_lines, read_meta
from palaver.importers.picoclaw.scopes import origin_of_key, origin_of_scope
from palaver.importers.times import instant
from palaver.importers.values import Action, SourceSession, note
from palaver.model import Message, Part, TextPart, ThinkingPart

__all__ = ["SYSTEM", "Files", "read_sessions"]

SYSTEM = "picoclaw"
_IDENTITY = ("created_at", "role", "content", "tool_call_id")
_KEPT = ("scope", "aliases")
_KNOWN = frozenset({"key", "summary", "skip", "count", "created_at", "updated_at", "created", "updated", *_KEPT})
_BACKUP = "picoclaw's backup of a file that it moved"


class Files(msgspec.Struct, kw_only=True):
    """The files of one session, by what they are: the name in the report, and the content."""

    stem: str
    lines: tuple[str, bytes] | None = None
    meta: tuple[str, bytes] | None = None
    legacy: tuple[str, bytes] | None = None
    migrated: tuple[str, bytes] | None = None


def read_sessions(files: Files, *, place: str, zone: tzinfo | None) -> list[SourceSession]:
    """The conversation that the files hold; two where a legacy file of the same name belongs to another key.

    picoclaw writes `:` as `_` in names, so `a:b` and `a_b` share them.
    """
    about, faults = read_meta(files.meta[1]) if files.meta is not None else ({}, ())
    legacies = [(each[0], read_legacy(each[1], each[0])) for each in (files.legacy, files.migrated) if each is not None]
    main: tuple[str, Transcript] | None = None
    if files.lines is not None:
        main = (files.lines[0], Transcript(read_lines(files.lines[1], files.lines[0])))
    elif legacies and _same(_key_of(about), legacies[0][1]):
        main = legacies.pop(0)
    elif files.meta is not None:
        main = (files.meta[0], Transcript())
    found: list[_Making] = []
    if main is not None:
        making = _Making(files.stem, *main, place=place, zone=zone)
        making.about = {**main[1].about, **about}
        if files.meta is not None:
            for fault in faults:
                making.note("repaired", fault, file=files.meta[0])
        elif files.lines is not None:
            making.note("repaired", "it has no meta file; the file's name and the messages tell the rest")
        found.append(making)
    for name, legacy in legacies:
        mine = next((each for each in found if _same(_key_of(each.about), legacy)), None)
        if mine is not None:
            mine.add(name, legacy)
        else:
            found.append(_Making(files.stem, name, legacy, place=place, zone=zone))
    return [each.made() for each in found]


def _same(key: str | None, legacy: Transcript) -> bool:
    """Whether a legacy file is of the session with this key, as far as both say whose they are."""
    own = _key_of(legacy.about)
    return key is None or own is None or own == key


def _key_of(about: dict[str, Any]) -> str | None:
    key = about.get("key")
    return key if isinstance(key, str) and key else None


class _Making:
    """One session, while it is put together."""

    def __init__(self, stem: str, file: str, transcript: Transcript, *, place: str, zone: tzinfo | None) -> None:
        self.stem = stem
        self.zone = zone
        self.entries = transcript.entries
        self.about = transcript.about
        self.put_away = 0
        """How many messages at the front picoclaw has removed since: only its backup has them."""
        self.session = SourceSession(system=SYSTEM, id="", file=file, place=place)
        self.identities = Identities("pc-")
        for fault in transcript.faults:
            self.note("repaired", fault)

    def note(
        self, action: Action, reason: str, *, file: str | None = None, line: int | None = None, raw: bytes | None = None
    ) -> None:
        self.session.notes.append(note(action, file or self.session.file, line, reason, raw))

    def add(self, name: str, legacy: Transcript) -> None:
        """Take in a legacy file of the same conversation: what the JSON lines do not have."""
        for fault in legacy.faults:
            self.note("repaired", fault, file=name)
        newer = len(self.entries)
        self.entries, front, common = merged(self.entries, legacy.entries)
        only = len(self.entries) - newer
        backup = name.endswith(".migrated")
        if backup:
            self.put_away += front
        what = _BACKUP if backup else "an older file of this session, which picoclaw would put in its place"
        told = f"all of its {common} messages are in the newer file"
        if only:
            told = f"{common} of its messages are in the newer file, {only} in it alone, which are imported too"
        self.note("aside", f"{what}: {told}", file=name)
        for kept, each in legacy.about.items():
            self.about.setdefault(kept, each)

    def made(self) -> SourceSession:
        session = self.session
        self._described()
        session.records = len(self.entries)
        skip = self._skip()
        hidden = 0
        for index, entry in enumerate(self.entries):
            if not self._message(entry):
                continue
            if index < self.put_away or 0 < entry.position <= skip:
                hidden = len(session.messages)
        self._time()
        if session.created_at is None and session.messages:
            session.created_at = session.messages[0].created_at
        if hidden:
            session.facts["compacted_through"] = hidden
        if session.summary is not None:
            session.compacted_through = hidden
        elif hidden:  # picoclaw forgot them without a summary, and shows them to no model
            session.cuts = [(0, hidden)]
        return session

    # -- what is kept about it ---------------------------------------------------------------------------------

    def _described(self) -> None:
        session, about = self.session, self.about
        key = _key_of(about)
        if key is None:
            key = self.stem if self.stem.startswith("sk_v1_") else self.stem.replace("_", ":", 1)
            if about.get("key") not in (None, ""):
                self.note("repaired", f"the key is {about['key']!r:.40}; the file name tells it")
        session.key = session.id = key
        scope, aliases = about.get("scope"), about.get("aliases")
        session.origin = origin_of_scope(scope) or origin_of_key(key)
        session.metadata = {name: about[name] for name in _KEPT if about.get(name)}
        if is_array(aliases):
            session.aliases = tuple(dict.fromkeys(each for each in aliases if isinstance(each, str) and each))
        elif aliases is not None:
            self.note("repaired", f"the aliases are {type(aliases).__name__} and not a list")
        session.created_at = self._instant("created_at", "created")
        session.updated_at = self._instant("updated_at", "updated")
        summary = about.get("summary")
        if isinstance(summary, str):
            session.summary = summary if summary.strip() else None
        elif summary is not None:
            self.note("repaired", "the summary is no text")
        others = {name: each for name, each in about.items() if name not in _KNOWN}
        if others:
            session.facts["other"] = others

    def _instant(self, *names: str) -> datetime | None:
        given = next((self.about[name] for name in names if self.about.get(name) is not None), None)
        at = _real(instant(given, self.zone))
        if at is None and given is not None and not str(given).startswith("0001-"):  # Go's "no time"
            self.note("repaired", f"{names[0]} is {given!r:.40}, no time; the messages tell it")
        return at

    def _skip(self) -> int:
        """How many lines picoclaw shows to no model any more. What cannot be counts as none: nothing is hidden."""
        given = self.about.get("skip", 0)
        lines = max((entry.position for entry in self.entries), default=0)
        if type(given) is int and 0 <= given <= lines:
            return given
        self.note("repaired", f"skip is {given!r:.40} of {lines} lines; it counts as 0")
        return 0

    # -- the messages ------------------------------------------------------------------------------------------

    def _message(self, entry: Entry) -> bool:
        """Take an entry in as a message; whether it is one."""
        record = entry.record
        value = record.value
        if record.error is not None or not is_object(value):
            reason = record.error or "it is no object, so no message"
            self.note("skipped", reason, file=entry.file, line=entry.line, raw=record.raw)
            return False
        identity = self.identities.of(entry.before or value, *_IDENTITY)
        try:
            message, rest, repairs = read_message(value)
        except Unusable as exc:
            self.note("skipped", str(exc), file=entry.file, line=entry.line, raw=record.raw)
            return False
        stamp = rest.pop("created_at", None)
        at = _real(instant(stamp, self.zone))
        if at is None and stamp is not None and not str(stamp).startswith("0001-"):
            repairs.append(f"its time is {stamp!r:.40}; it got that of the one after it")
        message = message.replace(
            id=identity, created_at=at, parts=(*message.parts, *_files(message, rest)), metadata=rest
        )
        if _is_thought(message):
            message = message.replace(flags=("hidden",))
        for repair in (*record.repairs, *repairs):
            self.note("repaired", repair, file=entry.file, line=entry.line)
        self.session.messages.append(message)
        self.session.lines.append(entry.line)
        return True

    def _time(self) -> None:
        """Give messages without a time, which they had none of before May 2026, the one by which they were there."""
        session = self.session
        at = session.updated_at or session.created_at
        for index in range(len(session.messages) - 1, -1, -1):
            message = session.messages[index]
            if message.created_at is None:
                session.messages[index] = message.replace(created_at=at)
                session.facts["times"] = "of the session: its messages had none"
            else:
                at = message.created_at


def _real(at: datetime | None) -> datetime | None:
    """A time, unless it is Go's zero."""
    return at if at is not None and at.year > 1 else None


def _is_thought(message: Message) -> bool:
    """Whether it has only reasoning: picoclaw shows such messages to nobody."""
    if message.role != "assistant" or not any(isinstance(part, ThinkingPart) for part in message.parts):
        return False
    return all(isinstance(part, (TextPart, ThinkingPart)) for part in message.parts) and not message.text.strip()


def _files(message: Message, rest: dict[str, Any]) -> tuple[Part, ...]:
    """The files that came with a message: `media` by reference, and `attachments` with more about them."""
    if message.role == "tool":
        return ()
    parts: list[Part] = []
    media = rest.get("media")
    references: list[str] = []
    if is_array(media) and media and all(isinstance(each, str) and each for each in media):
        references = rest.pop("media")
        parts += [attached(each) for each in references]
    attachments = rest.get("attachments")
    for each in attachments if is_array(attachments) else ():
        if not is_object(each) or each.get("ref") in references or each.get("url") in references:
            continue
        reference, name, kind = (_word(each, *names) for names in (("url", "ref"), ("filename",), ("content_type",)))
        if reference or name:
            parts.append(attached(reference or name or "", name=name, media_type=kind))
    return tuple(parts)


def _word(value: dict[str, Any], *names: str) -> str | None:
    return next((each for name in names if isinstance(each := value.get(name), str) and each), None)

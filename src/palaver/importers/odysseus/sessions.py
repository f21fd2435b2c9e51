"""odysseus's database, session by session."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from palaver.formats.wire import is_object
from palaver.importers.chat_records import Identities, Unusable
from palaver.importers.credentials import without_credentials
from palaver.importers.databases import DAMAGE, Database
from palaver.importers.jsonl import plain_json
from palaver.importers.odysseus.messages import Reading, moment, read_row
from palaver.importers.values import Action, Note, SourceSession, UsageLine, note
from palaver.model import Usage

__all__ = ["SYSTEM", "read_sessions"]

SYSTEM = "odysseus"
SESSIONS, MESSAGES = "sessions", "chat_messages"
_NEEDED = {SESSIONS: ("id",), MESSAGES: ("session_id", "role", "content")}
_TYPED = frozenset(
    {
        "archived",
        "created_at",
        "folder",
        "headers",
        "id",
        "is_important",
        "last_accessed",
        "last_message_at",
        "message_count",
        "name",
        "owner",
        "total_input_tokens",
        "total_output_tokens",
        "updated_at",
    }
)
"""Columns that have a meaning here, or none outside of odysseus's own lists; others are kept under their names."""
_INCOGNITO = frozenset({"nobody", "incognito"})
_COMPARED = "[CMP] "


def read_sessions(database: Database, *, file: str, place: str) -> Iterator[SourceSession | Note]:
    """Every conversation in a database, and notes on what belongs to none. Raises one of DAMAGE."""
    for table, needed in _NEEDED.items():
        columns = database.columns(table)
        missing = [column for column in needed if column not in columns]
        if missing:
            told = f"it has no {table} with {', '.join(missing)}: no database of odysseus's"
            yield note("skipped", file, None, told)
            return
    yield from _others(database, file)
    places: dict[Any, list[int]] = {}
    messages, fault = database.numbered(MESSAGES, "session_id")
    chats, other_fault = database.numbered(SESSIONS, "id")
    yield from (note("repaired", file, None, each) for each in (fault, other_fault) if each is not None)
    for number, session_id in messages:
        places.setdefault(session_id, []).append(number)
    whole = other_fault is None
    for number, session_id in chats:
        found = row_at(database, SESSIONS, number)
        if found is None:
            whole = False
            yield note("skipped", file, number, f"the row of a session in {SESSIONS} cannot be read")
            continue
        reading = _Reading(number, *found, file, place)
        reading.take(database, places.pop(session_id, []))
        yield reading.session
    for session_id, rows in places.items():
        reading = _Reading(0, {"id": session_id}, [], file, place)
        if whole:
            reading.refuse(rows)
        else:
            reading.note("repaired", f"its row in {SESSIONS} is lost; the messages tell the rest")
            reading.take(database, rows)
        yield reading.session


def row_at(database: Database, table: str, number: int) -> tuple[dict[str, Any], list[str]] | None:
    """A whole row and what was mended in it; None for one that cannot be read."""
    try:
        [row] = database.rows(table, "NOT INDEXED WHERE rowid = ?", (number,))
    except (*DAMAGE, ValueError):
        return None
    return row.value, ["bytes in it that are no UTF-8 became U+FFFD"] if row.mended else []


def _others(database: Database, file: str) -> Iterator[Note]:
    others = [table for table in database.tables() if table not in _NEEDED and not table.startswith("sqlite_")]
    told = [f"{table} ({count:,})" for table in others if (count := database.count(table))]
    if told:
        yield note("aside", file, None, f"rows of other tables stay where they are: {', '.join(told)}")


class _Reading:
    """One session, while it is read."""

    def __init__(self, number: int, values: dict[str, Any], repairs: list[str], file: str, place: str) -> None:
        self.values = values
        own = values.get("id")
        name = own if isinstance(own, str) and own else f"row-{number}" if own is None else str(own)
        self.session = SourceSession(system=SYSTEM, id=name, file=file, place=place)
        for repair in repairs:
            self.note("repaired", repair)
        if not isinstance(own, str) or not own:
            self.note("repaired", f"its id is {own!r:.40}; it is called {name!r} here")

    def note(self, action: Action, reason: str, line: int | None = None, raw: bytes | None = None) -> None:
        told = reason if line is not None else f"session {self.session.id}: {reason}"  # the file holds all of them
        self.session.notes.append(note(action, self.session.file, line, told, raw))

    def refuse(self, rows: list[int]) -> None:
        """Leave out messages whose session was deleted: an answer that was still being written then."""
        self.session.records = len(rows)
        reason = "its session is deleted: a message that was written later does not bring it back"
        for number in rows:
            self.note("skipped", reason, number)

    def take(self, database: Database, rows: list[int]) -> None:
        """Read what is kept about the session, and its messages."""
        self._described()
        session = self.session
        session.records = len(rows)
        identities, seen = Identities("od-"), set[str]()
        found: list[tuple[datetime | None, int, Reading]] = []
        for number in rows:
            row = row_at(database, MESSAGES, number)
            if row is None:
                self.note("skipped", f"its row in {MESSAGES} cannot be read", number)
                continue
            values, repairs = row
            try:
                reading = read_row(values, identities, seen)
            except Unusable as exc:
                self.note("skipped", str(exc), number, str(values.get("content"))[:200].encode())
                continue
            reading.repairs += repairs
            found.append((reading.message.created_at, number, reading))
        self._order(found)
        summaries = [reading.summary for _, _, reading in found if reading.summary]
        if summaries:  # odysseus shows its model all that are left; it puts them in front here
            session.summary = "\n\n".join(summaries)
        if session.created_at is None and session.messages:
            session.created_at = session.messages[0].created_at

    def _order(self, found: list[tuple[datetime | None, int, Reading]]) -> None:
        """Put the messages in odysseus's order, time and then row; one without a time stays behind its row's."""
        session = self.session
        last = session.created_at or session.updated_at
        timed: list[tuple[datetime | None, int, Reading]] = []
        for at, number, reading in found:
            if at is None:
                reading.repairs.append("it has no time; it got that of the one before it")
            else:
                last = at
            timed.append((last, number, reading))
        earliest = next((at for at, _, _ in timed if at is not None), None)
        timed = [(at or earliest, number, reading) for at, number, reading in timed]
        if earliest is not None:
            timed.sort(key=lambda each: (each[0], each[1]))
        for at, number, reading in timed:
            session.messages.append(reading.message.replace(created_at=at))
            session.lines.append(number)
            for repair in reading.repairs:
                self.note("repaired", repair, number)

    # -- what is kept about it ---------------------------------------------------------------------------------

    def _described(self) -> None:
        session, values = self.session, self.values
        title = values.get("name")
        if isinstance(title, str) and title.strip():
            session.title = title
            self._marked(title)
        elif title not in (None, ""):
            self.note("repaired", f"its name is {title!r:.40}, no text")
        owner = values.get("owner")
        if isinstance(owner, str) and owner and "\0" not in owner:
            session.owner = owner
            session.facts["owner"] = owner
        elif owner not in (None, ""):
            self.note("repaired", f"its owner is {owner!r:.40}, no name; it is nobody's")
        for name in ("created_at", "updated_at"):
            at = moment(values.get(name))
            setattr(session, name, at)
            if at is None and values.get(name) is not None:
                self.note("repaired", f"{name} is {values[name]!r:.40}, no time; the messages tell it")
        session.archived = self._is("archived")
        session.pinned = self._is("is_important")
        folder = values.get("folder")
        if isinstance(folder, str) and folder.strip():
            session.tags = (*session.tags, folder)
        session.metadata = self._settings()
        self._used()

    def _marked(self, title: str) -> None:
        if title.strip().lower() in _INCOGNITO:
            session = self.session
            session.tags = (*session.tags, "incognito")
            self.note("aside", "odysseus would have deleted this incognito chat; it is imported, and tagged so")
        elif title.startswith(_COMPARED):
            self.session.tags = (*self.session.tags, "compare")

    def _is(self, name: str) -> bool:
        value = self.values.get(name)
        if value in (None, 0, 1):
            return bool(value)
        self.note("repaired", f"{name} is {value!r:.40}, neither 0 nor 1; it counts as 0")
        return False

    def _settings(self) -> dict[str, Any]:
        """The model and its endpoint, the mode, and whatever else odysseus kept: all but credentials."""
        kept: dict[str, Any] = {}
        gone: list[str] = []
        headers = self._plain(self.values.get("headers"))
        if headers not in (None, "", {}, []):
            gone.append(f"headers ({', '.join(sorted(headers))})" if is_object(headers) else "headers")
        for name, given in self.values.items():
            value = self._plain(given)
            if name in _TYPED or value in (None, "", {}, []):
                continue
            if isinstance(value, bytes):
                self.note("repaired", f"its {name} is no text, and left out")
                continue
            value, found = without_credentials(value, name)
            gone += found
            if value not in (None, "", {}, []):
                kept[name] = value
        if gone:
            self.note("aside", f"what may be a credential is not imported: {', '.join(gone)}")
        return kept

    def _plain(self, given: Any) -> Any:
        """The value of a column, which may be JSON."""
        if not isinstance(given, str) or given[:1] not in ("{", "["):
            return given
        try:
            return plain_json(given)[0]
        except (ValueError, RecursionError):
            return given

    def _used(self) -> None:
        values = self.values
        counts = [values.get(name) for name in ("total_input_tokens", "total_output_tokens")]
        sent, got = (count if type(count) is int and count > 0 else 0 for count in counts)
        if sent or got:
            model = values.get("model")
            usage = Usage(
                input_tokens=sent, output_tokens=got, model=model if isinstance(model, str) and model else None
            )
            at = moment(values.get("last_message_at")) or self.session.updated_at
            self.session.usage = [UsageLine(id="total", usage=usage, at=at)]

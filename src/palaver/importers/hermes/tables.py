"""hermes's tables, of whatever version: which sessions there are, and the rows of each."""

from __future__ import annotations

from typing import Any

from palaver.formats.wire import is_array, is_object
from palaver.importers.databases import DAMAGE, Database, Row
from palaver.importers.jsonl import plain_json
from palaver.importers.values import Note, note

__all__ = ["Tables", "decoded"]

_NEEDED = {"sessions": {"id"}, "messages": {"session_id", "role", "content"}}


class Tables:
    """What a database of hermes's holds. A damaged one is read row by row, and what cannot be is noted.

    `known` is False where the tables are not those of hermes.
    """

    def __init__(self, database: Database, file: str, notes: list[Note]) -> None:
        self._database = database
        self._file = file
        self._notes = notes
        self._grouped: dict[Any, list[Row]] | None = None
        self._used: dict[Any, list[Row]] | None = None
        self.known = _NEEDED["messages"] <= database.columns("messages").keys()
        self.defaults = {table: database.columns(table) for table in _NEEDED}
        self.sessions: dict[str, Row] = {}
        if self.known:
            self._find_sessions()
            self._find_messages()

    def _find_sessions(self) -> None:
        if not _NEEDED["sessions"] <= self.defaults["sessions"].keys():
            self._note("skipped", "there is no table of sessions that can be read; their messages tell the rest")
            return
        for row in self._all("sessions"):
            given = row.value["id"]
            name = given if isinstance(given, str) and given else None
            if name is None:
                self._note("skipped", f"a session whose id is {given!r:.40}; it cannot be named")
            elif name in self.sessions:
                self._note("skipped", f"a second row for session {name!r}")
            else:
                self.sessions[name] = row

    def _find_messages(self) -> None:
        """See that the messages of a session can be read by its id; else read all of them now."""
        try:
            self._database.indexed("messages", "session_id")
            self._ids = self._database.distinct("messages", "session_id")
        except (*DAMAGE, UnicodeDecodeError):
            self._group()

    def _group(self) -> None:
        self._grouped = {}
        for row in self._all("messages"):
            self._grouped.setdefault(row.value["session_id"], []).append(row)
        self._ids = set(self._grouped)

    def _all(self, table: str) -> list[Row]:
        """All rows of a table, as far as they can be read."""
        try:
            return self._database.rows(table, "ORDER BY rowid")
        except DAMAGE:
            rows, lost = self._database.salvaged(table)
            for low, high in lost:
                which = f"row {low}" if low == high else f"rows {low} to {high if high is not None else 'the last'}"
                self._note("skipped", f"the database is damaged: {which} of {table} cannot be read", low)
            return rows

    def _note(self, action: Any, reason: str, line: int | None = None) -> None:
        self._notes.append(note(action, self._file, line, reason))

    def strays(self) -> list[Any]:
        """Ids of sessions that have messages and no row of their own."""
        return sorted(self._ids - self.sessions.keys(), key=repr)

    def messages(self, session_id: Any) -> list[Row]:
        """The messages of a session, in the order in which they were stored."""
        if self._grouped is None:
            order = "id" if "id" in self.defaults["messages"] else "rowid"
            compared = "= ?" if session_id is not None else "IS ?"
            try:
                return self._database.rows("messages", f"WHERE session_id {compared} ORDER BY {order}", (session_id,))
            except DAMAGE:
                self._group()
        return (self._grouped or {}).get(session_id, [])

    def table(self, name: str) -> list[Row]:
        """All rows of a further table; none where this version has no such table."""
        try:
            return self._all(name) if self._database.columns(name) else []
        except DAMAGE as exc:
            self._note("skipped", f"the database is damaged: the table {name} cannot be read ({exc})")
            return []

    def used(self, session_id: str) -> list[Row]:
        """What a session used, model by model; nothing before version 20."""
        if self._used is None:
            self._used = {}
            for row in self.table("session_model_usage"):
                self._used.setdefault(row.value.get("session_id"), []).append(row)
        return self._used.get(session_id, [])


def decoded(text: Any) -> Any:
    """What JSON in a column says; text that is none as it is."""
    if not isinstance(text, str) or text[:1] not in ("{", "["):
        return text
    try:
        value, _ = plain_json(text)
    except (ValueError, RecursionError):
        return text
    return value if is_object(value) or is_array(value) else text

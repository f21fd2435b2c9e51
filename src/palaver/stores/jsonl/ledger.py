"""What a commit writes to the index, written to the files of its sessions first."""

from __future__ import annotations

from typing import Any

from palaver.erasure import Erasure
from palaver.errors import StoreUnavailable
from palaver.operations import Ledger, Operation
from palaver.stores.jsonl import aside
from palaver.stores.jsonl.files import Directory
from palaver.stores.jsonl.journal import Entry
from palaver.stores.jsonl.lines import line_of, number_of
from palaver.stores.jsonl.names import STORE, file_name
from palaver.stores.jsonl.recording import RecordingStatements
from palaver.stores.jsonl.snapshots import removes, snapshot
from palaver.stores.sqlite.ledger import SqliteLedger

__all__ = ["Behind", "JsonlLedger", "WriteAnew", "lines_of"]


_SAID = {"put_message_id", "put_head"}
"""What the line of a message may say, too."""
_MANY = 16
"""Files of one commit from which on asking for their times costs less than setting them."""


class Behind(Exception):
    """A file holds more than the index: a process ended between the two. What it holds is to be read first."""


class WriteAnew(Operation, frozen=True, kw_only=True, tag="write_anew"):
    """Write files anew, without what nobody needs any more. The JSONL store's own business; it is committed alone."""

    sessions: tuple[int, ...] | None = None
    """Whose files; None: all, and that of the store."""
    examined: tuple[tuple[int, int], ...] = ()
    """Files of which most is needed, and how many bytes they have."""

    def apply(self, ledger: Ledger) -> None:
        if isinstance(ledger, JsonlLedger):
            ledger.anew = self


class JsonlLedger(SqliteLedger):
    """The `Ledger` of the index's writing connection. A commit is in the files before it is in the index."""

    def __init__(self, sql: RecordingStatements, directory: Directory) -> None:
        super().__init__(sql)
        self._recording = sql
        self._directory = directory
        self.anew: WriteAnew | None = None
        """What the commit under way writes anew."""
        self.is_replaced = False
        """Whether the commit under way put a file in the place of another: that is not taken back."""
        self._known: dict[int, tuple[str, int]] = {}
        """Files by session, and the bytes of each that are in the index."""
        self.unneeded: list[str] = []
        """Addresses of content that no message refers to, once the commit has come to its end."""

    @property
    def changed(self) -> bool:
        return self.anew is not None or super().changed

    @property
    def is_mending(self) -> bool:
        """Whether the commit under way is a repair's: it purges what is gone, and nothing that can still be read."""
        return self._mended

    @property
    def directory(self) -> Directory:
        """Where the files are."""
        return self._directory

    def put_erasure(self, row: Erasure) -> None:
        """Refused where an erasure begins or ends beside what it would not reach; see `aside.require_none`."""
        before = self.erasure(row.id)
        if before is None or (before.ended_at is None and row.ended_at is not None):
            aside.require_none(self._directory)
        super().put_erasure(row)

    def forget(self) -> None:
        super().forget()
        self.anew = None
        self._known.clear()

    def doubt(self) -> None:
        super().doubt()
        self._directory.forget_lines()  # another process may have put other files in their place

    def flush(self) -> None:
        sql = self._recording
        self.unneeded = []
        sql.begin()
        try:
            super().flush()
        finally:
            recorded = sql.end()
        if self.anew is not None:
            self._write_anew(self.anew)
        elif recorded:
            self._write(recorded)
        self.unneeded = [each for each in dict.fromkeys(sql.dropped) if sql.one("has_address", (each,)) is None]

    def _write_anew(self, wanted: WriteAnew) -> None:
        """Files from what the index holds."""
        sql, directory = self._recording, self._directory
        number = self._number()
        directory.begin(number)
        there = {0, *(row[0] for row in sql.all("numbers"))}
        sessions = tuple(there) if wanted.sessions is None else tuple(each for each in wanted.sessions if each in there)
        for session in sessions:
            known = sql.one("file", (session,))
            if known is not None and directory.size(known[0])[0] != known[1]:
                raise Behind(known[0])
        directory.fold()
        self.is_replaced = True
        for session in sessions:
            file = file_name(self._id(session)) if session else STORE
            text = snapshot(sql, session, number)
            if session or text:
                directory.replace(file, text)
                sql.run("put_file", (session, file, *directory.size(file)))
                sql.run("put_examined", (session, len(text)))
        sql.many("put_examined", wanted.examined)
        sql.run("put_commit_number", (number,))
        self.anew = None
        self._known.clear()

    @property
    def is_behind(self) -> bool:
        """Whether a commit was begun that is not in the index: a process ended in the middle of it."""
        return self._directory.begun() > self._newest()

    def _newest(self) -> int:
        row = self._recording.one("commit_number")
        return row[0] if row is not None else 0

    def _number(self) -> int:
        """The number of this commit. Raises Behind where another was begun that is not in the index."""
        newest = self._newest()
        if self._directory.begun() > newest:
            raise Behind
        return newest + 1

    def _write(self, recorded: list[tuple[str, Any]]) -> None:
        sql, directory = self._recording, self._directory
        number = self._number()
        entries: list[Entry] = []
        files: dict[int, str] = {}
        fresh: set[int] = set()
        for session, statements in _by_session(recorded).items():
            known = self._file(session)
            if known is None:
                fresh.add(session)
                known = file_name(self._id(session)) if session else STORE, 0
            file, size = known
            if directory.length(file) != size:
                raise Behind(file)
            files[session] = file
            text = lines_of(statements, number)
            if text:
                entries.append(Entry(file, size, text))
        for address, data in sql.blobs:
            directory.put_media(address, data)
        if entries:
            directory.append(number, entries)
        for session in {number_of(name, values) for name, values in recorded if removes(name, values)}:
            # What they said is in their lines still, and in what was set aside.
            directory.fold()
            self.is_replaced = True
            directory.replace(files[session], snapshot(sql, session, number))
            if session:
                directory.drop_aside(files[session], lost=not self.is_mending)
        told = directory.stamp if len(files) < _MANY else directory.size
        sizes = {session: told(file) for session, file in files.items()}
        if fresh:
            sql.many("put_file", [(session, files[session], *sizes[session]) for session in fresh])
        sql.many("grow_file", [(*size, session) for session, size in sizes.items() if session not in fresh])
        for session, (size, _) in sizes.items():
            self._known[session] = files[session], size
        sql.run("put_commit_number", (number,))
        directory.secure()

    def _file(self, session: int) -> tuple[str, int] | None:
        """A session's file, and the bytes of it that are in the index."""
        known = self._known.get(session)
        if known is None:
            row = self._recording.one("file", (session,))
            known = row[:2] if row is not None else None
        return known

    def _id(self, session: int) -> str:
        row = self._recording.one("id_of", (session,))
        if row is None:
            msg = f"the index has no session {session}: open the store again"
            raise StoreUnavailable(msg)
        name: str = row[0]
        return name


def _by_session(recorded: list[tuple[str, Any]]) -> dict[int, list[tuple[str, Any]]]:
    out: dict[int, list[tuple[str, Any]]] = {}
    for name, values in recorded:
        out.setdefault(number_of(name, values), []).append((name, values))
    return out


def lines_of(statements: list[tuple[str, Any]], number: int) -> bytes:
    """The lines for what one commit wrote to one session; the last one has the commit's number.

    An id that names a message of the same commit stands on the message's line. Where the session has come to is not
    said where the newest message says it.
    """
    messages = {values[0]: values for name, values in statements if name == "put_message"}
    named: dict[int, str] = {}
    if len(messages) < len(statements):
        named = {values[0] << 32 | values[2]: values[1] for name, values in statements if name == "put_message_id"}
    lines: list[bytes] = []
    for name, values in statements:
        if name == "put_message":
            lines.append(line_of(name, values, message_id=named.get(values[0])))
        elif name not in _SAID or not _is_said(name, values, messages):
            lines.append(line_of(name, values))
    if not lines:  # only where it had come to, which a line before says
        return b""
    return b"}\n".join(lines) + b',"n":%d}\n' % number


def _is_said(name: str, values: Any, messages: dict[int, Any]) -> bool:
    """Whether the line of a message says it."""
    if name == "put_message_id":
        return values[0] << 32 | values[2] in messages
    last_seq, _, last_active, _, number = values
    newest = messages.get(number << 32 | last_seq)
    return newest is not None and newest[4] == last_active

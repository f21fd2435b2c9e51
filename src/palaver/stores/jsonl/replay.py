"""The index brought to what the files hold: after a crash, after somebody changed a file, or from nothing.

Lines of one commit are taken together, or not at all. A line that cannot be read is kept aside, and costs itself; what
stands after the last whole commit was never answered for, and is cut off before anything is written after it.
"""

from __future__ import annotations

import logging
from typing import Any, TypeAlias

import apsw
import msgspec

from palaver.media import address_of
from palaver.stores.jsonl import lost
from palaver.stores.jsonl.files import Directory
from palaver.stores.jsonl.foreign import begins_as_nanobot
from palaver.stores.jsonl.journal import has_lost_sectors
from palaver.stores.jsonl.lines import LAST, WITH_GONE, WITH_PURGE, number_of, statement_of
from palaver.stores.jsonl.names import STORE, line_name, unreadable_name
from palaver.stores.jsonl.snapshots import removes, snapshot
from palaver.stores.sqlite.statements import Statements
from palaver.times import SECOND

__all__ = ["catch_up", "end_of_feed", "forget", "keep_positions"]

_log = logging.getLogger(__name__)
_FORGET = (
    *("sessions", "keys", "aliases", "messages", "message_ids", "versions", "media_refs", "turns", "queue", "cuts"),
    *("compactions", "usage", "imports", "todos", "changes"),
)
Bound: TypeAlias = tuple[int, int, str, Any, bool]
"""A key's line: its commit, its place there, the statement, and whether no commit after it can be in the index."""
_NO_LINE = (msgspec.MsgspecError, ValueError, KeyError, TypeError, OverflowError, RecursionError)
"""What reading a damaged line raises."""
_MARK = b'"n":'
_DIGITS = 18
"""A commit's number has no more, or it is none that the index could keep."""
_LAST_BYTES = 64
"""More than the mark of a commit's last line has."""


def catch_up(sql: Statements, directory: Directory) -> int:
    """Bring the index to what the files hold; says how many files it had to read. In one transaction of the caller."""
    directory.replay()
    known = {name: (session, size, changed) for session, name, size, changed in sql.all("files")}
    listed = directory.listed()
    newest = max(_commit_number(sql), directory.begun())
    end = end_of_feed(sql)
    keys: list[Bound] = []
    read = 0
    renumbered = False
    for file, (session, _, _) in known.items():
        if file not in listed:
            forget(sql, session)
            sql.run("drop_file", (session,))
            read += 1
            _log.warning("%s is gone, and its session with it", file, extra={"action": "file_gone", "file": file})
    for file, (size, changed) in sorted(listed.items()):
        was = known.get(file)
        if was is not None and was[1:] == (size, changed):
            continue
        read += 1
        grown = was is not None and was[1] < size and was[2] <= changed and _went_on(directory, file, was[1])
        reader = _Reader(
            sql, directory, file, was[:2] if was is not None else (None, 0), was[1] if was and grown else 0
        )
        newest = max(newest, reader.read(keys, sure=grown or not known))
        renumbered = renumbered or reader.renumbered
    for _, _, name, values, sure in sorted(keys, key=lambda each: each[:2]):
        _bind(sql, name, values, sure=sure)
    for row in sql.all("missing_blobs"):
        data = directory.get_media(row[0])
        if data is not None and address_of(data) == row[0]:
            sql.run("put_blob", (row[0], data))
    if read:
        keep_positions(sql, end)
        _prune(sql, everything=renumbered)
    sql.run("put_commit_number", (newest,))
    return read


def _prune(sql: Statements, *, everything: bool) -> None:
    """Take out of the feed what was pruned, and what would have holes: readers of it begin anew."""
    row = sql.one("meta", ("pruned",))
    pruned = int(row[0]) if row is not None else 0
    hole = sql.one("highest_change") if everything else sql.one("newest_hole", {"pruned": pruned})
    if hole is not None and hole[0] is not None:
        pruned = max(pruned, hole[0])
        sql.run("put_pruned", (str(pruned), pruned))
    if pruned:
        sql.run("prune_changes", (pruned,))


def _commit_number(sql: Statements) -> int:
    row = sql.one("commit_number")
    return row[0] if row is not None else 0


def end_of_feed(sql: Statements) -> int:
    """The last position of the feed that was given out."""
    [(highest,)] = sql.all("highest_change")
    return highest or 0


def keep_positions(sql: Statements, end: int) -> None:
    """Where the feed ends before this position by now, it goes on after it: none is given out twice.

    Readers of it begin anew.
    """
    if end_of_feed(sql) < end:
        sql.run("put_pruned", (str(end), end))
        sql.run("prune_changes", (end,))


def forget(sql: Statements, session: int) -> None:
    """Take all of a session out of the index."""
    values = {"number": session, "first": session << 32, "last": session << 32 | LAST}
    for table in _FORGET:
        name = f"forget_{table}"
        sql.run(name, {key: value for key, value in values.items() if sql.names(name, key)})
    sql.run("drop_indexed", (session << 32, session << 32 | LAST))


def _bind(sql: Statements, name: str, values: Any, *, sure: bool) -> None:
    """A key goes to whoever had it last: by the order of commits where that is `sure`, else by since when."""
    owner, key, session = values[:3]
    row = sql.one("key_of", (owner, key))
    if name == "drop_binding":
        if row is not None and row[0] == session:
            sql.run(name, (owner, key))
    elif sure or row is None or row[0] == session or row[1] <= values[4]:
        sql.run(name, values)


class _Reader:
    """Reads one file into the index."""

    def __init__(
        self, sql: Statements, directory: Directory, file: str, known: tuple[int | None, int], offset: int
    ) -> None:
        """`known`: the session that the index knows the file by, and how many bytes of it."""
        self._sql = sql
        self._directory = directory
        self._file = file
        self._session, self._known = known
        self._offset = offset
        self._newest = 0
        self._purged = False
        self._anew = False
        """Whether a commit that the index does not know wrote it anew: what it lacks was removed, and is not lost."""
        self.renumbered = False
        """Whether a change stands at a place of the feed that another one has: which came first is not known."""
        self._damaged: list[tuple[int, bytes]] = []
        self._head: list[int] = []

    def read(self, keys: list[Bound], *, sure: bool) -> int:
        """Take what is new; keys, which other files may have too, are collected. Gives the newest commit's number."""
        data = self._directory.read(self._file, self._offset)
        was = self._before(data)
        if self._file == STORE:
            self._session = 0
        elif self._offset == 0:
            self._begin(data)
        if self._session is None:
            if begins_as_nanobot(data):  # it stays as it is: opening the store says what to do with it
                self._directory.foreign.append(self._directory.sessions / self._file)
            elif data:
                self._directory.set_aside(unreadable_name(self._file), data)
            return 0
        place = whole = 0
        group: list[tuple[int, bytes]] = []
        while (end := data.find(b"\n", place)) >= 0:
            line = data[place:end]
            if line.strip():
                group.append((self._offset + place, line))
            place = end + 1
            if _ends(line):
                if self._is_torn(data, whole, place):
                    break
                self._take(group, keys, sure=sure)
                group, whole = [], place
        self._keep_damage()
        self._end(self._session, self._offset + whole, self._offset + len(data), was)
        return self._newest

    def _end(self, session: int, kept: int, size: int, was: lost.Before | None) -> None:
        """What is done with the file, of which so many bytes are kept."""
        if kept < size:
            self._directory.cut_off(self._file, kept)
        if self._purged:
            self._directory.fold()
            self._directory.replace(self._file, snapshot(self._sql, session, self._newest))
        if was is not None and not self._anew:
            lost.keep(self._sql, self._directory, self._file, session, was, kept)
        self._sql.run("put_file", (session, self._file, *self._directory.size(self._file)))

    def _before(self, data: bytes) -> lost.Before | None:
        """What the index has, if the file may end before it did, or somebody put another one in its place."""
        if self._session is None or self._offset:
            return None
        if len(data) >= self._known and b"\0" not in data and lost.has_newest(self._sql, self._session, data):
            return None
        return lost.before(self._sql, self._session, self._known)

    def _is_torn(self, data: bytes, start: int, end: int) -> bool:
        """Whether the power went while the last commit was written: it was never answered for, though its end is there.

        What was answered for has been synced, and only one commit at a time waits for that.
        """
        if not has_lost_sectors(data[start:end], self._offset + start):
            return False
        return not any(_ends(line) for line in data[end:].split(b"\n"))

    def _begin(self, data: bytes) -> None:
        """Find out which number the session has, and forget what the index says of it."""
        if self._session is not None:
            forget(self._sql, self._session)
        for line in data.split(b"\n"):
            if not line.startswith(b'{"type":"session"'):
                continue
            try:
                number = msgspec.json.decode(line).get("number")
            except _NO_LINE:
                continue
            if isinstance(number, int) and not isinstance(number, bool) and 0 < number <= LAST:
                taken = self._sql.one("number_taken", (number,))
                if taken is None or number == self._session:
                    self._session = number
                    return

    def _take(self, group: list[tuple[int, bytes]], keys: list[Bound], *, sure: bool) -> None:
        """The lines of one commit."""
        sql, number = self._sql, self._session or 0
        said = False
        newest: Any = None
        place = group[0][0]
        commit = int(group[-1][1].rsplit(_MARK, 1)[1][:-1])
        self._newest = max(self._newest, commit)
        self._anew = self._anew or (place == 0 and commit > _commit_number(sql))
        for order, (offset, line) in enumerate(group):
            try:
                (name, values), fields = statement_of(line, number)
            except _NO_LINE as exc:
                self._set_aside(offset, line, exc)
                continue
            if name in ("put_binding", "drop_binding"):
                keys.append((commit, order, name, values, sure))
                continue
            # A file that was written anew is one commit's: nothing in it is older than what it says was removed.
            self._purged = self._purged or (place > 0 and removes(name, values))
            try:
                self._run(name, values)
            except apsw.ConstraintError as exc:  # text where a number is to be, or the like
                self._set_aside(offset, line, exc)
                continue
            said = said or name in ("put_head", "put_session")
            if name == "put_message":
                newest = values
                if isinstance(fields.get("id"), str):
                    sql.run("put_message_id", (number, fields["id"], values[0] & LAST))
        if newest is not None and not said:
            self._move(newest)

    def _set_aside(self, offset: int, line: bytes, exc: Exception) -> None:
        """A line that cannot be read: it costs itself."""
        self._damaged.append((offset, line))
        _log.error(
            "%s at byte %d: a line cannot be read: %s", self._file, offset, exc, extra={"action": "line_damaged"}
        )

    def _run(self, name: str, values: Any) -> None:
        sql = self._sql
        if name == "purge_messages":
            self._purged = True
            for each in WITH_PURGE:
                sql.run(each, values)
        elif name == "purge_ids":
            self._purged = True
            number = number_of(name, values)
            sql.run("purge_turns", (number << 32, number << 32 | LAST))
            for each in WITH_GONE:
                sql.run(each, values)
        elif name == "put_change":
            self._tell(values)
        else:
            sql.run(name, values)

    def _tell(self, values: Any) -> None:
        """A change of the feed; one whose place is taken comes last, and readers of the feed begin anew."""
        try:
            self._sql.run("put_change", values)
        except apsw.ConstraintError:
            [(highest,)] = self._sql.all("highest_change")
            self._sql.run("put_change", (highest + 1, *values[1:]))
            self.renumbered = True
            _log.warning(
                "%s: a change at place %d of the feed, which another has: the feed begins anew",
                self._file,
                values[0],
                extra={"action": "feed_begins_anew", "file": self._file},
            )

    def _move(self, newest: Any) -> None:
        """Where the session has come to, which only its messages say. Written once a second, as the ledger does."""
        number = newest[0] >> 32
        row = self._sql.one("head", (number,))
        if row is None:
            return
        last_seq, count, active, user_seq = row
        seq, back, at = newest[0] & LAST, newest[2], newest[4]
        if abs(at - active) >= SECOND:
            user_seq = seq - back if back >= 0 else user_seq
            self._sql.run("put_head", (seq, count + seq - last_seq, max(active, at), user_seq, number))

    def _keep_damage(self) -> None:
        """Put damaged lines aside, as they are: the file keeps them until it is written anew."""
        for offset, line in self._damaged:
            self._directory.set_aside(line_name(self._file, offset, line), line)


def _went_on(directory: Directory, file: str, size: int) -> bool:
    """Whether what a file has beyond this size was appended: what somebody wrote in the midst of it shifts the rest.

    The last byte of a commit, and what marks its end, are then no longer where they were.
    """
    end = directory.read(file, max(0, size - _LAST_BYTES), min(size, _LAST_BYTES))
    return not size or (end.endswith(b"\n") and _ends(end[:-1]))


def _ends(line: bytes) -> bool:
    """Whether a line is the last one of a commit."""
    place = line.rfind(_MARK)
    digits = line[place + len(_MARK) : -1]
    return place > 0 and line.endswith(b"}") and digits.isdigit() and len(digits) <= _DIGITS

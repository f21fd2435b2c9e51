"""Palaver's own JSON lines (docs/export.md), read back: what an import makes the same sessions of."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path

import msgspec

from palaver import codec
from palaver.errors import InvalidMessage, UnsupportedFormat
from palaver.exporters.jsonl import Began, Content, End, Header, Line, Record, State, read_line
from palaver.formats.wire import is_object
from palaver.importers.folders import Folder, SourceFile
from palaver.importers.saved_rows import admissible, message_record, session_record, session_row, turn_row
from palaver.importers.values import Note, SavedSession, SourceSession, note
from palaver.media import Blob, address_of, addresses
from palaver.model import Message
from palaver.records import Chunk, MessageRecord, SessionRecord
from palaver.rows import TurnRow

__all__ = ["SYSTEM", "find", "read"]

SYSTEM = "palaver"
_CHUNK = 500
_CHUNK_BYTES = 4 * 1024 * 1024
_SNIFFED = 3


def find(folder: Folder) -> list[SourceFile]:
    """The files of a folder that begin with the first line of a session."""
    return [
        folder.source(SYSTEM, name) for name in list(folder.names) if name.endswith(".jsonl") and _is_mine(folder, name)
    ]


def _is_mine(folder: Folder, name: str) -> bool:
    """Whether one of the first lines is that of a session: the very first may be damaged."""
    for record in folder.head(name)[:_SNIFFED]:
        if is_object(record.value) and record.value.get("type") == "session" and "codec" in record.value:
            return True
    return False


def read(file: SourceFile, zone: tzinfo | None) -> Iterator[SourceSession | SavedSession]:
    """The sessions of a file, each to be used up before the next. Raises OSError, UnsupportedFormat."""
    del zone  # all times say theirs
    lines = _Lines(file.path, file.shown)
    while (header := lines.next_session()) is not None:
        session = _Session(lines, header)
        if header.redacted or not session.is_whole:
            yield session.told()
            continue
        saved = SavedSession(session_row(session.info, State()), file.shown, session.pieces(), session.notes)
        session.saved = saved
        yield saved
    if lines.bad:
        yield SourceSession(
            system=SYSTEM, id=file.shown, file=file.shown, place=file.place, records=len(lines.bad), notes=lines.bad
        )


class _Lines:
    """The lines of a file as values, and where content stands in it."""

    def __init__(self, path: Path, shown: str) -> None:
        self._path = path
        self.shown = shown
        self._content: dict[str, tuple[int, int]] = {}
        """Where the line with the content at an address begins, and how long it is."""
        self._read = self._values()
        self._ahead: tuple[int, Line | None] | None = None
        self.bad: list[Note] = []

    def _values(self) -> Iterator[tuple[int, Line | None]]:
        """Number and value of each line; None where it cannot be read."""
        place = 0
        with self._path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                text = raw.strip(b"\x00 \t\r\n")
                if text:
                    try:
                        value = read_line(text)
                    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
                        self.bad.append(note("skipped", self.shown, number, f"it cannot be read: {exc}", text))
                        yield number, None
                    except UnsupportedFormat as exc:
                        self.bad.append(note("skipped", self.shown, number, str(exc)))
                        return
                    else:
                        if isinstance(value, Content):
                            self._content[value.blob] = place, len(raw)
                        else:
                            yield number, value
                place += len(raw)

    def next_session(self) -> Header | None:
        """The next first line of a session."""
        self.pass_strays()
        line = self.next()
        return line[1] if line is not None and isinstance(line[1], Header) else None

    def pass_strays(self) -> None:
        """Go to the next first line of a session; what stands before it belongs to none."""
        while (line := self.next()) is not None:
            if isinstance(line[1], Header):
                self.put_back(line)
                return
            if line[1] is not None:
                told = "it belongs to no session: the first line of its session is missing, or cannot be read"
                self.bad.append(note("skipped", self.shown, line[0], told))

    def next(self) -> tuple[int, Line | None] | None:
        """The next line; None at the end."""
        if self._ahead is not None:
            line, self._ahead = self._ahead, None
            return line
        return next(self._read, None)

    def put_back(self, line: tuple[int, Line | None]) -> None:
        """Let this line be the next one again."""
        self._ahead = line

    def content(self, address: str) -> bytes | None:
        """What stood at an address; None where there is nothing, or something else."""
        place = self._content.get(address)
        if place is None:
            return None
        with self._path.open("rb") as file:
            file.seek(place[0])
            line = read_line(file.read(place[1]))
        if not isinstance(line, Content):
            return None
        try:
            data = base64.b64decode(line.data, validate=True)
        except (binascii.Error, ValueError):
            return None
        return data if address_of(data) == address else None


class _Session:
    """The lines of one session."""

    def __init__(self, lines: _Lines, header: Header) -> None:
        self._lines = lines
        self._state = State()
        self.notes: list[Note] = lines.bad
        lines.bad = []
        self.saved: SavedSession | None = None
        line = lines.next()
        self.is_whole = line is not None and isinstance(line[1], State)
        if line is not None and isinstance(line[1], State):
            self._state = line[1]
        elif line is not None:
            lines.put_back(line)
        self.info, self._state, left_out = admissible(header.session, self._state)
        self.notes += [note("repaired", lines.shown, None, reason) for reason in left_out]

    def _rest(self) -> Iterator[tuple[int, Line | None]]:
        """Its lines after the first ones, without the last."""
        lines = self._lines
        while (line := lines.next()) is not None:
            self.notes += lines.bad
            lines.bad = []
            if isinstance(line[1], End):
                lines.pass_strays()
                self.notes += lines.bad
                lines.bad = []
                return
            if isinstance(line[1], Header):
                lines.put_back(line)
                break
            yield line
        told = "the file ends before this session does: what stands after this is lost"
        self.notes.append(note("skipped", lines.shown, None, told))

    def pieces(self) -> Iterator[Chunk | SessionRecord]:
        """The chunks of the session, and its record."""
        info, state = self.info, self._state
        made = _Chunk(self._lines)
        messages = live = user_seq = 0
        for number, line in self._rest():
            if isinstance(line, Began):
                try:
                    made.turns.append(turn_row(line.turn))
                except InvalidMessage as exc:
                    made.turns.append(turn_row(msgspec.structs.replace(line.turn, notice=None)))
                    self.notes.append(note("repaired", self._lines.shown, number, f"left out: {exc}"))
            elif isinstance(line, Record):
                try:
                    record = message_record(line)
                except InvalidMessage as exc:
                    self._skip(number, str(exc))
                    continue
                if record.row.seq <= max(made.after, made.last):
                    self._skip(number, f"seq {record.row.seq} stands behind a later one")
                    continue
                made.add(record)
                messages += 1
                live += line.live
                user_seq = record.row.seq if line.live and record.row.back == 0 else user_seq
                if made.is_full:
                    yield made.whole(record.row.seq)
            elif line is None:
                self._skip(None, "")
        last = max(info.last_seq, made.last, made.after)
        if last > made.after or made.turns:
            yield made.whole(last)
        yield session_record(info, state, last_seq=last, message_count=live, user_seq=user_seq)

    def _skip(self, line: int | None, reason: str) -> None:
        if self.saved is not None:
            self.saved.skipped += 1
        if reason:
            self.notes.append(note("skipped", self._lines.shown, line, reason))

    def told(self) -> SourceSession:
        """What can be had of a session that was redacted, or written without its state: what was said in it."""
        info = self.info
        messages: list[Message] = []
        numbers: list[int] = []
        cuts: list[tuple[int, int]] = []
        for number, line in self._rest():
            if not isinstance(line, Record):
                continue
            if not line.live:
                cuts.append((len(messages), len(messages) + 1))
            told = line.message.id or f"{SYSTEM}:{line.message.seq}"
            messages.append(msgspec.structs.replace(line.message, id=told))
            numbers.append(number)
        return SourceSession(
            system=SYSTEM,
            id=info.id,
            file=self._lines.shown,
            place=self._lines.shown,
            title=info.title,
            created_at=info.created_at,
            updated_at=info.last_active_at,
            metadata=info.metadata,
            messages=messages,
            lines=numbers,
            cuts=cuts,
            records=len(messages),
            notes=self.notes,
        )


class _Chunk:
    """The next chunk, while it grows."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self.after = 0
        self.turns: list[TurnRow] = []
        self._messages: list[MessageRecord] = []
        self._blobs: dict[str, bytes] = {}
        self._size = 0

    @property
    def last(self) -> int:
        """Position of its newest message; 0: it has none."""
        return self._messages[-1].row.seq if self._messages else 0

    @property
    def is_full(self) -> bool:
        """Whether it is large enough."""
        return len(self._messages) >= _CHUNK or self._size >= _CHUNK_BYTES

    def add(self, record: MessageRecord) -> None:
        """Take a message, and the content that it refers to."""
        self._messages.append(record)
        for body in (record.row.body, *(version.body for version in record.versions)):
            self._size += len(body)
            for address in addresses(codec.decode(body)):
                if address in self._blobs:
                    continue
                data = self._lines.content(address)
                if data is None:
                    told = f"content of message {record.row.seq} is missing, or damaged: {address}"
                    self._lines.bad.append(note("repaired", self._lines.shown, None, told))
                    continue
                self._blobs[address] = data
                self._size += len(data)

    def whole(self, through: int) -> Chunk:
        """The chunk up to a position; the next one begins after it."""
        turns = tuple(turn for turn in self.turns if turn.first_seq <= through)
        made = Chunk(
            from_seq=self.after + 1,
            through_seq=through,
            messages=tuple(self._messages),
            turns=turns,
            blobs=tuple(Blob(address, data) for address, data in self._blobs.items()),
        )
        self.turns = self.turns[len(turns) :]
        self.after, self._messages, self._blobs, self._size = through, [], {}, 0
        return made

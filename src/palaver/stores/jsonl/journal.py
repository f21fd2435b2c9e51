"""The journal of a JSONL store: what commits append to which file, one record each, synced before the files are.

A record is a head (a mark, two lengths, a checksum), a table of files, places and lengths, and the texts. Zeros are
written ahead of the records: where a sync finds no new length to keep, it takes about half the time.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from palaver.stores.sqlite.filesystem import sync_folder

__all__ = ["Entry", "Journal", "has_lost_sectors", "is_unfinished", "record_of", "sync_all"]

_HEAD = struct.Struct("<4sIQI")
_MARK = b"\0plj"
"""How a record begins. No line has a zero byte, so that none can be taken for one."""
_AHEAD = 256 * 1024
"""How many zeros at most are written ahead; a short journal has as many as it has bytes."""
_LEAST_AHEAD = 4096
_SECTOR = 512
_ZEROS = re.compile(rb"\0+")
_PAGE = 4096
_begin = getattr(os, "posix_fadvise", None)
_SYNCING = 8
"""Threads that sync the files for which the journal stands: many syncs at once cost a disk little more than one."""


class Entry(msgspec.Struct):
    """What a commit appends to one file."""

    file: str
    offset: int
    text: bytes


Line = tuple[str, int, int]
"""A file, a place in it, and how many bytes of text are for it."""
_table = msgspec.json.Decoder(list[tuple[str, int, int]])


class Journal:
    """Used by whoever holds the index's lock, who also knows where its records end. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self.damaged: list[tuple[int, bytes]] = []
        """What the last whole look passed over as no record, and where it stands."""

    def write(self, record: bytes, place: int) -> None:
        """Write a record, see `record_of`, to a place, where `sync` makes it safe.

        The disk begins with a short one at once, so that less is left to wait for: to be told that nobody needs a range
        of a file any more, Linux begins to write it. Of a range without a whole page nothing else comes of it.
        """
        fd = self._open()
        start, end = place, place + len(record)
        if end > os.lseek(fd, 0, os.SEEK_END):  # no fstat: see `Directory.stamp`
            record += bytes(min(_AHEAD, max(_LEAST_AHEAD, end)))
        left = memoryview(record)
        while left:
            done = os.pwrite(fd, left, place)
            place += done
            left = left[done:]
        if _begin is not None and -(-start // _PAGE) >= end // _PAGE:
            with contextlib.suppress(OSError):  # no more than advice
                _begin(fd, start, end - start, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Make what was written safe."""
        os.fdatasync(self._open())

    def cut(self, place: int) -> None:
        """Let what stands from there on be gone, safely: of that, nothing is left in the file."""
        if self._path.exists() and os.fstat(self._open()).st_size > place:
            os.ftruncate(self._open(), place)
            os.fsync(self._open())

    def files(self) -> set[str]:
        """Which files the records are for."""
        return {file for _, _, table in self._records() for file, _, _ in table}

    def entries(self) -> Iterator[Entry]:
        """What the records say, in order."""
        for data, start, table in self._records():
            place = start
            for file, offset, length in table:
                yield Entry(file, offset, data[place : place + length])
                place += length

    def _records(self) -> Iterator[tuple[bytes, int, list[Line]]]:
        """All, where their texts begin, and whose they are. One that is damaged, or not whole, is passed over."""
        self.damaged = []
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        whole = 0
        place = data.find(_MARK)
        while place >= 0:
            end = place + len(_MARK)
            found = _read(data, place)
            if found is not None:
                self._pass_over(data, whole, place)
                start, end, table = found
                whole = end
                yield data, start, table
            place = data.find(_MARK, end)
        rest = len(data.rstrip(b"\0"))
        if not is_unfinished(data[whole:rest], whole):
            self._pass_over(data, whole, rest)

    def _pass_over(self, data: bytes, start: int, end: int) -> None:
        if start < end:
            self.damaged.append((start, data[start:end]))

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        if self._fd is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(self._path, flags, 0o600)
            try:
                sync_folder(self._path.parent)  # whoever made it may have died before its name was safe
            except OSError:
                os.close(fd)
                raise
            self._fd = fd
        return self._fd


def record_of(entries: list[Entry]) -> bytes:
    """The record of a commit that appends these."""
    table = msgspec.json.encode([(each.file, each.offset, len(each.text)) for each in entries])
    body = b"".join((table, *(each.text for each in entries)))
    return _HEAD.pack(_MARK, len(table), len(body), zlib.crc32(body)) + body


def _read(data: bytes, place: int) -> tuple[int, int, list[Line]] | None:
    """Where the texts of a record begin and end, and whose they are; None where there is no whole record."""
    begin = place + _HEAD.size
    if begin > len(data):
        return None
    _, width, length, checksum = _HEAD.unpack_from(data, place)
    end = begin + length
    if not width <= length <= len(data) - begin or zlib.crc32(memoryview(data)[begin:end]) != checksum:
        return None
    try:
        table = _table.decode(memoryview(data)[begin : begin + width])
    except msgspec.MsgspecError:
        return None
    if width + sum(size for _, _, size in table) != length or any("/" in file for file, _, _ in table):
        return None
    return begin + width, end, table


def is_unfinished(data: bytes, place: int) -> bool:
    """Whether what stands at the end of a journal was never answered for: its writing was broken off."""
    if len(data) < _HEAD.size or has_lost_sectors(data[_HEAD.size :], place + _HEAD.size):
        return True
    mark, _, length, _ = _HEAD.unpack_from(data)
    return bool(mark == _MARK and length > len(data) - _HEAD.size)


def has_lost_sectors(data: bytes, offset: int) -> bool:
    """Whether sectors of what was read from there never reached the disk: it had the length when the power went.

    They read as zeros up to where a sector ends, or what was read. No line has a zero byte: one that came there
    otherwise is damage.
    """
    runs = _ZEROS.finditer(data) if b"\0" in data else ()
    return any((offset + run.end()) % _SECTOR == 0 or run.end() == len(data) for run in runs)


def sync_all(paths: list[Path]) -> None:
    """Sync files; one that is gone needs it no more. Raises OSError."""
    if len(paths) > _SYNCING:
        with contextlib.suppress(RuntimeError), ThreadPoolExecutor(_SYNCING) as threads:
            list(threads.map(_sync_one, paths))
            return
    for path in paths:  # few; or the interpreter ends, and lets no thread start
        _sync_one(path)


def _sync_one(path: Path) -> None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)

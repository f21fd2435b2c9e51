"""How values go to PostgreSQL and come back.

Whole numbers are always sent as bigint, so that a statement is prepared once and not for each width of number. Text may
hold a NUL, which PostgreSQL's may not: it is written so that it can be told from every other text and sorts as before.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types.array import ListBinaryDumper
from psycopg.types.numeric import Int8BinaryDumper

if TYPE_CHECKING:
    from psycopg.abc import Buffer

__all__ = ["adapt", "column", "from_bigints", "from_text", "to_text", "whole_numbers"]

_TEXT_OID = 25
_BIGINT_OID = 20
_BIGINTS_OID = 1016
_ARRAY, _INT8_IN_ARRAY, _LENGTH = struct.Struct("!iiIii"), struct.Struct("!iq"), struct.Struct("!i")
_NULL = _LENGTH.pack(-1)


def to_text(said: str) -> bytes:
    """Text as PostgreSQL keeps it. Raises UnicodeEncodeError for half a character."""
    data = said.encode()
    if b"\x00" in data or b"\x01" in data:
        # In this order: what is written for a NUL must not be read as two.
        data = data.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01")
    return data


def from_text(data: bytes) -> str:
    """Text as it was."""
    if b"\x01" in data:
        data = data.replace(b"\x01\x01", b"\x00").replace(b"\x01\x02", b"\x01")
    return data.decode()


def whole_numbers(kind: int, width: int, letter: str) -> Callable[[Sequence[int]], bytes]:
    """How a column of whole numbers is sent."""

    def pack(column: Sequence[int]) -> bytes:
        try:
            sent = struct.pack(f"!{f'i{letter}' * len(column)}", *chain.from_iterable(zip(repeat(width), column)))
        except struct.error as exc:
            raise OverflowError(str(exc)) from exc
        return _array(kind, len(column)) + sent

    return pack


def column(kind: int, to: Callable[[Any], bytes]) -> Callable[[Sequence[Any]], bytes]:
    """How any other column is sent; None is NULL."""

    def pack(column: Sequence[Any]) -> bytes:
        parts = [_array(kind, len(column), nulls=None in column)]
        for value in column:
            if value is None:
                parts.append(_NULL)
            else:
                data = to(value)
                parts += (_LENGTH.pack(len(data)), data)
        return b"".join(parts)

    return pack


def _array(kind: int, count: int, *, nulls: bool = False) -> bytes:
    """How an array of one dimension begins; an empty one has none. See `array_send` in PostgreSQL's source."""
    return _ARRAY.pack(1, nulls, kind, count, 1) if count else _ARRAY.pack(0, 0, kind, 0, 0)[:12]


def from_bigints(data: bytes) -> list[int]:
    """An array of bigint, without NULL."""
    return [number for _, number in _INT8_IN_ARRAY.iter_unpack(data[_ARRAY.size :])]


class TextDumper(Dumper):
    """Text to PostgreSQL. Raises UnicodeEncodeError for half a character."""

    format = Format.BINARY
    oid = _TEXT_OID

    def dump(self, obj: str) -> bytes:
        return to_text(obj)


class TextLoader(Loader):
    """Text from PostgreSQL."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        return from_text(bytes(data))


class NumberDumper(Int8BinaryDumper):
    """A whole number to PostgreSQL. Raises OverflowError for one that no bigint is."""

    def dump(self, obj: int) -> Buffer | None:
        try:
            return super().dump(obj)
        except struct.error as exc:
            raise OverflowError(str(exc)) from exc


_bigints = whole_numbers(_BIGINT_OID, 8, "q")


class ListDumper(ListBinaryDumper):
    """A list to PostgreSQL. One of whole numbers is packed at once: batches are made of such columns.

    Raises OverflowError.
    """

    def dump(self, obj: list[Any]) -> Buffer | None:
        if self.oid == _BIGINTS_OID and set(map(type, obj)) == {int}:
            return _bigints(obj)
        return super().dump(obj)


def adapt(context: Any) -> None:
    """Have a connection send and receive values so."""
    adapters = context.adapters
    adapters.register_dumper(int, NumberDumper)
    adapters.register_dumper(str, TextDumper)
    adapters.register_dumper(list, ListDumper)
    adapters.register_loader("text", TextLoader)

"""Statements that a store runs alone, thousands of times on one connection, and that answer with one row.

A cursor works out for every run how each value is sent, which statement was prepared for that, and what the answer
holds. Of an append that is the greater part of what its own process does. Here the server is asked once what it takes
and gives, and each run is one message of libpq: https://www.psycopg.org/psycopg3/docs/api/pq.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from psycopg import errors, pq

from palaver.stores.postgres.connection import PalaverConnection
from palaver.stores.postgres.queries import queries
from palaver.stores.postgres.values import column, from_bigints, from_text, to_text, whole_numbers
from palaver.stores.statements import Row

__all__ = ["Call", "Calls"]

_INT4, _INT8 = struct.Struct("!i"), struct.Struct("!q")
_BOOLEANS = {False: b"\0", True: b"\1"}


def _packed(form: struct.Struct) -> Callable[[int], bytes]:
    def pack(value: int) -> bytes:
        try:
            return form.pack(value)
        except struct.error as exc:
            raise OverflowError(str(exc)) from exc

    return pack


_TO: dict[int, Callable[[Any], bytes]] = {
    17: bytes,
    20: _packed(_INT8),
    23: _packed(_INT4),
    25: to_text,
    1016: whole_numbers(20, 8, "q"),
    1007: whole_numbers(23, 4, "i"),
    1000: column(16, _BOOLEANS.__getitem__),
    1001: column(17, bytes),
    1009: column(25, to_text),
}
"""How values are sent, by what the server calls their types: bytea, bigint, integer, text, and columns of them."""
_FROM: dict[int, Callable[[bytes], Any]] = {20: lambda data: _INT8.unpack(data)[0], 25: from_text, 1016: from_bigints}


class Call:
    """A statement that was prepared on a connection."""

    def __init__(self, connection: PalaverConnection, name: str, text: str) -> None:
        self._connection = connection
        self._name = name.encode()
        connection.pgconn.send_prepare(self._name, text.encode())
        _answer(connection, pq.ExecStatus.COMMAND_OK)
        connection.pgconn.send_describe_prepared(self._name)
        told = _answer(connection, pq.ExecStatus.COMMAND_OK)
        self._to = [_TO[told.param_type(i)] for i in range(told.nparams)]
        self._back = [(i, _FROM[told.ftype(i)]) for i in range(told.nfields)]
        self._formats = [int(pq.Format.BINARY)] * told.nparams

    def run(self, values: Sequence[Any]) -> Row:
        """Run it; the row it answers with. Raises psycopg's errors, UnicodeEncodeError, OverflowError."""
        sent = [None if value is None else to(value) for to, value in zip(self._to, values, strict=True)]
        self._connection.pgconn.send_query_prepared(self._name, sent, self._formats, pq.Format.BINARY)
        get = _answer(self._connection, pq.ExecStatus.TUPLES_OK).get_value
        return tuple(None if (data := get(0, i)) is None else back(data) for i, back in self._back)


class Calls:
    """Such statements on one connection, which is used by one thread at a time."""

    def __init__(self, connection: PalaverConnection, schema: str) -> None:
        self._connection = connection
        self._named = queries(schema)
        self._prepared: dict[str, Call] = {}

    def prepared(self, name: str) -> Call:
        """A statement, prepared if it was not yet. Raises psycopg's errors."""
        call = self._prepared.get(name)
        if call is None:
            call = self._prepared[name] = Call(self._connection, f"palaver_{name}", self._named[name].text)
        return call


def _answer(connection: PalaverConnection, status: pq.ExecStatus) -> pq.abc.PGresult:
    """The answer to what was sent, waited for as a cursor does: other threads run, and an interrupt leaves no doubt."""
    result = connection.answers()[-1]
    if result.status != status:
        raise errors.error_from_result(result)
    return result

"""Rows as lines of a session's file, and back. Every statement that writes is here, or has no line for a reason."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, cast

import msgspec

from palaver.rows import MOST
from palaver.stores.jsonl.columns import NULLABLE, value_of
from palaver.stores.sqlite.queries import queries
from palaver.times import SECOND, from_micros, to_micros

__all__ = ["LOGGED", "UNLOGGED", "Logged", "Statement", "line_of", "number_of", "statement_of"]

LAST = MOST
Statement = tuple[str, tuple[Any, ...]]
"""A statement's name, and its values."""

_COLUMNS = re.compile(r"INSERT (?:OR \w+ )?INTO \w+ \(([^)]*)\)")


class Logged(msgspec.Struct, frozen=True):
    """A statement that a session's file has lines for."""

    kind: str
    """The line's `type`."""
    place: int
    """Which value says whose it is: the session's number, or a position's place, see `shifted`."""
    shifted: bool = False
    """Whether that value is number << 32 | seq."""
    columns: tuple[str, ...] = ()
    """What the values are called, where the statement is no INSERT."""


STORE = -1
"""Instead of a place: it is the whole store's, and stands in a file of its own."""

LOGGED: dict[str, Logged] = {
    "put_session": Logged("session", 0),
    "put_head": Logged("head", 4, columns=("last_seq", "message_count", "last_active", "user_seq", "number")),
    "put_binding": Logged("key", 2),
    "drop_binding": Logged("no_key", 2, columns=("owner", "key", "session")),
    "put_alias": Logged("alias", 2),
    "drop_alias": Logged("no_alias", 2, columns=("owner", "alias", "session")),
    "put_message": Logged("message", 0, shifted=True),
    "rewrite_message": Logged("edit", 5, shifted=True, columns=("kind", "back", "turn", "at", "body", "id")),
    "put_version": Logged("version", 0, shifted=True),
    "purge_messages": Logged("purge", 0, shifted=True, columns=("from", "through")),
    "purge_ids": Logged("gone", 0, columns=("session",)),
    "put_media_ref": Logged("media", 1, shifted=True),
    "put_message_id": Logged("id", 0),
    "drop_message_id": Logged("no_id", 0, columns=("session", "id")),
    "put_turn": Logged("turn", 0, shifted=True),
    "put_queued": Logged("waiting", 0, shifted=True),
    "drop_queued": Logged("taken", 0, shifted=True, columns=("id",)),
    "put_cut": Logged("cut", 0),
    "put_compaction": Logged("summary", 0),
    "drop_compaction": Logged("no_summary", 0, columns=("session", "id")),
    "put_usage": Logged("usage", 0),
    "put_import": Logged("import", 0),
    "drop_import": Logged("no_import", 0, columns=("session",)),
    "put_todo": Logged("todo", 0),
    "drop_todo": Logged("no_todo", 0, columns=("session",)),
    "put_change": Logged("change", 1),
    "put_erasure": Logged("erasure", STORE),
    "put_erased": Logged("erased", STORE),
    "put_meta": Logged("meta", STORE),
    "put_pruned": Logged("pruned", STORE, columns=("value", "below")),
}
UNLOGGED = {
    "purge_versions": "goes with `purge`",
    "purge_queue": "the same",
    "purge_media_refs": "the same",
    "drop_indexed": "the same; and the search index is made anew",
    "purge_turns": "goes with `gone`",
    "purge_aliases": "the same",
    "purge_compactions": "the same",
    "put_blob": "content has files of its own",
    "drop_unheld_blob": "the same",
    "drop_orphan_media_ref": "of what the index alone has, without a line",
    "drop_orphan_queue": "the same",
    "drop_orphan_versions": "the same",
    "drop_orphan_index": "the same",
    "prune_changes": "goes with `pruned`, once everything is read",
    "purge_quarantine": "what was set aside has files of its own",
    "purge_set_aside": "the same",
    "purge_damaged_blob": "the same",
    "put_backup": "where backups are, the index knows while there is one",
    "drop_backup": "the same",
    "drop_meta": "the doctor mends the index; then files are written anew from it",
    "merge_index": "the search index is made anew",
    "put_quarantine": "what could not be read stays in its file",
    "put_search_state": "the search index is made anew",
    "put_indexed": "the same",
    "clear_index": "the same",
}
KEPT_META = ("erasure_secret",)
"""What of `meta` is nowhere else."""
MENDS = "mend_"
"""Statements whose names begin so have no lines: the doctor mends the index, and files are written anew from it."""
WITH_PURGE = ("purge_messages", "purge_versions", "purge_queue", "purge_media_refs", "drop_indexed")
WITH_GONE = ("purge_ids", "purge_aliases", "purge_compactions")
_NAMES = {logged.kind: name for name, logged in LOGGED.items()}
_BODIES = {"message", "edit", "version"}
_raw = msgspec.json.Decoder(msgspec.Raw)
_any = msgspec.json.Decoder(dict[str, Any])


class _Bodied(msgspec.Struct):
    """What a line with a message is read by: its text must stay as it is."""

    message: msgspec.Raw = msgspec.Raw(b"")


_bodied = msgspec.json.Decoder(_Bodied)


@cache
def columns(name: str) -> tuple[str, ...]:
    """What the values of a statement are called."""
    logged = LOGGED[name]
    if logged.columns:
        return logged.columns
    found = _COLUMNS.search(queries()[name])
    if found is None:
        msg = f"the statement {name} names no columns"
        raise ValueError(msg)
    return tuple(column.strip() for column in found[1].replace("\n", " ").split(","))


def number_of(name: str, values: Any) -> int:
    """The number of the session that a statement writes to; 0: it is the whole store's."""
    logged = LOGGED[name]
    if logged.place == STORE:
        return 0
    value = values[logged.place]
    number: int = value >> 32 if logged.shifted else value
    return number


def line_of(name: str, values: Any, *, message_id: str | None = None) -> bytes:
    """The line for a statement, without its end: no closing brace, so that more can be said on it.

    `message_id`: the id that names the message which the line is for.
    """
    if name == "put_message":
        return _message_line(values, message_id)
    if name == "put_change":
        return _change_line(values)
    logged = LOGGED[name]
    fields: dict[str, Any] = {"type": logged.kind}
    body: bytes | None = None
    for place, (column, value) in enumerate(zip(columns(name), values, strict=True)):
        if logged.kind == "purge":
            fields[f"{column}_seq"] = value & LAST
        elif place == logged.place:
            if logged.shifted:
                fields["seq"] = value & LAST
            elif logged.kind == "session":
                fields["number"] = value
        elif column == "body":
            body = bytes(value)
        elif isinstance(value, bytes):
            fields[column] = value.hex()
        elif value is not None and (column in NULLABLE or value):
            fields[column] = value
    text = msgspec.json.encode(fields)[:-1]
    return text if body is None else text + _body(body)


def _message_line(values: Any, message_id: str | None) -> bytes:
    place, kind, back, turn, at, body = values
    seq = place & LAST
    second, micros = divmod(at, SECOND)
    text = b'{"type":"message","seq":%d,"time":"%s.%06d+00:00","kind":%d' % (seq, _iso(second), micros, kind)
    if back >= 0:
        text += b',"user_seq":%d' % (seq - back)
    if turn:
        text += b',"turn_seq":%d' % (seq - turn + 1)
    if message_id is not None:
        text += b',"id":' + msgspec.json.encode(message_id)
    return text + _body(bytes(body))


@lru_cache(maxsize=16)
def _iso(second: int) -> bytes:
    """A second as people read it: the messages of one commit mostly have one."""
    return from_micros(second * SECOND).replace(tzinfo=None).isoformat().encode()


def _change_line(values: Any) -> bytes:
    position, _, rev, kind, first, through = values
    return b'{"type":"change","position":%d,"rev":%d,"kind":%d,"from_seq":%d,"through_seq":%d' % (
        position,
        rev,
        kind,
        first,
        through,
    )


def _body(body: bytes) -> bytes:
    """A message as it is stored; where that is no JSON, its bytes."""
    try:
        _raw.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return b',"bytes":"' + base64.b64encode(body) + b'"'
    if b"\n" in body or b"\r" in body:
        return b',"bytes":"' + base64.b64encode(body) + b'"'
    return b',"message":' + body


def statement_of(line: bytes, number: int) -> tuple[Statement, dict[str, Any]]:
    """The statement that a line stands for, in a store where its session has this number, and all that it says.

    Raises ValueError for what is no line of this version, msgspec.DecodeError for what is no JSON.
    """
    fields = _any.decode(line)
    kind = fields.get("type")
    name = _NAMES.get(kind) if isinstance(kind, str) else None
    if name is None:
        msg = f"a line of the type {kind!r} is not known: read it with a newer Palaver"
        raise ValueError(msg)
    logged = LOGGED[name]
    body = _body_of(line, fields) if logged.kind in _BODIES else b""
    if name == "put_message":
        return (name, _message_values(fields, number, body)), fields
    values: list[Any] = []
    for place, column in enumerate(columns(name)):
        if logged.kind == "purge":
            values.append(number << 32 | _int(fields, f"{column}_seq"))
        elif place == logged.place:
            if logged.kind == "session":
                _int(fields, "number")  # the file's first line of this kind says which it is here
            values.append(number << 32 | _int(fields, "seq") if logged.shifted else number)
        elif column == "body":
            values.append(body)
        elif column == "mark":
            values.append(bytes.fromhex(fields["mark"]))
        else:
            values.append(value_of(name, column, fields))
    return (name, tuple(values)), fields


def _message_values(fields: dict[str, Any], number: int, body: bytes) -> tuple[Any, ...]:
    seq, kind = _int(fields, "seq"), _int(fields, "kind")
    return (
        number << 32 | seq,
        kind,
        seq - _int(fields, "user_seq") if "user_seq" in fields else -1,
        seq - _int(fields, "turn_seq") + 1 if "turn_seq" in fields else 0,
        to_micros(datetime.fromisoformat(cast("str", fields["time"]))),
        body,
    )


def _body_of(line: bytes, fields: dict[str, Any]) -> bytes:
    if "bytes" in fields:
        return base64.b64decode(fields["bytes"], validate=True)
    if not isinstance(fields.get("message"), dict):
        msg = "it has no message"
        raise ValueError(msg)
    return bytes(_bodied.decode(line).message)


def _int(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LAST:
        msg = f"{name} is {value!r}: a number from 0 to {LAST}"
        raise ValueError(msg)
    return value

"""Checking messages against what is kept beside them: their rows, ids, media and words in the search index."""

from __future__ import annotations

from collections.abc import Iterator

from palaver import codec, media
from palaver.errors import CorruptRecord
from palaver.model import Message
from palaver.rows import Kind, kind_of
from palaver.search import is_searchable, searched_text, words_of
from palaver.stores.sqlite.indexing import read_state
from palaver.stores.sqlite.rows import LAST
from palaver.stores.sqlite.spots import Sink, Source, Spot
from palaver.stores.statements import Row, Statements

__all__ = ["check_bodies", "check_versions", "right_kind"]

_AT_ONCE = 1_000
_KEPT_APART = Kind.WIRE | Kind.MEDIA
"""What a row knows of a message beside its kind."""


def check_bodies(source: Source, sink: Sink, low: int, high: int) -> Iterator[int]:
    """Check the messages with low < id <= high in pieces; gives how many each piece had."""
    after = low
    while True:
        with source.snapshot():  # a piece: no snapshot keeps the WAL from starting over for long
            rows = source.sql.all("check_bodies_between", (after, high, _AT_ONCE))
            if not rows:
                return
            indexed = _indexed(source.sql, rows)
            for packed, kind, body in rows:
                number, seq = packed >> 32, packed & LAST
                where = f"session number {number}, seq {seq}"
                try:
                    message = codec.decode(body, store=source.name, location=where)
                except CorruptRecord as exc:
                    detail = f"cannot be decoded: {exc.excerpt!r}"
                    sink(Spot("message_undecodable", number, seq, None, detail))
                    continue
                for problem, detail in _wrong(source.sql, packed, kind, message, indexed):
                    sink(Spot(problem, number, seq, None, detail))
        after = rows[-1][0]
        yield len(rows)


def _wrong(
    sql: Statements, packed: int, kind: int, message: Message, indexed: set[int] | None
) -> Iterator[tuple[str, str]]:
    """What is wrong with one message that can be read."""
    if message.seq or right_kind(message, kind) != kind:
        yield "kind_differs", "the row and its body disagree"
    unnoted = message.id is not None and sql.one("message_seq", (packed >> 32, message.id)) is None
    if unnoted and sql.one("check_being_removed", (packed >> 32,)) is None:
        yield "id_missing", f"its id {message.id!r} is not noted"
    for address in media.addresses(message):
        if not sql.one("has_ref", (address, packed)):
            yield "media_unreferred", f"it refers to content {address}, and that is not noted"
            if not sql.one("has_content", (address,)):
                yield "media_missing", f"content that it refers to is not stored: {address}"
    if indexed is not None and packed not in indexed and is_searchable(kind) and words_of(searched_text(message)):
        yield "index_missing", "the search index does not have it"


def right_kind(message: Message, kind: int) -> int:
    """The kind that the row of a message should have: how it was sent cannot be read off its body."""
    held = Kind.MEDIA if media.addresses(message) else 0
    return kind_of(message) & ~_KEPT_APART | kind & Kind.WIRE | held


def _indexed(sql: Statements, rows: list[Row]) -> set[int] | None:
    """Which of these the search index has; None where it need not have them yet."""
    if len(sql.all("search_state")) != 1:
        return None
    state = read_state(sql)
    [(newest,)] = sql.all("highest_change")
    if state.walked is not None or state.position < newest:
        return None
    return {row[0] for row in sql.all("check_indexed", (rows[0][0], rows[-1][0]))}


def check_versions(source: Source, sink: Sink, low: int, high: int) -> None:
    """Check that what messages said before can be read."""
    message, version = low, LAST
    while rows := source.sql.all("check_versions_between", (message, version, high, _AT_ONCE)):
        for packed, number, body in rows:
            try:
                codec.decode(body)
            except CorruptRecord as exc:
                detail = f"version {number} cannot be decoded: {exc.excerpt!r}"
                sink(Spot("version_undecodable", packed >> 32, packed & LAST, None, detail))
        message, version = rows[-1][0], rows[-1][1]

"""Imports over HTTP: lines of JSON, kept in a file of their own until they are read."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from palaver.importers import Note, Report, SessionReport, import_lines
from palaver.server.problems import problem
from palaver.server.reach import blocking, in_thread
from palaver.server.reading import read_chunks
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS"]

TYPES = ("application/jsonl", "application/x-ndjson")
_AT_ONCE = 1024 * 1024
"""Bytes that are written at once."""


class ImportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to import."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")] = "import"
    """What the lines are called: messages that belong to no named conversation are known again by it."""
    dry_run: bool = False
    """Tell what would be imported; store nothing."""


class ImportDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, or in a dry run would do. `records` = `imported` + `present` + `skipped`."""

    source: str
    dry_run: bool
    records: int
    imported: int
    """Messages that were stored."""
    present: int
    """Messages that were stored already."""
    skipped: int
    sessions: tuple[SessionReport, ...]
    notes: tuple[Note, ...]
    """About lines that belong to no conversation."""


async def import_body(call: Call) -> Answer:
    """Take in what the body has."""
    query: ImportQuery = call.query
    manager = blocking(call.sessions)
    with tempfile.TemporaryDirectory(prefix="palaver-import-") as directory:  # for this user alone
        path = Path(directory) / f"{query.name}.jsonl"
        await _keep(call, path)
        report = await in_thread(call.sessions, lambda: import_lines(manager, path, dry_run=query.dry_run))
    if not report.sessions:
        why = "; ".join(f"{each.file}: {each.reason}" for each in report.notes)
        raise problem("invalid-request", f"nothing in the body could be imported: {why}", path="$")
    return Answer(_document(report))


async def _keep(call: Call, path: Path) -> None:
    """Write the body to a file, bit by bit and not on the event loop's thread."""
    with path.open("wb") as file:
        waiting = bytearray()
        async for chunk in read_chunks(call.request, call.limits.max_import_bytes, call.limits.body_seconds):
            waiting += chunk
            if len(waiting) >= _AT_ONCE:
                ready, waiting = bytes(waiting), bytearray()
                await in_thread(call.sessions, partial(file.write, ready))
        file.write(waiting)


def _document(report: Report) -> ImportDocument:
    return ImportDocument(
        source=report.source,
        dry_run=report.dry_run,
        records=report.total("records"),
        imported=report.total("imported"),
        present=report.total("present"),
        skipped=report.total("skipped"),
        sessions=tuple(report.sessions),
        notes=tuple(report.notes),
    )


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/import",
        "importLines",
        "Take in sessions that Palaver exported as lines of JSON, or lines of OpenAI-style messages or conversations.",
        import_body,
        {200: "What became of each record; what was there already is not stored twice."},
        ImportDocument,
        query=ImportQuery,
        problems=("store-full", "store-unavailable"),
        takes=TYPES,
        example='{"role": "user", "content": "Hello"}\n{"role": "assistant", "content": "Hi!"}\n',
    ),
)

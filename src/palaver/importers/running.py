"""Files that were found, read one after the other and written to a store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import tzinfo

from palaver.importers import sources
from palaver.importers.folders import SourceFile
from palaver.importers.report import Report
from palaver.importers.restorer import Restorer
from palaver.importers.values import Note, SavedSession, note
from palaver.importers.writers import Writers
from palaver.manager import SessionManager

__all__ = ["run"]


def run(
    manager: SessionManager | None,
    files: Sequence[SourceFile],
    report: Report,
    zone: tzinfo | None,
    progress: Callable[[int, int, str], None] | None,
) -> None:
    """Bring in what these files hold, and add to the report what became of it. Raises StoreError."""
    dry_run = report.dry_run
    writers = Writers(manager, dry_run=dry_run)
    restorer = Restorer(manager, dry_run=dry_run)
    for done, file in enumerate(files):
        if progress is not None:
            progress(done, len(files), file.shown)
        try:
            with contextlib.closing(sources.read(file, zone)) as found:
                for each in found:
                    if isinstance(each, Note):
                        report.notes.append(each)
                    elif isinstance(each, SavedSession):
                        report.sessions.append(restorer.write(each))
                    else:
                        report.sessions.append(writers.of(each).write(each))
        except OSError as exc:
            report.notes.append(note("skipped", file.shown, None, f"it cannot be read: {exc.strerror or exc}"))
    if progress is not None:
        progress(len(files), len(files), "")

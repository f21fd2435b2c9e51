"""Conversations of other systems, brought into a store: those of the agents that `sources` knows, and JSON lines.

Those of Claude Code and Codex CLI too, and the data exports of ChatGPT and Claude.

The source is only read. Running an import twice stores nothing twice, and one that was killed goes on when it is run
again. Damage in the source costs at most the damaged record, and all of that is in the report.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path

from palaver.importers import sources
from palaver.importers.adopting import adopt
from palaver.importers.report import Report, SessionReport
from palaver.importers.running import run
from palaver.importers.values import Action, Note
from palaver.manager import SessionManager

__all__ = ["Action", "Note", "Report", "SessionReport", "adopt", "import_lines", "import_path"]


def import_path(
    manager: SessionManager | None,
    path: str | os.PathLike[str],
    *,
    zone: tzinfo | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> Report:
    """Import what is under a path, whatever it is, and tell what became of each record.

    `zone` is where times without a zone were written (None: this machine's). `progress` is told how many files are
    done, of how many, and which one is next. A dry run stores nothing; it needs no manager where there is no store.

    A source that has owners keeps them, unless the manager is scoped to one: then all of it becomes that owner's.

    Raises OSError where there is no such path, StoreError.
    """
    if manager is None and not dry_run:
        msg = "an import needs a manager; only a dry run does without"
        raise ValueError(msg)
    files, notes = sources.find(Path(path))
    report = Report(source=str(path), dry_run=dry_run, notes=notes)
    run(manager, files, report, zone, progress)
    return report


def import_lines(manager: SessionManager, path: str | os.PathLike[str], *, dry_run: bool = False) -> Report:
    """Import a file of JSON lines that somebody sent: sessions that Palaver exported, or OpenAI-style messages.

    Wherever the file lies, its lines are the same source: by its name alone they are known again.
    Raises OSError where there is no such file, StoreError.
    """
    files, notes = sources.find_lines(Path(path))
    report = Report(source=Path(path).name, dry_run=dry_run, notes=notes)
    run(manager, files, report, None, None)
    return report

"""`palaver backup` and `palaver restore`: what they do and say."""

from __future__ import annotations

from palaver.cli import records, reports, stores
from palaver.cli.amounts import counted, size
from palaver.cli.failures import USAGE, Failure
from palaver.cli.moments import shown
from palaver.cli.output import Output
from palaver.restoring import restore as restore_store

__all__ = ["make", "restore"]


def make(url: str, destination: str | None, keep: int | None, output: Output) -> None:
    """Make a backup and say what is in it. Raises Failure where a file of that name exists, or a name is needed."""
    stores.require_destination(url, destination)
    with stores.open_for_writing(url, None) as manager:
        try:
            with reports.progress("copying", output) as progress:
                made = manager.backup(destination, keep=keep, progress=progress)
        except FileExistsError as exc:
            raise Failure(str(exc), USAGE) from exc
    if output.json:
        output.record(records.of(made))
        return
    output.text(made.path)
    output.note(
        f"{counted(made.sessions, 'session')}, {counted(made.messages, 'message')}, {size(made.size_bytes)}, "
        "compared with the store and synced"
    )


def restore(path: str, to: str, output: Output, *, force: bool) -> None:
    """Restore and say what stands there now. Raises Failure where a store with content stands in the way."""
    try:
        with reports.progress("copying", output) as progress:
            done = restore_store(path, to, force=force, progress=progress)
    except FileExistsError as exc:
        msg = str(exc) if force else f"{to} has content: restore to another path, or say --force, which keeps it beside"
        raise Failure(msg, USAGE) from exc
    except ValueError as exc:
        raise Failure(str(exc), USAGE) from exc
    if output.json:
        output.record(records.of(done))
        return
    output.text(done.path)
    if done.backup is not None:
        held = f"{counted(done.backup.sessions, 'session')} and {counted(done.backup.messages, 'message')}"
        output.note(f"as it was at {shown(done.backup.made_at)}, with {held}")
    if done.kept is not None:
        output.note(f"what was there before is at {done.kept}")
    if done.erased is not None:
        gone = counted(done.erased.counts.get("messages", 0), "message")
        output.note(f"what was erased since the backup was made was erased again: {gone}")
    if done.erasures_lost:
        output.note("the store that was there cannot say what was erased from it: erase that again")

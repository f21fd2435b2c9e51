"""`palaver stats` and `palaver check`: how much is stored, whether it is well, and mending it."""

from __future__ import annotations

import enum
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime

from palaver.cli import records, stores
from palaver.cli.amounts import counted, size
from palaver.cli.failures import FOUND, OK, USAGE, Failure
from palaver.cli.output import Output
from palaver.cli.terminal import one_line
from palaver.findings import Finding, Progress
from palaver.manager import SessionManager
from palaver.model import Usage
from palaver.stores.base import FeedLag

__all__ = ["Grouping", "progress", "repair", "show_findings", "show_stats", "show_usage"]


class Grouping(enum.StrEnum):
    """What usage is summed up by."""

    model = "model"
    owner = "owner"
    day = "day"
    session = "session"


_UNNAMED = {
    Grouping.model: "(no model named)",
    Grouping.owner: "(no owner)",
    Grouping.day: "(no day)",
    Grouping.session: "(no session)",
}


def show_stats(manager: SessionManager, output: Output) -> None:
    """Write what the store holds; with an owner, what of it is theirs."""
    stats = manager.stats()
    if output.json:
        output.record({**records.of(stats), "owner": manager.owner})
        return
    used = stats.usage
    lines = {
        "store": stats.store,
        "owner": manager.owner or "",
        "sessions": f"{stats.sessions:,}",
        "messages": f"{stats.messages:,}",
        "owners": f"{stats.owners:,}" if manager.owner is None else "",
        "open turns": f"{stats.open_turns:,}",
        "size": size(stats.size_bytes),
        "feed": _held(stats.feed_lag),
        "tokens": f"{used.input_tokens:,} in ({used.cached_tokens:,} cached), {used.output_tokens:,} out",
        "cost": _cost(used, stats.calls, stats.priced_calls).removeprefix("cost ") if stats.calls else "",
        "schema": f"{stats.schema}, codec {stats.codec}",
    }
    for name, value in lines.items():
        if value:
            output.text(f"{name:<12}{one_line(value)}")


def _held(lag: FeedLag) -> str:
    """What is told of a change feed that is behind; nothing where it is not."""
    if not lag.changes:
        return ""
    since = "" if lag.seconds is None else f" of {lag.seconds:.1f} s"
    return f"{counted(lag.changes, 'change')} held back by an open transaction{since}"


def show_usage(manager: SessionManager, output: Output, by: Grouping, since: datetime | None) -> None:
    """Write what was used, a line for each session, owner, day or model."""
    for line in manager.usage(since=since, by=by.value):
        if output.json:
            output.record(records.of(line))
            continue
        used = line.usage
        named = line.session_id or line.owner or line.day or line.model or _UNNAMED[by]
        words = f"{counted(line.calls, 'call')}, {used.input_tokens:,} in ({used.cached_tokens:,} cached)"
        cost = _cost(used, line.calls, line.priced_calls)
        source = f" ({used.cost_source})" if used.cost_source is not None else ""
        output.text(one_line(f"{named}: {words}, {used.output_tokens:,} out, {cost}{source}"))


def _cost(used: Usage, calls: int, priced: int) -> str:
    """A cost, and of how many calls it is not known."""
    if used.cost is None:
        return "cost unknown"
    return f"{used.cost.normalize():f} USD" + (f" for {priced:,} of {counted(calls, 'call')}" if priced < calls else "")


def show_findings(findings: Sequence[Finding], output: Output, *, explain: bool = False) -> int:
    """Write everything that is wrong with the store; the exit code tells whether there is a fault."""
    for finding in findings:
        if output.json:
            output.record(records.of(finding))
            continue
        output.text(one_line(f"{finding.kind}: {finding.where}: {finding.detail}"))
        if explain:
            for line in (finding.meaning, finding.remedy):
                output.text(one_line(line), "dim", indent=2)
    faults = [finding for finding in findings if finding.severity == "fault"]
    if not output.json:
        output.note(f"{counted(len(faults), 'fault')} found" if faults else "no faults found")
        if any(finding.repairable for finding in faults):
            output.note("`palaver check --repair` mends what can be mended, after a backup; --explain says more")
    return FOUND if faults else OK


def repair(url: str, backup: str | None, output: Output) -> int:
    """Mend what can be mended and say what was done; the exit code tells whether faults are left."""
    with stores.open_for_writing(url, None) as manager:
        try:
            report = manager.repair(backup)
        except FileExistsError as exc:
            raise Failure(str(exc), USAGE) from exc
    if output.json:
        output.record(records.of(report))
        return FOUND if report.left else OK
    if report.backup is not None:
        output.note(f"backup: {report.backup.path}")
    for done in report.repaired:
        if done.failed is not None:
            output.text(one_line(f"{done.problem}: not repaired: {done.failed}"))
        else:
            output.text(one_line(f"{done.problem}: {done.action} ({done.count:,})"))
    return show_findings(report.left, output, explain=True)


@contextmanager
def progress(what: str, output: Output) -> Generator[Progress | None]:
    """A bar on standard error, where that is a terminal and nobody asked for JSON."""
    if output.json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True, markup=False), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

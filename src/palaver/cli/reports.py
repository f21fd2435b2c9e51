"""`palaver stats` and `palaver check`: how much is stored, and whether it is well."""

from __future__ import annotations

from collections.abc import Sequence

from palaver.cli import records
from palaver.cli.amounts import counted, size
from palaver.cli.failures import FOUND, OK
from palaver.cli.output import Output
from palaver.cli.terminal import one_line
from palaver.manager import SessionManager
from palaver.stores.base import Finding

__all__ = ["show_findings", "show_stats"]


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
        "tokens": f"{used.input_tokens:,} in ({used.cached_tokens:,} cached), {used.output_tokens:,} out",
        "cost": f"{used.cost} USD" if used.cost is not None else "",
        "schema": f"{stats.schema}, codec {stats.codec}",
    }
    for name, value in lines.items():
        if value:
            output.text(f"{name:<12}{one_line(value)}")


def show_findings(findings: Sequence[Finding], output: Output) -> int:
    """Write everything that is wrong with the store; the exit code tells whether there is anything."""
    for finding in findings:
        if output.json:
            output.record(records.of(finding))
        else:
            output.text(one_line(f"{finding.kind}: {finding.where}: {finding.detail}"))
    if not output.json:
        output.note(f"{counted(len(findings), 'fault')} found" if findings else "no faults found")
    return FOUND if findings else OK

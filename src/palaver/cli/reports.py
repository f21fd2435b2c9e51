"""`palaver stats` and `palaver check`: how much is stored, and whether it is well."""

from __future__ import annotations

from palaver.cli import records
from palaver.cli.failures import FOUND, OK
from palaver.cli.output import Output
from palaver.cli.terminal import one_line
from palaver.manager import SessionManager

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
        "size": _size(stats.size_bytes),
        "tokens": f"{used.input_tokens:,} in ({used.cached_tokens:,} cached), {used.output_tokens:,} out",
        "cost": f"{used.cost} USD" if used.cost is not None else "",
        "schema": f"{stats.schema}, codec {stats.codec}",
    }
    for name, value in lines.items():
        if value:
            output.text(f"{name:<12}{one_line(value)}")


def show_findings(manager: SessionManager, output: Output) -> int:
    """Write everything that is wrong with the store; the exit code tells whether there is anything."""
    findings = manager.check()
    for finding in findings:
        if output.json:
            output.record(records.of(finding))
        else:
            output.text(one_line(f"{finding.kind}: {finding.where}: {finding.detail}"))
    if not output.json:
        output.note(f"{len(findings)} found" if findings else "nothing wrong was found")
    return FOUND if findings else OK


def _size(count: int) -> str:
    if count < 1024:
        return f"{count} bytes"
    size, unit = count / 1024, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit}"

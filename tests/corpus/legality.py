"""Whether a rendered payload would be refused: by our own rules, and by everybody else's that are installed."""

from __future__ import annotations

from collections.abc import Iterable

from palaver import formats
from palaver.formats import Rendered
from tests.corpus.cuts import Cut
from tests.corpus.payloads import Payload
from tests.corpus.validators import complaints

__all__ = ["cut_faults", "excused", "faults"]

_FEW = 20
"""So many faults are told of one test; more would say nothing more."""


def excused(payload: Payload) -> set[str]:
    """What others find in the history as it was sent, and accepted."""
    return complaints(payload.wire, payload.entries, payload.system)


def faults(wire: str, rendered: Rendered, ignored: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]  # never changed
    """What somebody would refuse in a payload."""
    found = [
        f"{violation.rule} at {violation.where}: {violation.says}"
        for violation in formats.check(wire, rendered.messages, system=rendered.system)
    ]
    said = sorted(complaints(wire, rendered.messages, rendered.system) - ignored)
    return found + [f"validator: {complaint}" for complaint in said[:3]]


def cut_faults(wire: str, name: str, cuts: Iterable[Cut], ignored: set[str]) -> tuple[int, list[str]]:
    """How many windows were rendered, and which of them are refused, and why."""
    count = 0
    found: list[str] = []
    for cut in cuts:
        if not cut.window.messages:
            continue
        count += 1
        rendered = cut.window.render(wire)
        found.extend(f"{name}, {cut.how}: {fault}" for fault in faults(wire, rendered, ignored))
        if len(found) >= _FEW:
            break
    return count, found[:_FEW]

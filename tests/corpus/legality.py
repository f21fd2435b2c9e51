"""Whether a rendered payload would be refused: by our rules, by the same written twice, and by those of others."""

from __future__ import annotations

import re
from collections.abc import Iterable

from palaver import formats
from palaver.formats import Rendered
from tests.corpus.cuts import Cut
from tests.corpus.oracle import objections
from tests.corpus.payloads import Payload
from tests.corpus.validators import complaints

__all__ = ["cut_faults", "excused", "faults", "summary"]

_FEW = 20
"""So many faults are told of one test; more would say nothing more."""


def excused(payload: Payload) -> set[str]:
    """What others find in the history as it was sent, and in the answer, as it came."""
    # With the question in front: an answer alone has nothing that it could follow.
    whole = [*payload.entries, *(payload.response or ())]
    found = complaints(payload.wire, payload.entries, payload.system)
    return found | complaints(payload.wire, whole, payload.system) | set(objections(payload.wire, whole))


def faults(wire: str, rendered: Rendered, ignored: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]  # never changed
    """What somebody would refuse in a payload."""
    found = [
        f"{violation.rule} at {violation.where}: {violation.says}"
        for violation in formats.check(wire, rendered.messages, system=rendered.system)
    ]
    found.extend(f"oracle: {each}" for each in objections(wire, rendered.messages) if each not in ignored)
    said = sorted(complaints(wire, rendered.messages, rendered.system) - ignored)
    return found + [f"validator: {complaint}" for complaint in said[:3]]


_DETAILS = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9]+")


def summary(found: Iterable[str]) -> str:
    """Faults by kind: how often, and the first one, `history: fault`."""
    kinds: dict[str, list[str]] = {}
    for each in found:
        kinds.setdefault(_DETAILS.sub("", each.partition(": ")[2]), []).append(each)
    return "\n".join(f"{len(those)} times: {those[0]}" for those in kinds.values())


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

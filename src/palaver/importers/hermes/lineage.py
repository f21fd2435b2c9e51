"""Which session of hermes's follows which, and why; parents come before what follows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from palaver.formats.wire import is_object
from palaver.importers.hermes.tables import decoded
from palaver.info import LineageKind

__all__ = ["Link", "links", "ordered"]

_KINDS: dict[str, LineageKind] = {"branch": "fork", "reset": "reset", "delegation": "subagent"}
_BY_REASON = {"branched": "branch", "compression": "compression", "session_reset": "reset", "new_session": "reset"}


class Link(msgspec.Struct, frozen=True):
    """What a session follows."""

    parent: str
    lineage: str | None
    """In hermes's words: branch, compression, delegation, reset; None: it does not say."""

    @property
    def kind(self) -> LineageKind:
        """In Palaver's."""
        return _KINDS.get(self.lineage or "", "import")


def links(sessions: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Link], list[str]]:
    """What each session follows, and those whose line led back to themselves: they follow nothing now."""
    found: dict[str, Link] = {}
    for name, row in sessions.items():
        config = decoded(row.get("model_config"))
        config = config if is_object(config) else {}
        branched, delegated = config.get("_branched_from"), config.get("_delegate_from")
        parent = row.get("parent_session_id") or branched or delegated
        if not isinstance(parent, str):
            continue
        lineage = _BY_REASON.get(str(sessions.get(parent, {}).get("end_reason")))
        lineage = "branch" if branched else "delegation" if delegated else lineage
        found[name] = Link(parent, lineage)
    return found, _without_circles(found)


def _without_circles(found: dict[str, Link]) -> list[str]:
    """Take one link out of each circle."""
    broken: list[str] = []
    good: set[str] = set()
    for name in list(found):
        line: dict[str, None] = {}
        each = name
        while each in found and each not in good and each not in line:
            line[each] = None
            each = found[each].parent
        if each in line:
            first = min(list(line)[list(line).index(each) :])  # ids begin with the time: the oldest of them
            broken.append(first)
            del found[first]
        good.update(line)
    return broken


def ordered(names: list[str], found: Mapping[str, Link]) -> list[str]:
    """The same, parents first."""
    out: dict[str, None] = {}
    known = set(names)
    for name in names:
        line: list[str] = []
        each: str | None = name
        while each is not None and each in known and each not in out:
            line.append(each)
            each = found[each].parent if each in found else None
        out.update(dict.fromkeys(reversed(line)))
    return list(out)

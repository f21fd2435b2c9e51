"""What a session's metadata says of the source that it came from, so that a later import knows what is new there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from palaver import codec
from palaver.importers.charging import totals
from palaver.importers.values import SourceSession

__all__ = ["MARKS", "digest", "metadata", "undone_in"]

MARKS = ("archived", "pinned", "hidden")
"""What a session of a source is marked as, by the names that `SetInfo` has for it."""


def metadata(session: SourceSession, before: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """The source's own, and where it comes from; `whole` is the mark that the import came to its end."""
    imported: dict[str, Any] = {"system": session.system, "file": session.file, "place": session.place}
    if session.updated_at is not None:
        imported["updated_at"] = str(session.updated_at)
    imported |= session.facts
    if whole:
        imported["whole"] = True
        imported |= _over(session, before)
    return {**session.metadata, "imported": imported}


def _over(session: SourceSession, before: Mapping[str, Any]) -> dict[str, Any]:
    """What of the source lies over the messages, to be known again when it has changed."""
    out: dict[str, Any] = {}
    if session.key is not None:
        out["key"] = session.key
    if session.more_keys:
        out["more_keys"] = list(session.more_keys)
    if session.ended_at is not None or session.ended_reason is not None:
        ended = {"at": session.ended_at and str(session.ended_at), "reason": session.ended_reason}
        out["ended"] = {name: value for name, value in ended.items() if value is not None}
    if session.title is not None:
        out["title"] = session.title
    if session.summary is not None:
        out["summary"] = digest(session.summary)
    undone = undone_in(session)
    if undone or before.get("undone"):
        out["undone"] = digest("\n".join(undone))
    marks = [name for name in MARKS if getattr(session, name)]
    if marks or session.tags or before.get("marks"):
        out["marks"] = {name: name in marks for name in MARKS} | {"tags": list(session.tags)}
    if session.aliases:
        out["aliases"] = list(session.aliases)
    if session.usage:
        out["used"] = totals(session.usage, before.get("used") or {})
    if out:
        out["over"] = digest(codec.json_text(out, "metadata"))
    return out


def undone_in(session: SourceSession) -> list[str]:
    """The ids of the messages that the source took back."""
    return [message.id or "" for low, high in session.cuts for message in session.messages[low:high]]


def digest(text: str) -> str:
    """A short mark of a text, to see whether it is still the same."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""A source that went back to what it had given up: nothing in a transcript moves, so that branch is stored once more.

What was stored of it keeps its place and is not live; its messages' ids mean the new ones from then on.
"""

from __future__ import annotations

from collections.abc import Sequence

from palaver import codec
from palaver.core import Core
from palaver.importers.commits import committed
from palaver.importers.locating import live_positions
from palaver.importers.values import Note, SourceSession, note
from palaver.operations import Replace
from palaver.rows import Draft

__all__ = ["went_back"]


def went_back(
    core: Core,
    session: SourceSession,
    session_id: str,
    known: dict[str, int],
    new: Sequence[tuple[int, Draft]],
    notes: list[Note],
) -> Sequence[tuple[int, Draft]]:
    """Put the branch in the place of the live one if the source is on one that it had left; what is left to store.

    `known` learns where its messages stand now. A conversation that went on here is left as it is, and that is told.
    Raises StoreError.
    """
    undone = {index for low, high in session.cuts for index in range(low, high)}
    path = [(index, message) for index, message in enumerate(session.messages) if index not in undone]
    there = live_positions(core, session_id)
    lost = [message for _, message in path if known.get(message.id or "", 0) not in {0, *there}]
    if not lost:
        return new
    theirs = {known.get(message.id or "") for message in session.messages}
    if not there <= theirs:
        told = "which were taken back here; they stay so, as the conversation went on here"
        notes.append(note("repaired", session.file, None, f"it went back to {len(lost)} messages, {told}"))
        return new
    fresh = dict(new)
    branch = [
        (index, fresh.get(index) or codec.draft(message))
        for index, message in path
        if _fits(message.id, index, known, fresh)
    ]
    operation = Replace(
        at=core.at(), owner=core.owner, session_id=session_id, messages=tuple(draft for _, draft in branch)
    )
    [outcome] = committed(core, operation)
    for (_, draft), seq in zip(branch, outcome.seqs, strict=True):
        known[draft.id or ""] = seq
    stored = {index for index, _ in branch}
    return [(index, draft) for index, draft in new if index not in stored]


def _fits(name: str | None, index: int, known: dict[str, int], fresh: dict[int, Draft]) -> bool:
    """Whether a message is stored, or can be."""
    return index in fresh or (name or "") in known

"""A short conversation that is new, stored in one commit: an export has thousands of them, and each commit waits.

What needs positions that the store gives, or what another session has, is not done here but step by step; so is what
somebody else's session stands in the way of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from palaver.core import Core
from palaver.errors import PalaverError
from palaver.importers.provenance import MARKS
from palaver.importers.values import SourceSession
from palaver.operations import Append, Create, Cut, Operation, SetInfo
from palaver.rows import Draft

__all__ = ["at_once", "is_simple"]


def is_simple(session: SourceSession) -> bool:
    """Whether nothing lies over the messages but what is known before they are stored."""
    over = session.summary or session.copies or session.usage
    return not (over or session.more_keys or session.aliases or session.parent)


def at_once(
    core: Core, session: SourceSession, creation: Create, drafts: Sequence[tuple[int, Draft]], title: str | None
) -> str | None:
    """Make the session with its messages, cuts, title and marks; its id, or None where nothing was made.

    Raises StoreError, InvalidMessage.
    """
    now = core.at()
    new = msgspec.structs.replace(creation.new, title=title)
    operations: list[Operation] = [msgspec.structs.replace(creation, new=new)]
    if drafts:
        newest = max((draft.at for _, draft in drafts if draft.at is not None), default=now)
        messages = tuple(draft for _, draft in drafts)
        operations.append(
            Append(at=min(newest, now), owner=core.owner, session_id=new.id, messages=messages, restoring=True)
        )
    seqs = {index: seq for seq, (index, _) in enumerate(drafts, 1)}
    for low, high in session.cuts:
        cut = [seqs[index] for index in range(low, high) if index in seqs]
        if cut:
            operations.append(
                Cut(
                    at=now,
                    owner=core.owner,
                    session_id=new.id,
                    from_seq=cut[0],
                    through_seq=cut[-1],
                    kind="rewind",
                )
            )
    marks: dict[str, Any] = {name: True for name in MARKS if getattr(session, name)}
    if session.tags:
        marks["tags"] = session.tags
    if marks:
        operations.append(SetInfo(at=now, owner=core.owner, session_id=new.id, **marks))
    outcomes = core.store.commit(operations)
    if isinstance(outcomes[0], PalaverError):
        return None
    for outcome in outcomes[1:]:
        if isinstance(outcome, PalaverError):
            raise outcome
    return new.id

"""What was erased from the store does not come back with an import: it is left out, and the report says so."""

from __future__ import annotations

from palaver import codec
from palaver.core import Core
from palaver.erasure import mark, marks_of
from palaver.importers.values import Note, SourceSession, note
from palaver.rows import Draft

__all__ = ["keep_unerased", "was_erased"]

_AT_ONCE = 500


def was_erased(core: Core | None, session_id: str) -> bool:
    """Whether a session with this id was erased from the store."""
    return core is not None and bool(core.store.erased([mark("session", session_id)]))


def keep_unerased(
    core: Core | None, session: SourceSession, alias: str, drafts: list[tuple[int, Draft]], notes: list[Note]
) -> list[tuple[int, Draft]]:
    """The messages that were not erased from the store; of an erased conversation neither title, names nor summary."""
    if core is None or not core.store.erasures():
        return drafts
    kept: list[tuple[int, Draft]] = []
    for begin in range(0, len(drafts), _AT_ONCE):
        some = drafts[begin : begin + _AT_ONCE]
        marks = [_marks(alias, draft) for _, draft in some]
        erased = core.store.erased([each for of in marks for each in of])
        kept += [draft for draft, of in zip(some, marks, strict=True) if not erased.intersection(of)]
    if len(kept) < len(drafts):
        told = f"{len(drafts) - len(kept)} messages were erased from this store, and are not taken in again"
        notes.append(note("skipped", session.file, None, told))
    if core.store.erased([mark("alias", alias)]):
        said = "it was erased from this store: its title, summary, names and metadata are not taken in again"
        notes.append(note("aside", session.file, None, said))
        session.title = session.summary = None
        session.metadata, session.facts, session.aliases, session.more_keys, session.tags = {}, {}, (), (), ()
        if not kept:  # nothing is left that a session could be made of
            session.created_at = None
    return kept


def _marks(alias: str, draft: Draft) -> tuple[bytes, ...]:
    said = marks_of(codec.decode(draft.body), draft.id, draft.at)
    return said if draft.id is None else (*said, mark("message", alias, draft.id))

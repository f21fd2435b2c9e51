"""What a check can find wrong with a store: each problem with what it means and what can be done about it.

Every store finds what its own form can have wrong with it, and names it by a problem of this list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

__all__ = ["PROBLEMS", "Finding", "Findings", "Kind", "Problem", "Progress", "Repaired", "finding"]

Kind: TypeAlias = Literal[
    "corrupt",
    "count",
    "orphan",
    "lineage",
    "index",
    "media",
    "store",
    "key",
    "title",
    "turn",
    "feed",
    "history",
    "todo",
    "erasure",
]
Severity: TypeAlias = Literal["fault", "note"]
Progress: TypeAlias = Callable[[int, int], None]
"""Told how many messages were looked at, and about how many there are."""
LISTED = 100
"""Findings of one problem that are listed one by one: a check of a store in ruins stays small."""


class Problem(msgspec.Struct, frozen=True):
    """Something that can be wrong."""

    kind: Kind
    meaning: str
    """What it does to those who use the store."""
    remedy: str
    repair: bool = True
    """Whether `repair` mends it without losing anything that can be read."""
    severity: Severity = "fault"


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that `check` found."""

    kind: Kind
    where: str
    detail: str
    """What was found."""
    problem: str = ""
    """Its name in `palaver.findings.PROBLEMS`."""
    severity: Severity = "fault"
    """A note says what may surprise, and is no fault."""
    meaning: str = ""
    """What it does to those who use the store."""
    remedy: str = ""
    """What can be done."""
    repairable: bool = False
    """Whether `repair` mends it."""
    session_id: str | None = None
    seq: int | None = None


class Repaired(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a repair did about one problem."""

    problem: str
    count: int
    """How many records it set right."""
    action: str
    """What it did, in words."""
    failed: str | None = None
    """Why it could not; then nothing of it was done."""


_RECOUNT = "repair counts anew from the messages"
_DROP = "repair drops it: it belongs to nothing that can be read"
_BACKUP = "restore a backup, or keep it so: everything else works"

PROBLEMS: dict[str, Problem] = {
    "database": Problem(
        "store",
        "the file itself is damaged: reads may fail, or miss something",
        "restore a backup; without one, copy what can be read with `palaver export --all`",
        repair=False,
    ),
    "database_index": Problem(
        "store", "an index of the database misses rows or has wrong ones", "repair builds the indexes anew"
    ),
    "message_undecodable": Problem(
        "corrupt",
        "windows and pages leave this message out and name it",
        "repair sets its bytes aside in quarantine and marks the position as purged",
    ),
    "lines_lost": Problem(
        "corrupt",
        "a session's file ends before it did: what was answered for is in no file any more",
        "repair puts back what the index had; to do without, remove the file in quarantine",
    ),
    "journal_damaged": Problem(
        "corrupt",
        "a commit may be missing from the files, if the power went before they were synced",
        "look whether what the file in quarantine says is in its session, then remove it",
        repair=False,
    ),
    "version_undecodable": Problem(
        "corrupt",
        "what the message said before an edit cannot be shown",
        "repair sets its bytes aside in quarantine and drops the version",
    ),
    "session_undecodable": Problem(
        "corrupt",
        "the session cannot be shown or written to",
        "repair sets the text aside in quarantine and empties the field",
    ),
    "turn_undecodable": Problem(
        "corrupt", "the session's turns cannot be read", "repair sets the text aside and empties the field"
    ),
    "todo_undecodable": Problem(
        "corrupt", "no to-do can be listed or claimed", "repair sets the text aside and empties the field"
    ),
    "kind_differs": Problem(
        "index",
        "the message may be shown or hidden where it should not be",
        "repair sets the row right by the message itself",
    ),
    "session_missing": Problem(
        "orphan",
        "these messages belong to no session and nobody can read them",
        "repair makes a session for them, which has ended and belongs to the operator",
    ),
    "id_missing": Problem(
        "index", "the message would be stored twice if its platform sent it again", "repair notes its id again"
    ),
    "id_orphan": Problem("orphan", "an id is kept for a message of no session", _DROP),
    "version_orphan": Problem(
        "orphan", "an earlier version is kept of a message that is gone", "repair moves it into quarantine"
    ),
    "turn_orphan": Problem("orphan", "a turn belongs to no session", _DROP),
    "queue_orphan": Problem("orphan", "a message waits for a turn and is not there", _DROP),
    "cut_orphan": Problem("orphan", "a cut belongs to no session", _DROP),
    "compaction_orphan": Problem("orphan", "a summary belongs to no session", _DROP),
    "usage_orphan": Problem("orphan", "usage was recorded for no session, and is in no total", _DROP),
    "import_orphan": Problem("orphan", "a mark is kept of the import of no session", _DROP),
    "alias_orphan": Problem("key", "the alias leads nowhere, and cannot be given to another session", _DROP),
    "key_orphan": Problem(
        "key",
        "messages under this key cannot be stored",
        "repair drops it: the next message under it begins a session",
    ),
    "key_ended": Problem(
        "key",
        "messages under this key are refused, since its session has ended",
        "repair reopens the session; the key of a deleted session is dropped",
    ),
    "key_previous": Problem("key", "the session that the key pointed at before is gone", "repair forgets it"),
    "count": Problem("count", "lists and stats show wrong numbers", _RECOUNT),
    "newest_user": Problem("count", "a window may miss the newest message of the person", _RECOUNT),
    "gap": Problem(
        "count",
        "messages are gone that nobody purged: their content is lost",
        "restore a backup if one has them; repair marks the positions as purged",
    ),
    "cut_count": Problem("count", "what was cut may be shown, or the reverse", _RECOUNT),
    "summary_pointer": Problem(
        "count", "windows use the wrong summary or none", "repair chooses the newest summary that holds"
    ),
    "parent_missing": Problem("lineage", "the session that this one follows is gone", "repair forgets the parent"),
    "parent_circle": Problem(
        "lineage", "who follows the parents never ends", "repair takes the parent from one session of the circle"
    ),
    "title_twice": Problem(
        "title", "a title leads to one of several sessions", "repair numbers the newer ones, as in `plans #2`"
    ),
    "turn_running": Problem(
        "turn", "a turn seems to run that cannot: the session may seem busy", "repair closes it as interrupted"
    ),
    "turn_state": Problem("turn", "the turn is in a state that is none", "repair closes it as interrupted"),
    "index_gone": Problem(
        "index", "the search index has what is not stored any more", "repair builds the search index anew"
    ),
    "index_missing": Problem("index", "a search does not find this message", "repair builds the search index anew"),
    "index_state": Problem("index", "searches fail, or do not find what is new", "repair builds the search index anew"),
    "media_missing": Problem("media", "the content cannot be shown; a breadcrumb stands for it", _BACKUP, repair=False),
    "media_damaged": Problem(
        "media", "the content is other than what was stored, and is not served", _BACKUP, repair=False
    ),
    "media_unheld": Problem("media", "content takes room and no message shows it", _DROP),
    "media_unreferred": Problem(
        "media", "content that the message shows would go with others' messages", "repair notes the reference again"
    ),
    "media_ref_orphan": Problem("media", "content is kept for a message that is gone", _DROP),
    "rev_behind": Problem("feed", "a version would be given twice: conflicts could pass unseen", "repair moves it on"),
    "feed_gap": Problem(
        "feed",
        "readers of the feed missed what happened there",
        "repair expires their cursors, so that they read anew",
    ),
    "feed_orphan": Problem("feed", "the feed tells of a session that is not there", _DROP),
    "number_reuse": Problem("store", "a session's internal number could be given twice", "repair moves the mark on"),
    "meta": Problem("store", "the store does not say how it was written", "repair writes what this version would"),
    "todo_orphan": Problem("orphan", "a to-do belongs to no session", _DROP),
    "todo_given_up": Problem(
        "todo",
        "work that had to be done before a reset failed for the last time",
        "see why it failed, and do it by hand from the session that was reset",
        repair=False,
    ),
    "erasure_unfinished": Problem(
        "erasure",
        "what was to be erased may still be there",
        "if nothing is erasing now, erase again, anything: what was begun is finished first",
        repair=False,
    ),
    "quarantined": Problem(
        "corrupt",
        "a record that could not be decoded is kept as it was found",
        "nothing need be done",
        repair=False,
        severity="note",
    ),
    "history_mended": Problem(
        "history",
        "windows mend this, and list it: no provider would take the messages as they are",
        "nothing need be done",
        repair=False,
        severity="note",
    ),
}
"""Every problem by its name, in the order that repairs are made in, but for those that are not made."""


def finding(problem: str, where: str, detail: str, *, session_id: str | None = None, seq: int | None = None) -> Finding:
    """A finding of a problem of the list."""
    known = PROBLEMS[problem]
    return Finding(
        kind=known.kind,
        where=where,
        detail=detail,
        problem=problem,
        severity=known.severity,
        meaning=known.meaning,
        remedy=known.remedy,
        repairable=known.repair,
        session_id=session_id,
        seq=seq,
    )


class Findings:
    """Findings as they come, the first of each problem one by one and the others as a number."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: list[Finding] = []
        self._counts: dict[str, int] = {}

    def add(self, found: Finding) -> None:
        """Take one."""
        count = self._counts[found.problem] = self._counts.get(found.problem, 0) + 1
        if count <= LISTED:
            self._found.append(found)

    def all(self) -> list[Finding]:
        """All of them."""
        more = [
            finding(problem, self._name, f"and {count - LISTED:,} more like this")
            for problem, count in self._counts.items()
            if count > LISTED
        ]
        return [*self._found, *more]

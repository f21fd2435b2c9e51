"""Mending what a check found in a SQLite store: one problem in one transaction, and nothing readable is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

import msgspec

from palaver import codec, ids, media
from palaver.codec import CODEC_VERSION
from palaver.errors import CorruptRecord
from palaver.findings import Repaired
from palaver.operations import Ledger, Operation
from palaver.operations.ranges import cut_range, joined, merged, without
from palaver.rows import GONE, ChangeKind, SessionRow
from palaver.search import WORDS_VERSION
from palaver.stores.sqlite.bodies import right_kind
from palaver.stores.sqlite.checking import gaps, newest_user
from palaver.stores.sqlite.fields import SESSION_FIELDS, TODO_FIELDS, TURN_FIELDS, bad_fields, turn_place
from palaver.stores.sqlite.ledger import SqliteLedger
from palaver.stores.sqlite.rows import LAST, cut_row, head_row, newer_head
from palaver.stores.sqlite.spots import Sink, Spot
from palaver.stores.tails import live_ranges
from palaver.times import from_micros
from palaver.titles import folded, next_free

__all__ = ["MENDS", "Mend", "repaired"]

_MOST_PASSES = 4


def repaired(look: Callable[[Sink], None], mend: Callable[[Mend], Repaired], at: int) -> list[Repaired]:
    """Look, mend, and look again: what was mended may uncover something, as a session that was made has counts."""
    done: list[Repaired] = []
    for _ in range(_MOST_PASSES):
        places: dict[str, set[int]] = {}
        look(lambda spot, places=places: _note(places, spot))  # type: ignore[misc]
        failed = {each.problem for each in done if each.failed is not None}
        todo = [name for name in MENDS if name in places and name not in failed]
        if not todo:
            break
        answers = [mend(Mend(at=at, problem=name, places=tuple(sorted(places[name])))) for name in todo]
        done += [answer for answer in answers if answer.count or answer.failed is not None]
    return done


def _note(places: dict[str, set[int]], spot: Spot) -> None:
    """Keep where a problem is: session number << 32 | seq."""
    places.setdefault(spot.problem, set()).add((spot.number or 0) << 32 | (spot.seq or 0))


class Mend(Operation, frozen=True, kw_only=True, tag="mend"):
    """Mend one problem where a check saw it. The SQLite store's own business; it is committed alone.

    Each mends what is wrong when it runs: what was set right meanwhile, or never was wrong, it leaves alone.
    """

    problem: str
    places: tuple[int, ...]

    def failed(self, why: Exception) -> Repaired:
        """What is said where it could not be done."""
        return Repaired(problem=self.problem, count=0, action="nothing", failed=str(why))

    def apply(self, ledger: Ledger) -> Repaired:
        action, mend = MENDS[self.problem]
        return Repaired(problem=self.problem, count=mend(_Work(cast("SqliteLedger", ledger), self)), action=action)


class _Work:
    """One mend under way."""

    def __init__(self, ledger: SqliteLedger, mend: Mend) -> None:
        self.ledger = ledger
        self.sql = ledger.mending()
        self.at = mend.at
        self.places = mend.places

    @property
    def numbers(self) -> list[int]:
        """The sessions concerned."""
        return sorted({place >> 32 for place in self.places if place >> 32})

    def changed(self) -> int:
        """How many rows the last statement changed."""
        return self.sql.changed()

    def aside(self, location: str, body: bytes | str) -> None:
        """Keep bytes as they were found."""
        data = body if isinstance(body, bytes) else body.encode()
        self.sql.run("put_quarantine", (location, self.at, data))

    def tell(self, number: int) -> None:
        """Let readers know that a session is another than they saw."""
        for (rev,) in self.sql.all("mend_next_rev", (number,)):
            self.ledger.add_change(number, rev, ChangeKind.REPAIRED)

    def remove(self, number: int, ranges: Iterable[tuple[int, int]]) -> None:
        """Mark positions as purged, and remove what may be there."""
        for low, high in ranges:
            row: SessionRow = cut_range(self.ledger, self.ledger.session(number), low, high, "purge")
            self.ledger.purge_messages(number, low, high)
            self.ledger.add_change(number, row.rev, ChangeKind.PURGED, low, high)


def _statement(*names: str) -> Callable[[_Work], int]:
    """Mend by statements alone; the last one's rows are counted."""

    def mend(work: _Work) -> int:
        for name in names:
            work.sql.run(name, {"at": work.at} if name == "mend_versions_aside" else ())
        return work.changed()

    return mend


def _each(name: str) -> Callable[[_Work], int]:
    """Mend each session by a statement, and tell."""

    def mend(work: _Work) -> int:
        for number in work.numbers:
            work.sql.run(name, (number,))
            work.tell(number)
        return len(work.numbers)

    return mend


def _indexes(work: _Work) -> int:
    work.sql.run("mend_indexes")
    return 1


def _meta(work: _Work) -> int:
    for name, value in (("codec", str(CODEC_VERSION)), ("pruned", "0")):
        work.sql.run("mend_meta", (name, value))
    return len(work.places)


def _numbers(work: _Work) -> int:
    work.sql.run("mend_number_drop")
    work.sql.run("mend_number_mark")
    return 1


def _recovered(work: _Work) -> int:
    for number in work.numbers:
        session_id = ids.session_id(from_micros(work.at))
        work.sql.run("mend_recovered", {"number": number, "id": session_id, "at": work.at})
        work.tell(number)
    _numbers(work)
    return len(work.numbers)


def _session_fields(work: _Work) -> int:
    done = 0
    for number in work.numbers:
        row = work.sql.one("check_session_row", (number,)) or ()
        for name in bad_fields(SESSION_FIELDS, row):
            text = row[list(SESSION_FIELDS).index(name)]
            work.aside(f"session number {number}, {name}", text)
            work.sql.run("mend_session_fields", {"field": name, "id": number})
            done += 1
        work.tell(number)
    return done


def _turn_fields(work: _Work) -> int:
    done = 0
    for number in work.numbers:
        for turn in work.sql.all("check_turn_rows", (number << 32, number << 32 | LAST)):
            for name in bad_fields(TURN_FIELDS, turn[1:]):
                text = turn[1 + list(TURN_FIELDS).index(name)]
                work.aside(turn_place(turn[0], name), text)
                work.sql.run("mend_turn_fields", {"field": name, "id": turn[0]})
                done += 1
        work.tell(number)
    return done


def _todo_fields(work: _Work) -> int:
    for number in work.numbers:
        row = work.sql.one("check_todo_row", (number,))
        if row is not None and bad_fields(TODO_FIELDS, row):
            work.aside(f"session number {number}, to-do, holder", row[0])
            work.sql.run("mend_todo_holder", (number,))
        work.tell(number)
    return len(work.numbers)


def _turns(work: _Work) -> int:
    for place in work.places:
        work.sql.run("mend_turn", {"at": work.at, "id": place})
        work.tell(place >> 32)
    return len(work.places)


def _bodies(work: _Work) -> int:
    found: dict[int, list[tuple[int, int]]] = {}
    for place in work.places:
        row = work.sql.one("message", (place,))
        if row is None or _is_readable(row[4]):
            continue
        work.aside(f"session number {place >> 32}, seq {place & LAST}", row[4])
        found.setdefault(place >> 32, []).append((place & LAST, place & LAST))
    for number, seqs in found.items():
        work.remove(number, joined(seqs))
    return sum(map(len, found.values()))


def _is_readable(body: bytes) -> bool:
    try:
        codec.decode(body)
    except CorruptRecord:
        return False
    return True


def _old_bodies(work: _Work) -> int:
    done = 0
    for place in work.places:
        for version, _, _, body in work.sql.all("versions", (place,)):
            if not _is_readable(body):
                work.aside(f"session number {place >> 32}, seq {place & LAST}, version {version}", body)
                work.sql.run("mend_version", (place, version))
                done += 1
    return done


def _kinds(work: _Work) -> int:
    done: set[int] = set()
    for place in work.places:
        row = work.sql.one("message", (place,))
        if row is not None and _is_readable(row[4]):
            message = codec.decode(row[4])
            slim = codec.encode(msgspec.structs.replace(message, seq=0)) if message.seq else row[4]
            work.sql.run("mend_kind", (right_kind(message, row[0]), slim, place))
            done.add(place >> 32)
    for number in done:
        work.tell(number)
    return len(work.places)


def _message_ids(work: _Work) -> int:
    for place in work.places:
        row = work.sql.one("message", (place,))
        if row is not None and _is_readable(row[4]):
            work.sql.run("mend_message_id", (place >> 32, codec.decode(row[4]).id, place & LAST))
    return len(work.places)


def _media_refs(work: _Work) -> int:
    for place in work.places:
        row = work.sql.one("message", (place,))
        if row is not None and _is_readable(row[4]):
            refs = [(address, place) for address in media.addresses(codec.decode(row[4]))]
            work.sql.many("put_media_ref", refs)
    return len(work.places)


def _ended_keys(work: _Work) -> int:
    for number in work.numbers:
        work.sql.run("mend_reopened", (number,))
        work.tell(number)
    work.sql.run("mend_keys_deleted")
    return len(work.numbers)


def _gaps(work: _Work) -> int:
    done = 0
    for number in work.numbers:
        cuts = [cut_row(row) for row in work.sql.all("cuts", (number,))]
        purged = joined([(c.from_seq, c.through_seq) for c in cuts if c.kind in GONE])
        holes = gaps(work.sql, number, work.ledger.head(number).last_seq)
        missing = [piece for low, high in holes for piece in without(purged, low, high)]
        work.remove(number, missing)
        done += sum(high - low + 1 for low, high in missing)
    return done


def _counts(work: _Work) -> int:
    for number in work.numbers:
        base = number << 32
        row = work.sql.one("head", (number,))
        if row is None:
            continue
        stored = head_row(row)
        head = newer_head(stored, work.sql.one("newest_after", (base | stored.last_seq, base | LAST)))
        cuts = tuple(cut_row(each) for each in work.sql.all("cuts", (number,)))
        live = live_ranges(merged(cuts), 1, LAST)
        total = sum(work.sql.all("count_messages", (base | low, base | high))[0][0] for low, high in live)
        user = newest_user(work.sql, number, live)
        work.sql.run("put_head", (head.last_seq, total, head.last_active, user, number))
        work.tell(number)
    return len(work.numbers)


def _is_taken(work: _Work, owner: str, title: str) -> bool:
    return work.sql.one("titled", (owner, title)) is not None


def _titles(work: _Work) -> int:
    for number in work.numbers:
        row = work.ledger.session(number)
        if row.title is None:
            continue
        free = next_free(row.title, partial(_is_taken, work, row.owner))
        work.sql.run("mend_title", (free, folded(free), number))
        work.tell(number)
    return len(work.numbers)


def _search(work: _Work) -> int:
    [(newest,)] = work.sql.all("highest_change")
    told = [row[0] for row in work.sql.all("search_state")]
    if max(told, default=0) > (newest or 0):  # the end of the feed is lost: its positions are not given out again
        newest = max(told)
        work.sql.run("put_meta", ("pruned", str(newest)))
    work.sql.run("mend_search_drop")
    work.sql.run("mend_search_state", (newest or 0, 0, 0, WORDS_VERSION))
    work.sql.run("clear_index")
    return len(work.places)


def _feed_orphans(work: _Work) -> int:
    work.sql.run("mend_feed_mark")
    work.sql.run("mend_feed_orphans")
    return work.changed()


_DROPPED = "dropped what belonged to nothing"
_COUNTED = "counted anew"

MENDS: dict[str, tuple[str, Callable[[_Work], int]]] = {
    "database_index": ("built the database's indexes anew", _indexes),
    "meta": ("wrote what this version would", _meta),
    "session_missing": ("made a session for them", _recovered),
    "number_reuse": ("moved the mark on", _numbers),
    "id_orphan": (_DROPPED, _statement("mend_ids")),
    "version_orphan": ("moved them into quarantine", _statement("mend_versions_aside", "mend_versions")),
    "turn_orphan": (_DROPPED, _statement("mend_turns")),
    "queue_orphan": (_DROPPED, _statement("mend_queue")),
    "cut_orphan": (_DROPPED, _statement("mend_cuts")),
    "compaction_orphan": (_DROPPED, _statement("mend_compactions")),
    "usage_orphan": (_DROPPED, _statement("mend_usage")),
    "todo_orphan": (_DROPPED, _statement("mend_todos")),
    "import_orphan": (_DROPPED, _statement("mend_imports")),
    "alias_orphan": (_DROPPED, _statement("mend_aliases")),
    "key_orphan": (_DROPPED, _statement("mend_keys")),
    "key_ended": ("reopened the session, or dropped the key of a deleted one", _ended_keys),
    "key_previous": ("forgot what the key pointed at before", _statement("mend_previous")),
    "session_undecodable": ("set the text aside and emptied the field", _session_fields),
    "turn_undecodable": ("set the text aside and emptied the field", _turn_fields),
    "todo_undecodable": ("set the text aside and emptied the field", _todo_fields),
    "turn_state": ("closed it as interrupted", _turns),
    "turn_running": ("closed it as interrupted", _turns),
    "rev_behind": ("moved the version on", _each("mend_rev")),
    "cut_count": (_COUNTED, _each("mend_cut_counts")),
    "summary_pointer": ("chose the newest summary that holds", _each("mend_summary")),
    "version_undecodable": ("set the bytes aside and dropped the version", _old_bodies),
    "message_undecodable": ("set the bytes aside and marked the position as purged", _bodies),
    "kind_differs": ("set the row right by its message", _kinds),
    "id_missing": ("noted the id", _message_ids),
    "gap": ("marked the positions as purged", _gaps),
    "count": (_COUNTED, _counts),
    "newest_user": (_COUNTED, _counts),
    "parent_missing": ("forgot the parent", _each("mend_parent")),
    "parent_circle": ("took the parent from one session of the circle", _each("mend_parent")),
    "title_twice": ("numbered the newer ones", _titles),
    "media_ref_orphan": (_DROPPED, _statement("mend_media_refs")),
    "media_unreferred": ("noted the reference", _media_refs),
    "media_unheld": (_DROPPED, _statement("mend_media")),
    "feed_orphan": ("dropped the changes, and expired the cursors before them", _feed_orphans),
    "feed_gap": ("expired the cursors before the gap", _statement("mend_feed")),
    "index_gone": ("began the search index anew", _search),
    "index_missing": ("began the search index anew", _search),
    "index_state": ("began the search index anew", _search),
}
"""What is done about each problem, in this order: what comes later builds on what came before."""

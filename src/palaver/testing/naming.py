"""Conformance: sessions are found by how their titles and ids begin, and titles are numbered within an owner."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.errors import SessionConflict
from palaver.operations import Create, Delete, Restore, SetInfo
from palaver.stores.base import SessionQuery, Store
from palaver.testing.base import StoreCase
from palaver.testing.material import AT, MINUTE, NOW, append, create, do, new, refused

__all__ = ["Beginnings", "Narrowed", "NumberedTitles"]


def _titled(store: Store, session_id: str, title: str, owner: str = "") -> None:
    do(store, Create(at=AT, owner=owner, new=new(session_id, title=title)))


def _ids(store: Store, text: str, owner: str | None = None, limit: int = 10) -> list[str]:
    return [name.id for name in store.beginning(owner, text, by="title", limit=limit)]


class Beginnings(StoreCase):
    """beginning."""

    def test_titles_are_found_by_how_they_begin(self, store: Store) -> None:
        """Folded: case, width and spaces make no difference; in the order of the titles, as many as are wanted."""
        for session_id, title in (("a", "Trip to Rome"), ("b", "trip  to OSLO"), ("c", "Tripods"), ("d", "A trip")):
            _titled(store, session_id, title)
        assert _ids(store, "trip") == ["b", "a", "c"]
        assert _ids(store, "trip to ") == ["b", "a"]
        assert _ids(store, "trip to rome") == ["a"]
        assert _ids(store, "Trip") == []
        assert _ids(store, "", limit=2) == ["d", "b"]
        [name] = store.beginning(None, "trip to rome", by="title", limit=10)
        assert (name.id, name.title, name.owner) == ("a", "Trip to Rome", None)

    @pytest.mark.parametrize("title", ["\u65c5\u884c", "z\U0010ffff", "\ud7ffx", "%", "a_b", "\U0010ffff"])
    def test_any_text_may_begin_a_title(self, store: Store, title: str) -> None:
        """No character has a meaning of its own."""
        _titled(store, "a", title)
        _titled(store, "b", "other")
        for length in range(1, len(title) + 1):
            assert _ids(store, title[:length]) == ["a"]

    def test_titles_that_are_gone_are_not_found(self, store: Store) -> None:
        """Taken away, changed, or of a deleted session, until that is restored."""
        _titled(store, "a", "plans")
        do(store, SetInfo(at=AT, session_id="a", title="notes"))
        assert (_ids(store, "plans"), _ids(store, "notes")) == ([], ["a"])
        do(store, Delete(at=AT, session_id="a"))
        assert (_ids(store, "notes"), store.beginning(None, "a", by="id", limit=10)) == ([], [])
        do(store, Restore(at=AT, session_id="a"))
        assert _ids(store, "notes") == ["a"]
        do(store, SetInfo(at=AT, session_id="a", title=None))
        assert _ids(store, "") == []

    def test_names_of_another_owner_are_not_found(self, store: Store) -> None:
        """Neither by title nor by id; without an owner all are."""
        _titled(store, "s1", "plans", "ann")
        _titled(store, "s2", "plans", "bob")
        for owner, found in (("ann", ["s1"]), ("bob", ["s2"]), ("", []), (None, ["s1", "s2"])):
            assert sorted(_ids(store, "pl", owner)) == found
            assert [name.id for name in store.beginning(owner, "s", by="id", limit=10)] == found

    def test_ids_are_found_by_how_they_begin(self, store: Store) -> None:
        """In their order, titled or not, ended, archived and hidden ones too."""
        for session_id in ("x2", "x1", "y1"):
            create(store, session_id, "a")
        do(store, SetInfo(at=AT, session_id="x1", archived=True, hidden=True))
        assert [name.id for name in store.beginning(None, "x", by="id", limit=10)] == ["x1", "x2"]
        assert [name.id for name in store.beginning(None, "x", by="id", limit=1)] == ["x1"]


class NumberedTitles(StoreCase):
    """SetInfo and Create: titles that are numbered, and generated ones."""

    def test_a_taken_title_gets_the_next_number(self, store: Store) -> None:
        """Within the owner, in one commit with what takes it; asked for again, it stays what it is."""
        for n in range(1, 6):
            do(store, Create(at=AT, new=new(f"s{n}", title="plans", title_numbered=True)))
        titles = [store.info(f"s{n}", None, NOW).title for n in range(1, 6)]
        assert titles == ["plans", "plans #2", "plans #3", "plans #4", "plans #5"]
        do(store, SetInfo(at=AT, session_id="s3", title="plans", title_numbered=True))
        assert store.info("s3", None, NOW).title == "plans #3"
        do(store, Create(at=AT, owner="ann", new=new("t", title="plans", title_numbered=True)))
        assert store.info("t", None, NOW).title == "plans"

    def test_who_wants_a_taken_title_is_told_of_a_free_one(self, store: Store) -> None:
        """And of the session that has it; nothing is changed."""
        _titled(store, "a", "plans")
        create(store, "b", "x")
        error = refused(store, SetInfo(at=AT, session_id="b", title="plans"), SessionConflict)
        assert (error.actual, "'plans #2'" in str(error)) == ("a", True)
        assert store.info("b", None, NOW).title is None

    def test_a_generated_title_never_replaces_the_users_own(self, store: Store) -> None:
        """It replaces one that was generated; the user's own replaces any."""
        create(store, "s", "a")
        generated = SetInfo(at=AT, session_id="s", title="guess", title_source="generated")
        assert do(store, generated).title == "guess"
        info = store.info("s", None, NOW)
        assert (info.title, info.title_source) == ("guess", "generated")
        do(store, SetInfo(at=AT, session_id="s", title="second guess", title_source="generated"))
        do(store, SetInfo(at=AT, session_id="s", title="mine"))
        rev = store.info("s", None, NOW).rev
        assert do(store, generated).title == "mine"
        info = store.info("s", None, NOW)
        assert (info.title, info.title_source, info.rev) == ("mine", "user", rev)
        do(store, SetInfo(at=AT, session_id="s", title=None))
        assert do(store, generated).title == "guess"


ORIGINS = {
    "a": '{"platform":"telegram","agent":"main"}',
    "b": '{"platform":"telegram","agent":"coder","account":"bot2"}',
    "c": '{"platform":"slack","account":"bot2"}',
    "d": None,
    "e": '{"platform":"telegram","agent":"main"}',
}


class Narrowed(StoreCase):
    """sessions, of those that are as wanted."""

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ({"platform": "telegram"}, "ba"),
            ({"agent": "coder"}, "b"),
            ({"account": "bot2"}, "cb"),
            ({"account": "bot2", "platform": "slack"}, "c"),
            ({"tag": "work"}, "db"),
            ({"tag": ","}, "a"),
            ({"tag": 'x"y'}, "c"),
            ({"tag": "wor"}, ""),
            ({"title": "plan"}, "da"),
            ({"title": "\u00e9t\u00e9"}, "b"),
            ({"title": "%"}, ""),
            ({"pinned": True}, "b"),
            ({"pinned": False, "platform": "telegram"}, "a"),
            ({"archived": True}, "c"),
            ({"archived": False, "include_archived": True}, "dba"),
            ({"hidden": True}, "e"),
            ({"hidden": False, "include_hidden": True, "tag": "work"}, "db"),
            ({"include_hidden": True, "platform": "telegram"}, "eba"),
            ({"owner": "ann", "tag": "work"}, "d"),
            ({"owner": "bob", "tag": "work"}, ""),
            ({"platform": "none"}, ""),
        ],
    )
    def test_lists_are_narrowed(self, store: Store, wanted: dict[str, Any], found: str) -> None:
        """By where a session began, its tags, its title and its marks; the newest first, page by page."""
        tags = {"a": (",",), "b": ("home", "work"), "c": ('x"y', "z"), "d": ("work",), "e": ("work",)}
        titles = {"a": "Old plans", "b": "L'\u00c9t\u00e9", "d": "PLAN B"}
        for n, (session_id, origin) in enumerate(ORIGINS.items()):
            made = new(session_id, origin=origin, title=titles.get(session_id))
            do(store, Create(at=AT + n * MINUTE, owner="ann" if session_id == "d" else None, new=made))
            append(store, session_id, "hi", at=AT + n * MINUTE)
            do(store, SetInfo(at=AT, session_id=session_id, tags=tags[session_id]))
        do(store, SetInfo(at=AT, session_id="b", pinned=True))
        do(store, SetInfo(at=AT, session_id="c", archived=True))
        do(store, SetInfo(at=AT, session_id="e", hidden=True))
        include: dict[str, Any] = {"include_archived": wanted.get("archived") is None} | wanted
        assert [info.id for info in store.sessions(SessionQuery(**include), NOW)] == list(found)
        paged: list[str] = []
        while True:
            after = paged[-1] if paged else None
            page = store.sessions(SessionQuery(limit=1, after=after, **include), NOW)
            if not page:
                break
            paged += [info.id for info in page]
        assert paged == list(found)

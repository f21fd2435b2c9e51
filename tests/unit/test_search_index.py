"""The search index of the SQLite store: how it follows, what it costs others, and what it never takes in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import apsw
import pytest

from palaver import codec
from palaver.errors import StoreFull
from palaver.model import user
from palaver.operations import Append, Create, Edit, NewSession, Purge
from palaver.search import SearchHit, SearchQuery
from palaver.stores import Store, open_store, searching
from palaver.stores.sqlite import SqliteStore
from palaver.stores.sqlite.indexing import STEP, Step

AT = 1_700_000_000_000_000


def said(store: Store, *texts: str, session_id: str = "s") -> None:
    """Store messages, in a session that is made where there is none."""
    drafts = tuple(codec.draft(user(text)) for text in texts)
    store.commit([Create(at=AT, new=NewSession(id=session_id, explicit=True))])
    [answer] = store.commit([Append(at=AT, session_id=session_id, messages=drafts)])
    assert not isinstance(answer, Exception)


def found(store: Store, text: str, **fields: Any) -> list[int]:
    """Positions of the hits, in order of position."""
    return sorted(hit.seq for hit in store.search(SearchQuery(text=text, limit=10_000, **fields)))


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """What another program reads in the file."""
    connection = apsw.Connection(str(path))
    try:
        return cast("list[tuple[Any, ...]]", list(connection.execute(statement)))
    finally:
        connection.close()


def change(path: Path, statement: str) -> None:
    """Change the file as another version, or a sweep, would."""
    rows(path, statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "a.db"


def next_step(store: SqliteStore, limit: int = 1_000) -> Step:
    """The step that a search would take now, read and not committed yet."""
    with store._reading() as reads:
        step = reads.index_step(limit, AT)
    assert isinstance(step, Step)
    return step


def test_an_append_does_not_touch_the_index(path: Path) -> None:
    """What is stored is taken in by the next search, and by nothing before."""
    with open_store(path) as store:
        said(store, *(f"plum {n}" for n in range(5)))
        assert rows(path, "SELECT count(*), (SELECT position FROM search_state) FROM search_index_docsize") == [(0, 0)]
        assert len(found(store, "plum")) == 5
        [(count, position)] = rows(
            path, "SELECT count(*), (SELECT position FROM search_state) FROM search_index_docsize"
        )
        assert (count, position) == (5, 2)


def test_what_was_purged_meanwhile_is_not_taken_in(path: Path) -> None:
    """A step that was read before a purge and is committed after it leaves out what the purge removed."""
    with open_store(path) as store:
        assert isinstance(store, SqliteStore)
        said(store, "plum one", "plum two", "plum three")
        step = next_step(store)
        store.commit([Purge(at=AT, session_id="s", from_seq=2, through_seq=2)])
        assert store.commit([step]) == [True]
        assert [place & 0xFF for (place,) in rows(path, "SELECT id FROM search_index_docsize")] == [1, 3]
        assert found(store, "plum") == [1, 3]
        assert store.check() == []


def test_what_was_edited_meanwhile_is_taken_in_as_it_is(path: Path) -> None:
    """A step that was read before an edit is followed by one that knows it."""
    with open_store(path) as store:
        assert isinstance(store, SqliteStore)
        said(store, "plum", "pear")
        step = next_step(store)
        store.commit([Edit(at=AT, session_id="s", seq=1, message=codec.draft(user("apple")))])
        store.commit([step])
        assert found(store, "plum", catch_up=0) == []
        assert (found(store, "plum"), found(store, "apple"), found(store, "pear")) == ([], [1], [2])


def test_a_step_is_taken_once(path: Path) -> None:
    """Of two that were read from one state, the second changes nothing."""
    with open_store(path) as one, open_store(path) as other:
        assert isinstance(one, SqliteStore)
        assert isinstance(other, SqliteStore)
        said(one, *(f"plum {n}" for n in range(6)))
        first, second = next_step(one, 2), next_step(other, 4)
        assert one.commit([first]) == [True]
        assert other.commit([second]) == [False]
        assert one.commit([first, first]) == [False, False]
        assert found(other, "plum") == found(one, "plum") == [1, 2, 3, 4, 5, 6]


def test_a_long_append_is_taken_in_piece_by_piece(path: Path) -> None:
    """A change of more messages than a step has room for is gone on with where it was left, also by another process."""
    count = 2 * STEP + 3
    with open_store(path) as store:
        said(store, *(f"plum {n}" for n in range(count)))
        assert store.index(limit=STEP + 1) > 0
        assert len(found(store, "plum", catch_up=0)) == STEP + 1
    with open_store(path) as store:
        said(store, "plum late", session_id="t")
        assert len(found(store, "plum", session_id="s")) == count
        assert store.search(SearchQuery(text="late")).behind == 0


def test_an_index_that_lost_the_feed_is_built_anew(path: Path) -> None:
    """Where changes were pruned that it had not seen, it reads the messages themselves."""
    with open_store(path) as store:
        said(store, "plum one", "plum two")
        found(store, "plum")
        said(store, "plum three")
    change(path, "DELETE FROM changes")
    change(path, "UPDATE meta SET value = '3' WHERE name = 'pruned'")
    with open_store(path) as store:
        assert found(store, "plum") == [1, 2, 3]
        said(store, "plum four")
        assert found(store, "plum") == [1, 2, 3, 4]


def test_an_index_of_other_words_is_built_anew(path: Path) -> None:
    """Where another version cut text otherwise, a search without the new index says how much is missing."""
    with open_store(path) as store:
        said(store, "plum one", "plum two")
        found(store, "plum")
    change(path, "UPDATE search_state SET words = 0")
    with open_store(path) as store:
        assert store.search(SearchQuery(text="plum", catch_up=0)).behind > 0
        assert found(store, "plum") == [1, 2]
        assert rows(path, "SELECT words, walked FROM search_state") == [(1, None)]


def fill(store: Store) -> None:
    """Append until there is no room."""
    for n in range(1_000):
        store.commit([Append(at=AT, session_id="s", messages=(codec.draft(user(f"plum {n} {'jam ' * 400}")),))])


def test_a_search_answers_where_nothing_can_be_written(path: Path) -> None:
    """Read only, or with a full disk: what the index knows is found, and how much it does not know is said."""
    with open_store(path) as store:
        said(store, "plum one")
        found(store, "plum")
        said(store, "plum two")
    with open_store(f"sqlite:///{path}?mode=ro") as store:
        page = store.search(SearchQuery(text="plum"))
        assert [hit.seq for hit in page] == [1]
        assert page.behind == store.index() > 0
    [(pages,)] = rows(path, "PRAGMA page_count")
    with open_store(f"sqlite:///{path}?max_pages={pages}") as store:
        with pytest.raises(StoreFull):
            fill(store)
        page = store.search(SearchQuery(text="plum", limit=10_000))
        assert 1 in [hit.seq for hit in page]


def test_an_exclusive_store_is_searched(path: Path) -> None:
    """Where reads and commits share one connection, too."""
    with open_store(f"sqlite:///{path}?exclusive=1") as store:
        said(store, "plum one")
        assert found(store, "plum") == [1]
        said(store, "plum two")
        assert found(store, "plum") == [1, 2]
        assert store.check() == []


def test_a_word_of_a_message_that_is_gone_is_a_finding(path: Path) -> None:
    """`check` names it, and building the index anew mends it."""
    with open_store(path) as store:
        said(store, "plum one", "plum two")
        found(store, "plum")
    change(path, "DELETE FROM messages WHERE id & 255 = 2")
    with open_store(path) as store:
        assert [f.detail for f in store.check() if f.kind == "index"] == ["the search index has a message that is gone"]
        assert found(store, "plum") == [1]
        store.reindex()
        store.index()
        assert not [f for f in store.check() if f.kind == "index"]


@pytest.mark.parametrize("pool", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("limit", [1, 2, 4, 30])
def test_more_matches_than_are_ranked_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, pool: int, limit: int
) -> None:
    """Every match is given once, alike by every store, the newest sessions' first where not all are ranked together."""
    monkeypatch.setattr(searching, "POOL", pool)
    pages: list[list[tuple[str, int]]] = []
    with open_store("memory://") as memory, open_store(path) as sqlite:
        for store in (memory, sqlite):
            for n in range(3):
                said(store, *(f"plum {'jam ' * ((i * 7 + n) % 4)}" for i in range(4)), session_id=f"s{n}")
            hits: list[SearchHit] = []
            cursor = None
            while True:
                page = store.search(SearchQuery(text="plum", limit=limit, cursor=cursor))
                hits += page
                assert len(page) == limit or page.next is None
                cursor = page.next
                if cursor is None:
                    break
            pages.append([(hit.session_id, hit.seq) for hit in hits])
    assert pages[0] == pages[1]
    assert sorted(pages[0]) == [(f"s{n}", seq) for n in range(3) for seq in range(1, 5)]

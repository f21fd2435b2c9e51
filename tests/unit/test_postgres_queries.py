"""The PostgreSQL store's statements, schema and URLs: all are planned, hot ones never scan, none needs two sessions."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from palaver import codec
from palaver.errors import SchemaMismatch, StoreUnavailable
from palaver.model import assistant, user
from palaver.operations import Append, Begin, Create, Finish, Lease, NewSession, Renew, Rotate
from palaver.stores import open_store, postgres
from palaver.stores.postgres import PostgresStore
from palaver.stores.postgres.place import Place
from palaver.stores.postgres.queries import backup_statements, migrations, queries
from palaver.stores.sqlite.queries import queries as sqlite_queries
from tests.servers.postgres import VERSIONS, databases

SOURCE = Path(postgres.__file__).parent
NAMES = sorted(queries())
# Tables that grow with messages, all of which begin with the session's number.
GROWING = {"messages", "heads", "message_ids", "versions", "turns", "queue", "changes", "media_refs", "search_index"}
# What an append, a turn, and reading a window run: each must find its session by an index, and no other one.
HOT = {
    "sessions_by_number",
    "session",
    "head",
    "message",
    "message_seq",
    "message_seqs",
    "queue",
    "turn",
    "last_turn",
    "tail_state",
    "newest_messages",
    "oldest_messages",
    "bodies",
    "page",
    "cuts",
    "compaction",
    "usage_row",
    "changes_of_session",
    "turn_seqs",
    "turn_bodies",
    "edited_since",
    "move_heads",
    "put_active",
    "put_turn",
    "put_change",
    "put_message",
    "put_message_ids",
}
BY_NAME = {"session_by_id", "session_by_key", "numbers_by_id", "number_by_id", "binding", "bindings", "alias", "titled"}


@pytest.fixture(scope="module", params=VERSIONS)
def planner(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a store, on each version, that plans as for large tables."""
    there = databases(request.param)
    url = there.new("palaver", lambda url: open_store(url).close())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET enable_bitmapscan = off")
        yield connection
    there.drop(url)


def plan(connection: psycopg.Connection[Any], name: str) -> list[dict[str, Any]]:
    """The nodes of a statement's plan, whatever its values."""
    text = f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {queries()[name].text}"
    [row] = cast("Any", connection).execute(text.encode()).fetchall()
    found: list[dict[str, Any]] = []
    left = [row[0][0]["Plan"]]
    while left:
        node = left.pop()
        found.append(node)
        left += node.get("Plans", ())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_can_be_planned(planner: psycopg.Connection[Any], name: str) -> None:
    """Each fits the schema."""
    assert plan(planner, name)


@pytest.mark.parametrize("name", sorted(HOT | BY_NAME))
def test_hot_statements_never_scan(planner: psycopg.Connection[Any], name: str) -> None:
    """Whatever grows is found by an index; what a session has by its number, so that it may live on one shard."""
    for node in plan(planner, name):
        assert node["Node Type"] != "Seq Scan" or node["Relation Name"] == "meta", node
        if node.get("Relation Name") in GROWING and "Scan" in node["Node Type"]:
            assert re.search(r"\(session = ", node.get("Index Cond", "")), node


def test_no_module_holds_sql() -> None:
    """Statements stand in .sql files, but for transaction control, the schema itself and what takes no parameters."""
    statement = re.compile(r"\b(?:INSERT INTO|DELETE FROM|UPDATE \w+\.|SELECT \w+ FROM)\b")
    said = {path.name for path in SOURCE.glob("*.py") if statement.search(path.read_text())}
    assert said <= {"schema.py", "backup.py"}


def test_growing_tables_begin_with_the_session(planner: psycopg.Connection[Any]) -> None:
    """Their first column and the first of their key is the session's number: they can be distributed by it."""
    rows = planner.execute(
        "SELECT t.relname, (SELECT attname FROM pg_attribute WHERE attrelid = t.oid AND attnum = 1),"
        " (SELECT attname FROM pg_attribute WHERE attrelid = t.oid AND attnum = i.indkey[0])"
        " FROM pg_class t JOIN pg_index i ON i.indrelid = t.oid AND i.indisprimary"
        " WHERE t.relnamespace = 'palaver'::regnamespace AND t.relname = ANY(%s)",
        (list(GROWING),),
    ).fetchall()
    assert {row[0] for row in rows} == GROWING
    assert {row[1:] for row in rows} == {("session", "session")}


def test_no_hot_operation_locks_two_sessions(postgres_url: str) -> None:
    """A turn by key, an append, their ends; also some days after a reset, when the session before counts no more."""
    with cast("PostgresStore", open_store(postgres_url)) as store:
        ledger_locks: list[int] = []

        def do(*operations: Any) -> list[Any]:
            answers = store.commit(operations)
            ledger_locks.append(sum(lock > 0 for lock in store.locks_held))
            return answers

        at = int(time.time() * 1e6)
        message = codec.draft(user("hi", id="m1"))
        do(Begin(at=at, key="k", create=NewSession(id="a"), message=message, lease=Lease("t1", 1_000_000)))
        do(Append(at=at, session_id="a", token="t1", messages=(codec.draft(assistant("x")),)))
        do(Renew(at=at, session_id="a", token="t1", micros=1_000_000))
        do(Finish(at=at, session_id="a", token="t1", messages=(codec.draft(assistant("y")),)))
        assert ledger_locks == [1, 1, 1, 1]
        store.commit([Rotate(at=at, key="k", session_id="a", new=NewSession(id="b"))])
        later = at + 3 * 86_400_000_000
        message = codec.draft(user("hi", id="m2"))
        do(Begin(at=later, key="k", session_id="b", message=message, lease=Lease("t2", 1_000_000)))
        do(Append(at=later, session_id="b", messages=(codec.draft(user("more", id="m3")),)))
        assert ledger_locks[4:] == [1, 1]


def test_urls() -> None:
    """The store's own options are taken out, what is libpq's is passed on, and no secret is ever shown."""
    place = Place.of(
        "postgresql://ann:secret@db1:5433,db2/chat?target_session_attrs=read-write&pooled=1&schema=two&timeout=3"
    )
    assert (place.schema, place.pooled, place.timeout) == ("two", True, 3.0)
    assert place.name == "postgresql://db1:5433,db2/chat?schema=two"
    assert "target_session_attrs=read-write" in place.conninfo
    for wrong in ("schema=A-b", "timeout=soon", "clock=mine", "pooled=2", "nonsense=1", "partitions=1"):
        with pytest.raises(ValueError, match="postgresql://db/x") as caught:
            Place.of(f"postgresql://ann:secret@db/x?{wrong}")
        assert "secret" not in str(caught.value)
    assert "dbname=agents" in Place.of("postgresql:///agents").conninfo  # no host: a socket, or PGHOST
    assert "options" not in Place.of("postgresql://db").conninfo
    assert "options='-c work_mem=8MB'" in Place.of("postgresql://db?options=-c%20work_mem%3D8MB").conninfo


@pytest.mark.parametrize("password", ["my@secret", "my/secret", "my?secret", "my#secret", "my%secret", "a@b/secret"])
def test_a_password_that_was_not_encoded_is_not_shown(password: str) -> None:
    """Where it has a character that ends it, the message says how to write that, and neither half of it."""
    with pytest.raises(ValueError, match=r"%40 for @") as caught:
        open_store(f"postgresql://ann:{password}@db/chat")
    assert "secret" not in str(caught.value)
    assert "my" not in str(caught.value)


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_a_mode_makes_no_store(mode: str, postgres_url: str) -> None:
    """A database without one is left as it was, and a schema that is there is opened."""
    with pytest.raises(StoreUnavailable, match="there is no store in this database") as caught:
        open_store(f"{postgres_url}?mode={mode}")
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT to_regnamespace('palaver')").fetchone() == (None,)
    open_store(postgres_url).close()
    open_store(f"{postgres_url}?mode={mode}").close()


def test_a_server_that_is_not_there() -> None:
    """Says so, without the password."""
    with pytest.raises(StoreUnavailable, match=r"postgresql://127\.0\.0\.1:1/x") as caught:
        open_store("postgresql://ann:secret@127.0.0.1:1/x?timeout=0.1")
    assert "secret" not in str(caught.value)


def test_a_later_schema_is_left_as_it_is(postgres_url: str) -> None:
    """A version of Palaver that does not know it says which it knows."""
    open_store(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("COMMENT ON SCHEMA palaver IS 'palaver 99'")
    with pytest.raises(SchemaMismatch) as caught:
        open_store(postgres_url)
    assert (caught.value.found, caught.value.supported) == (99, len(migrations()))


def test_a_schema_of_another_program(postgres_url: str) -> None:
    """Nothing is put into it."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA palaver CREATE TABLE theirs (n int)")
    with pytest.raises(StoreUnavailable, match="another program"):
        open_store(postgres_url)


def test_two_schemas_in_one_database(postgres_url: str) -> None:
    """Two stores, which know nothing of each other."""
    with open_store(f"{postgres_url}?schema=one") as one, open_store(f"{postgres_url}?schema=two") as two:
        one.commit([Create(at=1, new=NewSession(id="s", carried=(codec.draft(user("hi")),)))])
        assert (one.stats(None).messages, two.stats(None).messages) == (1, 0)
        assert two.changes(None) == []


def test_the_statements_of_backups_are_pairs() -> None:
    """Whatever is read is written."""
    names = set(backup_statements())
    assert {name.removeprefix("read_") for name in names if name.startswith("read_")} <= {
        name.removeprefix("write_") for name in names if name.startswith("write_")
    }


# What SQLite's store alone runs; all other statements are run by code that both share.
SQLITES_OWN = {
    "check_integrity",
    "data_version",
    "drop_meta",
    "highest_number",
    "mend_search_moved",
    "merge_index",
    "next_change",
    "put_message_id",
    "search_tagged",
    "tagged",
}


_OF_FILES = ("digest_", "part_")
"""Of statements that are about a file of SQLite's: a backup, and one that is damaged."""


def test_what_sqlite_has_postgresql_has_too() -> None:
    """Shared readers run statements by name: whatever one store's file gains, the other's must, with its parameters."""
    theirs = {n: s for n, s in sqlite_queries().items() if n not in SQLITES_OWN and not n.startswith(_OF_FILES)}
    assert set(theirs) <= set(queries())
    for name, text in theirs.items():
        wanted = set(re.findall(r"(?<!:):([a-z_]+)", text)) - {"terms"}
        had = set(queries()[name].names or ())
        assert had <= wanted | {"tag"}, name
        assert wanted - had <= {"low", "high"}, name

"""A store whose tables are partitioned by the session: what is hot looks into one partition, all else stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import psycopg
import pytest
from psycopg import sql

import palaver
from palaver import Origin, StoreUnavailable, assistant, user
from palaver.moving import Copier
from palaver.stores import open_store
from palaver.stores.postgres.queries import queries
from palaver.stores.postgres.statements import Statements
from palaver.stores.statements import Values
from tests.servers.fixtures import MakeDatabase
from tests.servers.postgres import VERSIONS, databases

PARTITIONS = 5
CHAT = Origin("telegram", chat_id="42", user_id="7")
FUNCTIONS = {"append_one", "append_many"}
# What turns, appends and windows ran when this was written; each is looked at, and must be there to be.
EXPECTED = FUNCTIONS | {
    "bindings",
    "message_seqs",
    "move_heads",
    "newest_messages",
    "put_change",
    "put_message",
    "put_message_ids",
    "put_turn",
    "session_by_key",
    "sessions_by_number",
    "tail_state",
}
# Look for what has no session yet, or is not of one: they touch no table that grows, or no more than their own row.
OTHER = {
    "new_numbers",
    "take",
    "try_lock",
    "notify",
    "confirm",
    "meta",
    "newest_change",
    "is_settled",
    "highest_change",
}


def run_turns(sessions: palaver.SessionManager, session: str) -> None:
    """What an agent does all day, with ids and without."""
    with sessions.begin_turn(CHAT, user("hi", id=f"m-{session}")) as turn:
        turn.append(assistant("one"))
        turn.append(user("more", id=f"n-{session}"))
        turn.finish(assistant("two"))
    there = sessions.get(turn.session_id)
    there.append(user("a"), user("b"))
    there.history()
    there.messages(limit=2)


@pytest.fixture(scope="module", params=VERSIONS)
def ran(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """A store with some sessions, and the statements that turns in one of them ran, with their values."""
    there = databases(request.param)
    url = there.new()
    found: list[tuple[str, Any]] = []
    execute = cast("Any", Statements)._execute

    def recording(self: Statements, cursor: Any, name: str, values: Values) -> Any:
        found.append((name, queries()[name].values(values)))
        return execute(self, cursor, name, values)

    with palaver.open(f"{url}?partitions={PARTITIONS}") as sessions:
        for number in range(25):  # so much that reading all of a table costs more than to look into its index
            others = [user(str(each), id=str(each)) for each in range(60)]
            sessions.create(f"other-{number}").append(*others)
        run_turns(sessions, "1")
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO palaver.heads SELECT n, 1, 1, 0, 1 FROM generate_series(1001, 6000) n")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Statements, "_execute", recording)
            run_turns(sessions, "2")
            with palaver.open(url) as another:  # which remembers nothing
                run_turns(another, "3")
    yield url, found
    there.drop(url)


def touches(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """How often this connection has looked into, or written to, each partition."""
    rows = connection.execute(
        "SELECT relname, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del"
        " FROM pg_stat_xact_user_tables WHERE schemaname = 'palaver' AND relname ~ '_p[0-9]+$'"
    )
    return dict(rows.fetchall())


def called(connection: psycopg.Connection[Any], name: str, values: Any) -> set[str]:
    """The partitions that a function of the schema touched."""
    given = sql.SQL(", ").join(map(sql.Literal, values))
    before = touches(connection)
    connection.execute(sql.SQL("SELECT palaver.{}({})").format(sql.Identifier(name), given))
    return {partition for partition, count in touches(connection).items() if count > before.get(partition, 0)}


def executed(connection: psycopg.Connection[Any], name: str, values: Any) -> set[str]:
    """The partitions that a statement's plan ran a scan of."""
    made = sql.SQL("EXECUTE asked({})").format(sql.SQL(", ").join(map(sql.Literal, values))) if values else None
    connection.execute(cast("Any", f"PREPARE asked AS {queries()[name].text}"))
    asked = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) ") + (made or sql.SQL("EXECUTE asked"))
    [(told,)] = connection.execute(asked).fetchall()
    connection.execute("DEALLOCATE asked")
    left, found = [told[0]["Plan"]], set[str]()
    while left:
        node = left.pop()
        left += node.get("Plans", ())
        if "_p" in node.get("Relation Name", "") and node["Actual Loops"] > 0:
            found.add(node["Relation Name"])
    return found


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_what_is_hot_looks_into_one_partition(ran: tuple[str, list[tuple[str, Any]]], mode: str) -> None:
    """Planned for its values or for any: of each table that grows, a statement runs on the session's own partition."""
    url, statements = ran
    assert {name for name, _ in statements} >= EXPECTED
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
        for each in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):  # as for tables that are large
            connection.execute(cast("Any", f"SET {each} = off"))
        connection.execute(cast("Any", f"SET plan_cache_mode = {mode}"))
        looked = 0
        for name, values in statements:
            if name in OTHER:
                continue
            with connection.transaction(force_rollback=True):
                if name == "put_message":  # what it once stored is not to be in its way
                    connection.execute("DELETE FROM palaver.messages WHERE session = ANY(%s)", (values[0],))
                found = (called if name in FUNCTIONS else executed)(connection, name, values)
            assert name not in FUNCTIONS or found
            looked += len(found)
            assert len({each.rpartition("_p")[2] for each in found}) <= 1, (name, found)
        assert looked > len(EXPECTED)


def test_a_store_moves_into_partitions(postgres_url: str, new_postgres_url: MakeDatabase) -> None:
    """By `copy`, from one that has none: the same sessions, in tables that have them; each keeps its indexes' names."""
    url = new_postgres_url()
    with palaver.open(postgres_url) as sessions:
        run_turns(sessions, "1")
        [session] = sessions.list()
        transcript = sessions.get(session.id).messages()
    with open_store(postgres_url) as source, open_store(f"{url}?partitions={PARTITIONS}") as target:
        Copier(source, target).copy()
    with palaver.open(url) as sessions:
        assert sessions.get(session.id).messages() == transcript
        assert sessions.check() == []
    named: list[set[Any]] = []
    for each in (postgres_url, url):
        with psycopg.connect(each) as connection:
            named.append(
                set(
                    connection.execute(
                        "SELECT t.relname, i.relname, x.indisunique, x.indkey::text FROM pg_index x"
                        " JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid"
                        " WHERE t.relnamespace = 'palaver'::regnamespace AND NOT t.relispartition"
                    )
                )
            )
    assert named[0] == named[1]
    with psycopg.connect(url) as connection:
        plain = connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1"
            " WHERE c.relnamespace = 'palaver'::regnamespace AND a.attname = 'session'"
            " AND c.relkind = 'r' AND NOT c.relispartition"
        ).fetchall()
        assert plain == []
        [(parts,)] = connection.execute(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'palaver.heads'::regclass"
        ).fetchall()
        [(options,)] = connection.execute("SELECT reloptions FROM pg_class WHERE relname = 'heads_p0'").fetchall()
        assert (parts, options) == (PARTITIONS, ["fillfactor=50"])


def test_partitions_are_made_with_the_store(new_postgres_url: MakeDatabase) -> None:
    """A URL that asks for as many, or does not say, opens it; one that asks for others is told what to do."""
    url, plain = new_postgres_url(), new_postgres_url()
    open_store(f"{url}?partitions=2").close()
    open_store(f"{url}?partitions=2").close()
    open_store(url).close()
    open_store(plain).close()
    for wrong in (f"{url}?partitions=3", f"{plain}?partitions=3"):
        with pytest.raises(StoreUnavailable, match="palaver copy"):
            open_store(wrong)
    for number in ("1", "257", "many"):
        with pytest.raises(ValueError, match="an option has a value"):
            open_store(f"{url}?partitions={number}")

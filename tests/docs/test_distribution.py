"""The DDL that docs/scale.md gives for distributed engines is about the tables that a store really has.

None of these engines runs here. What can be held against the page is a store's own schema: that everything named is in
it, that what grows with messages is distributed by its session, and that a rule of Citus about unique columns is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from palaver.stores import open_store
from tests.servers.fixtures import MakeDatabase
from tests.servers.postgres import DEFAULT_VERSION, databases

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"
ENGINES = ("Citus", "CockroachDB", "YugabyteDB")
INDEX = re.compile(r"CREATE INDEX (\w+) ON palaver\.(\w+) \(([^)]*)\)")
PRIMARY = re.compile(r"ALTER TABLE palaver\.(\w+) (?:ADD|ALTER) PRIMARY KEY (?:USING COLUMNS )?\(([^)]*)\)")
# What Citus does with these, as far as it says no: a unique index has to have the column that it divides by.
STAND_INS = """
CREATE TABLE public.placed (name text PRIMARY KEY, kind text, by text);
CREATE FUNCTION public.create_distributed_table(p_table regclass, p_column text, colocate_with text DEFAULT 'default')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = p_table AND i.indisunique AND NOT EXISTS (
        SELECT 1 FROM pg_attribute a
        WHERE a.attrelid = p_table AND a.attname = p_column AND a.attnum = ANY(i.indkey::smallint[])
    )) THEN
        RAISE EXCEPTION '% is unique by other columns than %', p_table, p_column;
    END IF;
    INSERT INTO public.placed SELECT relname, 'distributed', p_column FROM pg_class WHERE oid = p_table;
END $$;
CREATE FUNCTION public.create_reference_table(p_table regclass) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO public.placed SELECT relname, 'reference' FROM pg_class WHERE oid = p_table $$;
CREATE FUNCTION public.citus_add_local_table_to_metadata(p_table regclass) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO public.placed SELECT relname, 'local' FROM pg_class WHERE oid = p_table $$;
"""


def block(engine: str) -> str:
    """The DDL for an engine; what stands before it says that it was not tested."""
    text = PAGE.read_text(encoding="utf-8").partition(f"### {engine}\n")[2]
    before, _, after = text.partition("```sql\n")
    assert f"Written for {engine}, not tested here." in before
    return after.partition("```")[0]


@pytest.fixture(scope="module")
def connection() -> Iterator[psycopg.Connection[Any]]:
    """A store that is partitioned by the session."""
    there = databases(DEFAULT_VERSION)
    url = there.new()
    open_store(f"{url}?partitions=2").close()
    with psycopg.connect(url, autocommit=True) as made:
        yield made
    there.drop(url)


def growing(connection: psycopg.Connection[Any]) -> set[str]:
    """The tables that the store itself partitions by their session."""
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'palaver'::regnamespace AND relkind = 'p'"
    )
    return {row[0] for row in rows}


def keys(connection: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """The columns of every table's primary key, in order; [] for a table without one."""
    rows = connection.execute(
        "SELECT c.relname, array_remove(array_agg(a.attname::text ORDER BY k.place), NULL) FROM pg_class c"
        " LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary"
        " LEFT JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY k (number, place) ON true"
        " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number"
        " WHERE c.relnamespace = 'palaver'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        " GROUP BY c.relname"
    )
    return dict(rows.fetchall())


def columns(text: str) -> list[str]:
    """The columns in an index's parentheses, without how they are ordered."""
    return [each.split()[0].strip('"') for each in text.split(",")]


def test_citus_is_told_of_every_table(new_postgres_url: MakeDatabase, connection: psycopg.Connection[Any]) -> None:
    """The block runs, each table is placed once, and those that grow are divided by the session, as Citus allows."""
    url = new_postgres_url()
    open_store(url).close()
    with psycopg.connect(url, autocommit=True) as plain:
        plain.execute(STAND_INS)
        plain.execute(cast("Any", block("Citus")))
        placed = plain.execute("SELECT name, kind, by FROM public.placed").fetchall()
    assert {name for name, _, _ in placed} == set(keys(connection))
    assert {name for name, kind, by in placed if (kind, by) == ("distributed", "session")} == growing(connection)
    assert {kind for _, kind, _ in placed} == {"distributed", "reference", "local"}


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_tables_columns_and_indexes_are_those_of_the_schema(engine: str, connection: psycopg.Connection[Any]) -> None:
    """All that is named is there; a primary key keeps its columns; what is dropped is made again."""
    text, primary = block(engine), keys(connection)
    assert (
        growing(connection) <= {found[1] for found in re.finditer(r"ALTER TABLE palaver\.(\w+)", text)} <= set(primary)
    )
    for table, named in PRIMARY.findall(text):
        assert columns(named) == primary[table], table
    made = {name: (table, columns(named)) for name, table, named in INDEX.findall(text)}
    assert made
    dropped = {name for line in re.findall(r"DROP INDEX (.*);", text) for name in re.findall(r"palaver\.(\w+)", line)}
    assert set(made) == dropped
    for name, (table, named) in made.items():
        [(there, definition)] = connection.execute(
            "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'palaver' AND indexname = %s", (name,)
        ).fetchall()
        inside = re.search(r"\(([^)]*)\)", definition)
        assert inside is not None
        assert (there, columns(inside[1])) == (table, named)
        assert (" WHERE " in definition) == bool(re.search(rf"CREATE INDEX {name} .* WHERE ", text))
    for table, column in re.findall(r"SPLIT AT SELECT (\w+) FROM palaver\.(\w+)", text):
        assert primary[column] == [table]


def test_yugabyte_hashes_by_the_session(connection: psycopg.Connection[Any]) -> None:
    """Every table that grows is hashed by its session, and by nothing else."""
    hashed = {table: re.findall(r"(\w+) HASH", f"({named})") for table, named in PRIMARY.findall(block("YugabyteDB"))}
    assert {table for table, by in hashed.items() if by == ["session"]} == growing(connection)

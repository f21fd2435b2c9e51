"""Lines of the JSONL store: every statement that writes has one, or a reason; and each comes back as it was."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.stores.jsonl.columns import is_text, value_of
from palaver.stores.jsonl.lines import LOGGED, MENDS, STORE, UNLOGGED, columns, line_of, number_of, statement_of
from palaver.stores.jsonl.names import file_name
from palaver.stores.jsonl.recording import PACKAGE
from palaver.stores.sqlite.queries import migrations, queries

WRITES = re.compile(r"INSERT|UPDATE|DELETE|REPLACE")
NUMBER = 7


def test_every_statement_that_writes_is_accounted_for() -> None:
    """A new table's rows are in the files, or somebody said why not."""
    writing = {name for name, text in queries().items() if WRITES.match(text)}
    assert {name for name in writing if not name.startswith(MENDS)} == LOGGED.keys() | UNLOGGED.keys()


def test_every_row_is_in_a_snapshot() -> None:
    """What has lines is in a file that is written anew, but for what only takes away."""
    snapshots = {name.removeprefix("snapshot_") for name in queries(PACKAGE) if name.startswith("snapshot_")}
    removals = {"put_head", "rewrite_message", *(name for name in LOGGED if name.startswith(("drop_", "purge_")))}
    assert snapshots == LOGGED.keys() - removals
    for name in snapshots:
        selected = re.split(r"\s+FROM\s+", queries(PACKAGE)[f"snapshot_{name}"])[0].removeprefix("SELECT ")
        assert tuple(column.strip().split(" AS ")[-1] for column in selected.replace("\n", " ").split(",")) == columns(
            name
        )


def values_of(name: str) -> st.SearchStrategy[tuple[Any, ...]]:
    """Values that a statement may be given."""
    logged = LOGGED[name]
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    made: list[st.SearchStrategy[Any]] = []
    for place, column in enumerate(columns(name)):
        if logged.kind == "purge" or (place == logged.place and logged.shifted):
            made.append(st.integers(0, 2**32 - 1).map(lambda seq: NUMBER << 32 | seq))
        elif place == logged.place:
            made.append(st.just(NUMBER))
        elif column == "mark":
            made.append(st.binary(min_size=1, max_size=9))
        elif column == "body":
            made.append(
                st.sampled_from([b'{"role":"user"}', b'{"role":"user","x":" \\n"}', b"\xff", b"{", b'{"a":\n1}'])
            )
        elif column in ("at", "edited_at"):
            made.append(st.integers(-(10**15), 10**16))
        elif is_text(name, column):
            may_be_null = value_of(name, column, {}) is None
            made.append(st.none() | texts if may_be_null else texts)
        else:
            made.append(st.integers(0, 9))
    return st.tuples(*made)


@pytest.mark.parametrize("name", sorted(LOGGED))
@given(data=st.data())
def test_a_line_comes_back_as_it_was(name: str, data: st.DataObject) -> None:
    """On one line, whatever it holds."""
    values = list(data.draw(values_of(name)))
    if name == "put_message":
        seq = max(values[0] & 0xFFFFFFFF, 10)
        values[0], values[2], values[3] = NUMBER << 32 | seq, values[2] - 1, values[3]
    line = line_of(name, tuple(values)) + b"}"
    assert b"\n" not in line
    (found, back), _ = statement_of(line, NUMBER)
    assert found == name
    assert list(back) == values
    assert number_of(name, values) == (0 if LOGGED[name].place == STORE else NUMBER)


def test_the_types_of_columns_are_those_of_the_schema(tmp_path: Path) -> None:
    """What a line may say for a column is what the index takes there: text, a number, or nothing."""
    with apsw.Connection(str(tmp_path / "s.db")) as made:
        for script in migrations():
            made.execute(script)
        tables = {
            table: {row[1]: (row[2], row[3] or row[5]) for row in made.execute(f"PRAGMA table_info({table})")}
            for (table,) in made.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
    made.close()
    seen = 0
    for name, logged in LOGGED.items():
        [table] = re.findall(r"(?:INTO|UPDATE|FROM) (\w+)", queries()[name].replace("DO UPDATE SET", ""))[:1]
        for place, column in enumerate(columns(name)):
            if place == logged.place or logged.kind == "purge" or column in {"body", "mark"} or name == "put_message":
                continue
            # What a removal says beside its key is asked of the row that it removes.
            declared, required = tables[table].get(column, ("INTEGER", 1))
            assert is_text(name, column) is (declared == "TEXT"), (name, column)
            assert (value_of(name, column, {}) is None) is (not required), (name, column)
            seen += 1
    assert seen > 80


@given(st.text(max_size=200), st.text(max_size=200))
def test_two_ids_never_have_one_name(one: str, other: str) -> None:
    """Not even where capitals do not count; and no name is too long, or leaves its directory."""
    try:
        names = file_name(one), file_name(other)
    except UnicodeEncodeError:  # no store keeps half a character in an id
        return
    assert (names[0].casefold() == names[1].casefold()) is (one == other)
    assert all(len(name) <= 130 and "/" not in name and not name.startswith(".") for name in names)

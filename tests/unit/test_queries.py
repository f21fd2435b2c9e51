"""The SQLite store's statements and schema: all can run, hot ones never scan, and foreign files stay whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import apsw
import pytest

import palaver
from palaver import codec
from palaver.codec import CODEC_VERSION
from palaver.errors import SchemaMismatch, StoreError, StoreUnavailable
from palaver.model import assistant, user
from palaver.operations import Append, Begin, Create, Cut, Finish, Lease, NewSession
from palaver.stores import open_store, sqlite
from palaver.stores.schema import oldest_code
from palaver.stores.sqlite import SqliteStore, searching
from palaver.stores.sqlite.connection import APPLICATION_ID
from palaver.stores.sqlite.queries import migrations, queries, statements

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(sqlite.__file__).parent
AT = 1_700_000_000_000_000
NAMES = sorted(queries())
PRAGMAS = {name for name in NAMES if queries()[name].upper().startswith("PRAGMA")}

# All others run for every turn, every append or every page of a listing: none may cost more in a larger store.
COLD = {
    "highest_number": "once per connection, from SQLite's own table of counters",
    "highest_change": "once per connection",
    "keys_of_many": "reads an array of its own, and sorts what one page has",
    "running": "reads the index of running turns, see below",
    "running_turns": "reads the index of running turns, see below",
    "usage_lines": "a report",
    "usage_totals": "a report",
    "totals": "a report",
    "record_keys": "a session's few keys, sorted, when it is copied",
    "record_aliases": "the same with its names",
    "record_purged_ids": "the ids of one session, when it is copied",
    **{name: "the doctor looks at everything" for name in NAMES if name.startswith(("check_", "mend_", "digest_"))},
    **{name: "of a damaged file, once a statement has failed" for name in NAMES if name.startswith("part_")},
    "backups": "the few backups of a store",
    "list_all_narrowed": "looks through sessions for what it is asked for; a session's own tags are an array",
    "list_owner_narrowed": "the same",
    "search": "reads the search index, which SQLite calls a scan, see below",
    "search_tagged": "the same, and an array of its own",
    "tagged": "looks at sessions that have tags; a session's own tags are an array",
    "search_state": "the one row of its table",
    "put_search_state": "the same",
    "still_stored": "reads an array of its own",
    "drop_indexed": "the messages of a purge, one by one, see below",
    "erasures": "a report, of few rows",
    "every_erased": "a restore takes all of them over",
    "orphan_media": "a sweep looks for what belongs to nothing",
    "orphan_media_refs": "the same",
    "orphan_queue": "the same",
    "orphan_versions": "the same",
    "orphan_index": "the same",
    "drop_orphan_index": "what a sweep found, one by one: SQLite calls every look into the index a scan",
    "messages_from": "while the search index is built anew",
}
HOT = sorted(set(NAMES) - PRAGMAS - set(COLD))
# Small sorts that a session's own few rows may need.
SORTS_ALLOWED = {"keys_of"}


def fill(store: SqliteStore) -> None:
    """Sessions of two owners, with messages, turns, ids, a cut and usage."""
    for n in range(12):
        name, owner = f"s{n}", f"o{n % 2}"
        at = AT + n * 2_000_000
        turn = Begin(
            at=at,
            owner=owner,
            key=f"k{n}",
            create=NewSession(id=name),
            message=codec.draft(user("hi", id="m1")),
            lease=Lease(f"t{n}", 1_000_000),
        )
        answers = store.commit(
            [
                turn,
                Finish(at=at, session_id=name, token=f"t{n}", messages=(codec.draft(assistant("hello")),)),
                Append(at=at, session_id=name, messages=tuple(codec.draft(user(f"n {i}")) for i in range(10))),
                Cut(at=at, session_id=name, from_seq=4, through_seq=5, kind="delete"),
                Create(
                    at=at, owner=owner, alias=f"a{n}", new=NewSession(id=f"e{n}", explicit=True, title=f"title {n}")
                ),
            ]
        )
        assert not [answer for answer in answers if isinstance(answer, Exception)]


@pytest.fixture(scope="module", params=["as it grew", "analyzed"])
def connection(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[apsw.Connection]:
    """A store with rows in it, once as it grew and once with the planner's statistics."""
    path = tmp_path_factory.mktemp("queries") / "a.db"
    with open_store(path) as store:
        assert isinstance(store, SqliteStore)
        fill(store)
    connection = apsw.Connection(str(path))
    searching.register(connection)
    if request.param == "analyzed":
        run(connection, "ANALYZE")
    yield connection
    connection.close()


def run(connection: apsw.Connection, statement: str, values: Any = ()) -> list[tuple[Any, ...]]:
    """The rows that a statement gives."""
    return cast("list[tuple[Any, ...]]", list(connection.execute(statement, values)))


def placeholders(statement: str) -> Any:
    """Something for each of a statement's parameters."""
    names = re.findall(r":(\w+)", statement)
    return dict.fromkeys(names, 1) if names else (1,) * statement.count("?")


def plan(connection: apsw.Connection, name: str) -> list[str]:
    """How SQLite would run a named statement."""
    statement = queries()[name]
    return [row[3] for row in run(connection, f"EXPLAIN QUERY PLAN {statement}", placeholders(statement))]


def test_a_fragment_stands_for_its_text() -> None:
    """A statement has a fragment's text where it names it; the fragment is no statement."""
    text = "-- fragment: columns\n-- Both.\na, b\n\n-- name: one\nSELECT {columns} FROM t WHERE a = ?;\n"
    assert statements(text) == {"one": "SELECT a, b FROM t WHERE a = ?"}


@pytest.mark.parametrize(
    "text",
    [
        "-- name: one\nSELECT {columns} FROM t;\n",
        "-- fragment: columns\na, b\n\n-- name: one\nSELECT 1;\n",
        "-- fragment: one\na, b\n\n-- name: one\nSELECT {one} FROM t;\n",
        "-- name: one\nSELECT 1;\n\n-- name: one\nSELECT 2;\n",
    ],
    ids=["unknown", "unused", "of one name with a statement", "two statements of one name"],
)
def test_names_in_a_text_of_statements_are_right(text: str) -> None:
    """A fragment that is not there or that nothing uses, and a name that is given twice, are refused at once."""
    with pytest.raises(ValueError, match=r"one|columns"):
        statements(text)


# ---------------------------------------------------------------------- statements
@pytest.mark.parametrize("name", sorted(set(NAMES) - PRAGMAS))
def test_every_statement_fits_the_schema(connection: apsw.Connection, name: str) -> None:
    """Each named statement can be prepared against the schema of the newest migration."""
    statement = queries()[name]
    assert run(connection, f"EXPLAIN {statement}", placeholders(statement))


@pytest.mark.parametrize("name", sorted(PRAGMAS))
def test_every_pragma_answers(connection: apsw.Connection, name: str) -> None:
    """A misspelt pragma is no error to SQLite: it gives no row."""
    assert run(connection, queries()[name])


@pytest.mark.parametrize("name", HOT)
def test_hot_statements_search_and_do_not_scan(connection: apsw.Connection, name: str) -> None:
    """What runs in every turn looks rows up by an index: no table is read through, nothing is sorted."""
    steps = plan(connection, name)
    assert not [step for step in steps if step.startswith("SCAN")], steps
    if name not in SORTS_ALLOWED:
        assert not [step for step in steps if "TEMP B-TREE" in step], steps


@pytest.mark.parametrize("name", ["list_all", "list_owner", "list_all_narrowed", "list_owner_narrowed"])
def test_listings_come_in_order_from_their_index(connection: apsw.Connection, name: str) -> None:
    """A page of sessions is read from an index in its own order, so it costs what the page costs."""
    steps = plan(connection, name)
    assert steps[0].startswith("SEARCH s USING INDEX sessions_"), steps
    assert not [step for step in steps if "TEMP B-TREE" in step], steps


@pytest.mark.parametrize("name", NAMES)
def test_no_statement_reads_all_messages_unasked(connection: apsw.Connection, name: str) -> None:
    """Only `check` may read every message, turn, or message id."""
    if name in PRAGMAS or name.startswith(("check_", "mend_", "digest_")):
        return
    whole = re.compile(r"SCAN (messages|m|message_ids|turns|versions)\b(?! USING (?:COVERING )?INDEX turns_running)")
    assert not [step for step in plan(connection, name) if whole.match(step)]


def test_a_search_reads_the_index_in_its_order(connection: apsw.Connection) -> None:
    """Hits come from the index, newest first, and all else is looked up by them: nothing is sorted or read through."""
    steps = plan(connection, "search")
    assert [step for step in steps if step.startswith("SCAN")] == [step for step in steps if "search_index" in step]
    assert not [step for step in steps if "TEMP B-TREE" in step], steps


def test_a_search_by_tag_looks_at_tagged_sessions_alone(connection: apsw.Connection) -> None:
    """They come from an index that has no others; of the hits, those elsewhere are passed over unread."""
    steps = plan(connection, "tagged")
    assert steps[0] == "SEARCH s USING INDEX sessions_tagged (number>? AND number<?)", steps
    assert not [step for step in steps if "TEMP B-TREE" in step], steps
    steps = plan(connection, "search_tagged")
    assert next(step for step in steps if step.startswith("SCAN")).startswith("SCAN search_index"), steps
    assert not [step for step in steps if "TEMP B-TREE" in step], steps


def test_a_purge_looks_its_messages_up_in_the_index(connection: apsw.Connection) -> None:
    """It costs what is purged, and not what is indexed."""
    steps = plan(connection, "drop_indexed")
    assert any("SEARCH search_index_docsize USING INTEGER PRIMARY KEY" in step for step in steps), steps
    assert [step for step in steps if step.startswith("SCAN")] == ["SCAN search_index VIRTUAL TABLE INDEX 0:="], steps


def test_running_turns_are_found_by_their_own_index(connection: apsw.Connection) -> None:
    """Turns that ended are not looked at, and the oldest comes first without sorting."""
    steps = plan(connection, "running_turns")
    assert any("turns_running" in step for step in steps), steps
    assert not [step for step in steps if "TEMP B-TREE" in step], steps


def test_every_statement_is_used() -> None:
    """No dead SQL: each name stands in the store's source."""
    text = "".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    assert [name for name in NAMES if f'"{name}"' not in text] == []


def test_every_name_that_is_asked_for_exists() -> None:
    """A statement that the source runs by name is in queries.sql."""
    text = "".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    asked = set(re.findall(r'(?:\.(?:run|many|one|all)|_one|\brun)\(\s*"(\w+)"', text))
    assert len(asked) > 30
    assert asked <= set(NAMES)


def test_statements_hold_no_comments_and_one_statement_each() -> None:
    """What is handed to SQLite is one statement, without what explains it to people."""
    for name in NAMES:
        assert "--" not in queries()[name], name
        assert ";" not in queries()[name], name


def test_all_sql_is_in_sql_files() -> None:
    """No module of the store holds a statement that reads or writes one of its tables."""
    tables = re.compile(
        r"\b(FROM|INTO|UPDATE|TABLE)\s+(sessions|messages|keys|turns|usage|changes|queue|cuts|aliases)\b"
    )
    assert [path.name for path in SOURCE.rglob("*.py") if tables.search(path.read_text("utf-8"))] == []


# ---------------------------------------------------------------------- schema
def open_raw(path: Path) -> apsw.Connection:
    """The file as SQLite sees it."""
    return apsw.Connection(str(path))


def value(path: Path, statement: str) -> Any:
    """The single value that a statement gives, by a connection of its own."""
    connection = open_raw(path)
    try:
        return run(connection, statement)[0][0]
    finally:
        connection.close()


def alter(path: Path, *statements: str) -> None:
    """Change a file behind Palaver's back, and leave it as one file without a log."""
    connection = open_raw(path)
    for statement in (*statements, "PRAGMA journal_mode=DELETE"):
        run(connection, statement)
    connection.close()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a directory."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store with rows in it."""
    path = tmp_path / "kept" / "a.db"
    with open_store(path) as store:
        assert isinstance(store, SqliteStore)
        fill(store)
    return path


def test_migrations_are_numbered_without_gaps() -> None:
    """Migrations are 0001, 0002 and so on, each once, and each says something."""
    names = sorted(file.name for file in (SOURCE / "migrations").iterdir() if file.name.endswith(".sql"))
    assert [name[:5] for name in names] == [f"{number:04}_" for number in range(1, len(names) + 1)]
    assert len(migrations()) == len(names) > 0
    assert all("CREATE" in text or "ALTER" in text for text in migrations())


def test_a_new_file_says_whose_it_is_and_which_schema_it_has(path: Path) -> None:
    """The header holds Palaver's application id and the number of the newest migration; meta holds the codec."""
    assert value(path, "PRAGMA application_id") == APPLICATION_ID == int.from_bytes(b"PALA", "big")
    assert value(path, "PRAGMA user_version") == len(migrations())
    assert value(path, "SELECT value FROM meta WHERE name = 'codec'") == str(CODEC_VERSION)
    assert value(path, "PRAGMA journal_mode") == "wal"


def test_tables_are_strict(path: Path) -> None:
    """SQLite holds every column to its type."""
    connection = open_raw(path)
    loose = run(connection, "SELECT name FROM pragma_table_list WHERE schema = 'main' AND NOT strict")
    connection.close()
    ours = {name for (name,) in loose if not name.startswith(("sqlite_", "search_index"))}  # FTS5 makes its own tables
    assert ours == set()


def test_opening_again_changes_nothing(path: Path) -> None:
    """A store of this version's schema is opened as it is."""
    before = value(path, "SELECT group_concat(sql) FROM sqlite_master")
    open_store(path).close()
    assert value(path, "SELECT group_concat(sql) FROM sqlite_master") == before
    assert value(path, "SELECT count(*) FROM messages") == 144


def refuse(path: Path, kind: type[StoreError]) -> StoreError:
    """The error that opening raises; the file and its directory stay as they were, byte for byte."""
    before = contents(path.parent)
    for url in (str(path), f"sqlite:///{path}?mode=ro"):
        with pytest.raises(kind) as caught:
            open_store(url)
        assert contents(path.parent) == before
    assert str(path) in str(caught.value)
    return caught.value


def test_a_schema_from_the_future_is_refused_untouched(path: Path) -> None:
    """A file of a later version is a SchemaMismatch that says both numbers."""
    newest = len(migrations())
    alter(path, f"PRAGMA user_version={newest + 7}")
    error = refuse(path, SchemaMismatch)
    assert isinstance(error, SchemaMismatch)
    assert (error.found, error.supported) == (newest + 7, newest)


def test_a_schema_that_older_code_goes_on_with(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version adds to the schema and says since when code may use it: this one does; the next one breaks it."""
    newest = len(migrations())
    adds = f"-- oldest code: {newest}\nALTER TABLE turns ADD COLUMN made_up TEXT"
    for later, oldest in (([adds], newest), ([adds, "ALTER TABLE turns DROP COLUMN made_up"], newest + 2)):
        scripts = (*migrations(), *later)
        with monkeypatch.context() as patch:
            patch.setattr("palaver.stores.sqlite.connection.migrations", lambda scripts=scripts: scripts)
            open_store(path).close()
        said = newest + len(later)
        assert value(path, "PRAGMA user_version") == (said if said == oldest else oldest << 16 | said)
        if oldest == newest:
            for _ in range(2):
                with palaver.open(path) as sessions:
                    with sessions.begin_turn("later", user("hi")) as turn:
                        turn.finish(assistant("yes"))
                    assert sessions.check() == []
    with pytest.raises(SchemaMismatch) as caught:
        open_store(path)
    assert (caught.value.found, caught.value.supported) == (newest + 2, newest)


def test_what_a_migration_broke_stays_broken() -> None:
    """One after it that says that older code goes on does not mend it."""
    adds = "-- oldest code: 1\nALTER"
    for scripts, oldest in (
        (["a"], 1),
        (["a", adds], 1),
        (["a", "b"], 2),
        (["a", "b", adds], 2),
        (["a", adds, "c"], 3),
    ):
        assert oldest_code(scripts) == oldest


def test_a_codec_from_the_future_is_refused_untouched(path: Path) -> None:
    """A file whose messages a later codec wrote is a SchemaMismatch, though its schema is known."""
    alter(path, f"UPDATE meta SET value = '{CODEC_VERSION + 1}' WHERE name = 'codec'")
    error = refuse(path, SchemaMismatch)
    assert isinstance(error, SchemaMismatch)
    assert (error.found, error.supported) == (CODEC_VERSION + 1, CODEC_VERSION)


def test_another_programs_database_is_refused_untouched(tmp_path: Path) -> None:
    """Nothing is added to a database with tables or a version that are not Palaver's."""
    for name, statement in (
        ("tables.db", "CREATE TABLE notes (text)"),
        ("version.db", "PRAGMA user_version=3"),
        ("both.db", "PRAGMA application_id=1; PRAGMA user_version=1; CREATE TABLE sessions (id)"),
    ):
        path = tmp_path / name / name
        path.parent.mkdir()
        alter(path, statement)
        assert "another program" in str(refuse(path, StoreUnavailable))


@pytest.mark.parametrize(
    "content", [b"hello, I am a diary\n" * 300, b"my only note", b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path, content: bytes) -> None:
    """Whatever lies there stays as it is."""
    path = tmp_path / "diary.txt"
    path.write_bytes(content)
    refuse(path, StoreUnavailable)


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    """A file without content belongs to nobody yet."""
    path = tmp_path / "a.db"
    path.touch()
    open_store(path).close()
    assert value(path, "PRAGMA user_version") == len(migrations())


def test_a_missing_file_is_not_made_by_reading(tmp_path: Path) -> None:
    """Opened read-only, a file that is not there is an error and stays away."""
    with pytest.raises(StoreUnavailable):
        open_store(f"sqlite:///{tmp_path / 'a.db'}?mode=ro")
    assert contents(tmp_path) == {}


def test_a_migration_that_fails_leaves_no_half_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a migration is there or nothing is, the version included."""
    path = tmp_path / "a.db"
    broken = (*migrations(), "CREATE TABLE half (id INTEGER); CREATE TABLE half (id INTEGER)")
    monkeypatch.setattr("palaver.stores.sqlite.connection.migrations", lambda: broken)
    with pytest.raises(StoreUnavailable):
        open_store(path)
    monkeypatch.undo()
    assert value(path, "PRAGMA user_version") == len(migrations())
    assert value(path, "SELECT count(*) FROM sqlite_master WHERE name = 'half'") == 0
    open_store(path).close()

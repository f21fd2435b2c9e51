"""The doctor: each kind of damage is found, explained and mended, and nothing that can be read is lost."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import palaver
from palaver import SessionManager, assistant, tool, user
from palaver.findings import LISTED, PROBLEMS
from palaver.media import as_text
from palaver.model import ImagePart, ToolCall, Usage
from palaver.stores.sqlite.mending import MENDS
from tests.faults import kit

PICTURE = as_text(bytes(range(256)) * 80)


def fill(path: Path) -> None:
    """A store with something of everything: turns, cuts, versions, media, summaries, lineage, titles, usage."""
    with palaver.open(path) as sessions:
        first = sessions.create("k1", title="plans", alias="mine", metadata={"a": 1})  # number 1
        first.append(user("one", id="m1"), assistant("two"), user("three", id="m3"), assistant("four"))
        with sessions.begin_turn("k1", user("five", id="m5")) as turn:
            turn.append(assistant(None, ToolCall(call_id="c", name="f", arguments="{}")), tool("c", "6"))
            turn.finish(assistant("seven"), usage=Usage(input_tokens=3, model="m"))
        first.edit(1, user("one, mended"))
        first.append(user([ImagePart(data=PICTURE), "look"]))
        first.delete_message(2)
        first.tag("work")
        second = sessions.reset("k1")  # number 2, whose parent is number 1
        second.append(user("eight"), assistant("nine"), user("ten"), assistant("eleven"))
        second.compact("so far", through_seq=2)
        second.rename("notes")
        third = second.fork()  # number 3, whose parent is number 2
        third.append(user("twelve"))
        sessions.get_or_create("k4").append(user("thirteen"), assistant("fourteen"))  # number 4
        sessions.index()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a store."""
    path = tmp_path_factory.mktemp("filled") / "a.db"
    fill(path)
    assert not Path(f"{path}-wal").exists()
    return path


@pytest.fixture
def path(tmp_path: Path, filled: Path) -> Path:
    """A store of one's own."""
    path = tmp_path / "a.db"
    shutil.copyfile(filled, path)
    return path


def bodies(path: Path) -> Counter[tuple[int, bytes]]:
    """Every message that is stored: where, and what it says."""
    with kit.raw(path) as connection:
        return Counter((row[0], row[1]) for row in connection.execute("SELECT id, body FROM messages"))


class Damage(NamedTuple):
    """Statements that do the damage, and the problem that has to be found."""

    problem: str
    statements: str
    lost: int = 0
    """Messages that the damage itself takes."""


FIRST = "(1 << 32)"
DAMAGES = {
    "a count too high": Damage("count", "UPDATE sessions SET message_count = message_count + 5 WHERE number = 1"),
    "a newest user message that is none": Damage("newest_user", "UPDATE sessions SET user_seq = 2 WHERE number = 1"),
    "a message gone": Damage("gap", f"DELETE FROM messages WHERE id = {FIRST} | 3", 1),
    "the newest message gone": Damage("gap", "DELETE FROM messages WHERE id = (2 << 32) | 4", 1),
    "all messages gone": Damage("gap", "DELETE FROM messages WHERE id >> 32 = 2", 4),
    "a message of noise": Damage(
        "message_undecodable", f"UPDATE messages SET body = x'00ff' WHERE id = {FIRST} | 4", 1
    ),
    "a version of noise": Damage("version_undecodable", "UPDATE versions SET body = x'00ff'"),
    "an origin of noise": Damage("session_undecodable", "UPDATE sessions SET origin = 'noise' WHERE number = 4"),
    "metadata of noise": Damage("session_undecodable", "UPDATE sessions SET metadata = '[' WHERE number = 1"),
    "tags of noise": Damage("session_undecodable", "UPDATE sessions SET tags = '{}' WHERE number = 1"),
    "holds of noise": Damage("session_undecodable", "UPDATE sessions SET holds = '3' WHERE number = 1"),
    "metadata that is no UTF-8": Damage(
        "session_undecodable", "UPDATE sessions SET metadata = CAST(x'7b2261223a22ff227d' AS TEXT) WHERE number = 1"
    ),
    "a title that is no UTF-8": Damage(
        "session_undecodable", "UPDATE sessions SET title = CAST(x'41ff' AS TEXT) WHERE number = 1"
    ),
    "a preview that is no UTF-8": Damage(
        "session_undecodable", "UPDATE sessions SET preview = CAST(x'41ff' AS TEXT) WHERE number = 1"
    ),
    "settings of noise": Damage("session_undecodable", "UPDATE sessions SET settings = '[' WHERE number = 1"),
    "a to-do's holder of noise": Damage(
        "todo_undecodable", "INSERT INTO todos VALUES (1, 'x', 'claimed', 1, 0, 1, 0, NULL, 't', '{', 1)"
    ),
    "a holder of noise": Damage("turn_undecodable", "UPDATE turns SET holder = '!'"),
    "a budget of noise": Damage("turn_undecodable", "UPDATE turns SET budget = '!', taken = '{'"),
    "a kind of another role": Damage("kind_differs", f"UPDATE messages SET kind = 5 WHERE id = {FIRST} | 3"),
    "a session gone": Damage("session_missing", "DELETE FROM sessions WHERE number = 2"),
    "an id gone": Damage("id_missing", "DELETE FROM message_ids WHERE id = 'm3'"),
    "an id of no session": Damage("id_orphan", "INSERT INTO message_ids VALUES (99, 'x', 1)"),
    "a version of no message": Damage(
        "version_orphan", "INSERT INTO versions VALUES ((1 << 32) | 77, 1, 1, 3, x'7b7d')"
    ),
    "a turn of no session": Damage(
        "turn_orphan", "UPDATE turns SET id = (77 << 32) | 1 WHERE id = (SELECT min(id) FROM turns)"
    ),
    "what waits and is not there": Damage("queue_orphan", "INSERT INTO queue VALUES ((1 << 32) | 99)"),
    "a cut of no session": Damage("cut_orphan", "INSERT INTO cuts VALUES (88, 1, 1, 1, 'clear', 1, 1, 0)"),
    "a summary of no session": Damage(
        "compaction_orphan", "INSERT INTO compactions VALUES (88, 1, 'x', 1, 1, 0, 0, 1)"
    ),
    "usage of no session": Damage("usage_orphan", "UPDATE usage SET session = 88"),
    "a to-do of no session": Damage(
        "todo_orphan", "INSERT INTO todos VALUES (88, 'x', 'waiting', 1, 0, 1, 0, NULL, 't', NULL, 1)"
    ),
    "a to-do that was given up": Damage(
        "todo_given_up", "INSERT INTO todos VALUES (1, 'x', 'given_up', 1, 0, 1, 3, 'no', 't', NULL, 1)"
    ),
    "an erasure that has not ended": Damage(
        "erasure_unfinished", "INSERT INTO erasures VALUES ('e', 1, NULL, NULL, NULL, NULL, '{}')"
    ),
    "a mark of an import of no session": Damage("import_orphan", "INSERT INTO imports VALUES (88, 1, 1, 1)"),
    "an alias of no session": Damage("alias_orphan", "UPDATE aliases SET session = 88"),
    "a key of no session": Damage("key_orphan", "UPDATE keys SET session = 88, previous = 0 WHERE key = 'k4'"),
    "a key of an ended session": Damage("key_ended", "UPDATE sessions SET ended_at = 5 WHERE number = 2"),
    "a key of a deleted session": Damage(
        "key_ended", "UPDATE sessions SET ended_at = 5, deleted_at = 6, end_reason = 'deleted' WHERE number = 4"
    ),
    "a key whose past is gone": Damage("key_previous", "UPDATE keys SET previous = 88 WHERE key = 'k1'"),
    "cuts uncounted": Damage("cut_count", "UPDATE sessions SET cut_count = 0 WHERE number = 1"),
    "a cut gone": Damage("cut_count", "DELETE FROM cuts WHERE session = 1"),
    "another summary": Damage("summary_pointer", "UPDATE sessions SET compaction = 7 WHERE number = 2"),
    "a summary gone": Damage("summary_pointer", "DELETE FROM compactions WHERE session = 2"),
    "a stale summary": Damage("summary_pointer", "UPDATE compactions SET stale = 1 WHERE session = 2"),
    "a parent gone": Damage("parent_missing", "UPDATE sessions SET parent = 'nobody' WHERE number = 4"),
    "its own parent": Damage("parent_circle", "UPDATE sessions SET parent = id WHERE number = 3"),
    "a circle of parents": Damage(
        "parent_circle", "UPDATE sessions SET parent = (SELECT id FROM sessions WHERE number = 3) WHERE number = 1"
    ),
    "a title twice": Damage("title_twice", "UPDATE sessions SET title = 'plans' WHERE number IN (2, 4)"),
    "an old turn running": Damage("turn_running", "UPDATE turns SET state = 'running' WHERE id >> 32 = 1", 0),
    "a turn in no state": Damage("turn_state", "UPDATE turns SET state = 'asleep'"),
    "an index that has what is gone": Damage(
        "index_gone", "INSERT INTO search_index (rowid, tags, text) VALUES ((1 << 32) | 99, 't', 'ghost')"
    ),
    "an index that lacks a message": Damage("index_missing", "DELETE FROM search_index WHERE rowid = (1 << 32) | 1"),
    "an index that is lost": Damage("index_state", "DELETE FROM search_state"),
    "an index of the future": Damage("index_state", "UPDATE search_state SET position = 100000"),
    "media gone": Damage("media_missing", "DELETE FROM media"),
    "media of other bytes": Damage("media_damaged", "UPDATE media SET data = x'00'"),
    "media of nobody": Damage("media_unheld", "INSERT INTO media (address, data) VALUES ('x-1', x'00')"),
    "a reference gone": Damage("media_unreferred", "DELETE FROM media_refs"),
    "a reference of nobody": Damage("media_ref_orphan", "INSERT INTO media_refs VALUES ('x-1', (7 << 32) | 1)"),
    "a version gone back": Damage("rev_behind", "UPDATE sessions SET rev = 0 WHERE number = 1"),
    "a change gone": Damage("feed_gap", "DELETE FROM changes WHERE position = 3"),
    "the first change gone": Damage("feed_gap", "DELETE FROM changes WHERE position = 1"),
    "a change of no session": Damage("feed_orphan", "UPDATE changes SET session = 77 WHERE position = 2"),
    "a mark gone back": Damage("number_reuse", "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'sessions'"),
    "a mark gone": Damage("number_reuse", "DELETE FROM sqlite_sequence"),
    "no codec": Damage("meta", "DELETE FROM meta WHERE name = 'codec'"),
    "a pruned mark of noise": Damage("meta", "UPDATE meta SET value = 'soon' WHERE name = 'pruned'"),
}
BEYOND_REPAIR = {"erasure_unfinished", "media_missing", "media_damaged", "todo_given_up"}
FOUND_ELSEWHERE = {
    "database": "tests/faults/test_unusable_files.py",
    "database_index": "below",
    "lines_lost": "tests/faults/test_lost_lines.py",
    "journal_damaged": "tests/faults/test_lost_lines.py",
    "quarantined": "below",
    "history_mended": "below",
}


def damage(path: Path, statements: str) -> None:
    """Do it, behind the store's back."""
    with kit.raw(path) as connection:
        connection.execute(statements)


def problems(sessions: SessionManager) -> set[str]:
    """What a check finds; each finding says what it is and what to do."""
    found = sessions.check()
    for each in found:
        assert each.where
        assert each.detail
        assert each.meaning
        assert each.remedy
    return {each.problem for each in found}


def test_every_problem_has_its_damage() -> None:
    """No problem is known that no test makes; each that can be repaired has its mend."""
    assert {d.problem for d in DAMAGES.values()} | set(FOUND_ELSEWHERE) >= set(PROBLEMS)
    assert {name for name, problem in PROBLEMS.items() if problem.repair} == {*MENDS, "lines_lost"}


def test_the_undamaged_store_is_well(path: Path) -> None:
    """Nothing is found where nothing is wrong, and a repair of it does nothing and makes no backup."""
    with palaver.open(path) as sessions:
        assert sessions.check() == []
        report = sessions.repair()
        assert (report.backup, report.repaired, report.left) == (None, (), ())
    assert [p.name for p in path.parent.iterdir() if p.suffix == ".db"] == ["a.db"]


@pytest.mark.parametrize("name", list(DAMAGES))
def test_damage_is_found_and_mended(path: Path, name: str) -> None:
    """The problem is named; a repair makes the store clean, keeps all that could be read, and leaves windows legal."""
    what = DAMAGES[name]
    whole = bodies(path)
    damage(path, what.statements)
    with palaver.open(path) as sessions:
        assert what.problem in problems(sessions)
        report = sessions.repair(path.with_name("before.db"))
        assert [each for each in report.repaired if each.failed] == []
        left = problems(sessions)
        assert left == ({what.problem} if what.problem in BEYOND_REPAIR else set())
        assert sessions.repair(path.with_name("again.db")).repaired == ()
        assert (whole - bodies(path)).total() == what.lost
        for info in sessions.list(include_empty=True, include_archived=True, include_hidden=True):
            window = sessions.get(info.id).history()
            assert window.render("openai_chat").messages is not None
        if what.problem not in BEYOND_REPAIR:
            with palaver.open(path.with_name("before.db")) as backup:
                assert what.problem in problems(backup)
        with sessions.begin_turn("k1", user("and on it goes")) as turn:
            turn.finish(assistant("it does"))
        assert sessions.resolve("k1").history().messages[-1].text == "it does"
        sessions.index()
        assert problems(sessions) == left


def test_what_is_repaired_is_told_in_the_feed(path: Path) -> None:
    """A reader of the feed learns that a session is another than it was."""
    damage(path, DAMAGES["a count too high"].statements)
    with palaver.open(path) as sessions:
        cursor = sessions.events(limit=10_000)[-1].cursor
        sessions.repair(path.with_name("before.db"))
        assert [change.kind for change in sessions.events(cursor)] == ["repaired"]


def test_bytes_that_cannot_be_decoded_are_kept(path: Path) -> None:
    """A repair puts them where no rewrite reaches them, and notes show that they are there."""
    damage(path, DAMAGES["a message of noise"].statements)
    with palaver.open(path) as sessions:
        sessions.repair(path.with_name("before.db"))
        [note] = [each for each in sessions.check(notes=True) if each.problem == "quarantined"]
        assert note.severity == "note"
    with kit.raw(path) as connection:
        assert connection.execute("SELECT body FROM quarantine").fetchall() == [(b"\x00\xff",)]


def test_what_windows_mend_is_a_note(path: Path) -> None:
    """A call that nobody answered is no fault; asked for notes, the check names it and its session."""
    with palaver.open(path) as sessions:
        session = sessions.create("open")
        session.append(user("go"), assistant(None, ToolCall(call_id="c9", name="f", arguments="{}")), user("well?"))
        assert sessions.check() == []
        [note] = [each for each in sessions.check(notes=True) if each.session_id == session.id]
        assert (note.problem, note.severity, note.seq) == ("history_mended", "note", 2)
        assert [each.session_id for each in sessions.check(session.id, notes=True)] == [session.id]


def test_one_session_or_one_owner(path: Path) -> None:
    """A check of one session tells nothing of another; nor does that of an owner, to whom foreign ids are not found."""
    with palaver.open(path) as sessions:
        mine = sessions.for_owner("ann").create("k", title="plans")
        mine.append(user("a"), assistant("b"))
        other = sessions.resolve("k4")
    damage(path, "UPDATE sessions SET message_count = message_count + 1")
    with palaver.open(path) as sessions:
        assert {each.session_id for each in sessions.check(mine.id)} == {mine.id}
        assert {each.session_id for each in sessions.for_owner("ann").check()} == {mine.id}
        assert {each.session_id for each in sessions.check("mine")} == {sessions.get("mine").id}
        assert len({each.session_id for each in sessions.check()}) == 5
        for wrong in ("nobody", other.id):
            with pytest.raises(palaver.SessionNotFound):
                sessions.for_owner("ann").check(wrong)
        with pytest.raises(ValueError, match="whole store"):
            sessions.for_owner("ann").repair()


def test_a_store_in_ruins_is_listed_in_short(path: Path) -> None:
    """Of one problem a hundred are listed and the others counted; progress is told to the end."""
    with palaver.open(path) as sessions:
        sessions.create("long").append(*[user(f"n {n}") for n in range(3_000)])
    damage(path, "UPDATE messages SET body = x'00' WHERE id >> 32 = 5")
    told: list[tuple[int, int]] = []
    with palaver.open(path) as sessions:
        found = [each for each in sessions.check(progress=lambda *at: told.append(at)) if each.kind == "corrupt"]
        assert len(found) == LISTED + 1
        assert "2,900 more" in found[-1].detail
        assert len(told) > 2
        assert told[-1][0] == told[-1][1] >= 3_000
        report = sessions.repair(path.with_name("before.db"))
        assert [(each.problem, each.count) for each in report.repaired] == [("message_undecodable", 3_000)]
        assert report.left == ()


def test_an_index_of_the_database_is_built_anew(path: Path) -> None:
    """Rows that an index lost are found by the integrity check, and by their index again after the repair."""
    with kit.raw(path) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET sql = sql || ' WHERE number < 0' WHERE name = 'sessions_active'")
        connection.execute("PRAGMA writable_schema=RESET")
        connection.execute("REINDEX sessions_active")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, ' WHERE number < 0', '') WHERE name = 'sessions_active'"
        )
    with palaver.open(path) as sessions:
        assert "database_index" in problems(sessions)
        report = sessions.repair(path.with_name("before.db"))
        assert [each.problem for each in report.repaired] == ["database_index"]
        assert report.left == ()
        assert len(sessions.list()) == 4


COLUMNS = (
    ("sessions", "last_seq"),
    ("sessions", "message_count"),
    ("sessions", "user_seq"),
    ("sessions", "rev"),
    ("sessions", "cut_count"),
    ("sessions", "compaction"),
    ("sessions", "ended_at"),
    ("sessions", "deleted_at"),
    ("messages", "kind"),
    ("message_ids", "seq"),
    ("keys", "session"),
    ("keys", "previous"),
    ("aliases", "session"),
    ("usage", "session"),
    ("cuts", "session"),
    ("compactions", "stale"),
    ("compactions", "session"),
    ("changes", "session"),
    ("changes", "rev"),
    ("search_state", "position"),
)
TABLES = tuple("sessions messages message_ids media media_refs versions keys aliases turns cuts usage".split())
TABLES = (*TABLES, "compactions", "changes", "search_state")
blows = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(COLUMNS), st.integers(0, 5)),
    st.tuples(st.just("drop"), st.sampled_from(TABLES), st.integers(0, 9)),
    st.tuples(st.just("noise"), st.sampled_from(("messages", "versions")), st.integers(0, 9)),
)


def strike(path: Path, blow: Any, chance: random.Random) -> None:
    """Damage one row."""
    what, where, number = blow
    with kit.raw(path) as connection:
        table = where[0] if what == "set" else where
        key = {"keys": "key", "aliases": "alias", "message_ids": "id", "media_refs": "address"}.get(table)
        rows = int(str(connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]))
        if not rows:
            return
        place = chance.randrange(rows)
        columns = [r[1] for r in connection.execute(f"PRAGMA table_info({table})")]
        names = [key] if key else [c for c in columns if c in {"number", "id", "session", "message", "position", "day"}]
        row = connection.execute(f"SELECT {', '.join(names)} FROM {table} LIMIT 1 OFFSET {place}").fetchall()[0]
        match = " AND ".join(f"{name} = ?" for name in names)
        if what == "set":
            connection.execute(f"UPDATE OR IGNORE {table} SET {where[1]} = ? WHERE {match}", (number, *row))
        elif what == "drop":
            connection.execute(f"DELETE FROM {table} WHERE {match}", row)
        else:
            connection.execute(f"UPDATE {table} SET body = x'00' WHERE {match}", row)


@pytest.mark.timeout(600)
@given(hits=st.lists(blows, min_size=1, max_size=6), seed=st.integers(0, 1_000))
def test_any_damage(filled: Path, tmp_path_factory: pytest.TempPathFactory, hits: list[Any], seed: int) -> None:
    """A check never raises, one repair leaves nothing for a second, and windows are legal after it."""
    path = tmp_path_factory.mktemp("any") / "a.db"
    shutil.copyfile(filled, path)
    chance = random.Random(seed)
    for blow in hits:
        strike(path, blow, chance)
    with kit.raw(path) as connection:
        readable = [r[0] for r in connection.execute("SELECT id FROM messages WHERE body <> x'00'")]
    with palaver.open(path) as sessions:
        sessions.check(notes=False)
        report = sessions.repair(path.with_name("one.db"))
        assert [each for each in report.repaired if each.failed] == []
        assert {each.problem for each in report.left} <= BEYOND_REPAIR
        assert sessions.repair(path.with_name("two.db")).repaired == ()
        sessions.check(notes=True)
        for info in sessions.list(include_empty=True, include_archived=True, include_hidden=True):
            sessions.get(info.id).history().render("openai_chat")
    with kit.raw(path) as connection:
        kept = {r[0] for r in connection.execute("SELECT id FROM messages")}
    assert kept == set(readable)


def test_a_title_that_was_numbered_is_found_by_it(path: Path) -> None:
    """A title that two sessions have is numbered as titles are, and the session is found by what it is called then."""
    damage(path, "UPDATE sessions SET title = 'plans #2', title_key = 'plans #2' WHERE number IN (1, 2)")
    with palaver.open(path) as sessions:
        sessions.repair(path.with_name("before.db"))
        titled = {info.title for info in sessions.list(limit=50) if info.title}
        assert {"plans #2", "plans #3"} <= titled
        for title in ("plans #2", "plans #3"):
            assert sessions.find(title).info().title == title
        assert sessions.check() == []

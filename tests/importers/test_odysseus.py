"""What odysseus's database says, and what becomes of it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver.importers import import_path
from palaver.model import ImagePart
from tests.importers.odysseus_store import ALL, MESSAGES, SESSIONS, chat, database, insert, row, take, talk, texts


@pytest.mark.parametrize("metadata", [None, "", "null", "{}"])
def test_metadata_may_be_missing(tmp_path: Path, metadata: str | None) -> None:
    """odysseus itself once crashed on null; nothing is wrong with it."""
    source = database(tmp_path, [chat()], [row(0, metadata=metadata)])
    with palaver.open("memory://") as sessions:
        assert not list(take(sessions, source).every_note())
        assert texts(sessions) == ["m0"]


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    """Bytes that are no text become U+FFFD, and content that is binary is read as text; a NUL stays one."""
    source = database(tmp_path, [chat()], [row(0), row(1, content=b"m\xff1"), row(2, content="m\0two")])
    connection = sqlite3.connect(source / "app.db")
    with connection:
        connection.execute("UPDATE chat_messages SET content = CAST(x'6dff30' AS TEXT) WHERE id = 's-0'")
    connection.close()
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert texts(sessions) == ["m\ufffd0", "m\ufffd1", "m\0two"]
        assert report.count("repaired") >= 1


def test_the_order_is_time_and_then_row(tmp_path: Path) -> None:
    """Equal times keep the order of their rows; a row without a time stays behind the one before it."""
    rows = [row(0), row(3), row(1), row(2), row(4), row(5, timestamp=row(4)["timestamp"])]
    rows[5]["metadata"] = None
    rows.append({**row(6), "timestamp": None, "metadata": None})
    with palaver.open("memory://") as sessions:
        take(sessions, database(tmp_path, [chat()], rows))
        assert texts(sessions) == [*ALL, "m6"]


def test_the_time_in_the_metadata_survives_a_rewrite(tmp_path: Path) -> None:
    """odysseus restamps rows that it rewrites; the first time is still in the metadata, and stays there."""
    rewritten = row(0, timestamp="2026-07-05 10:00:00")
    with palaver.open("memory://") as sessions:
        take(sessions, database(tmp_path, [chat()], [rewritten]))
        [message] = sessions.get("odysseus:s").messages()
        assert message.created_at == datetime(2026, 7, 5, 10, tzinfo=UTC)
        assert message.metadata == {"timestamp": "2026-07-01T12:00:00.000500Z"}


BLOCKS = [
    {"type": "text", "text": "look"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}},
]


def test_pasted_json_stays_text(tmp_path: Path) -> None:
    """Content is blocks only if all of it is; anything else is what a person pasted, to the letter."""
    pasted = [
        '[{"type": "object"}, {"type": "text"}]',
        '[{"type": "text"',
        '[{"kind": "type"}]',
        "[1]",
        '{"type": "text"}',
    ]
    rows = [row(2 * number, content=text) for number, text in enumerate(pasted)]
    with palaver.open("memory://") as sessions:
        take(sessions, database(tmp_path, [chat()], [*rows, row(20, content=json.dumps(BLOCKS))]))
        page = sessions.get("odysseus:s").messages()
        assert [message.text for message in page] == [*pasted, "look"]
        assert isinstance(page[-1].parts[1], ImagePart)


def test_every_kind_of_block_is_kept(tmp_path: Path) -> None:
    """Those that no provider knows too."""
    blocks = [
        {"type": "document", "title": "T", "data": {"a": 1}},
        {"type": "input_image", "image_url": "https://example.org/a.png"},
        {"type": "audio", "url": "https://example.org/a.ogg"},
        {"type": "text", "text": "so"},
    ]
    with palaver.open("memory://") as sessions:
        take(sessions, database(tmp_path, [chat()], [row(0, content=json.dumps(blocks))]))
        [message] = sessions.get("odysseus:s").messages()
        [back] = palaver.render("openai_chat", [message], repair=False).messages
        assert back["content"] == blocks


def test_flags_and_what_stays_metadata(tmp_path: Path) -> None:
    """Commands and hidden messages are shown to no model; edited, stopped, tools and numbers of tokens are kept."""
    events = [{"tool": "exec", "command": "{}", "output": "ok", "exit_code": 0}]
    about = {
        "edited": True,
        "stopped": True,
        "tool_events": events,
        "input_tokens": 3,
        "_db_id": "stale",
        "variants": [1],
    }
    rows = [
        row(0, content="/model", metadata='{"source": "slash"}'),
        row(1, metadata='{"hidden": true}'),
        row(2),
        row(3, metadata=json.dumps(about)),
    ]
    with palaver.open("memory://") as sessions:
        take(sessions, database(tmp_path, [chat()], rows))
        session = sessions.get("odysseus:s")
        page = session.messages()
        assert [message.flags for message in page] == [("command",), ("hidden",), (), ()]
        del about["_db_id"]
        assert page[3].metadata == about
        assert [message.text for message in session.history().messages] == ["m2", "m3"]


def compacted(number: int, text: str) -> list[dict[str, Any]]:
    """What a compaction leaves: a hidden summary and a row of numbers, at one time, behind the rows that were kept."""
    at = f"2026-07-01 12:10:{number:02}"
    header = "[Conversation summary — 20 earlier messages were compacted]\n\n"
    hidden, seen = '{"compacted": true, "hidden": true}', '{"compacted": true, "messages_removed": 20}'
    return [
        row(number, id=f"sum{number}", role="system", content=header + text, metadata=hidden, timestamp=at),
        row(number + 1, id=f"num{number}", content="**Conversation compacted**", metadata=seen, timestamp=at),
    ]


def test_a_summary_stands_in_front(tmp_path: Path) -> None:
    """Although odysseus stores it behind the rows that it kept, with the hour of the compaction."""
    source = database(tmp_path, [chat()], [*(row(n) for n in range(4)), *compacted(10, "So far.")])
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        window = sessions.get("odysseus:s").history().messages
        assert "So far." in window[0].text
        assert "earlier messages were compacted" not in window[0].text
        assert [message.text for message in window[1:]] == ["m0", "m1", "m2", "m3", "**Conversation compacted**"]


def test_two_summaries_that_are_left(tmp_path: Path) -> None:
    """One that a second compaction kept among its rows says what the second does not: both stand in front."""
    source = database(tmp_path, [chat()], [*compacted(10, "First."), row(12, timestamp="2026-07-01 12:11:00")])
    database(tmp_path, [], compacted(20, "Second."))
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        front = sessions.get("odysseus:s").history().messages[0].text
        assert front.index("First.") < front.index("Second.")


def test_compaction_between_two_imports(tmp_path: Path) -> None:
    """What odysseus has deleted since stays here, behind its summary; what is new comes behind."""
    source = talk(tmp_path)
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        connection = sqlite3.connect(source / "app.db")
        with connection:
            connection.execute("DELETE FROM chat_messages WHERE id IN ('s-0', 's-1')")
        connection.close()
        database(tmp_path, [], [*compacted(10, "So far."), row(30, timestamp="2026-07-01 12:11:00")])
        take(sessions, source)
        assert texts(sessions)[:6] == ALL
        window = [message.text for message in sessions.get("odysseus:s").history().messages]
        assert "So far." in window[0]
        assert window[1:] == ["m2", "m3", "m4", "m5", "**Conversation compacted**", "m30"]


def test_owners_are_kept_apart(tmp_path: Path) -> None:
    """Each session is its owner's; one of nobody is seen by the operator alone; equal titles of two do not meet."""
    chats = [chat("s", owner="ana", name="Tea"), chat("t", owner="tomás", name="Tea"), chat("u", name="Tea")]
    source = database(tmp_path, chats, [row(0, name) for name in "stu"])
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        for owner, name in (("ana", "s"), ("tomás", "t")):
            [info] = sessions.for_owner(owner).list()
            assert (info.owner, info.title) == (owner, "Tea")
            assert texts(sessions.for_owner(owner), name) == ["m0"]
        assert texts(sessions, "u") == ["m0"]
        with pytest.raises(palaver.SessionNotFound):
            sessions.for_owner("ana").get("odysseus:t")


@pytest.mark.parametrize("owner", [b"ana", "a\0b", ""])
def test_an_owner_that_is_none(tmp_path: Path, owner: Any) -> None:
    """It is nobody's then."""
    with palaver.open("memory://") as sessions:
        take(sessions, talk(tmp_path, owner=owner))
        assert texts(sessions) == ALL


def test_marks(tmp_path: Path) -> None:
    """Archived, important, folders, incognito and comparison chats; values of wrong types cost themselves."""
    chats = [
        chat("a", archived=1, folder="work"),
        chat("b", is_important=1, folder=b"7"),
        chat("c", name="Incognito", archived="maybe"),
        chat("d", name="[CMP] two models", folder="  "),
    ]
    source = database(tmp_path, chats, [row(0, each["id"]) for each in chats])
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        infos = [sessions.get(f"odysseus:{name}").info() for name in "abcd"]
        assert [(i.archived, i.pinned, i.tags) for i in infos] == [
            (True, False, ("work",)),
            (False, True, ()),
            (False, False, ("incognito",)),
            (False, False, ("compare",)),
        ]
        assert report.count("repaired") == 1
        assert any("incognito" in note.reason for note in report.every_note())


def test_the_source_may_change_its_marks(tmp_path: Path) -> None:
    """A later import archives, renames and tags what was so since."""
    source = talk(tmp_path)
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        connection = sqlite3.connect(source / "app.db")
        with connection:
            connection.execute(
                "UPDATE sessions SET archived = 1, folder = 'x', name = 'New', updated_at = '2026-08-01 00:00:00'"
            )
        connection.close()
        take(sessions, source)
        info = sessions.get("odysseus:s").info()
        assert (info.archived, info.tags, info.title) == (True, ("x",), "New")


def test_unknown_columns_and_tables(tmp_path: Path) -> None:
    """Columns of a later odysseus are kept under their names; other tables are told and left."""
    source = talk(tmp_path, 1)
    connection = sqlite3.connect(source / "app.db")
    with connection:
        connection.execute("ALTER TABLE sessions ADD COLUMN project_id VARCHAR DEFAULT 'p1'")
        connection.execute("ALTER TABLE chat_messages ADD COLUMN sender VARCHAR DEFAULT 'Mira'")
        connection.execute("CREATE TABLE documents (id INTEGER)")
        connection.execute("INSERT INTO documents VALUES (1), (2)")
    connection.close()
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        session = sessions.get("odysseus:s")
        assert session.info().metadata["project_id"] == "p1"
        assert session.messages()[0].metadata == {"sender": "Mira"}
        assert any("documents (2)" in note.reason for note in report.every_note())


def test_an_older_database(tmp_path: Path) -> None:
    """Only the columns that a conversation cannot do without are needed."""
    connection = sqlite3.connect(tmp_path / "app.db")
    with connection:
        connection.execute("CREATE TABLE sessions (id TEXT, name TEXT)")
        connection.execute("CREATE TABLE chat_messages (session_id TEXT, role TEXT, content TEXT)")
        insert(connection, "sessions", [{"id": "s", "name": "Old"}])
        insert(connection, "chat_messages", [{"session_id": "s", "role": "user", "content": "m0"}] * 2)
    connection.close()
    with palaver.open("memory://") as sessions:
        take(sessions, tmp_path)
        assert texts(sessions) == ["m0", "m0"]


def test_what_lies_in_the_write_ahead_log(tmp_path: Path) -> None:
    """Messages that a killed odysseus has not checkpointed are there; nothing appears beside its files."""
    source = talk(tmp_path, 3)
    writing = "import os, sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute('PRAGMA journal_mode = WAL')\n"
    for number in (3, 4, 5):
        each = row(number)
        writing += f"c.execute('INSERT INTO chat_messages VALUES (?, ?, ?, ?, ?, ?)', {tuple(each.values())!r})\n"
    subprocess.run([sys.executable, "-c", writing + "c.commit()\nos._exit(9)", source / "app.db"], check=False)
    (source / "app.db-shm").unlink()
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in source.iterdir()}
    assert "app.db-wal" in before
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        assert texts(sessions) == ALL
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in source.iterdir()} == before


def test_late_answers_do_not_bring_a_deleted_session_back(tmp_path: Path) -> None:
    """Rows whose session is gone are skipped, and counted."""
    source = database(tmp_path, [chat()], [row(0), row(1, "deleted"), row(3, "deleted")])
    with palaver.open("memory://") as sessions:
        report = take(sessions, source)
        assert sessions.stats().sessions == 1
        assert [(s.source_id, s.status, s.records, s.skipped) for s in report.sessions][1:] == [
            ("deleted", "refused", 2, 2)
        ]


def test_databases_of_others(tmp_path: Path) -> None:
    """Tables of those names with other columns are not odysseus's; neither is a file that is no database."""
    connection = sqlite3.connect(tmp_path / "app.db")
    with connection:
        connection.execute("CREATE TABLE chat_messages (a)")
    connection.close()
    (tmp_path / "other.db").write_bytes(b"chat_messages")
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, tmp_path)
        assert not report.sessions
        assert [(note.action, note.file) for note in report.notes] == [("skipped", "app.db")]


def test_tables_of_another_shape(tmp_path: Path) -> None:
    """Without row numbers there is no order to read them in: that is told."""
    connection = sqlite3.connect(tmp_path / "app.db")
    with connection:
        connection.execute(SESSIONS + " WITHOUT ROWID")
        connection.execute(MESSAGES + " WITHOUT ROWID")
    connection.close()
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, tmp_path)
        assert [(note.action, note.file) for note in report.every_note()] == [("skipped", "app.db")]


def test_a_database_of_another_name(tmp_path: Path) -> None:
    """DATABASE_URL may name any; it is known by its tables. A symbolic link is not followed."""
    database(tmp_path / "a", [chat()], [row(0)], name="chats.sqlite3")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "app.db").symlink_to(tmp_path / "a" / "chats.sqlite3")
    with palaver.open("memory://") as sessions:
        report = take(sessions, tmp_path)
        assert texts(sessions) == ["m0"]
        assert [(note.action, note.file) for note in report.notes] == [("skipped", "b/app.db")]


def test_two_databases_with_one_session(tmp_path: Path) -> None:
    """A copy of it elsewhere is the same conversation; another with its id is another."""
    talk(tmp_path / "one")
    talk(tmp_path / "two", 3)
    database(tmp_path / "three", [chat()], [row(n, id=f"x{n}", content=f"x{n}") for n in range(2)])
    with palaver.open("memory://") as sessions:
        take(sessions, tmp_path)
        assert sessions.stats().sessions == 2
        assert texts(sessions) == ["x0", "x1"] or texts(sessions) == ALL


def test_usage_is_charged_once(tmp_path: Path) -> None:
    """What odysseus counted is the session's; a later import charges what it has grown by."""
    source = talk(tmp_path, total_input_tokens=100, total_output_tokens=10)
    with palaver.open("memory://") as sessions:
        take(sessions, source)
        connection = sqlite3.connect(source / "app.db")
        with connection:
            connection.execute("UPDATE sessions SET total_input_tokens = 150, updated_at = '2026-08-01 00:00:00'")
        connection.close()
        take(sessions, source)
        usage = sessions.get("odysseus:s").info().usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.model) == (150, 10, "qwen3-32b")


def test_duplicate_ids(tmp_path: Path) -> None:
    """A table without its primary key may hold an id twice: both messages are there."""
    connection = sqlite3.connect(tmp_path / "app.db")
    with connection:
        connection.execute(SESSIONS)
        connection.execute(MESSAGES.replace("PRIMARY KEY", ""))
        insert(connection, "sessions", [chat()])
        insert(connection, "chat_messages", [row(0, id="x"), row(1, id="x")])
    connection.close()
    with palaver.open("memory://") as sessions:
        report = take(sessions, tmp_path)
        assert texts(sessions) == ["m0", "m1"]
        assert report.count("repaired") == 1


def test_files_that_came_with_a_message(tmp_path: Path) -> None:
    """They are known by name and kind; their ids in odysseus stay in the metadata."""
    attachments = [{"id": "f1", "name": "a.jpg", "mime": "image/jpeg"}, {"id": "f2"}, "what"]
    with palaver.open("memory://") as sessions:
        take(sessions, database(tmp_path, [chat()], [row(0, metadata=json.dumps({"attachments": attachments}))]))
        [message] = sessions.get("odysseus:s").messages()
        assert message.parts[1:] == (ImagePart(name="a.jpg", media_type="image/jpeg"),)
        assert message.metadata == {"attachments": attachments}


def test_a_dry_run_tells_the_same(tmp_path: Path) -> None:
    """It stores nothing, and says what the import then does, for every owner."""
    source = database(tmp_path, [chat("s", owner="ana"), chat("t")], [row(0, "s"), row(0, "t")])
    with palaver.open("memory://") as sessions:
        dry = import_path(sessions, source, dry_run=True)
        assert sessions.stats().sessions == 0
        wet = import_path(sessions, source)
        assert [(s.status, s.imported) for s in dry.sessions] == [(s.status, s.imported) for s in wet.sessions]
    assert import_path(None, source, dry_run=True).total("imported") == 2

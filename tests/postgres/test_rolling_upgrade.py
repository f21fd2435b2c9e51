"""A later version of Palaver, which is one migration further, beside processes of this one: all go on, or are told."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

import palaver
from palaver import SchemaMismatch, StoreBusy, user
from palaver.stores import open_store
from palaver.stores.postgres import queries, schema
from tests.faults import kit
from tests.postgres.load import Load
from tests.waiting import until

ADDS = """-- oldest code: 1
ALTER TABLE palaver.turns ADD COLUMN made_up text COLLATE "C";
ALTER TABLE palaver.messages ADD COLUMN made_up bigint NOT NULL DEFAULT 0;
ALTER TABLE palaver.sessions ADD COLUMN made_up boolean;
CREATE TABLE palaver.made_up (session bigint NOT NULL, n bigint NOT NULL, PRIMARY KEY (session, n));
INSERT INTO palaver.made_up SELECT number, 1 FROM palaver.sessions;
"""
BREAKS = """
ALTER TABLE palaver.messages RENAME COLUMN at TO stored_at;
DROP FUNCTION palaver.take, palaver.append_one, palaver.append_many;
"""
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"


def upgrade(patch: pytest.MonkeyPatch, script: str) -> None:
    """Have this process know one migration more from here on."""
    known = queries.migrations()
    patch.setattr(schema, "migrations", lambda name="palaver": queries.require_fences([*known, script], name))


def said(url: str) -> str:
    """What the schema says of its version."""
    with psycopg.connect(url) as connection:
        [(comment,)] = connection.execute("SELECT obj_description('palaver'::regnamespace)").fetchall()
        return str(comment)


def columns(url: str) -> int:
    """How many columns the made-up migration has made."""
    with psycopg.connect(url) as connection:
        [(count,)] = connection.execute(
            "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE c.relnamespace = 'palaver'::regnamespace AND a.attname = 'made_up' AND NOT c.relispartition"
        ).fetchall()
        return int(count)


class Old:
    """Processes of this version that hold turns all the while."""

    def __init__(self, stack: ExitStack, url: str, folder: Path) -> None:
        self.stack, self.url, self.folder = stack, url, folder
        self.running: dict[str, Any] = {}

    def start(self, name: str) -> None:
        """One more."""
        self.running[name] = self.stack.enter_context(
            kit.process("steady_writer.py", self.url, name, self.folder / name)
        )

    def told(self, name: str) -> list[str]:
        """What was acknowledged to it."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def go_on(self, count: int = 24) -> None:
        """Wait for so many more of each."""
        for name, process in self.running.items():
            self._wait_for(name, len(self.told(name)) + count)
            assert process.poll() is None, kit.pipe(process.stdout).read()

    def _wait_for(self, name: str, goal: int) -> None:
        until(lambda: len(self.told(name)) >= goal or self.running[name].poll() is not None, name)

    def end(self) -> None:
        """End all; nothing was raised, and what was acknowledged is there, in order and once."""
        for process in self.running.values():
            kit.say(process, "end")
        for process in self.running.values():
            assert kit.pipe(process.stdout).read() == ""
        with palaver.open(self.url) as sessions:
            for name in self.running:
                assert kit.texts(sessions, name) == self.told(name)
            assert sessions.check() == []


@pytest.mark.parametrize(("postgres_url", "more"), [(16, ""), (18, "?partitions=2")], indirect=["postgres_url"])
def test_servers_are_replaced_one_after_the_other(
    postgres_url: str, more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that does not know an added column goes on while and after it is made, and opens the store anew."""
    url = postgres_url
    open_store(url + more).close()
    with ExitStack() as stack:
        old = Old(stack, url, tmp_path)
        old.start("old:1")
        old.start("old:2")
        old.go_on()
        assert said(url) == "palaver 1, for code from 1 on"
        with monkeypatch.context() as patch:
            upgrade(patch, ADDS)
            new = stack.enter_context(Load(url, writers=2, name="new"))
        assert said(url) == "palaver 2, for code from 1 on"
        assert columns(url) == 3
        new.goes_on()
        old.go_on()
        old.start("old:3")
        old.go_on()
        new.end()
        assert new.errors == []
        old.end()
    with psycopg.connect(url) as connection:
        [(kind, rows)] = connection.execute(
            "SELECT relkind::text, (SELECT count(*) FROM palaver.made_up)"
            " FROM pg_class WHERE oid = 'palaver.made_up'::regclass"
        ).fetchall()
    assert (kind, rows) == ("p" if more else "r", 2)


def test_code_that_a_migration_leaves_behind_is_told(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs writes nothing more, and what is opened is refused; both are SchemaMismatch, and nothing is lost."""
    with ExitStack() as stack:
        old = Old(stack, postgres_url, tmp_path)
        old.start("old:1")
        old.go_on()
        with monkeypatch.context() as patch:
            upgrade(patch, BREAKS)
            open_store(postgres_url).close()
        assert kit.pipe(old.running["old:1"].stdout).read() == "SchemaMismatch not_written\n"
    with pytest.raises(SchemaMismatch, match="upgrade Palaver") as caught:
        open_store(postgres_url)
    assert (caught.value.found, caught.value.supported) == (2, 1)
    with psycopg.connect(postgres_url) as connection:
        [(stored,)] = connection.execute("SELECT count(*) FROM palaver.messages").fetchall()
    assert stored == len(old.told("old:1"))


def test_a_migration_that_refuses_older_code_stops_what_runs() -> None:
    """One that leaves it the functions that its transactions begin with is no migration."""
    first = queries.migrations()[0]
    for fine in ([first], [first, ADDS], [first, BREAKS], [first, BREAKS, ADDS.replace("code: 1", "code: 2")]):
        assert queries.require_fences(fine, "palaver") == tuple(fine)
    for wrong in ("ALTER TABLE palaver.turns DROP COLUMN reason;", "DROP FUNCTION palaver.take;"):
        with pytest.raises(ValueError, match="append_many"):
            queries.require_fences([first, wrong], "palaver")


def test_several_processes_migrate_at_once(postgres_url: str, tmp_path: Path) -> None:
    """One does it, the others find it done; a new store as well."""
    script = tmp_path / "more.sql"
    script.write_text(ADDS)
    with ExitStack() as stack:
        running = [stack.enter_context(kit.process("migrating.py", postgres_url, script)) for _ in range(4)]
        for process in running:
            assert kit.pipe(process.stdout).readline() == "ready\n"
        for process in running:
            kit.say(process, "go")
        for process in running:
            assert kit.pipe(process.stdout).readline() == "open\n"
    assert said(postgres_url) == "palaver 2, for code from 1 on"
    assert columns(postgres_url) == 3


def test_a_migration_holds_nobody_up(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody reads a table for long, a migration that wants it lets the writers pass, and is done later."""
    with ExitStack() as stack:
        load = stack.enter_context(Load(postgres_url, writers=2))
        load.goes_on()
        reader = stack.enter_context(psycopg.connect(postgres_url))
        watcher = stack.enter_context(psycopg.connect(postgres_url, autocommit=True))
        reader.execute("SELECT count(*) FROM palaver.messages")  # its transaction stays open
        upgrade(monkeypatch, ADDS)
        with pytest.raises(StoreBusy):
            open_store(f"{postgres_url}?timeout=0.1")
        opened: list[str] = []

        def open_it() -> None:
            open_store(postgres_url).close()
            opened.append("open")

        opening = threading.Thread(target=open_it)
        opening.start()
        for _ in range(2):
            until(lambda: watcher.execute(WAITING).fetchall() != [(0,)], "the migration to wait")
            load.goes_on()
        assert opened == []
        reader.rollback()
        opening.join(60)
        assert opened == ["open"]
        load.goes_on()
        load.end()
        assert load.errors == []
    assert columns(postgres_url) == 3


def test_a_migration_that_is_killed(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of it: nothing of it is there, who writes goes on, and the next one does all of it."""
    script = tmp_path / "more.sql"
    script.write_text(f"{ADDS}SELECT count(*) FROM palaver.usage;")
    with ExitStack() as stack:
        load = stack.enter_context(Load(postgres_url, writers=2))
        load.goes_on()
        holding = stack.enter_context(psycopg.connect(postgres_url))
        holding.execute("LOCK TABLE palaver.usage")
        watcher = stack.enter_context(psycopg.connect(postgres_url, autocommit=True))
        process = stack.enter_context(kit.process("migrating.py", postgres_url, script))
        kit.say(process, "go")
        until(lambda: watcher.execute(WAITING).fetchall() != [(0,)], "the migration to be in its middle")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
        load.goes_on()
        assert (said(postgres_url), columns(postgres_url)) == ("palaver 1, for code from 1 on", 0)
        holding.rollback()
        upgrade(monkeypatch, ADDS)
        with palaver.open(postgres_url) as sessions:
            sessions.get_or_create("after").append(user("hi"))
        load.goes_on()
        load.end()
        assert load.errors == []
    assert (said(postgres_url), columns(postgres_url)) == ("palaver 2, for code from 1 on", 3)

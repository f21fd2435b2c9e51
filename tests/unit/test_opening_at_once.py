"""Opening a SQLite file on an event loop's own thread: only where that takes no longer than a few short reads."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

import palaver
from palaver import user
from palaver.errors import StoreUnavailable
from palaver.stores.urls import open_at_once, open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one message, closed."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        sessions.get_or_create("k").append(user("hello"))
    return path


@pytest.fixture
def holder(path: Path) -> Iterator[apsw.Connection]:
    """Another program, which has the file for itself alone."""
    other = apsw.Connection(str(path))
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    yield other
    other.close()


async def said(url: str | Path) -> list[str]:
    """What is in the session, opened and read with the async API."""
    async with palaver.aopen(url) as sessions:
        return [message.text for message in (await (await sessions.resolve("k")).history()).messages]


@pytest.mark.parametrize("form", ["sqlite:///{}", "{}", "sqlite:///{}?timeout=5", "sqlite:///{}?mode=rw"])
def test_a_file_that_needs_nothing_done(path: Path, form: str) -> None:
    """It is opened, and is a store like any other."""
    store = open_at_once(form.format(path))
    assert store is not None
    with palaver.open(store) as sessions:
        sessions.resolve("k").append(user("more"))
        assert [message.text for message in sessions.resolve("k").history().messages] == ["hello", "more"]


@pytest.mark.parametrize("name", ["there is none.db", "empty.db"])
def test_a_file_that_has_to_be_made(tmp_path: Path, name: str) -> None:
    """Nothing is done here: a thread makes it."""
    path = tmp_path / name
    if name == "empty.db":
        path.touch()
    assert open_at_once(path) is None
    assert [each.name for each in tmp_path.iterdir()] == (["empty.db"] if name == "empty.db" else [])
    open_store(path).close()
    store = open_at_once(path)
    assert store is not None
    store.close()


@pytest.mark.parametrize("pragma", ["journal_mode=DELETE", "user_version=0"])
def test_a_file_that_has_to_be_made_ready(path: Path, pragma: str) -> None:
    """One without a log of its own, or with an older schema, is written to when it is opened: not here."""
    other = apsw.Connection(str(path))
    other.execute(f"PRAGMA {pragma}")
    other.close()
    before = path.read_bytes()
    assert open_at_once(path) is None
    assert path.read_bytes() == before


@pytest.mark.parametrize("url", ["sqlite:///{}?mode=ro", "sqlite:///{}?exclusive=1", "jsonl:///{}", "memory://"])
def test_other_stores(path: Path, url: str) -> None:
    """They are opened in a thread."""
    assert open_at_once(url.format(path)) is None


def test_the_long_log_of_a_process_that_was_killed(path: Path, tmp_path: Path) -> None:
    """It has to be read back, which a thread does; nothing of it is lost."""
    after = tmp_path / "after"
    after.mkdir()
    with palaver.open(path) as sessions:
        session = sessions.resolve("k")
        session.append(*(user("x" * 4_000) for _ in range(300)))
        session.append(user("the last"))
        for file in tmp_path.glob("chat.db*"):
            shutil.copy(file, after)
    (after / "chat.db-shm").unlink()
    assert (after / "chat.db-wal").stat().st_size > 1 << 20
    assert open_at_once(after / "chat.db") is None
    assert asyncio.run(said(after / "chat.db"))[-1] == "the last"


def test_a_file_that_another_program_holds(path: Path, holder: apsw.Connection) -> None:
    """Who awaits it waits, and the loop goes round: here it is the loop that ends the waiting."""
    assert open_at_once(path) is None

    async def main() -> list[str]:
        opening = asyncio.ensure_future(said(path))
        for _ in range(10):
            await asyncio.sleep(0.005)
        assert not opening.done()
        holder.execute("COMMIT")
        holder.close()
        return await opening

    assert asyncio.run(main()) == ["hello"]


def test_refusals_are_those_of_opening(tmp_path: Path) -> None:
    """An option that is none, another program's database, a directory."""
    foreign = apsw.Connection(str(tmp_path / "foreign.db"))
    foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()
    with pytest.raises(ValueError, match="no option"):
        open_at_once(f"sqlite:///{tmp_path}/foreign.db?what=1")
    with pytest.raises(StoreUnavailable, match="another program"):
        open_at_once(tmp_path / "foreign.db")
    with pytest.raises(StoreUnavailable, match="a directory"):
        open_at_once(tmp_path)


def test_the_first_one_of_a_process(path: Path) -> None:
    """It imports the store, which takes far longer than a read: a thread does."""
    script = (
        "import sys, palaver.aio\n"
        "from palaver.stores.urls import open_at_once, open_store\n"
        "assert open_at_once(sys.argv[1]) is None and 'apsw' not in sys.modules\n"
        "open_store(sys.argv[1]).close()\n"
        "assert open_at_once(sys.argv[1]) is not None\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)


@pytest.mark.parametrize("written", ["a", "/a/b.db", "a%20b.db", "a;b.db", "a b.db", "ä.db", "a%3Fb.db"])
def test_paths_are_read_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    """A URL names the same file whether it is plain or has signs of its own."""
    monkeypatch.chdir(tmp_path)
    written = f"{tmp_path}/b.db" if written.startswith("/") else written
    with open_store(f"sqlite:///{written}") as plain, open_store(f"sqlite:///{written}?timeout=9") as other:
        assert plain.name == other.name
    assert len(list(tmp_path.glob("*.db"))) + len(list(tmp_path.glob("a"))) == 1

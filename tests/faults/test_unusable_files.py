"""Files that cannot be used, or only read: a clear error, and the file left as it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import palaver
from palaver import SchemaMismatch, StoreError, StoreUnavailable, user
from tests.faults import kit


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A closed store with one message."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        sessions.create("key").append(user("hello", id="m1"))
    return path


def refused(path: Path, kind: type[StoreError], *words: str, url: str | None = None) -> None:
    """Opening raises this error; it names the path and says these words; what is there stays as it was."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(kind) as error:
        palaver.open(url or path).close()
    assert error.value.outcome == "not_written"
    assert str(path) in str(error.value)
    for word in words:
        assert word in str(error.value)
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize(
    "contents", [b"This is a letter.\n" * 100, b"SQLite format 3\0" + b"\x07" * 5000, b"\0" * 4096]
)
def test_a_file_that_is_no_database(tmp_path: Path, contents: bytes) -> None:
    """Text, noise behind the right first words, and zeros are refused and kept."""
    path = tmp_path / "letter.db"
    path.write_bytes(contents)
    refused(path, StoreUnavailable)


def test_a_database_of_another_program(tmp_path: Path) -> None:
    """It is refused, named as what it is, and not a byte of it changes."""
    path = tmp_path / "other.db"
    with kit.raw(path) as connection:
        connection.execute("CREATE TABLE songs (name TEXT); INSERT INTO songs VALUES ('Palaver')")
    refused(path, StoreUnavailable, "another program", "another path")


def test_a_schema_of_the_future(written: Path) -> None:
    """A store of a later version is refused, with both versions and the remedy, and not a byte of it changes."""
    with kit.raw(written) as connection:
        connection.execute("PRAGMA user_version=999")
    refused(written, SchemaMismatch, "999", "upgrade Palaver")
    refused(written, SchemaMismatch, "999", url=f"sqlite:///{written}?mode=ro")


def test_a_codec_of_the_future(written: Path) -> None:
    """Messages that a later version wrote are not guessed at: the store is refused, and not a byte of it changes."""
    with kit.raw(written) as connection:
        connection.execute("UPDATE meta SET value = '999' WHERE name = 'codec'")
    refused(written, SchemaMismatch, "999")


@pytest.mark.parametrize("kept", [100, 4096, 50_000])
def test_a_file_that_was_cut_off(written: Path, kept: int) -> None:
    """A copy that broke off is never taken for an empty store: it cannot be opened, or its check names the damage."""
    data = written.read_bytes()
    assert len(data) > kept
    written.write_bytes(data[:kept])
    try:
        sessions = palaver.open(written)
    except StoreUnavailable:
        return
    with sessions:
        assert _named(sessions)


def _named(sessions: palaver.SessionManager) -> bool:
    """Whether the check finds the damage, or cannot even look for it and says so."""
    try:
        return sessions.check() != []
    except StoreUnavailable as error:
        return "damaged" in str(error)


def test_an_empty_file(tmp_path: Path) -> None:
    """A file of no bytes is a store without sessions, as it is for SQLite."""
    path = tmp_path / "chat.db"
    path.touch()
    with palaver.open(path) as sessions:
        assert sessions.list() == []
        sessions.create("key").append(user("hello"))
    refused(tmp_path / "empty.db", StoreUnavailable, url=f"sqlite:///{tmp_path / 'empty.db'}?mode=ro")


def test_a_directory(tmp_path: Path) -> None:
    """A directory is no file, whichever way it is opened."""
    refused(tmp_path, StoreUnavailable)
    refused(tmp_path, StoreUnavailable, url=f"sqlite:///{tmp_path}?mode=ro")


def test_a_pipe(tmp_path: Path) -> None:
    """A named pipe is refused, and nobody waits at it for ever."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    refused(path, StoreUnavailable, "regular file")
    [line] = kit.finished("open_it.py", f"sqlite:///{path}?mode=ro", patience=10)
    assert line.startswith("StoreUnavailable not_written: ")
    assert "regular file" in line


def test_missing_directories_are_made(tmp_path: Path) -> None:
    """The directories above a new store are made, for its user alone, as is the file."""
    path = tmp_path / "a" / "b" / "chat.db"
    with palaver.open(path) as sessions:
        sessions.create("key").append(user("hello"))
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.with_name("chat.db-wal").stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_store_of_lines(tmp_path: Path) -> None:
    """Neither its directory nor its index is taken for a store of SQLite's: what is written there is in no file."""
    with palaver.open(f"jsonl:///{tmp_path}/lines") as sessions:
        sessions.get_or_create("k").append(user("x"))
    for path in (tmp_path / "lines", tmp_path / "lines" / ".palaver" / "index.db"):
        with pytest.raises(StoreUnavailable, match=f"open jsonl:///{tmp_path}/lines"):
            palaver.open(f"sqlite:///{path}")
    with palaver.open(f"jsonl:///{tmp_path}/lines") as sessions:
        assert len(sessions.get_or_create("k").messages()) == 1
        copy = sessions.backup(str(tmp_path / "copy.db"))
    with palaver.open(f"sqlite:///{copy.path}") as sessions:
        assert len(sessions.get_or_create("k").messages()) == 1


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """Where a file stands in the way of the directory, the error names it."""
    (tmp_path / "file").write_text("in the way")
    refused(tmp_path / "file" / "chat.db", StoreUnavailable)
    refused(tmp_path / "file" / "deeper" / "chat.db", StoreUnavailable)


def test_read_only_where_nothing_is(tmp_path: Path) -> None:
    """`?mode=ro` makes nothing: an absent store is an error, not an empty one."""
    refused(tmp_path / "absent.db", StoreUnavailable, url=f"sqlite:///{tmp_path / 'absent.db'}?mode=ro")
    assert list(tmp_path.iterdir()) == []


def test_read_only_by_choice(written: Path) -> None:
    """`?mode=ro` reads, refuses to write with a clear error, sees what another process writes, and changes no byte."""
    before = written.read_bytes()
    with palaver.open(f"sqlite:///{written}?mode=ro") as reading:
        session = reading.resolve("key")
        with pytest.raises(StoreUnavailable, match="read-only") as error:
            session.append(user("more"))
        assert error.value.outcome == "not_written"
        with pytest.raises(StoreUnavailable, match="read-only"):
            reading.begin_turn("key", user("more"))
        assert [m.text for m in session.messages()] == ["hello"]
        assert reading.check() == []
        assert written.read_bytes() == before
        with palaver.open(written) as writing:
            writing.resolve("key").append(user("from elsewhere"))
            assert [m.text for m in session.messages()] == ["hello", "from elsewhere"]


@pytest.fixture
def public(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The written store where everybody may look: a file of mode 0444 in a directory of mode 0555."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder = Path("/var/tmp") / f"palaver-{os.getpid()}-{os.urandom(4).hex()}"  # pytest's own is private
    folder.mkdir()
    try:
        shutil.copy(written, folder / "chat.db")
        (folder / "chat.db").chmod(0o444)
        folder.chmod(0o555)
        yield folder
    finally:
        shutil.rmtree(folder)


def test_a_file_that_this_user_may_only_read(public: Path) -> None:
    """Opened for writing or for reading, it is read or refused with the path and the reason; nothing is changed."""
    path = public / "chat.db"
    before = path.read_bytes()
    for what in ("open", "ro"):
        *read, last = kit.finished("as_nobody.py", what, path)
        assert read in ([], ["read ['hello']"])
        assert last.startswith("StoreUnavailable not_written: ")
        assert str(path) in last
    assert path.read_bytes() == before
    assert [p.name for p in public.iterdir()] == ["chat.db"]


def test_a_directory_that_this_user_may_not_write(public: Path) -> None:
    """A new store there is refused with the path and the reason."""
    for path in (public / "new.db", public / "deeper" / "new.db"):
        [line] = kit.finished("as_nobody.py", "open", path)
        assert line.startswith("StoreUnavailable not_written: ")
        assert str(path) in line
        assert "permission" in line.lower()


def test_a_directory_that_this_user_may_not_enter(public: Path) -> None:
    """A store in somebody else's private directory is refused with the path and the reason."""
    (public / "private").mkdir(mode=0o700)
    for name in ("chat.db", "deeper/chat.db"):
        for what in ("open", "ro"):
            [line] = kit.finished("as_nobody.py", what, public / "private" / name)
            assert line.startswith("StoreUnavailable not_written: ")
            assert str(public / "private") in line
            assert "permission" in line.lower()

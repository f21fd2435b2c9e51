"""Backups: of one moment, whole or not there, verified; and restoring them, which loses nothing by accident."""

from __future__ import annotations

import shutil
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import palaver
from palaver import SessionManager, assistant, user
from palaver.errors import CursorExpired, SchemaMismatch, StoreBusy, StoreFull, StoreUnavailable
from tests.faults import kit


def fill(sessions: SessionManager, count: int = 400) -> None:
    """Messages, for a file of a few hundred pages."""
    session = sessions.get_or_create("k")
    for n in range(0, count, 100):
        session.append(*[user(f"message {n + m} " + "x" * 2_000) for m in range(100)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store with something in it."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        fill(sessions)
    return path


def files(folder: Path) -> set[str]:
    """Names of a directory's files."""
    return {each.name for each in folder.iterdir()}


def test_a_backup_is_a_store(path: Path, tmp_path: Path) -> None:
    """It is one file for this user alone, holds what the store held, and the store remembers it."""
    with palaver.open(path) as sessions:
        told: list[tuple[int, int]] = []
        made = sessions.backup(tmp_path / "b.db", progress=lambda *at: told.append(at))
        assert (made.sessions, made.messages) == (1, 400)
        assert told[-1][0] == told[-1][1] > 100
        assert sessions.backups() == [made]
        assert made.cursor == sessions.events()[-1].cursor
        sessions.resolve("k").append(user("after"))
        assert sessions.check() == []
    file = tmp_path / "b.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert made.size_bytes == file.stat().st_size
    assert files(tmp_path) == {"chat.db", "b.db"}
    with palaver.open(f"sqlite:///{file}?mode=ro") as copy:
        assert len(kit.texts(copy, "k")) == 400
        assert copy.check() == []
    assert files(tmp_path) == {"chat.db", "b.db"}


def test_a_backup_replaces_nothing(path: Path, tmp_path: Path) -> None:
    """A name that is taken is refused, and what has it stays."""
    (tmp_path / "b.db").write_text("my diary")
    with palaver.open(path) as sessions:
        with pytest.raises(FileExistsError, match="replaces nothing"):
            sessions.backup(tmp_path / "b.db")
        with pytest.raises(FileExistsError):
            sessions.backup(path)
        assert sessions.backups() == []
    assert (tmp_path / "b.db").read_text() == "my diary"


def test_only_so_many_are_kept(path: Path, tmp_path: Path) -> None:
    """`keep` removes the oldest of this store's backups in that directory, and nothing else there."""
    now = datetime(2026, 3, 5, tzinfo=UTC)
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "chat-20200101T000000000000Z.db").write_text("somebody else's")
    clock = [now]
    with palaver.open(path, clock=lambda: clock[0]) as sessions:
        for n in range(5):
            clock[0] = now + timedelta(hours=n)
            last = sessions.backup(folder, keep=2)
        clock[0] = now + timedelta(hours=9)
        elsewhere = sessions.backup(tmp_path / "elsewhere.db", keep=1)
        assert [Path(b.path).name for b in sessions.backups()] == [
            "chat-20260305T030000000000Z.db",
            "chat-20260305T040000000000Z.db",
            "elsewhere.db",
        ]
        assert sessions.backups()[1:] == [last, elsewhere]
        with pytest.raises(ValueError, match="keep is 0"):
            sessions.backup(folder, keep=0)
    assert len(files(folder)) == 3
    default = palaver.open(path)
    with default as sessions:
        assert Path(sessions.backup().path).parent == tmp_path / "backups"


def test_a_memory_store_says_that_it_cannot(tmp_path: Path) -> None:
    """There is nothing that could be copied, and no file is made."""
    with palaver.open("memory://") as sessions:
        with pytest.raises(StoreUnavailable, match="keeps nothing"):
            sessions.backup(tmp_path / "b.db")
        assert sessions.backups() == []
    assert files(tmp_path) == set()


def test_a_backup_while_others_write(path: Path, tmp_path: Path) -> None:
    """All that was acknowledged before it began is in it; what is in it is the beginning of what was written."""
    ended = threading.Event()
    written: list[str] = []
    with palaver.open(path) as sessions, palaver.open(path) as others:
        session = others.create("busy")

        def write() -> None:
            n = 0
            while not ended.is_set():
                session.append(user(f"b {n}"), assistant("well"))
                written.append(f"b {n}")
                n += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(5):
                kit.until(lambda number=number: len(written) > number * 20, "the writer writes")  # type: ignore[misc]
                before = list(written)
                sessions.backup(tmp_path / f"b{number}.db")
                with palaver.open(f"sqlite:///{tmp_path / f'b{number}.db'}?mode=ro") as copy:
                    found = kit.texts(copy, "busy")
                    assert copy.check() == []
                assert len(found) % 2 == 0
                said = found[::2]
                assert said[: len(before)] == before
                assert said == [f"b {n}" for n in range(len(said))]
        finally:
            ended.set()
            writer.join()


def test_killed_in_the_middle_of_a_backup(path: Path, tmp_path: Path) -> None:
    """No file has the backup's name; the next backup removes what the dead process left."""
    folder = tmp_path / "to"
    folder.mkdir()
    with kit.process("backing_up.py", "backup", path, folder / "b.db") as running:
        assert kit.pipe(running.stdout).readline() == "half\n"
        assert not (folder / "b.db").exists()
        left = files(folder)
        assert left
        kit.kill(running)
    with palaver.open(path) as sessions:
        assert sessions.backups() == []
        assert sessions.check() == []
        sessions.backup(folder / "b.db")
    assert files(folder) == {"b.db"}
    assert len(left) >= 1


def test_no_room_for_a_backup(path: Path, small_disk: Path) -> None:
    """StoreFull says which file; nothing is left of it, and the store goes on."""
    with palaver.open(path) as sessions:
        fill(sessions)
        with pytest.raises(StoreFull, match=r"b\.db"):
            sessions.backup(small_disk / "b.db")
        assert files(small_disk) == set()
        sessions.resolve("k").append(user("on"))


@pytest.fixture
def backup(path: Path, tmp_path: Path) -> Path:
    """A backup of the store, in which something was said since."""
    file = tmp_path / "b.db"
    with palaver.open(path) as sessions:
        sessions.backup(file)
        sessions.resolve("k").append(user("since"))
    return file


def test_restoring_brings_back_what_was(path: Path, backup: Path, tmp_path: Path) -> None:
    """The restored store holds what the backup holds, is no backup itself, and goes on."""
    done = palaver.restore(backup, tmp_path / "new" / "chat.db")
    assert done.kept is None
    assert done.backup is not None
    assert done.backup.messages == 400
    with palaver.open(done.path) as sessions:
        assert len(kit.texts(sessions, "k")) == 400
        assert sessions.check() == []
        sessions.resolve("k").append(user("and on"))
        assert sessions.search("message", limit=1)[0].snippet
        assert sessions.check() == []
        sessions.backup(tmp_path / "again.db")
    assert stat.S_IMODE(Path(done.path).stat().st_mode) == 0o600
    assert palaver.restore(backup, f"sqlite:///{tmp_path / 'other.db'}").path == str(tmp_path / "other.db")


def test_a_store_with_content_is_not_replaced_by_accident(path: Path, backup: Path) -> None:
    """Without `force` it is refused; with it, what was there is kept, and its backups are known."""
    with pytest.raises(FileExistsError, match="has content"):
        palaver.restore(backup, path)
    with palaver.open(path) as sessions:
        assert kit.texts(sessions, "k")[-1] == "since"
    done = palaver.restore(backup, path, force=True)
    assert done.kept is not None
    with palaver.open(path) as sessions:
        assert len(kit.texts(sessions, "k")) == 400
        assert [Path(b.path) for b in sessions.backups()] == [backup]
    with palaver.open(done.kept) as sessions:
        assert kit.texts(sessions, "k")[-1] == "since"
        assert sessions.check() == []


def test_an_empty_store_is_replaced(backup: Path, tmp_path: Path) -> None:
    """A store that nobody has used yet is in nobody's way, and neither is an empty file."""
    palaver.open(tmp_path / "empty.db").close()
    (tmp_path / "touched.db").touch()
    for name in ("empty.db", "touched.db"):
        with palaver.open(palaver.restore(backup, tmp_path / name).path) as sessions:
            assert len(kit.texts(sessions, "k")) == 400


def test_cursors_from_before_expire(path: Path, backup: Path) -> None:
    """Readers of the feed notice: positions of the lost time are not given out again."""
    with palaver.open(path) as sessions:
        cursors = [change.cursor for change in sessions.events()]
    palaver.restore(backup, path, force=True)
    with palaver.open(path) as sessions:
        for cursor in cursors:
            with pytest.raises(CursorExpired):
                sessions.events(cursor)
        sessions.resolve("k").append(user("new"))
        last = sessions.events(limit=10_000)[-1]
        assert last.kind == "appended"
        assert sessions.events(last.cursor) == []


def test_a_store_that_is_open_is_not_replaced(path: Path, backup: Path) -> None:
    """Neither of another process nor of this one; it goes on as it was."""
    with palaver.open(path) as sessions:
        with pytest.raises(StoreBusy, match="stop everything"):
            palaver.restore(backup, path, force=True)
        sessions.resolve("k").append(user("still here"))
    with kit.process("hold_open.py", path) as running:
        assert kit.pipe(running.stdout).readline()
        with pytest.raises(StoreBusy):
            palaver.restore(backup, path, force=True)
        kit.kill(running)
    with palaver.open(path) as sessions:
        assert kit.texts(sessions, "k")[-1] == "still here"


@pytest.mark.parametrize("what", ["cut off", "a flipped bit", "noise", "missing", "a directory", "no store", "empty"])
def test_what_is_no_sound_backup_is_refused(path: Path, backup: Path, tmp_path: Path, what: str) -> None:
    """Damage is found before anything is replaced; a message that changed is damage, too."""
    data = bytearray(backup.read_bytes())
    bad = tmp_path / "bad.db"
    if what == "cut off":
        bad.write_bytes(data[: len(data) // 2])
    elif what == "a flipped bit":
        data[data.index(b"message 77 ")] ^= 1
        bad.write_bytes(data)
    elif what == "noise":
        bad.write_bytes(b"noise" * 1_000)
    elif what == "a directory":
        bad.mkdir()
    elif what == "no store":
        with kit.raw(bad) as connection:
            connection.execute("CREATE TABLE notes (text)")
    elif what == "empty":
        bad.touch()
    with pytest.raises(StoreUnavailable):
        palaver.restore(bad, path, force=True)
    with palaver.open(path) as sessions:
        assert kit.texts(sessions, "k")[-1] == "since"
    assert not [name for name in files(tmp_path) if "partial" in name or "before-restore" in name]


def test_a_backup_of_a_later_version_is_refused(path: Path, backup: Path) -> None:
    """Its schema is said, and nothing is replaced."""
    with kit.raw(backup) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(SchemaMismatch, match="99"):
        palaver.restore(backup, path, force=True)


def test_a_damaged_store_is_replaced_and_kept(path: Path, backup: Path, tmp_path: Path) -> None:
    """What restoring is for: the file that cannot be read is kept as it is, and the restored one is sound."""
    ruin = b"SQLite format 3\0" + b"\xff" * 50_000
    path.write_bytes(ruin)
    with pytest.raises(FileExistsError):
        palaver.restore(backup, path)
    done = palaver.restore(backup, path, force=True)
    assert Path(str(done.kept)).read_bytes() == ruin
    with palaver.open(path) as sessions:
        assert sessions.check() == []


def test_killed_in_the_middle_of_restoring(path: Path, backup: Path, tmp_path: Path) -> None:
    """The store that was there is there, whole; and restoring again works."""
    with kit.process("backing_up.py", "restore", backup, path) as running:
        assert kit.pipe(running.stdout).readline() == "half\n"
        kit.kill(running)
    with palaver.open(path) as sessions:
        assert kit.texts(sessions, "k")[-1] == "since"
        assert sessions.check() == []
    palaver.restore(backup, path, force=True)
    with palaver.open(path) as sessions:
        assert len(kit.texts(sessions, "k")) == 400
    assert not [name for name in files(tmp_path) if "partial" in name]


def test_a_copy_that_another_program_made(path: Path, tmp_path: Path) -> None:
    """It can be restored as well; it says nothing of itself."""
    shutil.copyfile(path, tmp_path / "copy.db")
    done = palaver.restore(tmp_path / "copy.db", tmp_path / "new.db")
    assert done.backup is None
    with palaver.open(done.path) as sessions:
        assert len(kit.texts(sessions, "k")) == 400


def test_only_to_sqlite(backup: Path) -> None:
    """A URL of another store is refused."""
    for url in ("memory://", "postgresql://here/x", "sqlite://"):
        with pytest.raises(ValueError, match="SQLite"):
            palaver.restore(backup, url)

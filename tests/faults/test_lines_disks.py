"""Files of lines on disks that fail, or cannot do all that others can."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import StoreFull, StoreUnavailable, user
from palaver.media import as_text
from palaver.model import ImagePart
from palaver.stores.jsonl import files, journal
from palaver.stores.sqlite import filesystem
from tests.faults import kit


class FailingOs:
    """Stands for `os` in the file layer: a call by one of these names on such a path fails."""

    def __init__(self, code: int, calls: tuple[str, ...], ending: str) -> None:
        self.code, self.calls, self.ending = code, calls, ending
        self.failing = False

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in self.calls:
            return real

        def call(fd: int, *given: Any) -> Any:
            path = Path(f"/proc/self/fd/{fd}").readlink()
            if self.failing and (path.is_dir() if self.ending == "/" else path.name.endswith(self.ending)):
                raise OSError(self.code, os.strerror(self.code))
            return real(fd, *given)

        return call


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store's URL."""
    return f"jsonl:///{tmp_path}/lines"


def failing(monkeypatch: pytest.MonkeyPatch, code: int, calls: tuple[str, ...], ending: str) -> FailingOs:
    """Let these calls fail."""
    made = FailingOs(code, calls, ending)
    monkeypatch.setattr(files, "os", made)
    monkeypatch.setattr(journal, "os", made)
    monkeypatch.setattr(filesystem, "os", made)
    return made


def test_a_journal_that_was_not_synced(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reset writes to two files: its outcome is unknown, nothing more is written, and reopened it is whole or not."""
    disk = failing(monkeypatch, errno.EIO, ("fsync", "fdatasync"), "journal")
    with palaver.open(url) as sessions:
        sessions.get_or_create("k").append(user("one"))
        old = sessions.reset("k")
        old.append(user("two"))
        disk.failing = True
        with pytest.raises(StoreUnavailable) as failed:
            sessions.reset("k")
        assert failed.value.outcome == "unknown"
        disk.failing = False
        with pytest.raises(StoreUnavailable, match="open it again") as refused:
            old.append(user("three"))
        assert refused.value.outcome == "not_written"
        assert kit.texts(sessions, "k") == ["two"]
    with palaver.open(url) as sessions:
        current = sessions.resolve("k")
        assert (current.id == old.id) == (sessions.get(old.id).info().ended_at is None)
        current.append(user("goes on"))
        assert sessions.check() == []


def test_a_disk_that_is_full_for_the_second_of_two_files(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one and the journal are taken back: nothing is written, and there is room, all of it is."""
    with palaver.open(url) as sessions:
        old = sessions.get_or_create("k")
        old.append(user("one"))
        disk = failing(monkeypatch, errno.ENOSPC, ("write",), f"{old.id}.jsonl")
        disk.failing = True
        with pytest.raises(StoreFull) as failed:
            sessions.reset("k")
        assert failed.value.outcome == "not_written"
        assert sessions.resolve("k").id == old.id
        disk.failing = False
    with palaver.open(url) as sessions:
        assert sessions.resolve("k").id == old.id
        assert sessions.reset("k").id != old.id
        assert sessions.get(old.id).info().ended_at is not None
        assert sessions.check() == []


def test_files_that_fail_to_sync_are_written_again(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal still has what they do not: closing says so, and opening writes it, whatever memory shows of it."""
    disk = failing(monkeypatch, errno.EIO, ("fdatasync",), ".jsonl")
    sessions = palaver.open(url)
    session = sessions.get_or_create("k")
    for text in ("one", "two"):
        session.append(user(text))
    file = tmp_path / "lines" / "sessions" / f"{session.id}.jsonl"
    whole = file.read_bytes()
    changed = file.stat().st_mtime_ns
    disk.failing = True
    with pytest.raises(StoreUnavailable) as failed:
        sessions.close()
    assert failed.value.outcome == "unknown"
    disk.failing = False
    written: list[bytes] = []
    pwrite = os.pwrite

    def noted(fd: int, data: bytes, offset: int) -> int:
        if Path(f"/proc/self/fd/{fd}").readlink() == file:
            written.append(bytes(data))
        return pwrite(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", noted)
    with palaver.open(url) as sessions:
        assert b"".join(written) == whole
        assert file.stat().st_mtime_ns == changed, "the index would read it again"
        assert kit.texts(sessions, "k") == ["one", "two"]
    written.clear()
    with palaver.open(url) as sessions:
        assert written == []
        assert kit.texts(sessions, "k") == ["one", "two"]


def test_no_room_for_a_line(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """StoreFull, nothing written; the very next append works when there is room, in files and in the index alike."""
    with palaver.open(url) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("one"))
        disk = failing(monkeypatch, errno.ENOSPC, ("write",), ".jsonl")
        disk.failing = True
        for _ in range(3):
            with pytest.raises(StoreFull) as full:
                session.append(user("lost", id="m-2"))
            assert full.value.outcome == "not_written"
        disk.failing = False
        session.append(user("two", id="m-2"))
        assert kit.texts(sessions, "k") == ["one", "two"]
    shutil.rmtree(Path(url.removeprefix("jsonl:///")) / ".palaver")
    with palaver.open(url) as sessions:
        assert kit.texts(sessions, "k") == ["one", "two"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_syncs_no_directories(url: str, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """It needs none: sessions, resets, content, purges and backups work there."""
    disk = failing(monkeypatch, code, ("fsync",), "/")
    disk.failing = True
    with palaver.open(url) as sessions:
        session = sessions.get_or_create("k")
        session.append(user(["look", ImagePart(data=as_text(bytes(20_000)))]), user("a secret"))
        session.purge(2, 2)
        sessions.reset("k").append(user("two"))
        made = sessions.backup()
        assert made.messages == 2
    with palaver.open(url) as sessions:
        assert kit.texts(sessions, "k") == ["two"]
        assert sessions.check() == []


def test_a_directory_that_fails_to_sync(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk is no missing ability: the outcome of a session's first message is unknown."""
    disk = failing(monkeypatch, errno.EIO, ("fsync",), "/")
    with palaver.open(url) as sessions:
        disk.failing = True
        with pytest.raises(StoreUnavailable) as failed:
            sessions.get_or_create("k").append(user("one", id="m-1"))
        assert failed.value.outcome == "unknown"
        disk.failing = False
    with palaver.open(url) as sessions:
        sessions.get_or_create("k").append(user("one", id="m-1"))
        assert kit.texts(sessions, "k") == ["one"]
        assert sessions.check() == []


@pytest.fixture
def public() -> Iterator[Path]:
    """A written store where everybody may look and nobody may write."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder = Path("/var/tmp") / f"palaver-{os.getpid()}-{os.urandom(4).hex()}"  # pytest's own is private
    try:
        with palaver.open(f"jsonl:///{folder}/lines") as sessions:
            sessions.create("key").append(user("hello"))
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield folder
    finally:
        shutil.rmtree(folder)


def test_a_directory_that_this_user_may_only_read(public: Path) -> None:
    """Opened for writing or for reading, it is read or refused with the path and the reason; nothing is changed."""
    before = {path: path.read_bytes() for path in public.rglob("*") if path.is_file()}
    for what in ("open", "ro"):
        *read, last = kit.finished("as_nobody.py", what, f"jsonl:///{public}/lines")
        assert read in ([], ["read ['hello']"])
        assert last.startswith("StoreUnavailable not_written: ")
        assert str(public) in last
    [line] = kit.finished("as_nobody.py", "open", f"jsonl:///{public}/new")
    assert line.startswith("StoreUnavailable not_written: ")
    assert "permission" in line.lower()
    assert {path: path.read_bytes() for path in public.rglob("*") if path.is_file()} == before


def test_lines_of_many_megabytes(url: str, tmp_path: Path) -> None:
    """A message of 12 MB of text is one line: appended, read, found again from the files alone, torn off at its end."""
    text = "ab\n\u2028é" * 2_000_000
    with palaver.open(url) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("before"))
        session.append(user(text))
        session.append(user("after"))
    root = tmp_path / "lines"
    [file] = (root / "sessions").iterdir()
    assert max(len(line) for line in file.read_bytes().split(b"\n")) > 12_000_000
    for _ in range(2):
        shutil.rmtree(root / ".palaver")
        with palaver.open(url) as sessions:
            assert kit.texts(sessions, "k") == ["before", text, "after"]
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.index(b"\xc3\xa9") + 9_000_000])
    with palaver.open(url) as sessions:
        assert kit.texts(sessions, "k") == ["before"]
        sessions.resolve("k").append(user("again"))
        assert kit.texts(sessions, "k") == ["before", "again"]


def test_nothing_is_left_that_others_may_read(url: str, tmp_path: Path) -> None:
    """Whatever the process's umask, and of everything that a store makes: directories 0700, files 0600, no drafts."""
    before = os.umask(0)
    try:
        with palaver.open(url) as sessions:
            session = sessions.get_or_create("k")
            session.append(user(["look", ImagePart(data=as_text(bytes(20_000)))]), user("a secret"))
            sessions.reset("k").append(user("two"))
            session.purge(2, 2)
            sessions.backup()
        file = next((tmp_path / "lines" / "sessions").iterdir())
        with file.open("ab") as opened:
            opened.write(b'{"torn')
        with palaver.open(url) as sessions:
            assert sessions.check() == []
    finally:
        os.umask(before)
    root = tmp_path / "lines"
    assert (root / "quarantine").is_dir()
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*"))}
    assert {path: mode for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == {}
    assert not [path for path in modes if path.name.endswith((".tmp", ".partial"))]


def test_opening_many_sessions_reads_none_of_them(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an index, 500 sessions are opened, listed and gone on with, and no file but the one's is opened."""
    with palaver.open(url) as sessions:
        for n in range(500):
            sessions.create(f"k{n}", title=f"T{n}")
    opened: list[str] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def open(self, path: Path, *given: Any, **more: Any) -> int:
            opened.append(Path(path).name)
            return os.open(path, *given, **more)

    monkeypatch.setattr(files, "os", Counting())
    monkeypatch.setattr(files.Directory, "read", lambda *_: pytest.fail("a file was read"))
    with palaver.open(url) as sessions:
        assert len(sessions.list(limit=1000, include_empty=True)) == 500
        session = sessions.resolve("k123")
        session.append(user("hello"))
        assert [m.text for m in session.history().messages] == ["hello"]
    assert set(opened) <= {f"{session.id}.jsonl", "sessions"}


@pytest.mark.parametrize("step", [1, 1_000_000_000])
def test_what_was_written_is_not_read_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Not even where the file system keeps times to the second; and what another program then writes is read."""

    class Coarse:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def utime(self, fd: int, ns: tuple[int, int]) -> None:
            os.utime(fd, ns=(ns[0] // step * step, ns[1] // step * step))

    with monkeypatch.context() as coarse:
        coarse.setattr(files, "os", Coarse())
        with palaver.open(url) as sessions:
            session = sessions.get_or_create("k")
            for text in ("one", "two", "three"):
                session.append(user(text))
    with monkeypatch.context() as strict:
        strict.setattr(files.Directory, "read", lambda *_: pytest.fail("a file was read"))
        palaver.open(url).close()
    file = tmp_path / "lines" / "sessions" / f"{session.id}.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"two"', b'"TWO"'))
    with palaver.open(url) as sessions:
        assert kit.texts(sessions, "k") == ["one", "TWO", "three"]

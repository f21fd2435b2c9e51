"""The index of a JSONL store is written without syncs: what a machine that stopped left of it is never believed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

import palaver
from palaver import StoreUnavailable, user
from palaver.stores import holders
from palaver.stores.jsonl import unsynced
from tests.faults import kit
from tests.faults.test_at_once import together

SESSIONS = 20
ELSEWHERE = b"another-start-of-the-machine"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store that was closed; only its index knows of a backup."""
    with palaver.open(url(tmp_path)) as sessions:
        for number in range(SESSIONS):
            sessions.get_or_create(f"k{number}").append(user(f"{number} first"))
        sessions.backup()
    return tmp_path


def url(root: Path) -> str:
    """Its URL."""
    return f"jsonl:///{root}"


def mark(root: Path) -> Path:
    """Where it says in which start of the machine its index was written."""
    return root / ".palaver" / "unsynced"


def killed(root: Path) -> None:
    """A process writes, and is killed before it closes the store."""
    with kit.process("steady_writer.py", url(root), "k0", root / "told") as writer:
        kit.until(lambda: (root / "told").exists() and (root / "told").read_text().count("\n") > 40, "some turns")
        kit.kill(writer)


def believed(root: Path) -> bool:
    """Whether opening the store took the index as it was. All conversations are there either way."""
    with palaver.open(url(root)) as sessions:
        assert [kit.texts(sessions, f"k{n}")[0] for n in range(SESSIONS)] == [f"{n} first" for n in range(SESSIONS)]
        if (root / "told").exists():
            told = (root / "told").read_text().split()
            assert kit.texts(sessions, "k0")[1:][: len(told)] == told
        assert sessions.check() == []
        return bool(sessions.backups())


def half_written(root: Path) -> None:
    """Pages of the index that never reached the disk, here and there."""
    index = root / ".palaver" / "index.db"
    pages = bytearray(index.read_bytes())
    for place in random.Random(7).sample(range(1, len(pages) // 4096), 9):
        pages[place * 4096 : place * 4096 + 4096] = bytes(4096)
    index.write_bytes(pages)


def old_pages(root: Path) -> None:
    """An index that is whole, and older than its log says."""
    log = root / ".palaver" / "index.db-wal"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])


def no_log(root: Path) -> None:
    """An index without its log."""
    (root / ".palaver" / "index.db-wal").unlink()


def only_a_log(root: Path) -> None:
    """The log of an index of which nothing reached the disk."""
    (root / ".palaver" / "index.db").write_bytes(b"")


def nothing(root: Path) -> None:
    """All of it reached the disk."""
    assert root.exists()


def test_who_closes_last_leaves_it_safe(root: Path) -> None:
    """It is believed then, whatever became of the machine; so is one that was never written without syncs."""
    assert mark(root).read_bytes() == b""
    assert believed(root)
    mark(root).unlink()
    assert believed(root)
    with palaver.open(url(root)), palaver.open(url(root)) as other:
        other.get_or_create("more").append(user("x"))
        assert mark(root).read_bytes()
        other.close()
        assert mark(root).read_bytes()
    assert mark(root).read_bytes() == b""


def test_a_killed_process_costs_nothing(root: Path) -> None:
    """What it wrote is in the system's memory: the index is as good as it was."""
    killed(root)
    assert mark(root).read_bytes() == (holders.boot() or "").encode()
    assert believed(root)
    assert mark(root).read_bytes() == b""


@pytest.mark.parametrize("left", [half_written, old_pages, no_log, only_a_log, nothing])
def test_a_machine_that_stopped(root: Path, left: Callable[[Path], None], caplog: pytest.LogCaptureFixture) -> None:
    """The index is made anew from the files, whatever the disk has of it, and is believed again then."""
    killed(root)
    mark(root).write_bytes(ELSEWHERE)
    left(root)
    assert not believed(root)
    assert "the index is made anew" in caplog.text
    with palaver.open(url(root)) as sessions:
        sessions.backup()
    assert believed(root)


def test_several_processes_open_what_a_machine_left(root: Path) -> None:
    """One of them drops the index, and the others find what it made."""
    killed(root)
    mark(root).write_bytes(ELSEWHERE)
    half_written(root)
    together(*[("check", "--store", url(root))] * 4)
    assert not believed(root)


def test_who_may_only_read_is_told(root: Path) -> None:
    """What cannot be believed cannot be mended there; nothing wrong is read."""
    killed(root)
    mark(root).write_bytes(ELSEWHERE)
    with pytest.raises(StoreUnavailable, match="open the store once to write to it"):
        palaver.open(f"{url(root)}?mode=ro")
    assert not believed(root)
    with palaver.open(f"{url(root)}?mode=ro") as sessions:
        assert kit.texts(sessions, "k1") == ["1 first"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_holds_the_mark_too(root: Path) -> None:
    """A child that closes the store does not say for its parent that the index is safe, nor the other way round."""
    with palaver.open(url(root)) as sessions:
        child = os.fork()
        if not child:
            status = 1
            try:
                sessions.get_or_create("child").append(user("x"))
                sessions.close()
                status = 0 if mark(root).read_bytes() else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        sessions.get_or_create("parent").append(user("x"))
        assert mark(root).read_bytes()
    assert mark(root).read_bytes() == b""


def test_a_system_that_does_not_tell_when_it_started(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There the index is synced as far as SQLite does, and what another system left of it is not believed."""
    killed(root)
    monkeypatch.setattr(unsynced, "boot", lambda: None)
    assert not believed(root)
    assert not mark(root).exists()
    with palaver.open(url(root)) as sessions:
        sessions.backup()
        assert not mark(root).exists()
    assert believed(root)


def test_a_mark_that_cannot_be_synced(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it nothing is written to the index; nothing is lost, and the store opens when the disk is well again."""

    def failing(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", failing)
        with pytest.raises(StoreUnavailable, match="Input/output error"):
            palaver.open(url(root))
    with palaver.open(url(root)) as sessions:
        assert kit.texts(sessions, "k1") == ["1 first"]
    with palaver.open(url(root)) as sessions, monkeypatch.context() as disk:
        disk.setattr(os, "fsync", failing)
        sessions.get_or_create("k1").append(user("1 second"))
        with pytest.raises(StoreUnavailable):  # the files cannot be synced either
            sessions.close()
    assert mark(root).read_bytes()
    with palaver.open(url(root)) as sessions:
        assert kit.texts(sessions, "k1") == ["1 first", "1 second"]

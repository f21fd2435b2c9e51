"""Readers that take their time: the log stays bounded, and writers do not wait for them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import palaver
from palaver import user
from palaver.stores.sqlite import checkpoints
from palaver.stores.sqlite.headroom import MOST_AT_ONCE
from tests.faults import kit

PAGE = 4096
BODY = "x" * 20_000


@pytest.fixture(autouse=True)
def _small_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of the log that a test can reach."""
    monkeypatch.setattr(checkpoints, "CHECKPOINT_PAGES", 50)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_PAGES_BUSY", 200)
    monkeypatch.setattr(checkpoints, "MAX_WAL_PAGES", 300)


def test_the_log_stays_bounded_while_a_session_is_exported(tmp_path: Path) -> None:
    """A transcript that is read page by page, with writes between any two pages, does not make the log grow."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        exported, written = sessions.create("exported"), sessions.create("written")
        exported.append(*[user(f"{n}") for n in range(400)])
        largest, read, after = 0, 0, 0
        while page := exported.messages(after=after, limit=4):
            after, read = page[-1].seq, read + len(page)
            for _ in range(2):
                written.append(user(BODY))
            largest = max(largest, kit.wal_bytes(path))
        assert read == 400
        assert written.info().message_count == 200
        assert largest < 3 * 50 * PAGE, f"the log grew to {largest // PAGE} pages"


def test_the_log_stays_bounded_under_readers_without_pause(tmp_path: Path) -> None:
    """Threads that read all the time, so that at each moment some read is under way, do not make the log grow."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        session = sessions.create("key")
        session.append(*[user(f"{n}") for n in range(300)])
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                session.messages(limit=300)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        largest = 0
        try:
            for _ in range(120):
                session.append(user(BODY))
                largest = max(largest, kit.wal_bytes(path))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert largest < 2 * 300 * PAGE, f"the log grew to {largest // PAGE} pages"


def test_writers_do_not_wait_for_another_program_s_transaction(tmp_path: Path) -> None:
    """While another program keeps a read transaction open, writes go on, without waiting out the lock's timeout.

    The log grows meanwhile: nothing else could keep both the reader's state and the writes. After that it is used
    from its beginning again.
    """
    path = tmp_path / "chat.db"
    writes = 150
    with palaver.open(f"sqlite:///{path}?timeout=600") as sessions, kit.raw(path) as reader:
        session = sessions.create("key")
        session.append(user("before"))
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM messages").fetchall() == [(1,)]
        done = threading.Event()

        def write() -> None:
            for _ in range(writes):
                session.append(user(BODY))
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        in_time = done.wait(kit.PATIENCE)  # one wait for the reader would take ten minutes
        assert reader.execute("SELECT count(*) FROM messages").fetchall() == [(1,)]
        reader.execute("COMMIT")
        writer.join()
        assert in_time, "a commit waited for a reader of another program"
        grown = kit.wal_bytes(path)
        assert grown > writes * len(BODY)
        for _ in range(writes):
            session.append(user(BODY))
        # Until it begins anew, and that may take one more step of the room at its end.
        assert kit.wal_bytes(path) < grown + 60 * PAGE + MOST_AT_ONCE, "the log still grows though nobody reads"
        assert session.info().message_count == 2 * writes + 1

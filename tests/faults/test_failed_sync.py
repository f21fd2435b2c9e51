"""A disk that fails to sync: the outcome is unknown, and the store says so and writes no more until it is reopened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import palaver
from palaver import StoreUnavailable, user
from palaver.stores.sqlite import SqliteStore, checkpoints
from tests.disks import failing_sync
from tests.faults import kit
from tests.faults.disk import RecordingDisk


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[RecordingDisk]:
    """A disk whose syncs can be made to fail."""
    made = RecordingDisk(f"failing-{request.node.name}")
    yield made
    made.unregister()


def test_a_commit_that_was_not_synced(tmp_path: Path, disk: RecordingDisk) -> None:
    """Its outcome is unknown; nothing more is written, though the disk recovers; after reopening its id settles it."""
    path = tmp_path / "chat.db"
    with palaver.open(SqliteStore(str(path), vfs=disk.name)) as sessions:
        session = sessions.create("key")
        for n in range(5):
            session.append(user(f"before {n}", id=f"before {n}"))
        disk.failing = "-wal"
        with pytest.raises(StoreUnavailable) as failed:
            session.append(user("lost?", id="lost?"))
        assert failed.value.outcome == "unknown"
        assert failed.value.__cause__ is not None
        disk.failing = None
        syncs = disk.syncs.total()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="open it again") as refused:
                session.append(user("another", id="another"))
            assert refused.value.outcome == "not_written"
        assert disk.syncs.total() == syncs, "it wrote on after a failed sync"
        assert [m.text for m in session.messages()][:5] == [f"before {n}" for n in range(5)]
    with palaver.open(path) as sessions:
        session = sessions.resolve("key")
        session.append(user("lost?", id="lost?"))
        assert kit.texts(sessions, "key") == [*(f"before {n}" for n in range(5)), "lost?"]
        assert sessions.check() == []


def test_a_checkpoint_that_was_not_synced(tmp_path: Path, disk: RecordingDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit before it was safe in the log and is acknowledged; nothing more is written, and nothing is lost."""
    monkeypatch.setattr(checkpoints, "CHECKPOINT_PAGES", 30)
    path = tmp_path / "chat.db"
    acknowledged: list[str] = []
    with palaver.open(SqliteStore(str(path), vfs=disk.name)) as sessions:
        session = sessions.create("key")
        disk.failing = "chat.db"
        with pytest.raises(StoreUnavailable) as refused:  # noqa: PT012 - one of many appends will raise
            for n in range(100):
                session.append(user(f"{n}", id=f"{n}"))
                acknowledged.append(f"{n}")
        disk.failing = None
    assert 0 < len(acknowledged) < 100
    assert refused.value.outcome == "not_written"
    with palaver.open(path) as sessions:
        assert kit.texts(sessions, "key") == acknowledged
        assert sessions.check() == []
    assert "open it again" in str(refused.value)


@pytest.mark.parametrize(
    ("store", "files", "cause"),
    [("{}/chat.db", "chat.db-wal", "IOError"), ("jsonl:///{}/lines", "journal", "OSError")],
    ids=["sqlite", "jsonl"],
)
def test_fsync_says_eio(tmp_path: Path, store: str, files: str, cause: str) -> None:
    """The same with the system's own fsync failing beneath SQLite: unknown, refused, and settled by the ids."""
    fault, path = tmp_path / "fault", store.format(tmp_path)
    library = failing_sync(tmp_path)
    environment = {"LD_PRELOAD": str(library), "PALAVER_FAULT": str(fault), "PALAVER_FAULT_FILES": files}
    said = kit.finished("broken_disk.py", path, fault, env=environment)
    assert said == [
        *(f"acknowledged before {n}" for n in range(5)),
        f"error StoreUnavailable unknown {cause}",
        "error StoreUnavailable not_written StoreUnavailable",
        "error StoreUnavailable not_written StoreUnavailable",
        "read 5",
        *(f"acknowledged broken {n}" for n in range(3)),
    ]
    with palaver.open(path) as sessions:
        assert kit.texts(sessions, "key") == [*(f"before {n}" for n in range(5)), *(f"broken {n}" for n in range(3))]
        assert sessions.check() == []

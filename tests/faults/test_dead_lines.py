"""Files of lines that are mostly dead: a sweep writes them anew, nothing that can be read changes, and it is told."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import Session, SessionManager, assistant, user
from palaver.stores.jsonl import JsonlStore
from palaver.stores.jsonl import store as jsonl_store
from palaver.stores.jsonl.snapshots import snapshot
from tests.faults import kit


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few kilobytes are worth it."""
    monkeypatch.setattr(jsonl_store, "LEAST", 8 * 1024)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The store's directory."""
    return tmp_path / "lines"


def opened(root: Path) -> SessionManager:
    """The store, open."""
    return palaver.open(f"jsonl:///{root}")


def busy(sessions: SessionManager, key: str = "k") -> Session:
    """A session of few messages that was changed very often."""
    session = sessions.get_or_create(key)
    with sessions.begin_turn(key, user("question", id="m-1")) as turn:
        turn.finish(assistant("answer"))
    for n in range(200):
        session.rename(f"Title {n}")
        session.set_metadata({"n": n})
    session.edit(1, "question, edited")
    session.append(user("undone"))
    session.delete_message(3)
    return session


def readable(session: Session) -> Any:
    """All that can be read of it."""
    return (
        session.info(),
        list(session.messages(live=False)),
        list(session.versions(1)),
        session.history().messages,
    )


def test_a_sweep_writes_a_dead_file_anew(root: Path) -> None:
    """A dry run says so and changes nothing; a sweep does it, tells how much it was, and the next finds nothing."""
    with opened(root) as sessions:
        session = busy(sessions)
        file = root / "sessions" / f"{session.id}.jsonl"
        before, size, whole = readable(session), file.stat().st_size, file.read_bytes()
        events = sessions.events(limit=1000)
        [told] = [a.reason for a in sessions.sweep(dry_run=True).actions if a.what == "clean"]
        assert f"of {size:,} bytes" in told
        assert file.read_bytes() == whole
        [done] = [a.reason for a in sessions.sweep().actions if a.what == "clean"]
        assert done == told
        assert file.stat().st_size * 2 <= size
        assert readable(session) == before
        assert sessions.events(limit=1000) == events
        assert [a for a in sessions.sweep().actions if a.what == "clean"] == []
        session.append(user("goes on"))
        assert not list(root.rglob("*.tmp"))
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        session = sessions.resolve("k")
        assert [m.text for m in session.messages()] == ["question, edited", "answer", "goes on"]
        assert session.info().title == "Title 199"
        assert sessions.check() == []
        with sessions.begin_turn("k", user("question", id="m-1")) as turn:
            assert turn.replayed


def test_a_file_that_is_needed_is_left_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at once, and not again before it has grown to twice its size."""
    with opened(root) as sessions:
        session = sessions.get_or_create("k")
        session.append(*(user("x" * 500) for _ in range(30)))
        [file] = (root / "sessions").iterdir()
        before = file.read_bytes()
        assert sessions.sweep().actions == ()
        assert file.read_bytes() == before
        looked: list[int] = []
        real = snapshot

        def counted(sql: Any, number: int, commit: int) -> bytes:
            looked.append(number)
            return real(sql, number, commit)

        monkeypatch.setattr(jsonl_store, "snapshot", counted)
        sessions.sweep()
        assert looked == []
        session.append(*(user("y" * 500) for _ in range(40)))
        sessions.sweep()
        assert len(looked) == 1


def test_who_has_the_old_file_open_goes_on_with_the_new(root: Path) -> None:
    """Another process's handle writes to what stands there now."""
    with opened(root) as one, opened(root) as other:
        busy(one)
        other.resolve("k").append(user("from elsewhere"))
        one.sweep()
        other.resolve("k").append(user("and again"))
        one.resolve("k").append(user("mine"))
        assert kit.texts(other, "k")[-3:] == ["from elsewhere", "and again", "mine"]
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        assert kit.texts(sessions, "k")[-3:] == ["from elsewhere", "and again", "mine"]


def test_lines_that_came_behind_the_index_are_kept(root: Path) -> None:
    """A file that holds more than the index does is read before it is written anew."""
    with opened(root) as sessions:
        session = busy(sessions)
        file = root / "sessions" / f"{session.id}.jsonl"
        index = {path.name: path.read_bytes() for path in (root / ".palaver").iterdir() if "-shm" not in path.name}
        session.append(user("synced, and then the process died"))
        newer = file.read_bytes()
    shutil.rmtree(root / ".palaver")
    (root / ".palaver").mkdir(mode=0o700)
    for name, data in index.items():
        (root / ".palaver" / name).write_bytes(data)
    with palaver.open(JsonlStore(str(root))) as sessions:
        assert file.read_bytes() == newer
        sessions.sweep()
        assert kit.texts(sessions, "k")[-1] == "synced, and then the process died"

"""A full disk: StoreFull, nothing written and nothing lost, and all goes on when there is room again."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest

import palaver
from palaver import SessionManager, StoreFull, assistant, user
from tests.faults import kit

BIG = "x" * 3000


def fill(sessions: SessionManager, key: str) -> list[str]:
    """Append until there is no more room; gives the acknowledged texts."""
    session = sessions.get_or_create(key)
    acknowledged: list[str] = []
    with pytest.raises(StoreFull) as full:  # noqa: PT012 - one of many appends will raise
        for n in range(10_000):
            session.append(user(f"{n} {BIG}", id=f"m{n}"))
            acknowledged.append(f"{n} {BIG}")
    assert full.value.outcome == "not_written"
    assert full.value.retryable
    assert full.value.__cause__ is not None
    return acknowledged


def still_there(sessions: SessionManager, key: str, acknowledged: list[str]) -> None:
    """Reads go on while the disk is full, and what failed is not there."""
    assert kit.texts(sessions, key) == acknowledged
    assert sessions.check() == []
    assert sessions.resolve(key).info().message_count == len(acknowledged)


def test_the_store_s_own_limit(tmp_path: Path) -> None:
    """At `max_pages` writing is StoreFull and reading goes on; a purge makes room, as does a higher limit."""
    path = tmp_path / "chat.db"
    with palaver.open(f"sqlite:///{path}?max_pages=200") as sessions:
        acknowledged = fill(sessions, "key")
        assert len(acknowledged) > 50
        still_there(sessions, "key", acknowledged)
        with pytest.raises(StoreFull):
            sessions.resolve("key").append(user(f"again {BIG}"))
        assert sessions.resolve("key").purge(1, 20) == 20
        sessions.resolve("key").append(user(f"room {BIG}", id="room"))
        acknowledged = [*acknowledged[20:], f"room {BIG}"]
        still_there(sessions, "key", acknowledged)
    with palaver.open(f"sqlite:///{path}?max_pages=400") as sessions:
        assert sessions.resolve("key").append(user(f"more {BIG}")).fresh
        still_there(sessions, "key", [*acknowledged, f"more {BIG}"])


def test_a_turn_on_a_full_disk(tmp_path: Path) -> None:
    """A turn whose step finds no room is still held: it ends when there is room, with all that was acknowledged."""
    with palaver.open(f"sqlite:///{tmp_path / 'chat.db'}?max_pages=200") as sessions:
        turn = sessions.begin_turn("turn", user("question", id="m1"))
        acknowledged = fill(sessions, "key")
        with pytest.raises(StoreFull):
            turn.append(assistant(BIG * 3))
        sessions.resolve("key").purge(1, 20)
        turn.append(assistant(BIG * 3))
        turn.finish(assistant("answer"))
        assert kit.texts(sessions, "turn") == ["question", BIG * 3, "answer"]
        still_there(sessions, "key", acknowledged[20:])


def place(disk: Path, store: str) -> str:
    """What to open on a disk."""
    return store.format(disk) if "{}" in store else str(disk / store)


@pytest.mark.parametrize("store", ["chat.db", "jsonl:///{}/lines"])
def test_a_disk_that_is_full(small_disk: Path, store: str) -> None:
    """On a file system without room writing is StoreFull and reading goes on; with room writing works again."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_600_000))
    path = place(small_disk, store)
    with palaver.open(path) as sessions:
        acknowledged = fill(sessions, "key")
        still_there(sessions, "key", acknowledged)
        for _ in range(5):
            with pytest.raises(StoreFull):
                sessions.resolve("key").append(user(f"again {BIG}"))
        ballast.unlink()
        for n in range(20):
            sessions.resolve("key").append(user(f"room {n} {BIG}"))
            acknowledged.append(f"room {n} {BIG}")
        still_there(sessions, "key", acknowledged)
    with palaver.open(path) as sessions:
        still_there(sessions, "key", acknowledged)


@pytest.mark.parametrize("store", ["chat.db", "jsonl:///{}/lines"])
def test_opening_on_a_full_disk(small_disk: Path, store: str) -> None:
    """A store that was closed on a disk without any room can be opened or says why not, and loses nothing."""
    path = place(small_disk, store)
    with palaver.open(path) as sessions:
        session = sessions.create("key")
        acknowledged = [f"{n} {BIG}" for n in range(20)]
        for text in acknowledged:
            session.append(user(text))
    with (small_disk / "ballast").open("wb", buffering=0) as ballast:
        while ballast_fits(ballast):
            pass
    with pytest.raises(StoreFull):
        _append_once(path)
    (small_disk / "ballast").unlink()
    with palaver.open(path) as sessions:
        assert kit.texts(sessions, "key")[:20] == acknowledged
        assert sessions.check() == []


def ballast_fits(ballast: io.FileIO) -> bool:
    """Put a page more onto the disk; False if there was no room for it."""
    try:
        return ballast.write(bytes(4096)) == 4096
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False


def _append_once(path: str) -> None:
    with palaver.open(path) as sessions:
        sessions.resolve("key").append(user(BIG))

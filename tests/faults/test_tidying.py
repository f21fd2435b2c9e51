"""The log is copied into the database after the answers are given: whatever happens to that takes no message away."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

import palaver
from palaver import StoreUnavailable, user
from palaver.stores.sqlite import SqliteStore, checkpoints
from tests.faults import kit
from tests.faults.disk import Event, RecordingDisk, image

TASKS = 8
PORTION = 20
BODY = "x" * 3_000
CUTS = 40


class HeldDisk(RecordingDisk):
    """A disk that holds the first sync of the database itself, which a checkpoint does, until it is let go."""

    def __init__(self, name: str) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()
        self.released.set()
        self.full = False
        """Whether the database has no room; the log has."""
        super().__init__(name)

    def before(self, kind: str, name: str) -> None:
        """Hold up a sync, refuse a write."""
        if name == "chat.db" and kind == "sync":
            self.entered.set()
            assert self.released.wait(kit.PATIENCE)
        if name == "chat.db" and kind == "write" and self.full:
            self.entered.set()
            raise apsw.FullError("no room for chat.db")


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[HeldDisk]:
    """A disk whose checkpoints can be interfered with."""
    made = HeldDisk(f"held-{request.node.name}")
    yield made
    made.released.set()
    made.unregister()


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_PAGES_BESIDE", PORTION)


def opened(path: Path, disk: HeldDisk) -> SqliteStore:
    """A store on that disk."""
    return SqliteStore(str(path), vfs=disk.name)


class Tasks:
    """Tasks that append to one session at the same time, so that the committing thread does it."""

    def __init__(self, sessions: palaver.AsyncSessionManager, disk: RecordingDisk | None = None) -> None:
        self.sessions = sessions
        self.disk = disk
        self.acknowledged: list[str] = []
        self.rounds = 0

    async def write(self, rounds: int = 1) -> None:
        """Append so many messages each, and note what was acknowledged."""
        first, self.rounds = self.rounds, self.rounds + rounds
        await asyncio.gather(*(self._work(task, range(first, first + rounds)) for task in range(TASKS)))

    async def _work(self, task: int, numbers: range) -> None:
        session = await self.sessions.get_or_create("key")
        for number in numbers:
            text = f"{task} {number} {BODY}"
            await session.append(user(text))
            self.acknowledged.append(text)
            if self.disk is not None:
                self.disk.acknowledged(text)

    async def until_held(self, disk: HeldDisk) -> asyncio.Future[None]:
        """Write until a checkpoint is under way and held; gives the writing that waits for it, or is just done."""
        disk.released.clear()
        disk.entered.clear()
        while True:
            writing = asyncio.ensure_future(self.write())
            while not writing.done() and not disk.entered.is_set():  # noqa: ASYNC110 - a thread sets it
                await asyncio.sleep(0)
            if disk.entered.is_set():
                return writing


def all_there(path: Path, acknowledged: list[str]) -> None:
    """Everything is there once, and the file is sound."""
    with palaver.open(path) as sessions:
        assert sorted(kit.texts(sessions, "key")) == sorted(acknowledged)
        assert sessions.check() == []


def test_answers_come_before_the_checkpoint(tmp_path: Path, disk: HeldDisk) -> None:
    """While the database is still being synced, everything that can be read was answered; the next commit waits."""
    path = tmp_path / "chat.db"

    async def main() -> list[str]:
        async with palaver.aopen(opened(path, disk)) as sessions:
            tasks = Tasks(sessions)
            await tasks.write()
            writing = await tasks.until_held(disk)
            stored = len(kit.texts(palaver.open(path), "key"))
            for _ in range(1_000):
                await asyncio.sleep(0)
            assert len(tasks.acknowledged) == stored
            late = asyncio.ensure_future(tasks.write())
            await asyncio.wait([late], timeout=0.05)
            assert not late.done()
            assert len(tasks.acknowledged) == stored
            disk.released.set()
            await writing
            await late
            return tasks.acknowledged

    all_there(path, asyncio.run(main()))


def test_the_log_stays_small_under_tasks_without_pause(tmp_path: Path) -> None:
    """It begins anew portion by portion, though somebody waits for each next commit."""
    path = tmp_path / "chat.db"
    sizes: list[int] = []

    async def main() -> None:
        async with palaver.aopen(path) as sessions:
            tasks = Tasks(sessions)
            for _ in range(40):
                await tasks.write()
                sizes.append(kit.wal_bytes(path))

    asyncio.run(main())
    assert max(sizes) < 25 * PORTION * 4096, f"the log grew to {max(sizes) // 4096} pages"


def test_a_sync_that_fails_in_it(tmp_path: Path, disk: HeldDisk) -> None:
    """What was answered is safe in the log; the store then writes no more and says why, until it is opened again."""
    path = tmp_path / "chat.db"

    async def main() -> tuple[list[str], StoreUnavailable]:
        async with palaver.aopen(opened(path, disk)) as sessions:
            tasks = Tasks(sessions)
            await tasks.write()
            disk.failing = "chat.db"
            with pytest.raises(StoreUnavailable, match="open it again") as refused:
                await tasks.write(100)
            disk.failing = None
            return tasks.acknowledged, refused.value

    acknowledged, refused = asyncio.run(main())
    assert refused.outcome == "not_written"
    assert TASKS <= len(acknowledged) < TASKS * 100
    all_there(path, acknowledged)


def test_a_disk_that_is_full_in_it(tmp_path: Path, disk: HeldDisk) -> None:
    """The log takes what comes, and is copied when there is room again."""
    path = tmp_path / "chat.db"

    async def main() -> list[str]:
        async with palaver.aopen(opened(path, disk)) as sessions:
            tasks = Tasks(sessions)
            await tasks.write()
            disk.full = True
            await tasks.write(20)
            assert disk.entered.is_set()
            disk.full = False
            copied = disk.syncs["chat.db"]
            await tasks.write(20)
            assert disk.syncs["chat.db"] > copied
            return tasks.acknowledged

    all_there(path, asyncio.run(main()))


def test_closing_in_the_middle_of_it(tmp_path: Path, disk: HeldDisk) -> None:
    """The closing waits for it; nothing is lost, and no log is left behind."""
    path = tmp_path / "chat.db"

    async def main() -> list[str]:
        sessions = await palaver.aopen(opened(path, disk))
        tasks = Tasks(sessions)
        await tasks.write()
        writing = await tasks.until_held(disk)
        closing = asyncio.ensure_future(sessions.close())
        await asyncio.wait([closing], timeout=0.05)
        assert not closing.done()
        disk.released.set()
        await writing
        await closing
        return tasks.acknowledged

    acknowledged = asyncio.run(main())
    assert not kit.wal_bytes(path)
    all_there(path, acknowledged)


@pytest.mark.parametrize("survive", [0.0, 0.5], ids=["nothing", "half"])
def test_a_power_cut_in_it(tmp_path: Path, disk: HeldDisk, survive: float) -> None:
    """Whatever part of what was not synced survives a cut at whatever moment, acknowledged messages do."""

    async def main() -> list[Event]:
        async with palaver.aopen(opened(tmp_path / "chat.db", disk)) as sessions:
            await Tasks(sessions, disk).write(12)
        return disk.events

    events = asyncio.run(main())
    tidied = [n for n, (kind, name, _, _) in enumerate(events) if name == "chat.db" and kind in {"write", "sync"}]
    assert len({kind for kind, *_ in events}) > 3
    chance = random.Random(f"cut {survive}")
    for number, cut in enumerate(sorted(chance.sample(tidied, CUTS))):
        folder = tmp_path / f"image{number}"
        folder.mkdir()
        acknowledged = image(events[: cut + 1], folder, chance, survive)
        with palaver.open(folder / "chat.db") as sessions:
            assert sessions.check() == [], f"cut at {cut} of {len(events)}"
            found = kit.texts(sessions, "key") if acknowledged else []
            assert set(acknowledged) <= set(found)
            assert len(set(found)) == len(found)


def test_kill_9_in_it(tmp_path: Path) -> None:
    """A process that is killed while it copies the log: what it had acknowledged is there."""
    path = tmp_path / "chat.db"
    with kit.process("tidying.py", path, "wait") as running:
        acknowledged: list[str] = []
        for line in kit.pipe(running.stdout):
            if line == "copying\n":
                break
            acknowledged.append(line.rstrip("\n"))
        kit.kill(running)
    assert len(acknowledged) > TASKS
    with palaver.open(path) as sessions:
        found = kit.texts(sessions, "key")
        assert set(acknowledged) <= set(found)
        assert len(set(found)) == len(found)
        assert sessions.check() == []


def test_a_fork_in_the_middle_of_it(tmp_path: Path) -> None:
    """It waits until the copying is done; then both sides write, and nothing is lost."""
    path = tmp_path / "chat.db"
    said = kit.finished("tidying.py", path, "fork")
    assert sum(line.startswith("child") for line in said) == 5
    assert sum(line.startswith("parent") for line in said) == 5
    with palaver.open(path) as sessions:
        assert sorted(kit.texts(sessions, "key")) == sorted(line for line in said if line != "copying")
        assert sessions.check() == []

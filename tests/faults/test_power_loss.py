"""Power loss: after a cut at any write to the disk, everything that was acknowledged before it is there."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import palaver
from palaver import Session, assistant, tool, user
from palaver.model import ToolCall
from palaver.stores.sqlite import SqliteStore, checkpoints
from tests.faults import kit
from tests.faults.disk import Event, RecordingDisk, image

CUTS = 70
KEY = "key"


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[RecordingDisk]:
    """A recording disk, registered for the length of one test."""
    made = RecordingDisk(f"recording-{request.node.name}")
    yield made
    made.unregister()


def live_through(path: Path, disk: RecordingDisk, *, exclusive: bool = False) -> list[Event]:
    """A store's life: appends, turns, a reset, checkpoints, a close and a second life. Gives the events."""
    for life in range(2):
        with palaver.open(SqliteStore(str(path), vfs=disk.name, exclusive=exclusive)) as sessions:
            for n in range(6):
                text = f"l{life}n{n}"
                with sessions.begin_turn(KEY, user(f"{text} question", id=text)) as turn:
                    disk.acknowledged(f"{text} question")
                    turn.append(assistant(None, ToolCall(name="f", call_id=text, arguments="{}")))
                    turn.append(tool(text, f"{text} result"))
                    disk.acknowledged(f"{text} result")
                    turn.finish(assistant(f"{text} answer" + "." * 3000 * (n % 3)))
                    disk.acknowledged(f"{text} answer" + "." * 3000 * (n % 3))
    return disk.events


@pytest.mark.parametrize("exclusive", [False, True], ids=["wal", "exclusive"])
@pytest.mark.parametrize("survive", [0.0, 0.5, 0.9], ids=["nothing", "half", "most"])
def test_acknowledged_writes_survive_a_power_cut(
    tmp_path: Path, disk: RecordingDisk, monkeypatch: pytest.MonkeyPatch, survive: float, exclusive: bool
) -> None:
    """Whatever part of the unsynced sectors survives a cut at whatever moment, acknowledged messages do."""
    monkeypatch.setattr(checkpoints, "CHECKPOINT_PAGES", 20)  # so that checkpoints are cut short too
    events = live_through(tmp_path / "chat.db", disk, exclusive=exclusive)
    assert any(kind == "sync" and name == "chat.db" for kind, name, _, _ in events)
    chance = random.Random(f"cut {survive}")
    for number, cut in enumerate(sorted(chance.sample(range(len(events)), CUTS))):
        folder = tmp_path / f"image{number}"
        folder.mkdir()
        acknowledged = image(events[:cut], folder, chance, survive)
        with palaver.open(folder / "chat.db") as sessions:
            assert sessions.check() == [], f"cut at {cut} of {len(events)}"
            found = kit.texts(sessions, KEY) if acknowledged else []
            kit.once_each([t for t in found if t], acknowledged)


def test_a_lone_append_costs_one_sync_and_a_turn_two(tmp_path: Path, disk: RecordingDisk) -> None:
    """What a write costs is its one sync of the log: an append one, a turn without steps two, a read none."""
    with palaver.open(SqliteStore(str(tmp_path / "chat.db"), vfs=disk.name)) as sessions:
        session = sessions.create(KEY)
        session.append(user("the first settles the files"))
        disk.syncs.clear()
        for n in range(20):
            session.append(user(f"message {n}"))
        assert disk.syncs == {"chat.db-wal": 20}
        disk.syncs.clear()
        for n in range(5):
            with sessions.begin_turn(KEY, user(f"question {n}")) as turn:
                turn.finish(assistant(f"answer {n}"))
        assert disk.syncs == {"chat.db-wal": 10}
        disk.syncs.clear()
        assert len(session.history().messages) == 31
        assert disk.syncs == {}


def test_appends_that_come_together_share_a_sync(tmp_path: Path, disk: RecordingDisk) -> None:
    """Thirty-two threads that write at once need far fewer syncs than they store messages."""
    each, threads = 10, 32
    with palaver.open(SqliteStore(str(tmp_path / "chat.db"), vfs=disk.name)) as sessions:
        every = [sessions.create(f"k{n}") for n in range(threads)]
        gate = threading.Barrier(threads)

        def write(session: Session) -> None:
            gate.wait()
            for n in range(each):
                session.append(user(f"message {n}"))

        disk.syncs.clear()
        running = [threading.Thread(target=write, args=(session,)) for session in every]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        assert disk.syncs["chat.db-wal"] <= each * threads // 2
        assert sessions.stats().messages == each * threads

"""Sweeps that are killed, that meet each other, and that meet the messages of the living."""

from __future__ import annotations

import random
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import SessionManager, SweepPolicy, assistant, user
from palaver.reset import ResetPolicy
from palaver.rows import ChangeKind
from palaver.stores.sqlite import SqliteStore
from tests.faults import kit

IDLE = ResetPolicy(idle=timedelta(days=1))
GONE = SweepPolicy(purge_deleted_after=timedelta(0))


def later() -> datetime:
    """Two days from now."""
    return datetime.now(UTC) + timedelta(days=2)


def fill(path: Path, count: int, each: int = 2) -> list[str]:
    """Sessions with messages; gives their ids."""
    ids: list[str] = []
    with palaver.open(path) as sessions:
        for n in range(count):
            session = sessions.get_or_create(f"k{n}")
            session.append(*[user(f"k{n} {m}") for m in range(each)])
            ids.append(session.id)
    return ids


@pytest.mark.parametrize("what", ["delete", "expire"])
def test_kill_9_in_the_middle_of_a_sweep(tmp_path: Path, what: str) -> None:
    """What was said to be done is done, nothing is half done, and the next sweep goes on."""
    path = tmp_path / "chat.db"
    ids = fill(path, 120)
    chance = random.Random(what)
    done: list[str] = []
    for _ in range(3):
        with kit.process("sweeper.py", path, 0, what) as running:
            out = kit.pipe(running.stdout)
            assert out.readline() == "ready\n"
            kit.say(running, "go")
            lines = [out.readline() for _ in range(chance.randrange(1, 20))]
            kit.kill(running)
            lines += out
        done += [line.split()[1] for line in lines if line.endswith("\n") and line.startswith(what)]
        with palaver.open(path) as sessions:
            assert sessions.check() == []
    assert len(set(done)) == len(done)
    with palaver.open(path, clock=later, reset_policy=IDLE) as sessions:
        policy = SweepPolicy(delete_after=timedelta(days=1)) if what == "delete" else None
        rest = [action.session_id for action in sessions.sweep(policy).actions]
        assert set(done).isdisjoint(rest)
        ended = {info.id for info in sessions.list(limit=1000, include_deleted=True) if info.ended_at is not None}
        assert ended == set(ids)
        assert sessions.check() == []


def test_kill_9_in_the_middle_of_a_long_purge(tmp_path: Path) -> None:
    """The session is gone from the first step on; the messages that are left go with the next sweep."""
    path = tmp_path / "chat.db"
    [session_id] = fill(path, 1, each=20_000)
    with palaver.open(path) as sessions:
        sessions.get(session_id).delete()
    with kit.process("sweeper.py", path, 0, "purge") as running:
        assert kit.pipe(running.stdout).readline() == "ready\n"
        kit.say(running, "go")
        assert kit.pipe(running.stdout).readline() == "half\n"
        kit.kill(running)
    with kit.raw(path) as database, palaver.open(path, clock=later) as sessions:
        count = "SELECT count(*) FROM messages"
        left = [n for (n,) in database.execute(count) if isinstance(n, int)]
        assert 0 < left[0] < 20_000
        assert sessions.check() == []
        with pytest.raises(palaver.SessionNotFound):
            sessions.restore(session_id)
        assert sessions.sweep(SweepPolicy(purge_deleted_after=None)).counts == {"purge": 1}
        assert database.execute(count).fetchall() == [(0,)]
        assert sessions.check() == []


def test_two_sweepers_do_everything_once(tmp_path: Path) -> None:
    """Two processes sweep one store: each thing is done by one of them, and neither fails."""
    path = tmp_path / "chat.db"
    ids = fill(path, 150)
    with ExitStack() as stack:
        running = [stack.enter_context(kit.process("sweeper.py", path, 0, "expire")) for _ in range(2)]
        for process in running:
            assert kit.pipe(process.stdout).readline() == "ready\n"
        for process in running:
            kit.say(process, "go")
        lines: list[str] = []
        for process in running:
            lines += kit.pipe(process.stdout).read().splitlines()
            assert process.wait(kit.PATIENCE) == 0
    assert lines.count("done") == 2
    done = [line.split()[1] for line in lines if line.startswith("expire")]
    assert sorted(done) == sorted(ids)
    with palaver.open(path) as sessions:
        assert sessions.check() == []
        kinds = [change.kind for change in sessions.events(limit=10**6)]
        assert kinds.count("expired") == kinds.count("reset") == len(ids)


def test_messages_that_arrive_while_it_sweeps(tmp_path: Path) -> None:
    """Every message is answered in one session; what a sweep resets holds no turn and loses no message."""
    path = tmp_path / "chat.db"
    fill(path, 40)
    answers: dict[int, list[str]] = {n: [] for n in range(40)}
    errors: list[BaseException] = []
    with palaver.open(path, clock=later, reset_policy=IDLE) as sessions:

        def speak(numbers: range) -> None:
            try:
                for number in numbers:
                    for word in ("again", "more"):
                        with sessions.begin_turn(f"k{number}", user(f"{word} {number}")) as turn:
                            turn.finish(assistant(f"{word} {number}!"))
                            answers[number].append(turn.session_id)
            except BaseException as error:  # noqa: BLE001 - told by the test's own thread
                errors.append(error)

        threads = [threading.Thread(target=speak, args=(range(n, 40, 4),)) for n in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            sessions.sweep()
        for thread in threads:
            thread.join()
        assert errors == []
        assert sessions.check() == []
        for number, where in answers.items():
            assert len(set(where)) == 1, "the second message found another session than the first"
            info = sessions.resolve(f"k{number}").info()
            assert info.id == where[0]
            assert [m.text for m in sessions.get(info.id).messages()] == [
                line for word in ("again", "more") for line in (f"{word} {number}", f"{word} {number}!")
            ]
            old = sessions.get(info.parent or "")
            assert [m.text for m in old.messages()] == [f"k{number} 0", f"k{number} 1"]
        kinds = [change.kind for change in sessions.events(limit=10**6)]
        assert kinds.count("reset") == 40


class _Meanwhile(SqliteStore):
    """A store in which something happens between what a sweep reads and what it does."""

    meanwhile: Any = None

    def standings(self, query: Any, now: datetime) -> Any:
        found = super().standings(query, now)
        if self.meanwhile is not None:
            happening, self.meanwhile = self.meanwhile, None
            happening()
        return found


@pytest.mark.parametrize("reply", [True, False])
@pytest.mark.parametrize(
    "policy", [None, SweepPolicy(delete_after=timedelta(days=1), archive_after=timedelta(hours=1))]
)
def test_the_message_wins(tmp_path: Path, policy: SweepPolicy | None, *, reply: bool) -> None:
    """A message between the look and the deed: the session is in use, and stays."""
    path = tmp_path / "chat.db"
    [session_id] = fill(path, 1)
    store = _Meanwhile(str(path))
    with palaver.open(store, clock=later, reset_policy=IDLE) as sessions:
        other = SessionManager(sessions._core)  # pyright: ignore[reportPrivateUsage]

        def write() -> None:
            turn = other.get(session_id).begin_turn(user("wait"))
            if reply:
                turn.finish(assistant("yes"))

        store.meanwhile = write
        report = sessions.sweep(policy)
        assert (report.actions, report.changed) == ((), 1)
        assert sessions.resolve("k0").id == session_id
        assert sessions.sweep(policy).actions == ()
        assert ChangeKind.SWEPT.name.lower() not in [change.kind for change in sessions.events()]


def test_garbage_goes_and_nothing_else(tmp_path: Path) -> None:
    """Content that nothing shows, entries and references of messages that are gone: told, then removed, once."""
    path = tmp_path / "chat.db"
    fill(path, 3)
    with palaver.open(path) as sessions:
        sessions.index()
    with kit.raw(path) as database:
        for statement in (
            "INSERT INTO media (address, data) VALUES ('x-1', x'00')",
            "INSERT INTO media_refs (address, message) VALUES ('y-1', 99 << 32 | 1)",
            "INSERT INTO queue (id) VALUES (99 << 32 | 1)",
            "INSERT INTO versions VALUES (99 << 32 | 1, 1, 0, 3, x'7b7d')",
            "INSERT INTO search_index (rowid, tags, text) VALUES (99 << 32 | 1, 'a', 'b')",
        ):
            database.execute(statement)
    with palaver.open(path) as sessions:
        assert sessions.check() != []
        dry = sessions.sweep(dry_run=True)
        assert dry.counts == {"clean": 5}
        assert sessions.sweep(SweepPolicy(orphans=False)).actions == ()
        assert sessions.for_owner("ann").sweep().actions == ()
        assert sessions.sweep().actions == dry.actions
        assert sessions.sweep().actions == ()
        assert sessions.check() == []
        assert len(sessions.search("k1")) == 2

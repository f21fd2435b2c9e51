"""A copy that is killed on its way is gone on with, nothing twice; one that follows hears of everything."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import palaver
from palaver import user
from palaver.cli import main
from palaver.moving import Copier
from palaver.operations import Create, NewSession
from palaver.stores import open_store
from palaver.testing.material import AT, drafts
from tests.faults import kit
from tests.faults.kit import SOURCE, pipe
from tests.waiting import PATIENCE

SESSIONS = 500


@contextmanager
def copying(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`palaver copy` in a process of its own."""
    running = subprocess.Popen(
        [sys.executable, "-m", "palaver", "copy", "--json", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait(PATIENCE)
        pipe(running.stdout).close()


def said(running: subprocess.Popen[str]) -> dict[str, object]:
    """The next line that it prints."""
    found: dict[str, object] = json.loads(pipe(running.stdout).readline())
    return found


def count(url: str) -> int:
    """How many sessions a store has."""
    with open_store(url) as store:
        return len(store.erasable(0, limit=SESSIONS))


@pytest.mark.parametrize("kinds", [("sqlite", "jsonl"), ("jsonl", "sqlite")])
def test_killed_in_the_middle_and_done_again(kinds: tuple[str, str], tmp_path: Path) -> None:
    """What came through is kept and not copied again; in the end both are equal."""
    urls = {"sqlite": f"sqlite:///{tmp_path}/chat.db", "jsonl": f"jsonl:///{tmp_path}/lines"}
    source, target = (urls[kind] for kind in kinds)
    with open_store(source) as store:
        made = [
            Create(at=AT, key=f"k{n}", new=NewSession(id=f"s{n}", carried=drafts(*[f"{n}.{m}" for m in range(4)])))
            for n in range(SESSIONS)
        ]
        for first in range(0, SESSIONS, 100):
            store.commit(made[first : first + 100])
    with kit.process("half_copy.py", source, target) as dies:
        assert dies.wait(PATIENCE) == -signal.SIGKILL
    there = count(target)
    assert 0 < there < SESSIONS
    with copying(source, target) as running:
        report = said(running)
        assert running.wait(PATIENCE) == 0
    assert report["problems"] == 0
    assert report["unchanged"] == there or report["unchanged"] == there - 1, "the last one may have been half there"
    with open_store(source) as one, open_store(target) as other:
        again = Copier(one, other, verify=True).copy()
        assert (again.unchanged, again.compared, again.problems) == (SESSIONS, 4 * SESSIONS, ())
        assert len(other.erasable(0, limit=2 * SESSIONS)) == SESSIONS
        assert other.check() == []


def test_it_follows_until_it_is_interrupted(tmp_path: Path) -> None:
    """What another process writes meanwhile is in the copy before it says that it has caught up; then it ends well."""
    source, target = f"{tmp_path}/chat.db", f"jsonl:///{tmp_path}/lines"
    with palaver.open(source) as sessions:
        session = sessions.get_or_create("local:dm")
        session.append(user("before"))
        with copying(source, target, "--follow") as running:
            assert said(running)["type"] == "caught_up"
            for number in range(3):
                session.append(user(str(number)))
                told = {"type": "caught_up", "changes": number + 1, "messages": number + 2, "problems": 0}
                assert said(running) == told
            running.send_signal(signal.SIGINT)
            report = said(running)
            assert running.wait(PATIENCE) == 0
    assert (report["type"], report["caught_up"], report["changes"]) == ("report", True, 3)
    assert (report["sessions"], report["copied"], report["updated"], report["messages"]) == (1, 1, 3, 4)
    with palaver.open(target) as copy:
        assert [m.text for m in copy.resolve("local:dm").messages()] == ["before", "0", "1", "2"]


def test_following_ends_where_the_disk_is_full(
    tmp_path: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody has to free some: it is not tried again and again."""
    source = str(tmp_path / "chat.db")
    with palaver.open(source) as sessions:
        for number in range(20):
            sessions.get_or_create(f"k{number}").append(user("x" * 300_000))
    assert main(["copy", "--follow", source, str(small_disk / "copy.db")]) == 4
    told = capsys.readouterr().err
    assert "no room" in told or "full" in told
    assert "tried until" not in told

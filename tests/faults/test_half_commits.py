"""A process that dies between the files and the index of a JSONL store, while another goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

import palaver
from palaver import StoreBusy, assistant, user
from tests.disks import failing_sync
from tests.faults import kit

SCRIPTS = Path(__file__).parent / "scripts"
SCRIPT = SCRIPTS / "half_commit.py"


def test_what_a_dead_process_wrote_keeps_its_place_in_the_feed(tmp_path: Path) -> None:
    """The next commit, to another session, reads it first: no two changes have one place, and the store opens."""
    url = f"jsonl:///{tmp_path / 'store'}"
    with palaver.open(url) as sessions:
        one, other = sessions.create(), sessions.create()
        one.append(user("one"))
        other.append(user("other"))
        for number in range(3):
            died = subprocess.run([sys.executable, SCRIPT, url, one.id], check=False, timeout=60)
            assert died.returncode == -signal.SIGKILL
            other.append(user(f"after {number}"))
        told = [change.cursor for change in sessions.events()]
        assert len(told) == len(set(told))
    with palaver.open(url) as sessions:
        assert sessions.check() == []
        assert [change.cursor for change in sessions.events()] == told
        texts = [message.text for message in sessions.get(other.id).messages()]
        assert texts == ["other", "after 0", "after 1", "after 2"]
        assert sessions.get(one.id).messages()[0].text == "one"


def test_a_feed_with_one_place_for_two_changes_begins_anew(tmp_path: Path) -> None:
    """Files that somebody put together from two stores: everything is there, and readers of the feed begin anew."""
    store = tmp_path / "store"
    for name in ("one", "other"):
        with palaver.open(f"jsonl:///{tmp_path / name}") as sessions:
            sessions.create(name).append(user(name))
    store.joinpath("sessions").mkdir(parents=True)
    for name in ("one", "other"):
        for path in (tmp_path / name / "sessions").iterdir():
            text = path.read_bytes()
            if b'"number":1' in text and name == "other":
                text = text.replace(b'"number":1', b'"number":2')
            if path.name != "store.jsonl":
                (store / "sessions" / path.name).write_bytes(text)
    with palaver.open(f"jsonl:///{store}") as sessions:
        assert sorted(each.preview or "" for each in sessions.list()) == ["one", "other"]
        sessions.resolve("one").append(user("more"))
        assert [change.kind for change in sessions.events()] == ["appended"]
        assert sessions.check() == []


@pytest.mark.parametrize("whole", [0, 1], ids=["no file", "one of two files"])
def test_who_closes_leaves_the_journal_of_a_dead_process(tmp_path: Path, whole: int) -> None:
    """It says what the files do not: a reset is there or it is not, and never the half of it."""
    url = f"jsonl:///{tmp_path / 'store'}"
    with palaver.open(url) as sessions:
        sessions.begin_turn("key", user("one")).finish(assistant("two"))
        old = sessions.resolve("key").id
        died = subprocess.run(
            [sys.executable, SCRIPTS / "half_files.py", url, "key", str(whole)], check=False, timeout=60
        )
        assert died.returncode == -signal.SIGKILL
    with palaver.open(url) as sessions:
        found = {info.id: info for info in sessions.list(include_empty=True)}
        assert len(found) == 2
        assert found.pop(old).ended_at is not None
        [(new, info)] = found.items()
        assert info.ended_at is None
        assert sessions.resolve("key").id == new
        assert sessions.check() == []


def test_a_sync_that_failed_at_closing_is_not_repeated(tmp_path: Path) -> None:
    """Another process would be told that it succeeds: it writes what the journal says once more, and then syncs."""
    url, fault = f"jsonl:///{tmp_path / 'store'}", tmp_path / "fault"
    journal = tmp_path / "store" / ".palaver" / "journal"
    with palaver.open(url) as sessions:
        session = sessions.create("key")
        session.append(user("before"))
        environment = {
            "LD_PRELOAD": str(failing_sync(tmp_path)),
            "PALAVER_FAULT": str(fault),
            "PALAVER_FAULT_FILES": f"sessions/{session.id}",
        }
        assert kit.finished("failing_fold.py", url, fault, env=environment) == ["error unknown"]
        assert b"acknowledged" in journal.read_bytes()
        session.append(user("after"))
        assert b"acknowledged" not in journal.read_bytes(), "the files were not written anew"
        assert [message.text for message in session.messages()] == ["before", "acknowledged", "after"]


def test_who_has_to_wait_after_a_purge_is_told_so_and_writes_on(tmp_path: Path) -> None:
    """That a file was put in the place of another is of that commit: the next one can be taken back."""
    store = tmp_path / "store"
    with palaver.open(f"jsonl:///{store}?timeout=0.1") as sessions:
        session = sessions.create("key")
        session.append(user("one"), user("a secret"), user("three"))
        session.purge(2, 2)
        other = apsw.Connection(str(store / ".palaver" / "index.db"))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy) as busy:
            session.append(user("four", id="four"))
        assert busy.value.outcome == "not_written"
        other.execute("ROLLBACK")
        other.close()
        session.append(user("four", id="four"))
        assert [message.text for message in session.messages()] == ["one", "three", "four"]

"""A process that dies between the files and the index of a JSONL store, while another goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import palaver
from palaver import user

SCRIPT = Path(__file__).parent / "scripts" / "half_commit.py"


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

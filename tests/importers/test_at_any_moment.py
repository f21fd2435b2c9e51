"""Two imports of one source, where the other runs between any two looks of the first at the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import Origin, SessionManager, assistant, user
from palaver.exporters import Wanted, text_of
from palaver.exports import Format
from palaver.importers import import_path
from palaver.stores.memory import MemoryStore
from tests.importers.hermes_home import SUMMARY, Home
from tests.moments import Between


def nanobot(root: Path) -> Path:
    """A conversation of nanobot's."""
    head = {"_type": "metadata", "key": "cli:1", "created_at": "2026-03-01T09:00:00", "metadata": {}}
    said = [{"role": "user", "content": f"{n}", "timestamp": "2026-03-01T09:00:01"} for n in range(3)]
    (root / "sessions").mkdir()
    (root / "sessions" / "cli_1.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in (head, *said)))
    return root


def hermes(root: Path) -> Path:
    """Two sessions of hermes's: the second follows the first, with a summary, a title, a key and what it used."""
    home = Home(root)
    home.session("s1", "hi", "hello", ended_at=1_772_000_100.0, end_reason="compression", input_tokens=5, model="m")
    home.session("s2", SUMMARY + "they met", "and now?", "Yes?", parent_session_id="s1", title="Tea", input_tokens=9)
    home.index(**{"agent:main:telegram:dm:42": "s2"})
    return root


def saved(root: Path) -> Path:
    """An export of our own."""
    with palaver.open("memory://") as sessions:
        session = sessions.get_or_create(Origin("telegram", chat_id="42"))
        session.append(user("a"), assistant("b"), user("c"), assistant("d"))
        session.compact("ab", through_seq=2)
        session.rename("Letters")
        wanted = Wanted(format=Format.jsonl)
        lines = list(text_of(sessions, session.info(), wanted, seen=set(), damaged=print))
    path = root / "saved.jsonl"
    path.write_text("".join(lines))
    return path


def told(sessions: SessionManager) -> list[tuple[Any, ...]]:
    """What the store holds, but for what each import makes up."""
    out: list[tuple[Any, ...]] = []
    for info in sessions.list(limit=100, include_ended=True, include_hidden=True, include_archived=True):
        session = sessions.get(info.id)
        texts = [message.text for message in session.messages(limit=1000, live=False)]
        window = [message.text for message in session.history().messages]
        out.append((texts, window, info.keys, info.title, info.usage))
    return sorted(out, key=repr)


@pytest.mark.parametrize("make", [nanobot, hermes, saved])
def test_another_import_between_two_calls(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """Nothing is refused, nothing is there twice, and what is there is what one import brings."""
    source = make(tmp_path)
    with palaver.open("memory://") as sessions:
        import_path(sessions, source)
        expected = told(sessions)
    assert expected
    at = 0
    while True:
        at += 1
        store = MemoryStore()
        with palaver.open(store) as other:
            between = Between(store, at, partial(import_path, other, source))
            report = import_path(palaver.open(between), source)
            assert told(other) == expected, at
            assert not other.check(), at
        assert {each.status for each in report.sessions} <= {"new", "grown", "changed", "unchanged"}, (at, report)
        assert report.total("skipped") == 0, (at, report)
        if not between.moment.came:
            break
    assert at > 5

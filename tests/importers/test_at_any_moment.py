"""Two imports of one source, where the other runs between any two looks of the first at the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import Origin, PalaverError, Session, SessionManager, SweepPolicy, assistant, user
from palaver.exporters import Wanted, text_of
from palaver.exports import Format
from palaver.importers import import_path
from palaver.reach import core_of
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


def claude(root: Path) -> Path:
    """A conversation of Claude Code's, and what a subagent did for it."""
    name = "6f2d0a11-2222-4333-8444-555555555555"

    def record(uuid: str, text: str, **more: object) -> str:
        message = {"role": "user", "content": text}
        made = {"sessionId": name, "type": "user", "message": message, "uuid": uuid, "parentUuid": None}
        return json.dumps(made | {"isSidechain": False, "timestamp": "2026-01-02T03:00:01.250Z"} | more) + "\n"

    project = root / "projects" / "-work-app"
    project.mkdir(parents=True)
    (project / f"{name}.jsonl").write_text(record("u1", "Read it"))
    (project / "agent-ab12cd34.jsonl").write_text(record("x1", "Find it", isSidechain=True, agentId="ab12cd34"))
    return root


def told(sessions: SessionManager) -> list[tuple[Any, ...]]:
    """What the store holds, but for what each import makes up."""
    out: list[tuple[Any, ...]] = []
    for info in sessions.list(limit=100, include_ended=True, include_hidden=True, include_archived=True):
        session = sessions.get(info.id)
        texts = [message.text for message in session.messages(limit=1000, live=False)]
        window = [message.text for message in session.history().messages]
        out.append((texts, window, info.keys, info.title, info.usage))
    return sorted(out, key=repr)


@pytest.mark.parametrize("make", [nanobot, hermes, claude, saved])
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


def newest(sessions: SessionManager) -> Session:
    """The session that was stored last, by an import that is under way for instance."""
    found = core_of(sessions).store.erasable(0, limit=100)
    return Session(core_of(sessions), found[-1].row.id if found else "none yet")


KEYS = ("cli:1", "agent:main:telegram:dm:42", "telegram:dm:42")
STATUSES = {"new", "grown", "changed", "unchanged", "refused"}
OTHERS: dict[str, Callable[[SessionManager], object]] = {
    "append": lambda s: newest(s).append(user("meanwhile")),
    "turn": lambda s: newest(s).begin_turn(user("meanwhile"), timeout=0).finish(assistant("yes")),
    "reset": lambda s: newest(s).reset(),
    "delete": lambda s: newest(s).delete(),
    "purge": lambda s: newest(s).purge(),
    "purge first": lambda s: newest(s).purge(1, 1),
    "rewind": lambda s: newest(s).rewind(),
    "rename": lambda s: s.create("mine", title="Tea").append(user("meanwhile")),
    "erase": lambda s: s.erase(session=newest(s).id),
    "sweep": lambda s: s.sweep(SweepPolicy(empty_after=timedelta())),
    "take the key": lambda s: [s.get_or_create(key).append(user("meanwhile")) for key in KEYS],
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("make", [nanobot, hermes, claude, saved])
def test_somebody_else_between_two_calls(make: Callable[[Path], Path], other: str, tmp_path: Path) -> None:
    """The import ends and says what became of each session; another import finds nothing wrong with what it left."""
    source = make(tmp_path)
    at = 0
    while True:
        at += 1
        store = MemoryStore()
        with palaver.open(store) as theirs:

            def meanwhile(theirs: SessionManager = theirs) -> None:
                with suppress(PalaverError):
                    OTHERS[other](theirs)

            between = Between(store, at, meanwhile)
            for report in (import_path(palaver.open(between), source), import_path(theirs, source)):
                assert {each.status for each in report.sessions} <= STATUSES, (at, report)
            assert theirs.check() == [], at
            for texts, *_ in told(theirs):
                assert len(texts) == len(set(texts)), (at, texts)
        if not between.moment.came:
            break

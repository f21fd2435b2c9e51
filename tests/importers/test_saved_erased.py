"""Palaver's own exports, imported where some of what they hold was erased: that is left out, the rest is taken in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import palaver
from palaver import Origin, Sender, SessionManager, assistant, user
from palaver.exporters import Wanted, text_of
from palaver.exports import Format
from palaver.importers import import_path

GROUP = Origin("telegram", chat_type="thread", chat_id="-100", thread_id="1")
HERS, THEIRS = Sender(id="7"), Sender(id="8")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SessionManager]:
    """A store with a conversation of two people in a group, a summary of how it began, and a title that quotes it."""
    with palaver.open(tmp_path / "source.db") as sessions:
        group = sessions.get_or_create(GROUP)
        group.append(user("And I in Oak Street", sender=THEIRS), assistant("Oak, then"))
        group.append(user("I live in Elm Street", sender=HERS), assistant("Elm Street, then"))
        group.compact("They said where they live", through_seq=4)
        group.rename("I live in Elm Street")
        group.append(user("Where was that?", sender=THEIRS), assistant("In Oak Street"))
        yield sessions


@pytest.fixture(params=["sqlite", "memory", "jsonl"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionManager]:
    """An empty store of each kind."""
    url = {"sqlite": f"sqlite:///{tmp_path}/t.db", "memory": "memory://", "jsonl": f"jsonl:///{tmp_path}/lines"}
    with palaver.open(url[request.param]) as sessions:
        yield sessions


def export(sessions: SessionManager, session_id: str, path: Path) -> Path:
    """Write one session as lines of JSON."""

    def damaged(error: Exception) -> None:
        raise error

    wanted = Wanted(format=Format.jsonl)
    info = sessions.get(session_id).info()
    path.write_text("".join(text_of(sessions, info, wanted, seen=set(), damaged=damaged)))
    return path


def texts(sessions: SessionManager, session_id: str) -> list[str]:
    """What is live in a session."""
    return [message.text for message in sessions.get(session_id).messages()]


def test_a_copy_comes_without_what_was_erased(source: SessionManager, target: SessionManager, tmp_path: Path) -> None:
    """Its other messages are taken in, and what came to it later too; nothing tells of what was erased."""
    first = source.resolve(GROUP).id
    import_path(target, export(source, first, tmp_path / "first.jsonl"))
    assert target.erase(user="telegram:7").counts["messages"] == 2
    fork = source.get(first).fork()
    fork.rename("Elm street")
    path = export(source, fork.id, tmp_path / "fork.jsonl")

    dry = import_path(target, path, dry_run=True)
    [done] = import_path(target, path).sessions
    assert [(each.imported, each.skipped) for each in dry.sessions] == [(4, 2)]
    assert (done.status, done.records, done.imported, done.present, done.skipped) == ("new", 6, 4, 0, 2)
    assert [note.reason for note in done.notes] == [
        "2 messages were erased from this store, and are not taken in again"
    ]
    kept = ["And I in Oak Street", "Oak, then", "Where was that?", "In Oak Street"]
    assert texts(target, fork.id) == kept
    info = target.get(fork.id).info()
    assert (info.title, info.message_count) == (None, 4)
    window = target.get(fork.id).history()
    assert [message.text for message in window.messages] == kept
    assert target.check() == []
    assert list(target.search("Elm")) == []

    [again] = import_path(target, path).sessions
    assert (again.status, again.imported, again.present, again.skipped) == ("unchanged", 0, 4, 2)
    fork.append(user("Thanks", sender=THEIRS))
    [grown] = import_path(target, export(source, fork.id, path)).sessions
    assert (grown.status, grown.imported, grown.present, grown.skipped) == ("grown", 1, 4, 2)
    assert texts(target, fork.id) == [*kept, "Thanks"]
    assert target.check() == []


def test_the_session_itself_is_left_as_it_is(source: SessionManager, target: SessionManager, tmp_path: Path) -> None:
    """What was erased stays away, the rest is there already, and the report says both."""
    first = source.resolve(GROUP).id
    path = export(source, first, tmp_path / "first.jsonl")
    import_path(target, path)
    target.erase(user="telegram:7")
    before = texts(target, first)
    [done] = import_path(target, path).sessions
    assert (done.status, done.records, done.present, done.skipped) == ("unchanged", 6, 4, 2)
    assert [note.reason for note in done.notes] == [
        "2 messages were erased from this store, and are not taken in again"
    ]
    assert texts(target, first) == before
    target.erase(session=first)
    [whole] = import_path(target, path).sessions
    assert (whole.status, whole.skipped) == ("refused", 6)


def test_the_newest_message_of_a_person_may_be_erased(
    source: SessionManager, target: SessionManager, tmp_path: Path
) -> None:
    """Counts and positions are of what is left."""
    first = source.resolve(GROUP).id
    import_path(target, export(source, first, tmp_path / "first.jsonl"))
    target.erase(user="telegram:8")
    fork = source.get(first).fork()
    [done] = import_path(target, export(source, fork.id, tmp_path / "fork.jsonl")).sessions
    assert (done.imported, done.skipped) == (2, 4)
    assert texts(target, fork.id) == ["I live in Elm Street", "Elm Street, then"]
    assert target.check() == []
    target.get(fork.id).append(user("And now?", sender=HERS))
    target.get(fork.id).rewind()
    assert texts(target, fork.id) == ["I live in Elm Street", "Elm Street, then"]

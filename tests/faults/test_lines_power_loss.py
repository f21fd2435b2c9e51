"""Power loss on files of lines: after a cut at any moment, everything that was acknowledged before it is there."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import palaver
from palaver import assistant, tool, user
from palaver.media import as_text
from palaver.model import ImagePart, ToolCall
from palaver.stores.jsonl import files
from tests.faults import kit
from tests.faults.lines_disk import RecordingFolder, image

CUTS = 30
KEY, OTHER = "key", "other"


def live_through(folder: RecordingFolder) -> None:
    """A store's life: turns, resets, content, a purge, edits, a close and a second life."""
    for life in range(2):
        with palaver.open(f"jsonl:///{folder.root}") as sessions:
            for n in range(4):
                text = f"l{life}n{n}"
                with sessions.begin_turn(KEY, user(f"{text} question", id=text)) as turn:
                    folder.acknowledged(f"{KEY} {text} question")
                    turn.append(assistant(None, ToolCall(name="f", call_id=text, arguments="{}")))
                    turn.append(tool(text, f"{text} result"))
                    folder.acknowledged(f"{KEY} {text} result")
                    turn.finish(assistant(f"{text} answer" + "." * 3000 * (n % 3)))
                    folder.acknowledged(f"{KEY} {text} answer" + "." * 3000 * (n % 3))
                other = sessions.get_or_create(OTHER)
                other.append(user(f"{text} before"), user(f"{text} a secret " + "s" * 700))
                folder.acknowledged(f"{OTHER} {text} before")
                other.append(user([f"{text} look", ImagePart(data=as_text(bytes([life, n]) * 9_000))]))
                folder.acknowledged(f"{OTHER} {text} look")
                if n == 1:
                    other.purge(2, 2)
                    folder.acknowledged(f"purged {text} a secret")
                if n != 2:
                    sessions.reset(OTHER)
                    folder.acknowledged(f"reset {other.id}")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> RecordingFolder:
    """What a store did in its life."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(files, "_JOURNAL", 6_000)  # so that journals are folded, too
        folder = RecordingFolder(tmp_path_factory.mktemp("recorded"), monkeypatch)
        live_through(folder)
    return folder


@pytest.mark.parametrize("survive", [0.0, 0.5, 0.9], ids=["nothing", "half", "most"])
def test_acknowledged_writes_survive_a_power_cut(recorded: RecordingFolder, tmp_path: Path, survive: float) -> None:
    """Whatever part of what was not synced survives, all that was acknowledged does; no commit comes in part."""
    events = recorded.events
    chance = random.Random(f"lines {survive}")
    for number, cut in enumerate(sorted(chance.sample(range(len(events)), CUTS))):
        folder = tmp_path / f"image{number}"
        folder.mkdir()
        acknowledged = image(events[:cut], folder, chance, survive)
        about = f"cut at {cut} of {len(events)}: {events[cut][:3]}"
        for _ in range(2):  # what a second opening finds is what the first one left
            with palaver.open(f"jsonl:///{folder}") as sessions:
                assert sessions.check() == [], about
                said = [each.removeprefix(f"{KEY} ") for each in acknowledged if each.startswith(f"{KEY} ")]
                kit.once_each([t for t in kit.texts(sessions, KEY) if t] if said else [], said)
                every = [
                    message.text
                    for info in sessions.list(limit=100, include_empty=True)
                    for message in sessions.get(info.id).messages(limit=500)
                ]
                for each in acknowledged:
                    what, _, text = each.partition(" ")
                    if what == OTHER:
                        assert any(found.startswith(text) for found in every), f"{text} is lost; {about}"
                    elif what == "purged":
                        assert not any(found.startswith(text) for found in every), f"{text} is back; {about}"
                    elif what == "reset":
                        assert sessions.get(text).info().ended_at is not None, f"{text} is back; {about}"
        with palaver.open(f"jsonl:///{folder}") as sessions:
            sessions.get_or_create(KEY).append(user("goes on"))
            assert kit.texts(sessions, KEY)[-1] == "goes on"


def test_a_commit_costs_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the journal, whether it writes to one file or to several; a turn without steps two; a read none.

    Closing syncs the files, each once, and empties the journal. Much text for one file goes there alone.
    """
    folder = RecordingFolder(tmp_path, monkeypatch)

    def synced() -> list[str]:
        found = [name for kind, name, _, _ in folder.events if kind == "sync"]
        folder.events.clear()
        return found

    journal = ".palaver/journal"
    with palaver.open(f"jsonl:///{tmp_path}") as sessions:
        session = sessions.create(KEY)
        session.append(user("the first settles the names"))
        synced()
        for n in range(5):
            session.append(user(f"message {n}"))
        assert synced() == [journal] * 5
        sessions.begin_turn(KEY, user("question")).finish(assistant("answer"))
        assert synced() == [journal] * 2
        session.history()
        assert synced() == []
        other = sessions.reset(KEY)
        assert synced() == [journal]
        other.append(user("long " * 60_000))
        assert synced() == [f"sessions/{other.id}.jsonl", "sessions"]
    files = sorted(f"sessions/{each.id}.jsonl" for each in (session, other))
    assert synced() == [*files, "sessions", journal]
    assert (tmp_path / journal).read_bytes() == b""

"""A store with odysseus's tables imports to exactly what is said to be in it."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import SessionManager, user
from palaver.formats import check, render
from palaver.importers import Report, import_path
from palaver.model import AudioPart, FilePart, ImagePart, Message
from tests.conftest import SHARED

FIXTURE = SHARED / "fixtures" / "odysseus" / "2026-07"
_FILES = (ImagePart, AudioPart, FilePart)

pytestmark = pytest.mark.shared


def expected() -> list[dict[str, Any]]:
    """What the fixture says that is in it."""
    found: list[dict[str, Any]] = json.loads((FIXTURE / "expected.json").read_text())["sessions"]
    return found


def at(text: str) -> datetime:
    """A time of the fixture, as an instant."""
    return datetime.fromisoformat(text).astimezone(UTC)


def as_expected(message: Message) -> dict[str, Any]:
    """A stored message, described as the fixture describes its own."""
    named = [part for part in message.parts if isinstance(part, _FILES) and not part.data and not part.url]
    plain = tuple(part for part in message.parts if part not in named)
    content = render("openai_chat", [message.replace(parts=plain)], repair=False).messages[0]["content"]
    metadata = dict(message.metadata)
    attachments = metadata.get("attachments", [])
    assert [part.name for part in named] == [each["name"] for each in attachments]
    out: dict[str, Any] = {"role": message.role, "timestamp": message.created_at, "id": message.id}
    out["parts" if isinstance(content, list) else "text"] = content
    if metadata:
        out["metadata"] = metadata
    flags: list[str] = list(message.flags) + [name for name in ("edited", "stopped") if metadata.get(name)]
    if message.role == "system" and metadata.get("compacted"):
        flags.append("summary")
    if flags:
        out["flags"] = flags
    return out


def said(message: dict[str, Any]) -> dict[str, Any]:
    """The fixture's message, comparable."""
    return {**message, "timestamp": at(message["timestamp"])}


def of(sessions: SessionManager, each: dict[str, Any]) -> palaver.Session:
    """The imported session, in its owner's view."""
    manager = sessions.for_owner(each["owner"]) if each["owner"] else sessions
    return manager.get(f"odysseus:{each['session_id']}")


def imported(sessions: SessionManager, path: Path = FIXTURE / "store") -> Report:
    """Import the fixture."""
    return import_path(sessions, path)


def test_a_store_imports_to_what_is_in_it() -> None:
    """Owners, titles, times, folders, marks, usage, the summary and every message are those that are listed."""
    with palaver.open("memory://") as sessions:
        report = imported(sessions)
        assert [note for note in report.every_note() if note.action != "aside"] == []
        wanted = expected()
        assert {session.source_id for session in report.sessions} == {each["session_id"] for each in wanted}
        for each in wanted:
            session = of(sessions, each)
            info = session.info()
            page = session.messages(limit=1000)
            assert [as_expected(message) for message in page] == [said(message) for message in each["messages"]]
            assert (info.title, info.owner, info.keys) == (each["title"], each["owner"], ())
            assert (info.archived, info.pinned) == (each["archived"], each["important"])
            incognito = ["incognito"] if each["title"] == "Nobody" else []
            assert list(info.tags) == incognito + ([each["folder"]] if each["folder"] else [])
            assert info.created_at == at(each["created_at"])
            if each["last_message_at"]:
                assert info.last_active_at == at(each["last_message_at"])
            assert (info.metadata["model"], info.metadata["mode"]) == (each["model"], each["mode"])
            assert info.metadata["imported"]["updated_at"] == str(at(each["updated_at"]))
            used = each["usage"]
            assert (info.usage is not None) == bool(used["input_tokens"])
            if info.usage is not None:
                assert (info.usage.input_tokens, info.usage.output_tokens) == tuple(used.values())
            window = session.history()
            spoken = [message.text for message in window.messages if not message.seq]
            assert (each["summary"] is not None) == any(each["summary"] in text for text in spoken if each["summary"])


def test_what_may_be_a_credential_is_nowhere(tmp_path: Path) -> None:
    """No byte of the store says what stood in the headers; the report says whose they were."""
    with palaver.open(f"sqlite:///{tmp_path}/chat.db") as sessions:
        report = imported(sessions)
        told = [note for note in report.every_note() if "Authorization" in note.reason]
        assert len(told) == 1
        assert "not-a-real-key" not in str(report)
    assert all(b"not-a-real-key" not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_second_run_changes_nothing() -> None:
    """The same import again stores nothing, and moves no session's version."""
    with palaver.open("memory://") as sessions:
        imported(sessions)
        before = sessions.list(limit=1000, include_empty=True)
        again = imported(sessions)
        assert again.total("imported") == 0
        assert again.total("present") == again.total("records") == 63
        assert {session.status for session in again.sessions} == {"unchanged"}
        assert sessions.list(limit=1000, include_empty=True) == before
        assert not sessions.check()


@pytest.mark.parametrize("wire", ["openai_chat", "anthropic", "google"])
def test_the_next_message_continues_the_conversation(wire: str) -> None:
    """A message for odysseus's session id comes to the imported session, and its window is legal and goes on."""
    with palaver.open("memory://") as sessions:
        imported(sessions)
        for each in expected():
            session = of(sessions, each)
            manager = sessions.for_owner(each["owner"]) if each["owner"] else sessions
            manager.resume(each["session_id"], f"odysseus:{each['session_id']}")
            with manager.begin_turn(each["session_id"], user("And now?")) as turn:
                assert turn.session_id == session.id
                payload = turn.window.render(wire)
                assert not check(wire, payload.messages, system=payload.system)
                texts = [message.text for message in turn.window.messages]
                assert texts[-1] == "And now?"
                spoken = [m for m in each["messages"] if m["role"] == "user" and m.get("text") and not m.get("flags")]
                if spoken:
                    assert spoken[-1]["text"] in texts
                turn.finish(palaver.assistant("Now this."))


def test_an_import_for_one_owner_makes_all_of_it_theirs() -> None:
    """With a scoped manager every session becomes that owner's, and the report names whose it was."""
    with palaver.open("memory://") as every:
        sessions = every.for_owner("eve")
        report = imported(sessions)
        assert len(sessions.list(limit=100, include_empty=True, include_archived=True)) == 15
        assert sum("becomes 'eve''s" in note.reason for note in report.every_note()) == 13
        assert every.stats().sessions == 15


def test_a_source_is_only_read(tmp_path: Path) -> None:
    """No file of the source changes, appears, or is touched."""
    copy = tmp_path / "store"
    shutil.copytree(FIXTURE / "store", copy)

    def seen() -> dict[str, tuple[int, bytes]]:
        return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in copy.iterdir()}

    before = seen()
    with palaver.open("memory://") as sessions:
        imported(sessions, copy)
    assert seen() == before

"""Stores that picoclaw itself wrote import to exactly what is said to be in them."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import KeyPolicy, Origin, SessionManager, user
from palaver.formats import check, render
from palaver.importers import Report, import_path
from palaver.keys import session_key
from palaver.model import AudioPart, FilePart, ImagePart, Message, ThinkingPart
from tests.conftest import SHARED

VERSIONS = ("P0_2026-03", "P1_2026-03", "P2_2026-06")
FIXTURES = SHARED / "fixtures" / "picoclaw"
_FILES = (ImagePart, AudioPart, FilePart)

pytestmark = pytest.mark.shared


def expected(version: str) -> dict[str, Any]:
    """What a fixture says that is in it."""
    found: dict[str, Any] = json.loads((FIXTURES / version / "expected.json").read_text())
    return found


def at(text: str) -> datetime:
    """A time of the fixture, as an instant."""
    return datetime.fromisoformat(text).astimezone(UTC)


def as_expected(message: Message, *, timed: bool) -> dict[str, Any]:
    """A stored message, described as the fixtures describe theirs."""
    plain = tuple(part for part in message.parts if not isinstance(part, _FILES))
    wire = render("openai_chat", [message.replace(parts=plain)], repair=False).messages[0]
    out: dict[str, Any] = {"role": message.role, **message.metadata}
    if timed:
        out["timestamp"] = message.created_at
    content = wire["content"]
    if len(content) > 20_000:
        out["text_sha256"] = hashlib.sha256(content.encode()).hexdigest()
    else:
        out["text"] = content
    for call in wire.get("tool_calls", []):
        out.setdefault("tool_calls", []).append({"id": call["id"], **call["function"]})
    if "tool_call_id" in wire:
        out["tool_call_id"] = wire["tool_call_id"]
    thoughts = [part.text for part in message.parts if isinstance(part, ThinkingPart)]
    if thoughts:
        [out["reasoning_content"]] = thoughts
    media = [part for part in message.parts if isinstance(part, _FILES)]
    if media:
        out["media"] = [f"data:{part.media_type};base64,{part.data}" if part.data else part.name for part in media]
    assert not message.flags
    return out


def said(message: dict[str, Any]) -> dict[str, Any]:
    """A fixture's message, comparable."""
    out = {key: value for key, value in message.items() if key not in {"text_chars", "text_prefix"}}
    return {**out, "timestamp": at(message["timestamp"])} if "timestamp" in message else out


def imported(sessions: SessionManager, version: str) -> Report:
    """Import a fixture."""
    return import_path(sessions, FIXTURES / version / "store")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_imports_to_what_is_in_it(version: str) -> None:
    """Keys, aliases, times, scopes, summaries and every message are those that expected.json lists."""
    wanted = expected(version)
    with palaver.open("memory://") as sessions:
        report = imported(sessions, version)
        assert {session.key for session in report.sessions} == {each["key"] for each in wanted["sessions"]}
        assert [note for note in report.every_note() if note.action != "aside"] == wanted["skipped"]
        for each in wanted["sessions"]:
            session = sessions.resolve(each["key"])
            info = session.info()
            page = session.messages(limit=1000)
            timed = version == "P2_2026-06"
            assert [as_expected(m, timed=timed) for m in page] == [said(m) for m in each["messages"]]
            assert (info.title, info.message_count) == (each["title"], each["message_count"])
            assert info.created_at == at(each["created_at"])
            assert info.last_active_at == max(at(each["created_at"]), page[-1].created_at or at(each["created_at"]))
            if not timed:
                assert {message.created_at for message in page} == {at(each["updated_at"])}
            source = info.metadata.pop("imported")
            assert info.metadata == each["metadata"]
            assert source["updated_at"] == str(at(each["updated_at"]))
            for name in (f"picoclaw:{each['key']}", *each["metadata"].get("aliases", [])):
                assert sessions.get(name) == session
            window = session.history()
            spoken = [message.text for message in window.messages if not message.seq]
            assert (each["summary"] is not None) == any(each["summary"] in text for text in spoken if each["summary"])
            assert [m.seq for m in window.messages if m.seq] == list(
                range(each["compacted_through"] + 1, each["message_count"] + 1)
            )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_second_run_changes_nothing(version: str) -> None:
    """The same import again stores nothing, and moves no session's version."""
    with palaver.open("memory://") as sessions:
        imported(sessions, version)
        before = sessions.list(limit=1000, include_empty=True)
        again = imported(sessions, version)
        assert again.total("imported") == 0
        assert again.total("present") == again.total("records")
        assert {session.status for session in again.sessions} == {"unchanged"}
        assert sessions.list(limit=1000, include_empty=True) == before
        assert not sessions.check()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wire", ["openai_chat", "anthropic", "google"])
def test_the_next_message_continues_the_conversation(version: str, wire: str) -> None:
    """A message under picoclaw's own key comes to the imported session, and its window is legal and goes on."""
    with palaver.open("memory://", key_policy=KeyPolicy.picoclaw()) as sessions:
        imported(sessions, version)
        for each in expected(version)["sessions"]:
            with sessions.begin_turn(each["key"], user("And now?")) as turn:
                assert turn.session_id == sessions.get(f"picoclaw:{each['key']}").id
                payload = turn.window.render(wire)
                assert not check(wire, payload.messages, system=payload.system)
                texts = [message.text for message in turn.window.messages]
                assert texts[-1] == "And now?"
                spoken = [m for m in each["messages"] if m["role"] == "user" and m.get("text")]
                if spoken:
                    assert spoken[-1]["text"] in texts
                turn.finish(palaver.assistant("Now this."))


def test_an_origin_leads_to_its_imported_session() -> None:
    """Palaver computes from an origin the key that picoclaw hashed, with the dimensions that it had."""
    with palaver.open("memory://", key_policy=KeyPolicy.picoclaw()) as sessions:
        imported(sessions, "P2_2026-06")
        forum = Origin("telegram", "group", chat_id="-1001987654321", thread_id="17")
        assert sessions.resolve(forum).messages()[0].text.startswith("部署前")
        direct = sessions.resolve(Origin("telegram", chat_id="48213377"))
        assert direct == sessions.get("agent:main:telegram:direct:48213377")


def test_scopes_tell_the_origin_exactly() -> None:
    """The origin read from a scope gives the very key that picoclaw computed from it."""
    with palaver.open("memory://") as sessions:
        imported(sessions, "P2_2026-06")
        for each in expected("P2_2026-06")["sessions"]:
            origin = sessions.resolve(each["key"]).info().origin
            policy = KeyPolicy.picoclaw(dimensions=tuple(each["metadata"]["scope"]["dimensions"]))
            assert origin is not None
            assert session_key(origin, policy) == each["key"]


def test_a_source_is_only_read(tmp_path: Path) -> None:
    """No file of the source changes, appears, or is touched."""
    copy = tmp_path / "store"
    shutil.copytree(FIXTURES / "P1_2026-03" / "store", copy)

    def seen() -> dict[str, tuple[int, bytes]]:
        files = (path for path in copy.rglob("*") if path.is_file())
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = seen()
    with palaver.open("memory://") as sessions:
        import_path(sessions, copy)
    assert seen() == before

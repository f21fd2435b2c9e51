"""Stores that nanobot itself wrote import to exactly what is said to be in them."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import palaver
from palaver import KeyPolicy, Origin, SessionManager, user
from palaver.formats import check, render
from palaver.importers import Report, import_path
from palaver.model import AudioPart, FilePart, ImagePart, Message, ThinkingPart
from tests.conftest import SHARED

FORK = "../nanobot-fork/2026-02"  # the same shape, under the keys of an early fork
VERSIONS = ("N0_0.1.3.post7", "N1_0.1.4", "N2_0.1.4.post2", "N2_0.2.2", "N3_0.3.0", "N4_0.3.5", FORK)
ZONE = ZoneInfo("America/Sao_Paulo")
FLAGS = {"delivery": "proactive_delivery", "hidden": "hidden", "command": "command"}
FIXTURES = SHARED / "fixtures" / "nanobot"

pytestmark = pytest.mark.shared


def store(version: str) -> Path:
    """Where a fixture's files are."""
    return FIXTURES / version / "store"


def expected(version: str) -> dict[str, Any]:
    """What a fixture says that is in it."""
    found: dict[str, Any] = json.loads((FIXTURES / version / "expected.json").read_text())
    return found


def at(text: str) -> datetime:
    """A naive time of the fixture, as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


def as_expected(message: Message) -> dict[str, Any]:
    """A stored message, described as the fixtures describe theirs."""
    wire = render("openai_chat", [message.replace(parts=_without_files(message))], repair=False).messages[0]
    out: dict[str, Any] = {"role": message.role, "timestamp": message.created_at}
    content = wire["content"]
    if isinstance(content, str) and len(content) > 20_000:
        out["text_sha256"] = hashlib.sha256(content.encode()).hexdigest()
    else:
        out["parts" if isinstance(content, list) else "text"] = content
    for call in wire.get("tool_calls", []):
        out.setdefault("tool_calls", []).append({"id": call["id"], **call["function"]})
    out |= {key: wire[key] for key in ("tool_call_id", "name") if key in wire}
    thoughts = [part.text for part in message.parts if isinstance(part, ThinkingPart)]
    if thoughts:
        [out["reasoning_content"]] = thoughts
    media = [part.name for part in message.parts if isinstance(part, (ImagePart, AudioPart, FilePart)) and _file(part)]
    if media:
        out["media"] = media
    if message.metadata:
        out["extra"] = message.metadata
    if message.flags:
        out["flags"] = [FLAGS[flag] for flag in message.flags]
    return out


def _file(part: Any) -> bool:
    """Whether a part only names a file of the agent's."""
    return part.data is None and part.url is None and part.blob is None


def _without_files(message: Message) -> tuple[Any, ...]:
    files = (ImagePart, AudioPart, FilePart)
    return tuple(part for part in message.parts if not (isinstance(part, files) and _file(part)))


def said(message: dict[str, Any]) -> dict[str, Any]:
    """A fixture's message, comparable."""
    out = {key: value for key, value in message.items() if key not in {"text_chars", "text_prefix"}}
    return {**out, "timestamp": at(message["timestamp"])}


def imported(sessions: SessionManager, version: str) -> Report:
    """Import a fixture."""
    return import_path(sessions, store(version), zone=ZONE)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_imports_to_what_is_in_it(version: str) -> None:
    """Keys, titles, times, metadata, summaries and every message are those that expected.json lists."""
    wanted = expected(version)
    with palaver.open("memory://") as sessions:
        report = imported(sessions, version)
        assert {session.key for session in report.sessions} == {each["key"] for each in wanted["sessions"]}
        assert [note for note in report.every_note() if note.action != "aside"] == wanted["skipped"]
        for each in wanted["sessions"]:
            session = sessions.resolve(each["key"])
            info = session.info()
            page = session.messages(limit=1000)
            assert [as_expected(message) for message in page] == [said(message) for message in each["messages"]]
            assert (info.title, info.message_count) == (each["title"], each["message_count"])
            assert info.created_at == at(each["created_at"])
            if page:
                assert info.last_active_at == page[-1].created_at
            source = info.metadata.pop("imported")
            assert info.metadata == each["metadata"]
            assert source["updated_at"] == str(at(each["updated_at"]))
            assert source.get("compacted_through", 0) == each["compacted_through"]
            assert source.get("interrupted_turn") == each.get("interrupted_turn")
            assert sessions.get(f"nanobot:{each['key']}") == session
            window = session.history()
            spoken = [message.text for message in window.messages if not message.seq]
            assert (each["summary"] is not None) == any(each["summary"] in text for text in spoken if each["summary"])
            assert all(message.seq > each["compacted_through"] for message in window.messages if message.seq and spoken)


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
    """A message under nanobot's own key comes to the imported session, and its window is legal."""
    policy = KeyPolicy(style="nanobot")
    with palaver.open("memory://", key_policy=policy) as sessions:
        imported(sessions, version)
        for each in expected(version)["sessions"]:
            with sessions.begin_turn(each["key"], user("And now?")) as turn:
                assert turn.session_id == sessions.get(f"nanobot:{each['key']}").id
                payload = turn.window.render(wire)
                assert not check(wire, payload.messages, system=payload.system)
                texts = [message.text for message in turn.window.messages]
                assert texts[-1] == "And now?"
                visible = [m for m in each["messages"] if m["role"] == "user" and not m.get("flags") and m.get("text")]
                if visible:
                    assert visible[-1]["text"] in texts
                turn.finish(palaver.assistant("Now this."))


def test_an_origin_leads_to_its_imported_session() -> None:
    """Palaver computes from an origin the key that nanobot stored."""
    with palaver.open("memory://", key_policy=KeyPolicy(style="nanobot")) as sessions:
        imported(sessions, "N2_0.1.4.post2")
        forum = Origin("telegram", "group", chat_id="-1001987654321", thread_id="17")
        assert sessions.resolve(forum).info().keys == ("telegram:-1001987654321:topic:17",)
        thread = Origin("slack", "channel", chat_id="C0815BUILD", thread_id="1772000000.000100")
        assert sessions.resolve(thread).info().keys == ("slack:C0815BUILD:1772000000.000100",)


def test_a_source_is_only_read(tmp_path: Path) -> None:
    """No file of the source changes, appears, or is touched."""
    copy = tmp_path / "store"
    shutil.copytree(store("N4_0.3.5"), copy)

    def seen() -> dict[str, tuple[int, bytes]]:
        files = (path for path in copy.rglob("*") if path.is_file())
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = seen()
    with palaver.open("memory://") as sessions:
        import_path(sessions, copy, zone=ZONE)
    assert seen() == before

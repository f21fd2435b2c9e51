"""Stores that hermes-agent itself wrote import to exactly what is said to be in them."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

import palaver
from palaver import KeyPolicy, SessionManager, user
from palaver.formats import check, render
from palaver.importers import Report, import_path
from palaver.keys import session_key
from palaver.model import Message, ThinkingPart
from tests.conftest import SHARED

VERSIONS = ("0.13.0", "0.16.0", "0.19.0")
ZONE = ZoneInfo("America/Sao_Paulo")
FIXTURES = SHARED / "fixtures" / "hermes"
WITH_KEYS = "0.19.0"
"""Since this version the database says which key a session had, also when it has it no more."""

pytestmark = pytest.mark.shared


def store(version: str) -> Path:
    """Where a fixture's files are."""
    return FIXTURES / version / "store"


def expected(version: str) -> dict[str, Any]:
    """What a fixture says that is in it."""
    found: dict[str, Any] = json.loads((FIXTURES / version / "expected.json").read_text())
    return found


def at(seconds: float | None) -> datetime | None:
    """A time of the fixture."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def imported(sessions: SessionManager, version: str) -> Report:
    """Import a fixture, and see that every record is accounted for."""
    report = import_path(sessions, store(version), zone=ZONE)
    for each in report.sessions:
        assert each.records == each.imported + each.present + each.skipped, each
    return report


def as_expected(message: Message, live: bool, archived: int) -> dict[str, Any]:
    """A stored message, described as the fixtures describe theirs."""
    wire = render("openai_chat", [message], repair=False).messages[0]
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
    extra = dict(message.metadata)
    flags = {
        "summary": bool(extra.pop("compaction_summary", False)),
        "observed": bool(extra.pop("observed", False)),
        "carried_over": message.copied_from is not None,
        "undone": not live,
        "compacted": message.seq <= archived,
    }
    if extra:
        out["extra"] = extra
    if any(flags.values()):
        out["flags"] = [flag for flag, is_set in flags.items() if is_set]
    return out


def said(message: dict[str, Any]) -> dict[str, Any]:
    """A fixture's message, comparable."""
    out = {key: value for key, value in message.items() if key not in {"text_chars", "text_prefix", "row_id"}}
    return {**out, "timestamp": at(message["timestamp"])}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_imports_to_what_is_in_it(version: str) -> None:
    """Keys, titles, times, origins, ends, usage, marks and every message are those that expected.json lists."""
    wanted = expected(version)
    with palaver.open("memory://") as sessions:
        report = imported(sessions, version)
        assert {session.source_id for session in report.sessions} == {each["session_id"] for each in wanted["sessions"]}
        assert [note for note in report.every_note() if note.action != "aside"] == wanted["skipped"]
        ignored = sum(len(each["ignored_rows"]) for each in wanted["sessions"])
        assert sum("session_meta" in note.reason for note in report.every_note()) == ignored
        for each in wanted["sessions"]:
            session = sessions.get(f"hermes:{each['session_id']}")
            info = session.info()
            source = info.metadata["imported"]
            assert info.keys == ((each["key"],) if each["key"] else ())
            page = session.messages(limit=1000, live=False)
            live = {message.seq for message in session.messages(limit=1000)}
            archived = source.get("compacted_through", 0)
            found = [as_expected(message, message.seq in live, archived) for message in page]
            assert found == [said(message) for message in each["messages"]]
            assert (info.title, info.archived) == (each["title"], each["archived"])
            assert archived == each["compacted_through"]
            assert len(live) == info.message_count
            assert info.created_at == at(each["created_at"])
            assert source["updated_at"] == str(at(each["updated_at"]))
            ended = source.get("ended", {})
            assert (ended.get("at"), ended.get("reason")) == (
                str(at(each["ended_at"])) if each["ended_at"] else None,
                each["end_reason"],
            )
            assert source["session"]["source"] == each["source"]
            assert source["session"].get("user_id") == each["owner"]
            if each["key"] or version == WITH_KEYS:
                origin = None if info.origin is None else msgspec.to_builtins(info.origin)
                assert source["session"].get("session_key", each["key"]) == (each["key"] or each["former_key"])
                given = {"chat_type": "dm", **each["origin"]} if each["origin"] else None
                told = {name: value for name, value in given.items() if value is not None} if given else None
                assert (origin and {"chat_type": "dm", **origin}) == told
            check_usage(info.usage, each["usage"] or {}, source)
            check_lineage(sessions, info, each)


def check_usage(usage: palaver.Usage | None, wanted: dict[str, Any], source: dict[str, Any]) -> None:
    """What hermes counted is what the session has used."""
    assert source["session"].get("model") == wanted.get("model")
    if "input_tokens" not in wanted:
        assert usage is None
        return
    assert usage is not None
    cache = wanted["cache_read_tokens"], wanted["cache_write_tokens"]
    assert (usage.cached_tokens, usage.cache_write_tokens) == cache
    assert usage.input_tokens == wanted["input_tokens"] + sum(cache)
    assert usage.output_tokens == wanted["output_tokens"]
    assert usage.reasoning_tokens == wanted["reasoning_tokens"]
    assert usage.cost == Decimal(str(wanted["estimated_cost_usd"]))


def check_lineage(sessions: SessionManager, info: palaver.SessionInfo, wanted: dict[str, Any]) -> None:
    """A session follows the one that hermes says, a branch as a fork; copies name what they are copies of."""
    parent = wanted["parent_session_id"]
    assert info.metadata["imported"].get("lineage") == wanted["lineage"]
    if parent is None:
        assert info.parent is None
        return
    followed = sessions.get(f"hermes:{parent}")
    assert (info.parent, info.parent_kind) == (followed.id, "fork" if wanted["lineage"] == "branch" else "import")
    originals = {f"{followed.id}~{message.seq}": message for message in followed.messages(limit=1000)}
    copies = [m for m in sessions.get(info.id).messages(limit=1000) if m.copied_from is not None]
    assert copies
    assert [originals[copy.copied_from or ""].text for copy in copies] == [copy.text for copy in copies]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_summary_stands_for_what_was_compacted(version: str) -> None:
    """A window begins with it, without its instructions, and has nothing twice."""
    with palaver.open("memory://") as sessions:
        imported(sessions, version)
        compacted = [each for each in expected(version)["sessions"] if each["summary"]]
        assert compacted
        for each in compacted:
            window = sessions.get(f"hermes:{each['session_id']}").history()
            first, *rest = window.messages
            assert first.seq == 0
            assert first.text.endswith(each["summary"])
            assert not any("CONTEXT COMPACTION" in message.text for message in window.messages)
            texts = [message.text for message in rest if message.text]
            assert len(texts) == len(set(texts))
            newest = [message["text"] for message in each["messages"] if message.get("text")][-1]
            assert texts[-1] == newest


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
    """A message from where hermes's key leads comes to the imported session, and its window is legal."""
    with palaver.open("memory://", key_policy=KeyPolicy.hermes()) as sessions:
        imported(sessions, version)
        for key, session_id in expected(version)["routes"].items():
            origin = sessions.get(f"hermes:{session_id}").info().origin
            assert origin is not None
            assert session_key(origin, KeyPolicy.hermes()) == key
            with sessions.begin_turn(origin, user("And now?")) as turn:
                assert turn.session_id == sessions.get(f"hermes:{session_id}").id
                payload = turn.window.render(wire)
                assert not check(wire, payload.messages, system=payload.system)
                texts = [message.text for message in turn.window.messages]
                assert texts[-1] == "And now?"
                [known] = [each for each in expected(version)["sessions"] if each["session_id"] == session_id]
                assert [m["text"] for m in known["messages"] if m["role"] == "user"][-1] in texts
                turn.finish(palaver.assistant("Now this."))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_source_is_only_read(version: str, tmp_path: Path) -> None:
    """No file of the source changes, appears, or is touched."""
    copy = tmp_path / "store"
    shutil.copytree(store(version), copy)

    def seen() -> dict[str, tuple[int, bytes]]:
        files = (path for path in copy.rglob("*") if path.is_file())
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = seen()
    with palaver.open("memory://") as sessions:
        assert import_path(sessions, copy, zone=ZONE).total("imported")
    assert seen() == before


def test_parts_of_a_home_are_parts_of_the_same(tmp_path: Path) -> None:
    """The logs alone, then the database alone, then all: each brings what it has, and nothing doubles."""
    home = store("0.13.0") / ".hermes"
    alone = tmp_path / ".hermes"
    shutil.copytree(home / "sessions", alone / "sessions")
    with palaver.open("memory://") as sessions:
        first = import_path(sessions, alone, zone=ZONE)
        assert len(first.sessions) == len(list((alone / "sessions").glob("*.jsonl")))
        shutil.copy(home / "state.db", alone / "state.db")
        import_path(sessions, alone / "state.db", zone=ZONE)
        again = import_path(sessions, alone, zone=ZONE)
        assert again.total("imported") == 0
        assert sessions.stats().messages == sum(len(each["messages"]) for each in expected("0.13.0")["sessions"])
        for key, session_id in expected("0.13.0")["routes"].items():
            assert sessions.resolve(key) == sessions.get(f"hermes:{session_id}")

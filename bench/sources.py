"""Conversations as other systems leave them on disk, written for the workload that imports them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.material import payloads

__all__ = ["SOURCES"]

_SESSION = 500
"""Messages of one conversation."""
_BEGAN = datetime(2026, 3, 1, 9, tzinfo=UTC)
_ODYSSEUS = """
    CREATE TABLE sessions (id VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, endpoint_url VARCHAR NOT NULL,
    model VARCHAR NOT NULL, owner VARCHAR, archived BOOLEAN, headers JSON, created_at DATETIME, updated_at DATETIME);
    CREATE TABLE chat_messages (id VARCHAR PRIMARY KEY, session_id VARCHAR, role VARCHAR, content TEXT, metadata TEXT,
    timestamp DATETIME);
"""
_HERMES = """
    CREATE TABLE sessions (id TEXT, source TEXT NOT NULL, user_id TEXT, model TEXT, parent_session_id TEXT,
    started_at REAL, ended_at REAL, title TEXT, session_key TEXT);
    CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, role TEXT, content TEXT,
    tool_call_id TEXT, tool_calls TEXT, tool_name TEXT, timestamp REAL, active INTEGER NOT NULL DEFAULT 1);
"""

Payload = dict[str, Any]


def _at(number: int) -> datetime:
    return _BEGAN + timedelta(seconds=number)


def _sessions(count: int) -> Iterator[tuple[int, list[tuple[int, Payload]]]]:
    """Conversations by number, each a list of numbered messages."""
    made = list(enumerate(payloads(count)))
    for start in range(0, count, _SESSION):
        yield start // _SESSION, made[start : start + _SESSION]


def _lines(path: Path, records: Iterable[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def _openai(folder: Path, count: int) -> None:
    for name, messages in _sessions(count):
        _lines(folder / f"chat-{name}.jsonl", (payload for _, payload in messages))


def _nanobot(folder: Path, count: int) -> None:
    for name, messages in _sessions(count):
        about = {"_type": "metadata", "key": f"telegram:{name}", "created_at": "2026-03-01T09:00:00", "metadata": {}}
        said = ({**payload, "timestamp": _at(number).isoformat()[:-6]} for number, payload in messages)
        _lines(folder / "sessions" / f"telegram_{name}.jsonl", (about, *said))


def _picoclaw(folder: Path, count: int) -> None:
    for name, messages in _sessions(count):
        said = ({**payload, "created_at": _at(number).isoformat()} for number, payload in messages)
        _lines(folder / "sessions" / f"telegram_{name}.jsonl", said)
        about = {"key": f"telegram:{name}", "summary": "", "skip": 0, "count": len(messages)}
        times = {"created_at": _BEGAN.isoformat(), "updated_at": _at(messages[-1][0]).isoformat()}
        (folder / "sessions" / f"telegram_{name}.meta.json").write_text(json.dumps({**about, **times}))


def _hermes(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "state.db")
    database.executescript(_HERMES)
    with database:
        for name, messages in _sessions(count):
            key = f"agent:main:telegram:dm:{name}"
            row = (f"s{name}", "telegram", str(name), "m", None, _BEGAN.timestamp(), None, None, key)
            database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            for number, payload in messages:
                calls = json.dumps(payload["tool_calls"]) if "tool_calls" in payload else None
                said = (f"s{name}", payload["role"], payload["content"], payload.get("tool_call_id"), calls)
                database.execute(
                    "INSERT INTO messages (session_id, role, content, tool_call_id, tool_calls, timestamp)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (*said, _at(number).timestamp()),
                )
    database.close()


def _odysseus(folder: Path, count: int) -> None:
    """It stores no calls in its tables: what a tool did stands in the text."""
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "app.db")
    database.executescript(_ODYSSEUS)
    with database:
        for name, messages in _sessions(count):
            row = (f"s{name}", f"Chat {name}", "http://localhost/v1", "m", None, 0, "{}", str(_BEGAN), str(_BEGAN))
            database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            for number, payload in messages:
                about = json.dumps({"timestamp": _at(number).isoformat()})
                role = "user" if number % 2 == 0 else "assistant"
                said = (f"m{number}", f"s{name}", role, payload["content"], about, str(_at(number))[:-6])
                database.execute("INSERT INTO chat_messages VALUES (?, ?, ?, ?, ?, ?)", said)
    database.close()


def _anthropic(payload: Payload) -> tuple[str, Any]:
    """The same as Anthropic has it."""
    if payload["role"] == "tool":
        result = {"type": "tool_result", "tool_use_id": payload["tool_call_id"], "content": payload["content"]}
        return "user", [result]
    blocks: list[Any] = [{"type": "text", "text": payload["content"]}]
    for call in payload.get("tool_calls", ()):
        arguments = json.loads(call["function"]["arguments"])
        blocks.append({"type": "tool_use", "id": call["id"], "name": "search_files", "input": arguments})
    return payload["role"], blocks


def _claude_code(folder: Path, count: int) -> None:
    for name, messages in _sessions(count):
        session = f"6f2d0a11-2222-4333-8444-{name:012}"
        records: list[Any] = []
        for number, payload in messages:
            role, content = _anthropic(payload)
            message: Payload = {"role": role, "content": content}
            if role == "assistant":
                used = {"input_tokens": 3, "output_tokens": 7}
                message |= {"id": f"msg_{number}", "type": "message", "model": "m", "usage": used}
            about = {"isSidechain": False, "userType": "external", "cwd": "/home/a", "version": "2.0.14"}
            place = {"sessionId": session, "type": role, "message": message, "uuid": f"u{number}"}
            parent = f"u{number - 1}" if records else None
            records.append({**about, **place, "parentUuid": parent, "timestamp": _at(number).isoformat()})
        _lines(folder / "projects" / "-home-a" / f"{session}.jsonl", records)


def _codex_item(payload: Payload) -> Iterator[Payload]:
    if payload["role"] == "tool":
        yield {"type": "function_call_output", "call_id": payload["tool_call_id"], "output": payload["content"]}
        return
    kind = "output_text" if payload["role"] == "assistant" else "input_text"
    said = [{"type": kind, "text": payload["content"]}]
    yield {"type": "message", "role": payload["role"], "content": said}
    for call in payload.get("tool_calls", ()):
        yield {"type": "function_call", "call_id": call["id"], **call["function"]}


def _codex(folder: Path, count: int) -> None:
    for name, messages in _sessions(count):
        session = f"019a0000-1111-7222-8333-{name:012}"
        about = {"id": session, "timestamp": _BEGAN.isoformat(), "cwd": "/home/a", "cli_version": "0.65.0"}
        records: list[Payload] = [{"timestamp": _BEGAN.isoformat(), "type": "session_meta", "payload": about}]
        for number, payload in messages:
            about = {"timestamp": _at(number).isoformat(), "type": "response_item"}
            records += ({**about, "payload": item} for item in _codex_item(payload))
        _lines(folder / "sessions" / "2026" / "03" / "01" / f"rollout-2026-03-01T09-00-00-{session}.jsonl", records)


def _chatgpt(folder: Path, count: int) -> None:
    chats: list[Payload] = []
    for name, messages in _sessions(count):
        chat = f"6790aaaa-0000-8000-9000-{name:012}"
        mapping: Payload = {"root": {"id": "root", "message": None, "parent": None, "children": []}}
        parent = "root"
        for number, payload in messages:
            node = f"n{number}"
            author = {"role": payload["role"], "name": "python" if payload["role"] == "tool" else None, "metadata": {}}
            content = {"content_type": "text", "parts": [payload["content"]]}
            message: Payload = {"id": node, "author": author, "create_time": _at(number).timestamp()}
            message |= {"content": content, "status": "finished_successfully", "metadata": {}, "recipient": "all"}
            mapping[parent]["children"].append(node)
            mapping[node] = {"id": node, "message": message, "parent": parent, "children": []}
            parent = node
        times = {"create_time": _BEGAN.timestamp(), "update_time": _at(messages[-1][0]).timestamp()}
        about = {"title": f"Chat {name}", "conversation_id": chat, "id": chat, "current_node": parent, **times}
        chats.append({**about, "mapping": mapping})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conversations.json").write_text(json.dumps(chats))


def _claude(folder: Path, count: int) -> None:
    chats: list[Payload] = []
    for name, messages in _sessions(count):
        said: list[Payload] = []
        for number, payload in messages:
            stamp = _at(number).isoformat()
            content = [{"type": "text", "text": payload["content"], "citations": []}]
            sender = "assistant" if number % 2 else "human"
            message = {"uuid": f"m{number}", "text": payload["content"], "content": content, "sender": sender}
            said.append({**message, "created_at": stamp, "updated_at": stamp, "attachments": [], "files": []})
        times = {"created_at": _BEGAN.isoformat(), "updated_at": _at(messages[-1][0]).isoformat()}
        about = {"uuid": f"11110000-aaaa-4bbb-8ccc-{name:012}", "name": f"Chat {name}", "summary": "", **times}
        chats.append({**about, "account": {"uuid": "a"}, "chat_messages": said})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conversations.json").write_text(json.dumps(chats))


SOURCES: dict[str, Callable[[Path, int], None]] = {
    "openai": _openai,
    "nanobot": _nanobot,
    "hermes": _hermes,
    "odysseus": _odysseus,
    "picoclaw": _picoclaw,
    "claude_code": _claude_code,
    "codex": _codex,
    "chatgpt": _chatgpt,
    "claude": _claude,
}
"""By system: what writes so many messages of it into a directory."""

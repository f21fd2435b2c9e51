"""A rollout of Codex CLI: JSON lines of what was sent and received (`response_item`), and of what happened.

Since September 2025 each line is `{"timestamp", "type", "payload"}`; before, items stood bare behind a first line with
the session's id. The first `session_meta` is the session's own: a fork has those of the sessions that it goes on, too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from palaver.formats.openai_responses.kinds import OUTPUTS
from palaver.formats.wire import is_object
from palaver.importers.asides import Asides
from palaver.importers.branches import cut_ranges
from palaver.importers.chat_records import Unusable
from palaver.importers.codex.items import Names, is_reasoning, read_items
from palaver.importers.jsonl import Record, read_records
from palaver.importers.times import instant
from palaver.importers.used import by_day
from palaver.importers.values import Action, SourceSession, note
from palaver.keys import Origin
from palaver.model import Usage

__all__ = ["MARKS", "SYSTEM", "read_rollout"]

SYSTEM = "codex"
MARKS = frozenset({"payload"})
_NAMED = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$", re.IGNORECASE)
_ABOUT = ("cwd", "originator", "cli_version", "model_provider", "agent_nickname", "agent_role", "git", "history_mode")
_COPYING = timedelta(seconds=5)
"""So long may it take to copy a session into its fork. Only what that session has counts as a copy of it."""
_SNAPSHOTS = ("ghost_snapshot",)


def read_rollout(data: bytes, *, file: str, stem: str) -> SourceSession:
    """The conversation in a rollout."""
    return _Reading(file, stem).read(data)


class _Reading:
    """One file, while it is read."""

    def __init__(self, file: str, stem: str) -> None:
        named = _NAMED.search(stem)
        self.file = file
        self.session = SourceSession(system=SYSTEM, id=named[1] if named else stem, file=file, place=SYSTEM)
        self.head: dict[str, Any] | None = None
        self.asides = Asides()
        self.names = Names()
        self.kept: list[bool] = []
        self.thoughts: list[tuple[int, dict[str, Any]]] = []
        """Reasoning whose item has not come yet."""
        self.speaking = False
        """Whether the last message is the model's, so that what it says next is of the same answer."""
        self.model: str | None = None
        self.total: Any = None
        self.last: datetime | None = None
        self.summaries: list[str] = []

    def note(self, action: Action, line: int | None, reason: str, raw: bytes | None = None) -> None:
        self.session.notes.append(note(action, self.file, line, reason, raw))

    def read(self, data: bytes) -> SourceSession:
        session = self.session
        for record in read_records(data, marks=MARKS):
            if record.error is not None or not is_object(record.value):
                reason = record.error or "it is no object, so no record"
                self.note("skipped", record.line, reason, record.raw)
                continue
            for repair in record.repairs:
                self.note("repaired", record.line, repair)
            self._sort(record, record.value)
        for line, _ in self.thoughts:
            self.note("aside", line, "reasoning that nothing came of yet; a later import takes it with what did")
        if self.head is None:
            self.note("repaired", None, "there is no record of the session; the file name and the items tell the rest")
        session.origin = Origin(SYSTEM, chat_id=session.id)
        session.created_at = session.created_at or next((m.created_at for m in session.messages), None)
        session.updated_at = self.last
        session.usage = by_day(session.messages)
        session.cuts = cut_ranges(self.kept)
        if self.summaries:
            session.summary = self.summaries.pop()
            session.facts |= {"earlier_summaries": self.summaries} if self.summaries else {}
        session.records = len(session.messages) + sum(each.action == "skipped" for each in session.notes)
        session.notes += self.asides.notes(self.file)
        return session

    def _sort(self, record: Record, value: dict[str, Any]) -> None:
        kind, payload = value.get("type"), value.get("payload")
        at = instant(value.get("timestamp"), UTC)
        self.last = at or self.last
        if not is_object(payload):
            self._sort_bare(record, value)
        elif kind == "session_meta":
            self._describe(payload, at)
        elif kind == "response_item":
            self._item(record, payload)
        elif kind == "compacted":
            self._compacted(record.line, payload)
        elif kind == "event_msg" and payload.get("type") == "token_count":
            self._charge(payload.get("info"))
        elif kind == "event_msg" and payload.get("type") == "thread_rolled_back":
            self._roll_back(record.line, payload.get("num_turns"))
        else:
            if kind == "turn_context" and isinstance(payload.get("model"), str):
                self.model = self.session.metadata["model"] = payload["model"]
            shown = f"{kind}/{payload['type']}" if isinstance(payload.get("type"), str) else f"{kind}"
            self.asides.add(f"the program's own notes of type {shown:.60}", record.line)

    def _sort_bare(self, record: Record, value: dict[str, Any]) -> None:
        """A line as it was before lines had payloads."""
        if isinstance(value.get("type"), str) and "payload" not in value:
            self._item(record, value)
        elif isinstance(value.get("id"), str) and self.head is None and "record_type" not in value:
            self._describe(value, self.last)
        elif "record_type" in value:
            self.asides.add("the program's own notes of its state", record.line)
        else:
            self.note("skipped", record.line, "it is no record that Codex writes", record.raw)

    def _describe(self, payload: dict[str, Any], at: datetime | None) -> None:
        """Take over what the first record of the session says."""
        if self.head is not None:
            return
        self.head = payload
        session = self.session
        if isinstance(payload.get("id"), str) and payload["id"]:
            session.id = payload["id"]
        session.created_at = instant(payload.get("timestamp"), UTC) or at
        self.last = self.last or session.created_at
        session.metadata |= {key: payload[key] for key in _ABOUT if payload.get(key) is not None}
        if isinstance(payload.get("source"), str):
            session.metadata["source"] = payload["source"]
        forked = payload.get("forked_from_id")
        spawned = _spawned(payload)
        if isinstance(forked, str) and forked:
            session.parent, session.parent_kind = forked, "fork"
        elif spawned is not None:
            session.parent, session.parent_kind = spawned, "subagent"

    def _item(self, record: Record, item: dict[str, Any]) -> None:
        if item.get("type") in _SNAPSHOTS:
            self.asides.add("the program's own notes of type ghost_snapshot", record.line)
        elif is_reasoning(item):
            self.thoughts.append((record.line, item))
        elif self.thoughts and not _is_models(item):
            thoughts, self.thoughts = self.thoughts, []
            self._add(record.line, [each for _, each in thoughts], record.raw)
            self._add(record.line, [item], record.raw)
        else:
            items = [*(each for _, each in self.thoughts), item]
            self.thoughts = []
            self._add(record.line, items, record.raw)

    def _add(self, line: int, items: list[dict[str, Any]], raw: bytes) -> None:
        session = self.session
        name = self.names.of(items)
        try:
            messages, repairs = read_items(items)
        except Unusable as exc:
            self.note("skipped", line, str(exc), raw)
            return
        at = self.last or session.created_at
        for number, message in enumerate(messages, 1):
            model = message.role == "assistant"
            about = {"model": self.model} if model and self.model is not None else {}
            made = f"{name}#{number}" if number > 1 else name
            joins = model and self.speaking
            if self._is_copied():
                session.copies[len(session.messages)] = (session.parent or "", made)
            session.messages.append(message.replace(id=made, created_at=at, joins=joins, metadata=about))
            session.lines.append(line)
            self.kept.append(True)
            self.speaking = model
        for repair in repairs:
            self.note("repaired", line, repair)

    def _is_copied(self) -> bool:
        """Whether what is read now may be of the session that a fork goes on: it was written when the fork was made."""
        session = self.session
        if session.parent_kind != "fork" or session.created_at is None or self.last is None:
            return False
        return self.last - session.created_at < _COPYING

    def _compacted(self, line: int, payload: dict[str, Any]) -> None:
        """Note that what is before was summarised. The service may do that itself, and then nobody can read it."""
        self.speaking = False
        text = payload.get("message")
        if isinstance(text, str) and text.strip():
            self.summaries.append(text)
            self.session.compacted_through = len(self.session.messages)
        else:
            told = "a compaction that only OpenAI can read; windows show what was before it, as far as they reach"
            self.note("aside", line, told)

    def _roll_back(self, line: int, turns: Any) -> None:
        """Give up the newest turns, as the person did."""
        if type(turns) is not int or turns < 1:
            self.note("repaired", line, f"a way back by {turns!r:.40} turns; it counts for none")
            return
        messages = self.session.messages
        for index in range(len(messages) - 1, -1, -1):
            if turns == 0:
                break
            if self.kept[index]:
                self.kept[index] = False
                turns -= messages[index].role == "user" and not messages[index].flags
        self.speaking = False
        self.session.facts["given_up"] = self.kept.count(False)

    def _charge(self, info: Any) -> None:
        """Note what the last answer used. Codex says it again whenever it hears of limits; the total tells."""
        said = info.get("last_token_usage") if is_object(info) else None
        total = info.get("total_token_usage") if is_object(info) else None
        messages = self.session.messages
        if not is_object(said) or (total is not None and total == self.total) or not messages:
            return
        self.total = total
        used = Usage(
            input_tokens=_count(said.get("input_tokens")),
            output_tokens=_count(said.get("output_tokens")),
            cached_tokens=_count(said.get("cached_input_tokens")),
            cache_write_tokens=_count(said.get("cache_write_input_tokens")),
            reasoning_tokens=_count(said.get("reasoning_output_tokens")),
            model=self.model,
        )
        index = next((n for n in range(len(messages) - 1, -1, -1) if messages[n].role == "assistant"), -1)
        if index < 0 or messages[index].usage is not None or used == Usage(model=self.model):
            return
        if index not in self.session.copies:
            messages[index] = messages[index].replace(usage=used)


def _is_models(item: dict[str, Any]) -> bool:
    """Whether the model made an item, so that reasoning may lead to it."""
    kind = item.get("type")
    return item.get("role") == "assistant" if kind == "message" else not isinstance(kind, str) or kind not in OUTPUTS


def _spawned(payload: dict[str, Any]) -> str | None:
    """The thread whose subagent this one is."""
    found: Any = payload.get("source")
    for key in ("subagent", "thread_spawn", "parent_thread_id"):
        found = found.get(key) if is_object(found) else None
    found = found or payload.get("parent_thread_id")
    return found if isinstance(found, str) and found else None


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 1 << 53 else 0

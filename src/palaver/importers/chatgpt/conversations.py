"""A conversation of an export: a tree of messages, of which `current_node` is the end that the person saw last.

Who changes a question or has an answer made anew goes on in a branch; the others stay in the tree. A call of a tool is
a message whose recipient is the tool, and the messages of the tool below it are its result.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from palaver.formats.wire import is_array, is_object
from palaver.importers.branches import cut_ranges, ordered, path, resolved
from palaver.importers.chatgpt.contents import arguments, attached, read_content
from palaver.importers.chatgpt.media import Media
from palaver.importers.exports import says
from palaver.importers.json_stream import Element
from palaver.importers.times import instant
from palaver.importers.values import Action, SourceSession, note
from palaver.keys import Origin
from palaver.model import Message, Part, Role, ThinkingPart, ToolCall, ToolResult

__all__ = ["SYSTEM", "read_conversation"]

SYSTEM = "chatgpt"
_ROLES: dict[str, Role] = {"system": "system", "developer": "developer", "user": "user", "assistant": "assistant"}
_MESSAGE = frozenset({"author", "content", "create_time", "id", "metadata"})
_CONVERSATION = frozenset({"mapping", "title", "create_time", "update_time", "id", "conversation_id", "current_node"})


def read_conversation(element: Element, *, file: str, media: Media) -> SourceSession:
    """The conversation that an element of the file is."""
    return _Reading(element, file, media).read()


class _Reading:
    """One conversation, while it is read."""

    def __init__(self, element: Element, file: str, media: Media) -> None:
        self.element = element
        self.file = file
        self.media = media
        self.value: dict[str, Any] = element.value if is_object(element.value) else {}
        mapping = self.value.get("mapping")
        self.nodes: dict[str, dict[str, Any]] = {}
        self.session = SourceSession(system=SYSTEM, id="", file=file, place=SYSTEM)
        self.kept: list[bool] = []
        self.listed: dict[str, str] = {}
        """For a node, the one that has it among its children."""
        self.calls: dict[str, tuple[str, int]] = {}
        """For a node of a call or of its result: the call's id, and the index of the result (-1: none yet)."""
        for name, node in (mapping if is_object(mapping) else {}).items():
            if is_object(node):
                self.nodes[name] = node
            else:
                self.note("skipped", f"node {name:.60} is {type(node).__name__} and no object")

    def note(self, action: Action, reason: str) -> None:
        self.session.notes.append(note(action, self.file, self.element.number, reason))

    def read(self) -> SourceSession:
        session, element = self.session, self.element
        self.media.taken = 0
        if element.error is not None:
            partial = f"; of it {len(self.nodes)} nodes could be read" if self.nodes else ""
            reason = f"the conversation is damaged: {element.error}{partial}"
            session.notes.append(note("skipped", self.file, element.number, reason, element.head))
        elif not self.nodes:
            reason = "it is no conversation" if not is_object(self.value.get("mapping")) else "it has no messages"
            session.notes.append(note("aside", self.file, element.number, reason, element.head))
        for repair in element.repairs:
            self.note("repaired", repair)
        self._describe()
        links, wrong = resolved(self._parents(), self._listed_by)
        for name, reason in wrong.items():
            self.note("repaired", f"node {name:.60}: {reason}")
        leaf = self._leaf()
        live = path(links, leaf)
        empty = 0
        last = session.created_at
        for name in ordered(links, live):
            last, told = self._node(name, links[name], last, live=name in live)
            empty += not told
        if empty:
            self.note("aside", f"nodes that say nothing: {empty}")
        session.created_at = session.created_at or last
        session.cuts = cut_ranges(self.kept)
        if session.cuts:
            session.facts["given_up"] = self.kept.count(False)
        session.records = len(session.messages) + sum(each.action == "skipped" for each in session.notes)
        return session

    # -- the conversation --------------------------------------------------------------------------------------

    def _describe(self) -> None:
        session, value = self.session, self.value
        names = [value[key] for key in ("conversation_id", "id") if isinstance(value.get(key), str) and value[key]]
        if names:
            session.id = names[0]
        else:
            said = json.dumps(
                [value.get("create_time"), value.get("title"), next(iter(self.nodes), self.element.head.hex())]
            )
            session.id = "~" + hashlib.sha256(said.encode()).hexdigest()[:24]
            if self.nodes:
                self.note("repaired", "it has no id; it is known by its time, title and first node")
        session.origin = Origin(SYSTEM, chat_id=session.id)
        title = value.get("title")
        session.title = title if isinstance(title, str) and title.strip() else None
        session.created_at = instant(value.get("create_time"), UTC)
        session.updated_at = instant(value.get("update_time"), UTC)
        session.archived = value.get("is_archived") is True
        session.pinned = value.get("is_starred") is True or value.get("pinned_time") is not None
        session.metadata = {key: each for key, each in value.items() if key not in _CONVERSATION and says(each)}

    def _parents(self) -> dict[str, str | None]:
        """What each node says that it follows; and which nodes say what comes after them."""
        for name, node in self.nodes.items():
            children = node.get("children")
            for child in children if is_array(children) else []:
                if isinstance(child, str):
                    self.listed.setdefault(child, name)
        out: dict[str, str | None] = {}
        for name, node in self.nodes.items():
            parent = node.get("parent")
            if parent is None and name not in self.listed:
                out[name] = None
            else:
                out[name] = parent if isinstance(parent, str) else "?"
        return out

    def _listed_by(self, name: str) -> str | None:
        """The node that says that this one comes after it, or after one that is lost."""
        found = self.listed.get(name)
        if found is not None:
            return found
        lost = self.nodes[name].get("parent")
        return self.listed.get(lost) if isinstance(lost, str) else None

    def _leaf(self) -> str | None:
        """Where the conversation goes on: as it says, or behind the newest message."""
        current = self.value.get("current_node")
        if isinstance(current, str) and current in self.nodes:
            return current
        newest: str | None = None
        at: datetime | None = None
        for name, node in self.nodes.items():
            message = node.get("message")
            if not is_object(message):
                continue
            here = instant(message.get("create_time"), UTC)
            if newest is None or at is None or (here is not None and here >= at):
                newest, at = name, here or at
        if newest is not None:
            self.note(
                "repaired", f"its current node is {current!r:.60}, which is not there; the newest message is the end"
            )
        return newest

    # -- the messages ------------------------------------------------------------------------------------------

    def _node(
        self, name: str, parent: str | None, last: datetime | None, *, live: bool
    ) -> tuple[datetime | None, bool]:
        """Take in a node; the time that it got, and whether it says anything."""
        node = self.nodes[name]
        message = node.get("message")
        if message is None:
            return last, False
        author = message.get("author") if is_object(message) else None
        content = message.get("content") if is_object(message) else None
        role = author.get("role") if is_object(author) else None
        if not is_object(author) or not is_object(content) or not isinstance(role, str):
            self.note("skipped", f"node {name:.60}: its message has no {'content' if is_object(author) else 'author'}")
            return last, True
        about = message.get("metadata")
        about = about if is_object(about) else {}
        given = message.get("create_time")
        at = instant(given, UTC)
        if at is None:
            at = last
            if given is not None:
                self.note("repaired", f"node {name:.60}: its time is {given!r:.40}; it got that of the one before it")
        parts = read_content(content, about, self.media)
        if role == "user":
            parts += attached(about, self.media, parts)
        call = self.calls.get(parent) if parent is not None else None
        if role == "tool" and call is not None and call[1] >= 0 and self.kept[call[1]] == live:
            self._more(call[1], parts)
            self.calls[name] = call
            return at, True
        recipient = message.get("recipient")
        calling = role == "assistant" and isinstance(recipient, str) and recipient not in ("", "all", "assistant")
        if not parts and not calling:
            return at, False
        made = self._message(name, role, author, content, parts, recipient if calling else None, call)
        kept = {key: each for key, each in message.items() if key not in _MESSAGE and says(each)}
        made = made.replace(id=name, created_at=at, metadata={**kept, **{k: v for k, v in about.items() if says(v)}})
        if content.get("content_type") not in ("text", None):
            made.metadata["content_type"] = content["content_type"]
        self.session.messages.append(made)
        self.session.lines.append(self.element.number)
        self.kept.append(live)
        if calling:
            self.calls[name] = (name, -1)
        elif made.role == "tool" and call is not None:
            self.calls[name] = (call[0], len(self.kept) - 1)
        elif call is not None and call[1] < 0 and made.role == "assistant" and _thinks(made):
            self.calls[name] = call
        return at, True

    def _message(
        self,
        name: str,
        role: str,
        author: dict[str, Any],
        content: dict[str, Any],
        parts: list[Part],
        recipient: str | None,
        call: tuple[str, int] | None,
    ) -> Message:
        tool = author.get("name")
        tool = tool if isinstance(tool, str) and tool else None
        if recipient is not None:
            made = ToolCall(call_id=name, name=recipient, arguments=arguments(parts, content))
            return Message(role="assistant", parts=(made,))
        if role == "tool" and call is not None:
            failed = content.get("content_type") == "system_error" or None
            result: Any = tuple(parts)
            return Message(role="tool", parts=(ToolResult(call_id=call[0], name=tool, parts=result, is_error=failed),))
        known = _ROLES.get(role)
        if known is None:  # a tool that nobody called: a file that was searched, what is remembered
            return Message(role="user", parts=tuple(parts), name=None, flags=("injected",))
        return Message(role=known, parts=tuple(parts))

    def _more(self, index: int, parts: list[Part]) -> None:
        """Add to a result what the tool said besides."""
        message = self.session.messages[index]
        [result] = message.tool_results
        more: Any = tuple(parts)
        whole = ToolResult(
            call_id=result.call_id, name=result.name, parts=result.parts + more, is_error=result.is_error
        )
        self.session.messages[index] = message.replace(parts=(whole,))


def _thinks(message: Message) -> bool:
    return all(isinstance(part, ThinkingPart) for part in message.parts)

"""A tool with which an agent searches its own past: what to declare to its model, and what answers the call.

    past = SearchTool(sessions.for_owner("ana"))
    model(tools=[past.declaration("openai_chat")])
    turn.append(past.answer(call))

It finds what that manager finds, and no more: give it one that is scoped to the owner whose agent it is.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, cast

import msgspec

from palaver.errors import PalaverError
from palaver.manager import SessionManager
from palaver.model import Message, ToolCall, tool
from palaver.search import SearchHit

__all__ = ["SearchTool", "ToolWire"]

ToolWire: TypeAlias = Literal["openai_chat", "openai_responses", "anthropic"]

_DESCRIPTION = (
    "Search earlier conversations, word for word. Finds messages that have all of the words; "
    'put a phrase in "quotes", end the beginning of a word with *. Use it when the user refers to something '
    "that was said before and is not in this conversation."
)
_MOST = 20
_LONGEST_QUERY = 500


class SearchTool:
    """Searches the sessions of one manager for a model. `without` is a session to leave out: the one that asks."""

    def __init__(
        self,
        sessions: SessionManager,
        *,
        name: str = "session_search",
        limit: int = 5,
        max_chars: int = 4_000,
        without: str | None = None,
    ) -> None:
        if not 1 <= limit <= _MOST or max_chars < 1:
            raise ValueError(f"limit is between 1 and {_MOST}, and max_chars at least 1")
        self.name = name
        self._sessions = sessions
        self._limit = limit
        self._max_chars = max_chars
        self._without = without

    def declaration(self, wire: ToolWire) -> dict[str, Any]:
        """What a request's `tools` declare, as that provider's API takes it."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What to look for."},
                "limit": {"type": "integer", "description": f"How many messages at most, 1 to {_MOST}."},
            },
            "required": ["query"],
        }
        about = {"name": self.name, "description": _DESCRIPTION}
        match cast("str", wire):
            case "openai_chat":
                return {"type": "function", "function": {**about, "parameters": schema}}
            case "openai_responses":
                return {"type": "function", **about, "parameters": schema}
            case "anthropic":
                return {**about, "input_schema": schema}
            case _:
                raise ValueError(f"there is no declaration for {wire!r}: openai_chat, openai_responses or anthropic")

    def answer(self, call: ToolCall) -> Message:
        """The result of a call, to be appended to the turn. What the model got wrong it is told, as an error."""
        try:
            given = msgspec.json.decode(call.arguments or "{}", type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeError):
            given = {}
        query, limit = given.get("query"), given.get("limit", self._limit)
        if not isinstance(query, str) or not query.strip() or type(limit) is not int:
            return tool(call.call_id, "give a query, which is text, and a limit that is a number", is_error=True)
        try:
            return tool(call.call_id, self.search(query, limit))
        except PalaverError as error:
            return tool(call.call_id, f"the search failed: {type(error).__name__}", is_error=True)

    def search(self, query: str, limit: int | None = None) -> str:
        """What was found, as text of at most `max_chars` characters: a line for each message, the best first."""
        wanted = min(max(limit if limit is not None else self._limit, 1), _MOST)
        found = self._sessions.search(query[:_LONGEST_QUERY], limit=2 * _MOST)
        lines = [_line(hit) for hit in found if hit.session_id != self._without]
        out: list[str] = []
        left = self._max_chars
        for line in lines[:wanted]:
            if len(line) + 1 > left:
                break
            out.append(line)
            left -= len(line) + 1
        return "\n".join(out) or "Nothing was found."


def _line(hit: SearchHit) -> str:
    where = f"{hit.title!r} ({hit.session_id})" if hit.title else hit.session_id
    return f"{hit.created_at:%Y-%m-%d %H:%M} UTC, {where}, {hit.role}: {hit.snippet}"

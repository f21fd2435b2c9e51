"""The rules for tools that the server runs: a call and its result are both in what the assistant said."""

from __future__ import annotations

import re
from typing import Any

from palaver.formats.mending import Finding, Place
from palaver.formats.wire import RepairKind

__all__ = ["SERVER_CALLS", "ServerTools", "is_served"]

SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})

_server_id = re.compile(r"srvtoolu_[a-zA-Z0-9_]+").fullmatch


def is_served(kind: str) -> bool:
    """Whether a block is the result of a tool that the server ran."""
    return kind.endswith("_tool_result")


class ServerTools:
    """The server's calls of one payload that wait for their results."""

    def __init__(self, found: list[Finding]) -> None:
        self.found = found
        self.open: dict[str, Place] = {}

    def _add(self, rule: str, place: Place, says: str, remedy: str, kind: RepairKind, field: str = "") -> None:
        self.found.append(Finding(rule, place, says, remedy, kind, field=field))

    def close(self) -> None:
        """The turn is over and the client has nothing to answer: what has no result now will get none."""
        for call_id, place in self.open.items():
            says = f"`server_tool_use` was found without its result: {call_id}"
            self._add("AN17", place, says, "leave the call out, or keep its result", "opaque_left_out")
        self.open = {}

    def call(self, place: Place, role: Any, kind: str, block: dict[str, Any]) -> None:
        """A call that the model makes of a tool of the server."""
        call_id = block.get("id")
        if role != "assistant":
            says = f"`{kind}` blocks can only be in `assistant` messages"
            self._add("AN17", place, says, "leave it out", "opaque_left_out")
        elif type(call_id) is not str or (kind == "server_tool_use" and not _server_id(call_id)):
            says = (
                f"messages.{place[0]}.content.{place[1]}.{kind}.id: String should match pattern "
                "'^srvtoolu_[a-zA-Z0-9_]+$'"
            )
            self._add("AN10", place, says, "leave the call and its result out", "opaque_left_out", field=".id")
        elif call_id in self.open:
            says = f"messages: `{kind}` ids must be unique"
            self._add("AN9", place, says, "leave the second one out", "opaque_left_out", field=".id")
        else:
            self.open[call_id] = place

    def result(self, place: Place, role: Any, kind: str, block: dict[str, Any]) -> None:
        """What the server answered; in the same turn, or in a later one while the client's tools are answered."""
        call_id = block.get("tool_use_id")
        if role == "assistant" and type(call_id) is str and call_id in self.open:
            del self.open[call_id]
            return
        says = (
            f"messages.{place[0]}.content.{place[1]}: unexpected `tool_use_id` found in `{kind}` blocks: {call_id}. "
            f"Each `{kind}` block must have a corresponding `server_tool_use` block before it."
        )
        self._add("AN16", place, says, "leave it out", "opaque_left_out")

"""Histories that a provider accepts: those of our own, and the recorded ones where they are at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from palaver import formats
from palaver.model import Message, user
from tests.corpus import sessions

__all__ = ["EXCEPTIONS", "Figure", "Payload", "exceptions", "own", "recorded", "rejected", "sources", "text", "went_on"]

ROOT = Path(__file__).resolve().parents[2]
EXCEPTIONS = ROOT / "docs" / "wires" / "README.md"
_ROW = re.compile(r"^\| `(\w+)` \| (`[\w, -]+`|.+?) \| (.+?) \|$", re.MULTILINE)


Figure: TypeAlias = Callable[[str, str], None]
"""What `record_property` is; a property "figure" is printed at the end of the run."""


class Payload(NamedTuple):
    """A request as it was sent, and the answer to it where that is known."""

    wire: str
    id: str
    messages: Any
    system: Any = None
    response: Any = None
    carried: bool = False
    """Whether the provider had more of the conversation than what was sent (`previous_response_id`, `conversation`)."""
    reason: str = ""
    """Why it was rejected: `capability` of the model, or its structure."""

    @property
    def entries(self) -> list[Any]:
        """The messages as a list; one wire also takes a bare text."""
        return self.messages if isinstance(self.messages, list) else [{"role": "user", "content": self.messages}]

    def parsed(self) -> list[Message]:
        """The messages as Palaver keeps them."""
        return formats.parse(self.wire, self.messages, system=self.system)


def text(value: Any) -> str:
    """JSON text, to compare by: 1, 1.0 and true are three things."""
    return json.dumps(value, sort_keys=True)


def own(wire: str) -> list[Payload]:
    """Accepted histories of our own."""
    return [Payload(wire, f"own:{name}", *rest) for name, *rest in sessions.SESSIONS.get(wire, ())]


def recorded(directory: Path, wire: str) -> list[Payload]:
    """The recorded requests of a wire that a provider answered."""
    return [payload for payload in _read(directory / "corpus" / "accepted.jsonl") if payload.wire == wire]


def rejected(directory: Path) -> list[Payload]:
    """The recorded requests that a provider refused."""
    return list(_read(directory / "corpus" / "rejected.jsonl"))


def sources(wire: str, directory: Path | None) -> list[Payload]:
    """Histories of our own, or the recorded ones of a directory."""
    return own(wire) if directory is None else recorded(directory, wire)


@cache
def _read(path: Path) -> tuple[Payload, ...]:
    with path.open(encoding="utf-8") as lines:
        return tuple(_payload(json.loads(line)) for line in lines)


def _payload(record: Mapping[str, Any]) -> Payload:
    system = record["system"]
    carried = not {"conversation", "previous_response_id"}.isdisjoint(record["params"])
    return Payload(
        record["wire"],
        record["id"],
        record["messages"],
        system,
        record["response_messages"],
        carried,
        record.get("reason_class") or "",
    )


def went_on(payloads: Iterable[Payload]) -> Iterator[tuple[Payload, list[Message]]]:
    """Each history, and each with the answer it got and a next question: what a session holds a moment later."""
    for payload in payloads:
        messages = payload.parsed()
        yield payload, messages
        if payload.response:
            answer = formats.parse(payload.wire, payload.response)
            yield payload._replace(id=f"{payload.id}+answer"), [*messages, *answer, user("Go on.")]


def exceptions(table: str) -> dict[tuple[str, str], str]:
    """The documented exceptions under a heading of docs/wires/README.md: wire and history, and the reason."""
    page = EXCEPTIONS.read_text(encoding="utf-8")
    section = page.split(f"## {table}\n", 1)[1].split("\n## ", 1)[0]
    return {(wire, name.strip("`")): reason for wire, name, reason in _ROW.findall(section)}

"""The model and the codec hold what four wires sent: payload -> messages -> stored bytes -> messages -> payload."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from palaver.codec import decode, encode
from palaver.model import Message, Opaque
from tests.corpus.histories import HISTORIES, History
from tests.corpus.spike import WIRES, kept


def stored(messages: list[Message]) -> list[Message]:
    """The messages as a store gives them back."""
    return [decode(encode(message)) for message in messages]


def text(value: Any) -> str:
    """JSON text, to compare by: 1, 1.0 and true are three things."""
    return json.dumps(value, sort_keys=True)


def spellings(messages: list[Message]) -> int:
    """How many parts needed a place to remember their spelling."""
    return sum(kept(part)[1] is not None for message in messages for part in message.parts)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda h: f"{h.wire}-{h.shape}")
def test_a_history_of_our_own_comes_back_exactly(history: History) -> None:
    """Each shape of each wire comes back as it went in, having been stored between."""
    wire = WIRES[history.wire]
    messages = stored(wire.read(history.messages, history.system))
    again, system = wire.write(messages)
    assert text(again) == text(history.messages)
    assert text(system) == text(history.system)


READ_AS = {
    ("openai_chat", "legacy function call"): ["assistant: call", "tool: result"],
    ("openai_chat", "a custom call"): ["assistant: call"],
    ("openai_chat", "a call without id or type"): ["assistant: call"],
    ("anthropic", "thinking, call, result with text after it"): [
        "assistant: thinking thinking text call call",
        "tool: result result",
        "+user: text",
    ],
    ("anthropic", "a server's tool, with citations"): ["assistant: opaque opaque text"],
    ("google", "calls without ids, results in one content with text"): [
        "assistant: call call",
        "tool: result result",
        "+user: text",
    ],
    ("openai_responses", "reasoning, call and message of one response"): [
        "user: text",
        "assistant: thinking thinking thinking thinking text text text call",
        "tool: result",
        "assistant: opaque",
    ],
    ("openai_responses", "the client's and the server's own tools"): [
        "assistant: call",
        "tool: result",
        "assistant: opaque opaque call opaque opaque",
        "developer: opaque",
    ],
}


def described(message: Message) -> str:
    """Role and kinds of parts; `+` where it belongs to the message before it."""
    kinds = (type(part).__name__.removesuffix("Part").removeprefix("Tool").lower() for part in message.parts)
    return f"{'+' * message.joins}{message.role}: {' '.join(kinds)}"


@pytest.mark.parametrize(("wire", "shape"), READ_AS)
def test_what_has_a_common_meaning_is_typed(wire: str, shape: str) -> None:
    """Calls, results, reasoning and text are typed whatever the wire calls them; the rest is opaque, in its place."""
    history = next(h for h in HISTORIES if (h.wire, h.shape) == (wire, shape))
    assert [described(m) for m in WIRES[wire].read(history.messages, history.system)] == READ_AS[wire, shape]


@pytest.mark.shared
@pytest.mark.parametrize("wire", sorted(WIRES))
def test_every_accepted_history_comes_back_exactly(
    wire: str, shared_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every recorded request and response that a provider accepted comes back, having been stored between."""
    counts: Counter[str] = Counter()
    with (shared_dir / "corpus" / "accepted.jsonl").open(encoding="utf-8") as lines:
        records = [record for record in map(json.loads, lines) if record["wire"] == wire]
    for record in records:
        for field, system in (("messages", record["system"]), ("response_messages", None)):
            if record[field] is None:
                continue
            messages = stored(WIRES[wire].read(record[field], system))
            again, system_again = WIRES[wire].write(messages)
            assert text(again) == text(record[field]), record["id"]
            assert text(system_again) == text(system), record["id"]
            counts[field] += 1
            counts["entries"] += len(record[field]) if isinstance(record[field], list) else 1
            counts["stored messages"] += len(messages)
            counts["spellings of parts"] += spellings(messages)
            counts["opaque parts"] += sum(isinstance(part, Opaque) for m in messages for part in m.parts)
            counts["kept whole"] += sum("verbatim" in (m.layout or "") for m in messages)
    with capsys.disabled():
        print(f"\n{wire}: " + ", ".join(f"{count} {what}" for what, count in counts.items()))  # noqa: T201
    assert counts["messages"] >= 100
    assert counts["kept whole"] <= counts["stored messages"] // 100

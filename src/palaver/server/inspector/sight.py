"""What the model sees: the window of a session, for a budget and a provider, laid over the transcript."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from palaver.exporters import Entry, Item
from palaver.formats import Rendered, wires
from palaver.info import SessionInfo
from palaver.model import Message, ToolCall
from palaver.records import SessionRecord
from palaver.redact import clean
from palaver.server.inspector.charts import Bar, ribbon
from palaver.server.inspector.conversation import found, items_between
from palaver.server.inspector.overlay import SAYS, Span, State, counts_of, shares_of, spans_of, summary_in
from palaver.server.inspector.stored import record_of
from palaver.server.inspector.templating import link
from palaver.server.inspector.transcript import call_line, said_of, speaker_of
from palaver.server.inspector.visits import Refusal, View, Visit, page
from palaver.tokens import tokens_of
from palaver.window import Window

__all__ = ["VIEWS", "body_of", "seen_rows"]

ROWS = 400
"""Messages of the window that the page shows; the payload has all."""
_AROUND = 12
"""Messages that are shown of what stands right before the window."""
_FOLDED = 6
"""So many left out in a row are one line."""
SHOWN_PAYLOAD = 60_000
"""Characters of the payload on the page."""
_BODIES: Mapping[str, tuple[str, str]] = {
    "anthropic": ("system", "messages"),
    "bedrock": ("system", "messages"),
    "google": ("systemInstruction", "contents"),
    "mistral": ("system", "messages"),
    "openai_chat": ("system", "messages"),
    "openai_responses": ("instructions", "input"),
}
"""What a provider calls the system prompt and the messages (docs/wires)."""
_NAMES: Mapping[str, str] = {
    "anthropic": "Anthropic",
    "bedrock": "Amazon Bedrock",
    "google": "Google Gemini",
    "mistral": "Mistral",
    "openai_chat": "OpenAI Chat",
    "openai_responses": "OpenAI Responses",
}
TOKENS = (2_000, 8_000, 32_000, 128_000)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The provider and the budget that the reader chose."""

    wire: str
    max_tokens: int | None
    max_messages: int | None
    max_turns: int | None

    def url(self, session_id: str, page: str = "window", **more: object) -> str:
        """The page for these, or for some of them changed."""
        return link("sessions", session_id, page, **{**msgspec.structs.asdict(self), **more})


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the page: a message in the window, one that is left out, or a run of such."""

    kind: Literal["in", "made", "summary", "out", "run"]
    state: State = "inside"
    seq: int = 0
    through: int = 0
    role: str = ""
    who: str = ""
    at: datetime | None = None
    text: str = ""
    calls: tuple[str, ...] = ()
    tokens: int = 0
    counted: bool = False
    share: float = 0.0
    """Percent of the largest message in the window."""
    notes: tuple[str, ...] = ()
    """What was mended there."""

    @property
    def count(self) -> int:
        """How many positions it stands for."""
        return self.through - self.seq + 1


def body_of(wire: str, rendered: Rendered) -> dict[str, Any]:
    """What of a request's body the payload is, by the provider's own names."""
    system, messages = _BODIES[wire]
    first = {} if rendered.system is None else {system: rendered.system}
    return {**first, messages: rendered.messages}


def _asked(visit: Visit, info: SessionInfo) -> Asked:
    preferred = info.model.wire if info.model is not None else None
    wire = visit.query.get("wire", "") or (preferred if preferred in wires() else "openai_chat")
    if wire not in wires():
        raise Refusal(400, "No such provider", f"{wire[:40]!r} is no wire format; there are {', '.join(wires())}.")
    return Asked(
        wire=wire,
        max_tokens=visit.number("max_tokens"),
        max_messages=visit.number("max_messages"),
        max_turns=visit.number("max_turns"),
    )


async def _window(visit: Visit) -> tuple[SessionInfo, Asked, Window, Rendered]:
    session, info = await found(visit)
    asked = _asked(visit, info)
    window = await session.history(
        max_messages=asked.max_messages, max_tokens=asked.max_tokens, max_turns=asked.max_turns
    )
    return info, asked, window, await run_in_threadpool(window.render, asked.wire)


async def show(visit: Visit) -> Response:
    """The window over the transcript."""
    info, asked, window, rendered = await _window(visit)
    record = await record_of(visit.sessions, info.id)
    items = await _around(visit, record, window)

    def laid_out() -> dict[str, Any]:
        spans = spans_of(window, record)
        text = json.dumps(body_of(asked.wire, rendered), ensure_ascii=False, indent=2)
        return {
            "spans": spans,
            "counts": counts_of(spans),
            "shares": _bars(window, asked.max_tokens),
            "ribbon": ribbon(_plain(spans)),
            "lens": ribbon(_plain(_enlarged(spans, window.anchor))),
            "rows": seen_rows(info, window, rendered, spans, items),
            "payload": text[:SHOWN_PAYLOAD],
            "payload_size": len(text.encode()),
            "payload_cut": len(text) > SHOWN_PAYLOAD,
        }

    return await page(
        visit,
        "window.html",
        info=info,
        asked=asked,
        window=window,
        rendered=rendered,
        says=SAYS,
        names=_NAMES,
        budgets=TOKENS,
        summary=summary_in(record),
        total=record.head.last_seq,
        shown_rows=ROWS,
        **await run_in_threadpool(laid_out),
    )


def _plain(spans: Sequence[Span]) -> list[tuple[int, int, str]]:
    return [(span.from_seq, span.through_seq, span.state) for span in spans]


def _enlarged(spans: Sequence[Span], anchor: int | None) -> list[Span]:
    """The end of a long transcript, from a little before the window on; nothing where the whole shows it as well."""
    total = spans[-1].through_seq if spans else 0
    if anchor is None or total - anchor >= total // 8:
        return []
    begin = anchor - (total - anchor) // 3 - 1
    return [
        Span(max(span.from_seq, begin), span.through_seq, span.state) for span in spans if span.through_seq >= begin
    ]


async def payload(visit: Visit) -> Response:
    """The payload alone, as it goes to the provider."""
    info, asked, _, rendered = await _window(visit)
    text = await run_in_threadpool(
        lambda: json.dumps(body_of(asked.wire, rendered), ensure_ascii=False, indent=2).encode()
    )
    headers = {"Content-Disposition": f'inline; filename="{info.id}-{asked.wire}.json"'}
    return Response(text, media_type="application/json", headers=headers)


async def _around(visit: Visit, record: SessionRecord, window: Window) -> list[Item]:
    """What is stored from a little before the window on, as far as the page shows it."""
    seqs = [message.seq for message in (*window.messages[window.head_count :], *window.pending) if message.seq]
    last = record.head.last_seq
    first = min(seqs[-ROWS:]) if seqs else last + 1
    after = max(0, first - _AROUND - 1, last - 3 * ROWS)
    return await items_between(visit.sessions, record, after=after, through=last)


def _bars(window: Window, limit: int | None) -> list[Bar]:
    """What the budget is spent on."""
    shares = shares_of(window)
    whole = max(sum(share.tokens for share in shares), limit or 0, 1)
    bars = [Bar(share.group, share.messages, share.tokens, 100 * share.tokens / whole) for share in shares]
    free = whole - sum(share.tokens for share in shares)
    return [*bars, Bar("free", 0, free, 100 * free / whole)] if limit and free else bars


def seen_rows(
    info: SessionInfo,
    window: Window,
    rendered: Rendered,
    spans: Sequence[Span],
    items: Sequence[Item],
) -> list[Seen]:
    """The lines of the page: the instructions, the summary, what is left out before, and the rest in order."""
    notes = _notes(window, rendered)
    largest = max((tokens_of((message,), window.estimate_percent) for message in window.messages), default=1)
    states = _states(spans, items)
    rest = window.messages[window.head_count :]
    skipped = max(0, len(rest) - ROWS)

    def inside(message: Message, kind: Literal["in", "made", "summary"], state: State = "inside") -> Seen:
        tokens = tokens_of((message,), window.estimate_percent)
        return Seen(
            kind=kind,
            state=state,
            seq=message.seq,
            role=message.role,
            who="Summary" if kind == "summary" else speaker_of(message, info),
            at=message.created_at,
            text=_text(message),
            calls=tuple(call_line(part, 200) for part in message.parts if isinstance(part, ToolCall)),
            tokens=tokens,
            counted=message.tokens is not None,
            share=100 * tokens / max(largest, 1),
            notes=notes.get(message.seq, ()) if message.seq else (),
        )

    out = [inside(message, "in" if message.seq else "summary") for message in window.messages[: window.head_count]]
    head = {message.seq for message in window.messages[: window.head_count]}
    aside = [
        entry.message
        for entry in items
        if isinstance(entry, Entry) and states.get(entry.message.seq, "inside") not in {"inside", "pending"}
    ]
    first = min((item.message.seq if isinstance(item, Entry) else item.seq for item in items), default=0)
    out += [
        Seen(kind="run", state=span.state, seq=span.from_seq, through=min(span.through_seq, first - 1))
        for span in spans
        if first and span.from_seq < first and span.state != "inside" and span.from_seq not in head
    ]
    if skipped:
        out.append(Seen(kind="run", state="inside", seq=rest[0].seq, through=max(m.seq for m in rest[:skipped])))
    place = 0
    for message in (*rest[skipped:], *window.pending):
        begin = place
        while place < len(aside) and message.seq and aside[place].seq < message.seq:
            place += 1
        out += _left_out(aside[begin:place], info, states)
        held = message in window.pending
        out.append(inside(message, "in" if message.seq else "made", "pending" if held else "inside"))
    return [*out, *_left_out(aside[place:], info, states)]


def _states(spans: Sequence[Span], items: Sequence[Item]) -> dict[int, State]:
    """What becomes of each of these messages, by position."""
    begins = [span.from_seq for span in spans]
    seqs = [item.message.seq if isinstance(item, Entry) else item.seq for item in items]
    return {seq: spans[bisect_right(begins, seq) - 1].state for seq in seqs}


def _left_out(messages: Sequence[Message], info: SessionInfo, states: Mapping[int, State]) -> list[Seen]:
    """Lines for messages that the model does not see; many of a kind are one line."""
    out: list[Seen] = []
    begin = 0
    while begin < len(messages):
        state = states[messages[begin].seq]
        end = begin
        while end < len(messages) and states[messages[end].seq] == state:
            end += 1
        several = end - begin > 2 * _FOLDED
        if several:
            out.append(Seen(kind="run", state=state, seq=messages[begin].seq, through=messages[end - _FOLDED - 1].seq))
        out += [
            Seen(
                kind="out",
                state=state,
                seq=message.seq,
                role=message.role,
                who=speaker_of(message, info),
                at=message.created_at,
                text=said_of(message, 200),
                tokens=tokens_of((message,)),
            )
            for message in (messages[end - _FOLDED : end] if several else messages[begin:end])
        ]
        begin = end
    return out


def _notes(window: Window, rendered: Rendered) -> dict[int, tuple[str, ...]]:
    """What was mended, by position: for the window, and for the provider."""
    found: dict[int, list[str]] = {}
    every: list[tuple[int, str, str]] = [(each.seq, each.kind, each.detail) for each in window.repairs]
    every += [(each.seq, each.kind, each.detail) for each in rendered.repairs]
    for seq, kind, detail in every:
        found.setdefault(seq, []).append(f"{kind.replace('_', ' ')}: {detail}" if detail else kind.replace("_", " "))
    return {seq: tuple(dict.fromkeys(said)) for seq, said in found.items()}


def _text(message: Message) -> str:
    text = clean(message.text[:2_400])
    if text or message.tool_calls:
        return text if len(text) <= 600 else text[:599].rstrip() + "…"
    return said_of(message)


VIEWS = (
    View("GET", "/sessions/{session_id}/window", show),
    View("GET", "/sessions/{session_id}/window.json", payload),
)

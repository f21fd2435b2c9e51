"""Whatever happened to a transcript, its window is legal, loses nothing that it need not, and says what it did.

The rules are written down here a second time, from the providers' error texts and not from the code.
"""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import event, given
from hypothesis import strategies as st

from palaver.annotations import WindowOptions
from palaver.budget import Budget
from palaver.exchanges import INTERRUPTED, boundary
from palaver.model import Message, TextPart, ThinkingPart, ToolCall, ToolResult, assistant, user
from palaver.tokens import tokens_of
from palaver.window import Tail, Window, legal_window
from palaver.window.mended import mended_window
from palaver.window.plain import plain_window
from tests.strategies import budgets, tails, tidy_tails, transcripts

ROOMY = Budget(100_000)


# -- the rules, once more


def visible(message: Message) -> bool:
    """Whether a model may ever see the message."""
    return not {"hidden", "command"} & set(message.flags)


def newest_user(messages: tuple[Message, ...]) -> Message | None:
    """The newest message of the user that a model may see."""
    found = [message for message in messages if message.role == "user" and visible(message)]
    return found[-1] if found else None


def says(message: Message) -> bool:
    """Whether an assistant message has anything in it that may stand alone."""
    for part in message.parts:
        if isinstance(part, TextPart):
            if part.text.strip():
                return True
        elif not isinstance(part, ThinkingPart) or part.signature or part.redacted:
            return True
    return False


def is_interrupted(message: Message) -> bool:
    """Whether the message was made up, to answer calls that nothing answered."""
    return message.seq == 0 and message.role == "tool"


def faults(messages: tuple[Message, ...]) -> list[str]:
    """What a provider would refuse in these messages, the instructions in front left out."""
    found: list[str] = []
    index = 0
    while index < len(messages):
        unit = [messages[index]]
        index += 1
        role = unit[0].role
        if not visible(unit[0]):
            found.append(f"{unit[0].seq} is hidden")
        if role == "tool":
            found.append(f"a result at {unit[0].seq} follows no call")
        if role != "assistant":
            continue
        while index < len(messages) and messages[index].role == "assistant" and messages[index].joins:
            unit.append(messages[index])
            index += 1
        if not any(says(message) for message in unit):
            found.append(f"{unit[0].seq} is empty")
        found.extend(f"{message.seq} has no parts" for message in unit if not message.parts)
        calls = [part for message in unit for part in message.parts if isinstance(part, ToolCall)]
        results: list[ToolResult] = []
        while calls and index < len(messages) and messages[index].role == "tool":
            here = [part for part in messages[index].parts if isinstance(part, ToolResult)]
            if not here:
                found.append(f"{messages[index].seq} has no results")
            results.extend(here)
            index += 1
        ids = [call.call_id for call in calls if call.call_id]
        if len(set(ids)) != len(ids):
            found.append(f"ids at {unit[0].seq} are not unique: {ids}")
        if Counter(call.call_id for call in calls) != Counter(result.call_id for result in results):
            found.append(f"calls at {unit[0].seq} and results do not match")
        unnamed = Counter(call.name for call in calls if not call.call_id)
        if unnamed and Counter(r.name for r in results if not r.call_id and r.name) - unnamed:
            found.append(f"names at {unit[0].seq} do not match")
    return found


def pairs(messages: tuple[Message, ...]) -> dict[tuple[int, int], int]:
    """Which call message each result, by message position and place, answers; looked for the slow way."""
    open_calls: list[tuple[int, ToolCall, int]] = []  # exchange, call, its place
    found: dict[tuple[int, int], int] = {}
    shown = [message for message in messages if visible(message)]
    exchange = -1
    last_calling = -1
    predecessor: Message | None = None
    for message in messages:
        if not visible(message):
            predecessor = None
            continue
        joined = message.joins and predecessor is not None and predecessor.role == "assistant" == message.role
        predecessor = message
        if message.role == "assistant":
            if not joined:
                exchange = message.seq
            for place, part in enumerate(message.parts):
                if isinstance(part, ToolCall):
                    open_calls.append((exchange, part, place))
                    last_calling = exchange
        if message.role != "tool":
            continue
        for place, part in enumerate(message.parts):
            if not isinstance(part, ToolResult):
                continue
            fits = [c for c in open_calls if part.call_id and c[1].call_id == part.call_id]
            if not fits:
                here = [c for c in open_calls if c[0] == last_calling and part.name in (None, "", c[1].name)]
                fits = [c for c in here if not c[1].call_id] or ([] if part.call_id else here)
            if fits:
                nearest = next(c for c in fits if c[0] == max(f[0] for f in fits))
                open_calls.remove(nearest)
                found[message.seq, place] = nearest[0]
    assert shown or not found
    return found


def body(window: Window) -> tuple[Message, ...]:
    """The window without what stands in front."""
    return window.messages[window.head_count :]


# -- legality


@given(tails(), budgets, st.booleans())
def test_every_window_is_legal(tail: Tail, budget: Budget, sticky: bool) -> None:
    """No orphan, no dangling call, nothing between them, no empty or hidden message, ids unique in an exchange."""
    window = legal_window(tail, budget, sticky=sticky)
    assert faults(body(window)) == []
    event("gap" if window.omitted and body(window) and window.anchor != body(window)[0].seq else "no gap")


@given(tails(), budgets, st.booleans())
def test_a_window_begins_at_the_user(tail: Tail, budget: Budget, sticky: bool) -> None:
    """The first message is the user's, or a delivery just before it; and the newest one of the user is always in."""
    shown = body(legal_window(tail, budget, sticky=sticky))
    newest = newest_user(tail.messages)
    if newest is None:
        assert all(message.role != "user" for message in shown)
        return
    assert newest.seq in {message.seq for message in shown}
    first = shown[0]
    assert first.role == "user" or ("delivery" in first.flags and not first.tool_calls and shown[1].role == "user")


@given(tails(), budgets, st.booleans())
def test_no_window_exceeds_its_budget(tail: Tail, budget: Budget, sticky: bool) -> None:
    """Everything counts; only the newest message of the user may go beyond."""
    window = legal_window(tail, budget, sticky=sticky)
    newest = newest_user(tail.messages)
    rest = [m for m in window.messages if newest is None or m.seq != newest.seq]
    assert len(rest) <= budget.max_messages
    if len(window.messages) > budget.max_messages:
        assert newest is not None
        assert len(body(window)) == 1
    if budget.max_tokens is not None:
        assert tokens_of(rest, budget.estimate_percent) <= budget.max_tokens
        assert window.tokens <= budget.max_tokens or len(body(window)) == 1
    if budget.max_turns is not None:
        assert sum(m.role == "user" for m in window.messages) <= budget.max_turns


# -- fidelity


@given(tails(), budgets, st.booleans())
def test_a_window_is_a_subsequence_by_exchange(tail: Tail, budget: Budget, sticky: bool) -> None:
    """Messages keep their order, results follow their calls, and what was not mended is the very object put in."""
    window = legal_window(tail, budget, sticky=sticky)
    shown = [m for m in body(window) if not is_interrupted(m)]
    heads = [m.seq for m in shown if m.role != "tool"]
    assert heads == sorted(set(heads))
    given_ = {message.seq: message for message in tail.messages}
    mended = {repair.seq for repair in window.repairs}
    for message in shown:
        original = given_[message.seq]
        assert message is original or message.seq in mended or _unit_seq(tail, message) in mended
        assert message.role == original.role
        assert message.text == original.text or message.role == "tool"


def _unit_seq(tail: Tail, message: Message) -> int:
    """Position of the first message of the exchange that an assistant message was joined to."""
    seq, before = 0, ""
    for each in tail.messages:
        if not (each.joins and each.role == before == "assistant"):
            seq = each.seq
        before = each.role
        if each.seq == message.seq:
            break
    return seq


@given(tails(), budgets, st.booleans())
def test_input_is_never_changed(tail: Tail, budget: Budget, sticky: bool) -> None:
    """The tail encodes to the same bytes before and after."""
    before = msgspec.json.encode(tail)
    legal_window(tail, budget, sticky=sticky, options=WindowOptions(timestamps=True, senders=True))
    assert msgspec.json.encode(tail) == before


@given(tails(), budgets, st.booleans())
def test_every_message_is_accounted_for(tail: Tail, budget: Budget, sticky: bool) -> None:
    """Each message is in the window, pending, or omitted with its reason, and only in one of them."""
    window = legal_window(tail, budget, sticky=sticky)
    shown = {message.seq for message in window.messages}
    held = {message.seq for message in window.pending}
    assert not shown & held
    previous = 0
    for omitted in window.omitted:
        assert previous < omitted.from_seq <= omitted.through_seq
        previous = omitted.through_seq
    for message in (*tail.head, *tail.messages):
        left_out = [o.reason for o in window.omitted if o.from_seq <= message.seq <= o.through_seq]
        assert (message.seq in shown | held) == (not left_out), message
        assert message.seq in shown | held or len(left_out) == 1


@given(tails())
def test_nothing_valid_is_lost_to_make_the_rest_legal(tail: Tail) -> None:
    """With room for all: every message of the user, all speech after the first, and every result that has a call."""
    window = legal_window(tail, ROOMY)
    seen = {message.seq for message in (*window.messages, *window.pending)}
    users = [m.seq for m in tail.messages if m.role == "user" and visible(m)]
    first = users[0] if users else 0
    held = {m.seq for m in window.pending}
    for message in tail.messages:
        if visible(message) and message.seq >= first:
            if message.role in {"user", "system", "developer"}:
                assert message.seq in seen
            if message.role == "assistant" and says(message):
                assert message.seq in seen
    answers = pairs(tail.messages)
    for message in tail.messages:
        if message.role == "tool" and visible(message):
            calls = {answers.get((message.seq, place)) for place in range(len(message.parts))} - {None}
            assert (message.seq in seen) == any(call >= first or call in held for call in calls if call is not None)


@given(tails(), budgets)
def test_no_room_is_left_unused(tail: Tail, budget: Budget) -> None:
    """One more turn, or of an overlong turn one more exchange, would not have fitted."""
    everything = body(legal_window(tail, ROOMY))
    window = legal_window(tail, budget)
    shown = body(window)
    lead = window.messages[: window.head_count]
    newest = newest_user(tail.messages)
    seqs = [message.seq for message in shown]
    if newest is not None and seqs and _gap(everything, shown):
        begin = len(everything) - (len(shown) - 1)
        before = begin - 1
        while everything[before].role == "tool" or (
            everything[before].role == "assistant" and everything[before].joins
        ):
            before -= 1
        more = (everything[before], *shown, *everything[before + 1 : begin])
        assert everything[before].seq == newest.seq or not _fits(budget, (*lead, *more))
        return
    assert [m.seq for m in everything[len(everything) - len(shown) :]] == seqs
    begin = len(everything) - len(shown)
    older = [i for i in range(begin) if _may_begin(everything, i) or newest is None]
    if newest is None and older:
        older = [i for i in older if everything[i].role != "tool" and not everything[i].joins]
    if older:
        assert not _fits(budget, (*lead, *everything[older[-1] :]))


def _gap(everything: tuple[Message, ...], shown: tuple[Message, ...]) -> bool:
    return [m.seq for m in everything[len(everything) - len(shown) :]] != [m.seq for m in shown]


def _may_begin(messages: tuple[Message, ...], i: int) -> bool:
    if messages[i].role == "user":
        return True
    return (
        "delivery" in messages[i].flags
        and messages[i].role == "assistant"
        and not messages[i].tool_calls
        and not messages[i].joins
        and i + 1 < len(messages)
        and messages[i + 1].role == "user"
    )


def _fits(budget: Budget, messages: tuple[Message, ...]) -> bool:
    return (
        len(messages) <= budget.max_messages
        and (budget.max_tokens is None or tokens_of(messages, budget.estimate_percent) <= budget.max_tokens)
        and (budget.max_turns is None or sum(m.role == "user" for m in messages) <= budget.max_turns)
    )


# -- the running turn


@given(tails())
def test_only_the_running_turns_last_exchange_waits(tail: Tail) -> None:
    """What is pending is one unanswered exchange of the running turn, with no speech of the model after it."""
    window = legal_window(tail, ROOMY)
    if tail.running_from is None:
        assert window.pending == ()
    if not window.pending:
        return
    event("pending")
    assert tail.running_from is not None
    first = window.pending[0]
    assert first.seq >= tail.running_from
    calls = sum(len(message.tool_calls) for message in window.pending)
    assert calls > sum(len(message.tool_results) for message in window.pending)
    later = [m for m in body(window) if m.role == "assistant" and m.seq > first.seq]
    assert all("delivery" in m.flags for m in later)


@given(tails())
def test_every_call_that_waits_no_longer_is_answered_as_interrupted(tail: Tail) -> None:
    """A made-up result says so, is an error, and is listed under the exchange that it closes."""
    window = legal_window(tail, ROOMY)
    made_up = [r for m in body(window) if is_interrupted(m) for r in m.tool_results]
    assert all(r.is_error and r.parts == (TextPart(text=INTERRUPTED),) for r in made_up)
    assert len(made_up) == sum(repair.kind == "interrupted" for repair in window.repairs)


# -- reading


@given(st.one_of(tails(), tidy_tails()), budgets, st.booleans(), st.integers(0, 40))
def test_reading_more_changes_no_window_that_was_not_short(tail: Tail, budget: Budget, sticky: bool, cut: int) -> None:
    """A read that was enough gives the window that a read of everything gives."""
    read = tail.messages[cut:]
    newest = newest_user(tail.messages)
    if newest is not None and newest not in read:
        read = (newest, *read)
    narrow = legal_window(msgspec.structs.replace(tail, messages=read, complete=cut == 0), budget, sticky=sticky)
    if narrow.short:
        event("short")
        return
    event("enough" if cut and cut < len(tail.messages) else "everything")
    wide = legal_window(tail, budget, sticky=sticky)
    assert (narrow.messages, narrow.anchor) == (wide.messages, wide.anchor)
    assert narrow.pending == wide.pending or (wide.pending[0] not in read and not narrow.pending)


@given(tails(), budgets, st.booleans())
def test_a_complete_read_is_never_short(tail: Tail, budget: Budget, sticky: bool) -> None:
    """There is nothing more to read."""
    assert not legal_window(tail, budget, sticky=sticky).short


@given(st.one_of(tails(), tidy_tails()), budgets, st.booleans(), st.booleans())
def test_the_plain_path_gives_what_the_other_one_gives(
    tail: Tail, budget: Budget, sticky: bool, complete: bool
) -> None:
    """The shortcut for transcripts that need no mending agrees with the long way in every field."""
    tail = msgspec.structs.replace(tail, complete=complete)
    plain = plain_window(tail, budget, sticky=sticky)
    if plain is None:
        event("mended")
        return
    event("plain")
    assert plain == mended_window(tail, budget, WindowOptions(), sticky=sticky)


# -- stickiness


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=40),
    st.integers(8, 30),
    st.booleans(),
)
def test_a_sticky_window_stays_or_leaves_a_quarter_free(sizes: list[int], limit: int, crash: bool) -> None:
    """From turn to turn the payload grows at its end, until it overflows; then it is cut to three quarters at most."""
    messages: list[Message] = []
    anchor: int | None = None
    last: tuple[Message, ...] = ()
    for size in sizes:
        if crash:
            messages.append(assistant(None, ToolCall(name="read", call_id="a")))
        messages.append(user("go on"))
        messages = [message.replace(seq=seq) for seq, message in enumerate(messages, 1)]
        tail = Tail(messages=tuple(messages), anchor=anchor)
        window = legal_window(tail, Budget(limit), sticky=True)
        stays = window.messages[: len(last)] == last
        assert stays or len(window.messages) <= max(1, limit * 3 // 4)
        if not stays:
            since = tuple(message for message in tail.messages if message.seq >= (anchor or 0))
            assert len(legal_window(Tail(messages=since), ROOMY).messages) > limit
        last, anchor = window.messages, window.anchor
        messages.extend([assistant("well")] * size)


# -- annotations


@given(tails(), budgets)
def test_annotated_windows_are_legal_and_within_budget(tail: Tail, budget: Budget) -> None:
    """Options change text of the user and echoes of the assistant, and no rule."""
    options = WindowOptions(timestamps=True, senders=True, image_breadcrumbs=True)
    window = legal_window(tail, budget, options=options)
    assert faults(body(window)) == []
    assert len(window.messages) <= budget.max_messages or len(body(window)) == 1
    assert not any(m.text.startswith("[from ") for m in body(window) if m.role == "assistant")


# -- boundaries


@given(transcripts(), st.integers(0, 60))
def test_a_boundary_tears_no_exchange(messages: tuple[Message, ...], seq: int) -> None:
    """Before it and after it, the same results have their calls as in the whole."""
    cut = boundary(messages, seq)
    assert cut <= seq
    before = tuple(m for m in messages if m.seq <= cut)
    after = tuple(m for m in messages if m.seq > cut)
    assert cut == 0 or before[-1].seq == cut
    shown = tuple(m.replace(flags=()) for m in messages)
    torn = {(result, call) for (result, _), call in pairs(shown).items() if (result > cut) != (call > cut)}
    assert torn == set()
    assert len(before) + len(after) == len(messages)

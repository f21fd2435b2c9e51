"""On every wire: any messages render to something legal, anything that was sent comes back, and caches hold."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import palaver
from palaver import formats
from palaver.budget import Budget
from palaver.codec import decode, encode
from palaver.errors import InvalidMessage
from palaver.model import Message
from palaver.window import Tail, legal_window
from tests.corpus.meaning import unexplained
from tests.corpus.oracle import objections
from tests.corpus.payloads import text
from tests.strategies import budgets, tails
from tests.wire_strategies import any_messages, damaged, json_values, tidy_turns

WIRES = formats.wires()
every_wire = pytest.mark.parametrize("wire", WIRES)


def faults(wire: str, rendered: formats.Rendered) -> list[str]:
    """What the wire's rules say against a payload, as they were written first and second."""
    violations = formats.check(wire, rendered.messages, system=rendered.system)
    found = [f"{violation.rule} at {violation.where}: {violation.says}" for violation in violations]
    return found or objections(wire, rendered.messages)


@every_wire
@given(data=st.data())
def test_any_messages_render_legally(wire: str, data: st.DataObject) -> None:
    """Whatever the messages are, repaired they are legal; the input is as it was; and it is the same each time."""
    messages: list[Message] = data.draw(any_messages)
    before = [encode(message) for message in messages]
    rendered = formats.render(wire, messages)
    assert not rendered.messages or faults(wire, rendered) == []
    assert [encode(message) for message in messages] == before
    again = formats.render(wire, [decode(body) for body in before])
    assert text([again.system, again.messages]) == text([rendered.system, rendered.messages])
    assert again.repairs == rendered.repairs
    assert again.call_ids == rendered.call_ids


@every_wire
@given(data=st.data())
def test_any_messages_render_without_repairs(wire: str, data: st.DataObject) -> None:
    """Without repairs the payload may be refused, but there is one, and it is JSON."""
    rendered = formats.render(wire, data.draw(any_messages), repair=False)
    text([rendered.system, rendered.messages])


@every_wire
@given(data=st.data())
def test_a_rendered_payload_is_legal_for_good(wire: str, data: st.DataObject) -> None:
    """What was rendered is parsed and rendered again: legal, and it says the same but for what says nothing."""
    once = formats.render(wire, data.draw(any_messages))
    parsed = formats.parse(wire, once.messages, system=once.system)
    again = formats.render(wire, parsed)
    assert not again.messages or faults(wire, again) == []
    assert unexplained(parsed, again, formats.parse(wire, again.messages, system=again.system)) == []


@every_wire
@given(data=st.data())
def test_a_payload_shares_nothing(wire: str, data: st.DataObject) -> None:
    """Changing what was rendered changes no message, and no other payload."""
    messages = data.draw(any_messages)
    first = formats.render(wire, messages)
    said = text([first.system, first.messages])
    second = formats.render(wire, messages)
    for entry in second.messages:
        if isinstance(entry, dict):
            for value in entry.values():
                if isinstance(value, list):
                    value.clear()
            entry.clear()
    assert text([first.system, first.messages]) == said
    assert text(formats.render(wire, messages).messages) == text(first.messages)


@every_wire
@given(data=st.data())
def test_any_window_renders_legally(wire: str, data: st.DataObject) -> None:
    """Random transcripts, budgets, crashes and summaries: the window is legal on the wire."""
    tail: Tail = data.draw(tails(10))
    budget: Budget = data.draw(budgets)
    window = legal_window(tail, budget, sticky=data.draw(st.booleans()))
    assume(window.messages)
    assert faults(wire, window.render(wire)) == []


@every_wire
@given(data=st.data())
def test_a_damaged_payload_comes_back_or_is_refused(wire: str, data: st.DataObject) -> None:
    """Anything in any slot: parsing loses nothing and changes nothing, or names the message that is none."""
    messages, system = data.draw(damaged(wire))
    before = copy.deepcopy([messages, system])
    try:
        parsed = formats.parse(wire, messages, system=system)
    except InvalidMessage as exc:
        assert "messages[" in str(exc) or "system" in str(exc)  # noqa: PT017  # it may also be none at all
        return
    finally:
        assert text([messages, system]) == text(before)
    rendered = formats.render(wire, [decode(encode(message)) for message in parsed], repair=False)
    assert text(rendered.messages) == text(messages)
    assert text(rendered.system) == text(system) or not (rendered.system or system)
    assert rendered.repairs == ()


@every_wire
@given(data=st.data())
def test_a_damaged_payload_is_mended(wire: str, data: st.DataObject) -> None:
    """And repaired it is legal; where nothing was illegal, nothing is changed."""
    messages, system = data.draw(damaged(wire))
    try:
        parsed = formats.parse(wire, messages, system=system)
    except InvalidMessage:
        return
    rendered = formats.render(wire, parsed)
    assert not rendered.messages or faults(wire, rendered) == []
    if text(rendered.messages) != text(messages):
        assert rendered.repairs


@every_wire
@given(data=st.data())
def test_a_damaged_payload_carries_over(wire: str, data: st.DataObject) -> None:
    """What one wire sent, in whatever state, is legal on every other."""
    messages, system = data.draw(damaged(wire))
    try:
        parsed = formats.parse(wire, messages, system=system)
    except InvalidMessage:
        return
    for other in WIRES:
        rendered = formats.render(other, parsed)
        assert not rendered.messages or faults(other, rendered) == [], other


@every_wire
@given(data=st.data())
def test_rules_take_anything(wire: str, data: st.DataObject) -> None:
    """`check` has an answer for every JSON."""
    given_messages: list[Any] = data.draw(st.lists(json_values, max_size=4) | damaged(wire).map(lambda pair: pair[0]))
    system = data.draw(json_values)
    assert all(violation.rule for violation in formats.check(wire, given_messages, system=system))


@every_wire
@given(data=st.data())
def test_a_payload_grows_at_its_end(wire: str, data: st.DataObject) -> None:
    """A turn more leaves the payload before it as it was, its last entry perhaps aside: prompt caches hold."""
    turns = data.draw(tidy_turns())
    turns[0].insert(0, palaver.system("Be brief."))
    payloads = [
        formats.render(wire, [message for turn in turns[:count] for message in turn])
        for count in range(1, len(turns) + 1)
    ]
    for shorter, longer in pairwise(payloads):
        kept = len(shorter.messages) - 1
        assert text(longer.messages[:kept]) == text(shorter.messages[:kept])
        assert text(longer.system) == text(shorter.system)

"""mistral: nothing that it could send is lost, and what is rendered is always legal."""

from __future__ import annotations

import copy
import re
from types import MappingProxyType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from palaver import formats
from palaver.codec import decode, encode
from palaver.model import Message
from tests.chat_strategies import any_messages, bodies, ids, json_values, text
from tests.chat_strategies import payloads as payloads_of

ROLES = ("system", "user", "assistant", "tool")
payloads = payloads_of(*ROLES)


@given(payloads)
def test_any_payload_comes_back_exactly(payload: list[Any]) -> None:
    """Whatever the keys hold, rendering what was parsed and stored gives the payload back."""
    before = copy.deepcopy(payload)
    messages = [decode(encode(message)) for message in formats.parse("mistral", payload)]
    rendered = formats.render("mistral", messages, repair=False)
    assert text(rendered.messages) == text(before)
    assert rendered.repairs == ()
    assert text(payload) == text(before)


@given(payloads)
def test_ordinary_messages_are_read_as_the_careful_way_reads_them(payload: list[Any]) -> None:
    """A mapping that is no dict is never ordinary; it must not make a difference."""
    careful = formats.parse("mistral", [MappingProxyType(message) for message in payload])
    assert formats.parse("mistral", payload) == careful


@given(payloads)
def test_a_repaired_payload_is_clean(payload: list[Any]) -> None:
    """Whatever the keys hold, `render` makes something of it that `check` has nothing to say about."""
    first = formats.render("mistral", formats.parse("mistral", payload))
    assert formats.check("mistral", first.messages) == []
    again = formats.render("mistral", formats.parse("mistral", first.messages))
    assert again.repairs == ()
    assert text(again.messages) == text(first.messages)
    if not first.repairs:
        assert text(first.messages) == text(payload)


@given(payloads)
def test_what_is_clean_is_not_changed(payload: list[Any]) -> None:
    """But for answers without anything that is said."""
    if formats.check("mistral", payload):
        return
    rendered = formats.render("mistral", formats.parse("mistral", payload))
    assert {repair.kind for repair in rendered.repairs} <= {"message_left_out", "user_added"}
    if not rendered.repairs:
        assert text(rendered.messages) == text(payload)


@given(
    st.lists(st.builds(lambda role, body: {**body, "role": role}, st.sampled_from(ROLES), bodies) | json_values),
    json_values,
)
def test_check_takes_any_json(payload: list[Any], system: Any) -> None:
    """It finds fault, it never raises."""
    for each in formats.check("mistral", payload, system=system):
        assert re.fullmatch(r"MI\d+", each.rule)
        assert each.where.startswith(("messages", "system"))
        assert each.says
        assert each.remedy


@given(any_messages)
def test_any_messages_become_clean(messages: list[Message]) -> None:
    """Whatever they are; and the input stays as it is."""
    before = copy.deepcopy(messages)
    rendered = formats.render("mistral", messages)
    assert formats.check("mistral", rendered.messages) == []
    assert rendered.messages[-1]["role"] != "assistant" or rendered.messages[-1]["prefix"] is True
    formats.render("mistral", messages, repair=False)
    assert messages == before


@given(ids | st.text())
def test_call_ids_fit_and_stay(call_id: str) -> None:
    """Nine letters and digits, always the same."""
    found = formats.mistral.fit_call_id(call_id)
    assert re.fullmatch("[a-zA-Z0-9]{9}", found)
    assert found == formats.mistral.fit_call_id(call_id) == formats.mistral.fit_call_id(found)

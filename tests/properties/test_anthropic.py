"""anthropic: nothing that a provider could send is lost, and what is repaired is clean by the wire's own rules."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from palaver import formats
from palaver.codec import decode, encode
from palaver.model import Message
from tests.block_strategies import call_ids, histories, json_values, same, scalars, short, some, words

WIRE = "anthropic"


def shaped(kind: str, **keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A block of one type with its fields as they should be, often with a cache mark."""
    marks = {"cache_control": st.none() | st.just({"type": "ephemeral"})}
    return st.fixed_dictionaries({"type": st.just(kind), **keys}, optional=marks)


sources = some(
    type=st.sampled_from(["base64", "url", "text", "file", "content"]),
    media_type=st.sampled_from(["image/png", "application/pdf", "text/plain"]),
    data=words | st.just("AA=="),
    url=st.just("https://example.org/a"),
    file_id=short,
)
odd_blocks = some(
    type=st.sampled_from(["text", "image", "document", "thinking", "tool_use", "tool_result", "new", "search_result"]),
    text=words,
    source=sources,
    title=short,
    thinking=words,
    signature=words,
    id=call_ids,
    tool_use_id=call_ids,
    name=short,
    input=json_values,
    content=words | st.lists(json_values, max_size=2),
    is_error=st.booleans(),
    cache_control=json_values,
)
plain_blocks = (
    shaped("text", text=words)
    | shaped("tool_use", id=call_ids, name=words, input=st.dictionaries(short, scalars, max_size=2) | json_values)
    | shaped("tool_result", tool_use_id=call_ids, content=words | st.lists(odd_blocks, max_size=2))
    | shaped("tool_result", tool_use_id=call_ids, content=words | st.just([]), is_error=st.booleans())
    | shaped("thinking", thinking=words, signature=words)
    | shaped("redacted_thinking", data=words)
    | shaped("server_tool_use", id=call_ids, name=short, input=st.just({}))
    | shaped("web_search_tool_result", tool_use_id=call_ids, content=st.just([]))
    | shaped("image", source=sources)
    | shaped("document", source=sources, title=short)
    | shaped("search_result", source=short, title=short, content=st.just([{"type": "text", "text": "a"}]))
    | shaped("compaction", content=words)
)
blocks = plain_blocks | odd_blocks | json_values
contents = words | st.lists(plain_blocks, max_size=4) | st.lists(blocks, max_size=4) | json_values
roles = st.sampled_from(["user", "assistant", "user", "assistant", "system"])
wire_messages = st.fixed_dictionaries(
    {"role": roles}, optional={"content": contents, "x": json_values, "type": short | st.just("message")}
)
payloads = st.lists(wire_messages, max_size=6)
systems = st.none() | words | st.lists(shaped("text", text=words) | json_values, max_size=6)


@given(payloads, st.none() | words | st.lists(blocks, max_size=2))
def test_every_payload_comes_back_through_the_store(messages: list[Any], system: Any) -> None:
    """Whatever stands in a message: parsed, stored, read and rendered without repairs it is the same."""
    before = copy.deepcopy((messages, system))
    stored = [decode(encode(message)) for message in formats.parse(WIRE, messages, system=system)]
    rendered = formats.render(WIRE, stored, repair=False)
    expected = [sent(message) for message in messages]
    assert same(rendered.messages, expected)
    assert same(rendered.system, system)
    assert (messages, system) == before


def sent(message: dict[str, Any]) -> dict[str, Any]:
    """The message as a request has it: of a whole response the role and the content."""
    whole = message["role"] == "assistant" and message.get("type") == "message"
    if whole and isinstance(message.get("content"), list):
        return {"role": "assistant", "content": message["content"]}
    return message


@given(payloads, systems)
def test_a_payload_that_is_clean_is_not_changed_and_others_become_clean(messages: list[Any], system: Any) -> None:
    """What check lets through is sent as it is; what it does not is mended, and every mending is listed."""
    clean = not formats.check(WIRE, messages, system=system)
    rendered = formats.render(WIRE, formats.parse(WIRE, messages, system=system))
    assert formats.check(WIRE, rendered.messages, system=rendered.system) == []
    if not clean:
        return
    # Where that was all there was, a user asks to go on; where it was the end, what was before it is the end now.
    said_nothing = {"message_left_out", "user_added", "text_changed"}
    if {repair.kind for repair in rendered.repairs} - said_nothing:
        raise AssertionError(rendered.repairs)
    if not rendered.repairs:
        assert same(rendered.messages, [sent(message) for message in messages])
        assert same(rendered.system, system)


@given(histories(blocks, [WIRE, None, "openai_chat", "google", "bedrock"]))
def test_any_messages_are_rendered_legally(messages: list[Message]) -> None:
    """Repaired, any list of messages is clean by the wire's rules; rendering is the same twice and changes nothing."""
    before = copy.deepcopy(messages)
    rendered = formats.render(WIRE, messages)
    assert formats.check(WIRE, rendered.messages, system=rendered.system) == []
    assert formats.render(WIRE, messages) == rendered
    assert messages == before
    json.dumps((rendered.messages, rendered.system), allow_nan=False).encode()


@given(histories(blocks, [WIRE, None, "openai_chat"]))
def test_without_repairs_any_messages_are_rendered(messages: list[Message]) -> None:
    """What the wire cannot say is left out, and the rest is JSON."""
    rendered = formats.render(WIRE, messages, repair=False)
    json.dumps((rendered.messages, rendered.system), allow_nan=False)


@given(json_values | st.lists(json_values, max_size=4) | payloads, json_values)
def test_check_takes_any_json(messages: Any, system: Any) -> None:
    """Garbage is a violation, not an error."""
    if isinstance(messages, list | dict):
        formats.check(WIRE, messages, system=system)

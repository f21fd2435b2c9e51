"""bedrock: nothing that a provider could send is lost, and what is repaired is clean by the wire's own rules."""

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

WIRE = "bedrock"


def one(key: str, inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A block with this one key."""
    return st.fixed_dictionaries({key: inner})


formats_of_media = st.sampled_from(["png", "pdf", "txt", "mp4", "new"])
sources = some(
    bytes=st.just("AA=="), text=words, s3Location=some(uri=st.just("s3://b/c"), bucketOwner=short), content=json_values
)
media = st.fixed_dictionaries({"format": formats_of_media, "source": sources}, optional={"name": short, "x": short})
quotes = some(content=st.just([{"text": "a"}]), citations=st.just([]), title=short)
reasoning = some(reasoningText=some(text=words, signature=words), redactedContent=words)
inputs = st.dictionaries(short, scalars, max_size=2) | json_values
calls = st.fixed_dictionaries(
    {"toolUseId": call_ids, "name": words, "input": inputs},
    optional={"type": st.sampled_from(["tool_use", "server_tool_use"])},
)
said = one("text", words) | one("json", json_values) | one("image", media) | one("document", media) | json_values
results = st.fixed_dictionaries(
    {"toolUseId": call_ids, "content": st.lists(said, max_size=2) | json_values},
    optional={"status": st.sampled_from(["success", "error", "new"]), "type": short},
)
plain_blocks = (
    one("text", words)
    | one("text", words)
    | one("toolUse", calls)
    | one("toolUse", calls)
    | one("toolResult", results)
    | one("toolResult", results)
    | one("reasoningContent", reasoning)
    | one("image", media)
    | one("document", media)
    | one("video", media)
    | one("audio", media)
    | one("citationsContent", quotes)
    | one("searchResult", quotes)
    | one("cachePoint", st.just({"type": "default"}))
)
odd_blocks = some(text=words, toolUse=calls, toolResult=results, document=media, guardContent=json_values)
blocks = plain_blocks | odd_blocks | json_values
contents = st.lists(plain_blocks, max_size=4) | st.lists(blocks, max_size=4) | json_values
roles = st.sampled_from(["user", "assistant"])
wire_messages = st.fixed_dictionaries({"role": roles}, optional={"content": contents, "x": json_values})
payloads = st.lists(wire_messages, max_size=6)
systems = st.none() | st.lists(one("text", words) | json_values, max_size=3)


@given(payloads, systems)
def test_every_payload_comes_back_through_the_store(messages: list[Any], system: Any) -> None:
    """Whatever stands in a message: parsed, stored, read and rendered without repairs it is the same."""
    before = copy.deepcopy((messages, system))
    stored = [decode(encode(message)) for message in formats.parse(WIRE, messages, system=system)]
    rendered = formats.render(WIRE, stored, repair=False)
    assert same(rendered.messages, messages)
    assert same(rendered.system, system)
    assert (messages, system) == before


@given(payloads, systems)
def test_a_payload_that_is_clean_is_not_changed_and_others_become_clean(messages: list[Any], system: Any) -> None:
    """What check lets through is sent as it is; what it does not is mended, and every mending is listed."""
    clean = not formats.check(WIRE, messages, system=system)
    rendered = formats.render(WIRE, formats.parse(WIRE, messages, system=system))
    assert formats.check(WIRE, rendered.messages, system=rendered.system) == []
    if clean and not any(repair.kind == "message_left_out" for repair in rendered.repairs):
        assert rendered.repairs == ()
        assert same(rendered.messages, messages)
        assert same(rendered.system, system)


@given(histories(blocks, [WIRE, None, "openai_chat", "google", "anthropic"]))
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


@given(st.lists(json_values, max_size=4) | payloads, json_values)
def test_check_takes_any_json(messages: Any, system: Any) -> None:
    """Garbage is a violation, not an error."""
    formats.check(WIRE, messages, system=system)

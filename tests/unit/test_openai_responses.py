"""openai_responses: what items become, and what messages of this wire, of others and of our own become."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from msgspec.structs import replace

from palaver import formats
from palaver.codec import decode, encode
from palaver.errors import InvalidMessage
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    assistant,
    system,
    tool,
    user,
)

WIRE = "openai_responses"
ASK = {"role": "user", "content": "What stands on the shelf?"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": ' {"shelf": 3}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "a jar"}
SAID = {"type": "output_text", "text": "A jar.", "annotations": [], "logprobs": []}
ANSWER = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [SAID]}


def parse(*items: Any, instructions: Any = None) -> list[Message]:
    """The messages of an input."""
    return formats.parse(WIRE, list(items), system=instructions)


def render(*messages: Message, repair: bool = True) -> list[Any]:
    """The input, where nothing had to be repaired or left out."""
    rendered = formats.render(WIRE, messages, repair=repair)
    assert rendered.repairs == ()
    payload: list[Any] = rendered.messages
    return payload


def repaired(*messages: Message) -> tuple[list[Any], list[str]]:
    """The input and the kinds of its repairs; it breaks no rule."""
    rendered = formats.render(WIRE, messages)
    assert formats.check(WIRE, rendered.messages, system=rendered.system) == []
    return rendered.messages, [repair.kind for repair in rendered.repairs]


def text(value: Any) -> str:
    """JSON text, to compare by: 1, 1.0 and true are three things."""
    return json.dumps(value, sort_keys=True)


class Sdk:
    """What an SDK returns: an object that knows its fields."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def model_dump(self, *, exclude_unset: bool = False) -> dict[str, Any]:
        """The fields that were set; all of them otherwise."""
        return self.fields if exclude_unset else {**self.fields, "unset": None}


# -- reading


def test_the_items_of_a_response_are_one_message() -> None:
    """Reasoning and the call or text that it was produced with cannot come apart."""
    messages = parse(ASK, REASONING, CALL, OUTPUT, {**REASONING, "id": "rs_2"}, ANSWER)
    assert [(m.role, [type(p).__name__ for p in m.parts]) for m in messages] == [
        ("user", ["TextPart"]),
        ("assistant", ["ThinkingPart", "ToolCall"]),
        ("tool", ["ToolResult"]),
        ("assistant", ["ThinkingPart", "TextPart"]),
    ]
    assert messages[1].tool_calls[0].call_id == "call_1"
    assert messages[1].tool_calls[0].arguments == ' {"shelf": 3}'
    assert messages[2].tool_results[0].parts == (TextPart(text="a jar"),)
    assert messages[3].text == "A jar."
    assert not any(m.joins for m in messages)


def test_reasoning_is_typed() -> None:
    """Its texts are parts, encrypted content is redacted; the first part keeps the item's keys."""
    raw = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
        "content": [{"type": "reasoning_text", "text": "c"}],
        "encrypted_content": "zz",
        "status": None,
    }
    (message,) = parse(raw)
    assert [(p.text, p.redacted) for p in message.parts if isinstance(p, ThinkingPart)] == [
        ("a", "zz"),
        ("b", None),
        ("c", None),
    ]
    assert text(render(message, repair=False)) == text([raw])


def test_what_a_client_answers_is_a_call_whatever_it_is_called() -> None:
    """Each of them has its call id, its name, and what the model wrote."""
    items = [
        {"type": "custom_tool_call", "call_id": "a", "name": "sh", "input": "ls"},
        {"type": "tool_search_call", "call_id": "b", "arguments": {"q": 1.0}, "execution": "client"},
        {"type": "computer_call", "call_id": "c", "id": "cu_1", "action": {"type": "wait"}},
        {"type": "computer_call", "call_id": "d", "id": "cu_2", "actions": [{"type": "wait"}]},
        {"type": "local_shell_call", "call_id": "e", "id": "lsh_1", "action": {"command": ["ls"]}},
        {"type": "shell_call", "call_id": "f", "action": {"commands": ["ls"]}},
        {"type": "apply_patch_call", "call_id": "g", "operation": {"type": "delete_file", "path": "x"}},
        {"type": "mcp_approval_request", "id": "mcpr_1", "name": "x", "server_label": "s", "arguments": "{}"},
    ]
    (message,) = parse(*items)
    assert [(call.call_id, call.name, call.arguments) for call in message.tool_calls] == [
        ("a", "sh", "ls"),
        ("b", "tool_search", '{"q":1.0}'),
        ("c", "computer", '{"type":"wait"}'),
        ("d", "computer", '[{"type":"wait"}]'),
        ("e", "local_shell", '{"command":["ls"]}'),
        ("f", "shell", '{"commands":["ls"]}'),
        ("g", "apply_patch", '{"type":"delete_file","path":"x"}'),
        ("mcpr_1", "mcp_approval_request", '{"name":"x","server_label":"s","arguments":"{}"}'),
    ]
    assert text(render(message, repair=False)) == text(items)


def test_what_a_client_answered_is_a_result() -> None:
    """Text where there is text, a picture where there is one, JSON text for the rest."""
    items = [
        {"type": "custom_tool_call_output", "call_id": "a", "output": "x"},
        {"type": "tool_search_output", "call_id": "b", "tools": [], "execution": "client"},
        {
            "type": "computer_call_output",
            "call_id": "c",
            "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,AA=="},
        },
        {"type": "local_shell_call_output", "id": "e", "output": "x"},
        {"type": "local_shell_call_output", "call_id": "e2", "output": "x"},
        {"type": "shell_call_output", "call_id": "f", "output": [{"stdout": "x", "stderr": "", "outcome": {}}]},
        {"type": "apply_patch_call_output", "call_id": "g", "status": "failed", "output": "x"},
        {"type": "apply_patch_call_output", "call_id": "h", "status": "completed"},
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
        {"type": "function_call_output", "call_id": "i", "output": [{"type": "input_file", "file_id": "file-1"}]},
    ]
    messages = parse(*items)
    results = [message.tool_results[0] for message in messages]
    assert [(result.call_id, [getattr(p, "text", type(p).__name__) for p in result.parts]) for result in results] == [
        ("a", ["x"]),
        ("b", ["[]"]),
        ("c", ["ImagePart"]),
        ("e", ["x"]),
        ("e2", ["x"]),
        ("f", ['[{"stdout":"x","stderr":"","outcome":{}}]']),
        ("g", ["x"]),
        ("h", []),
        ("mcpr_1", ['{"approve":true}']),
        ("i", ["FilePart"]),
    ]
    assert results[6].is_error
    assert text(render(*messages, repair=False)) == text(items)


def test_what_a_server_did_is_kept_in_its_place() -> None:
    """Searches, code, server tools and types that nobody knows yet stay with the answer that they belong to."""
    items = [
        REASONING,
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "jars"}},
        {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["jars"], "results": None},
        {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "container_id": "c", "outputs": [], "status": "x"},
        {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": []},
        {"type": "mcp_call", "id": "mcp_1", "name": "x", "server_label": "s", "arguments": "{}", "output": "1"},
        {"type": "tool_search_call", "call_id": None, "arguments": {}, "execution": "server", "status": "completed"},
        {"type": "tool_search_output", "call_id": None, "tools": [], "execution": "server", "status": "completed"},
        {"type": "image_generation_call", "id": "ig_1", "result": "AA==", "output_format": "webp", "status": "x"},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "zz"},
        {"type": "program", "id": "p_1", "call_id": "p", "code": "1", "fingerprint": "f"},
        {"type": "of_tomorrow", "x": [1.0, 1, True, None]},
        ANSWER,
    ]
    (message,) = parse(*items)
    assert message.parts[8].__class__ is ImagePart
    assert message.text == "A jar."
    assert text(render(message)) == text(items)


def test_items_that_a_client_writes_are_messages_of_their_own() -> None:
    """Tools, settings, and outputs that answer no call belong to no response."""
    items = [
        ASK,
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
        {"type": "function_call_output", "name": "clock", "output": "noon"},
        {"type": "compaction_trigger"},
    ]
    messages = parse(*items)
    assert [m.role for m in messages] == ["user", "developer", "developer", "user", "developer"]
    assert text(render(*messages)) == text(items)


def test_a_reference_that_an_output_answers_is_a_call() -> None:
    """The server has the call; the output is no orphan, and is not torn from it."""
    items = [
        ASK,
        {"type": "item_reference", "id": "rs_1"},
        {"id": "fc_1"},
        {"type": "item_reference", "id": "fc_2"},
        OUTPUT,
        {**OUTPUT, "call_id": "call_2"},
        ASK,
    ]
    messages = [decode(encode(m)) for m in parse(*items)]
    assert [call.call_id for call in messages[1].tool_calls] == ["call_1", "call_2"]
    assert formats.check(WIRE, items) == []
    assert text(render(*messages)) == text(items)


def test_a_whole_response_is_read() -> None:
    """Its output, and what it used, on its last message."""
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 12,
    }
    response = Sdk(object="response", id="resp_1", model="m", output=[Sdk(**REASONING), ANSWER], usage=usage)
    (message,) = formats.parse(WIRE, response)
    assert render(message) == [REASONING, ANSWER]
    found = message.usage
    assert found is not None
    assert (found.input_tokens, found.cached_tokens, found.cache_write_tokens) == (9, 4, 1)
    assert (found.output_tokens, found.reasoning_tokens, found.model) == (3, 2, "m")
    (first, *_, last) = parse(ASK, response, ASK)
    assert (first.usage, last.usage) == (None, None)


def test_input_that_is_text_alone() -> None:
    """It comes back as text while it is all there is, and as the message that it stands for beside others."""
    messages = formats.parse(WIRE, "Hi", system="Be brief.")
    rendered = formats.render(WIRE, messages)
    assert (rendered.system, rendered.messages) == ("Be brief.", "Hi")
    assert formats.check(WIRE, rendered.messages, system=rendered.system) == []
    grown = formats.render(WIRE, [*messages, *parse(ANSWER)])
    assert grown.messages == [{"role": "user", "content": "Hi"}, ANSWER]


@pytest.mark.parametrize(
    "content",
    [None, "", " ", "x", [], [{"type": "input_text", "text": ""}], [{"type": "new", "x": [1.0, 1, True]}], ["x"], 3],
)
@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_every_spelling_of_content_comes_back(role: str, content: Any) -> None:
    """Null, empty, text, lists and unknown parts are kept apart, in every role, also through the store."""
    raw = {"role": role, "content": content, "type": "message", "x": None}
    for item in (raw, {k: v for k, v in raw.items() if k != "content"}, {"role": role, "content": content}):
        messages = [decode(encode(m)) for m in parse(item)]
        assert text(render(*messages, repair=False)) == text([item])


@pytest.mark.parametrize(
    "item",
    [
        {"type": "function_call"},
        {"type": "function_call", "call_id": None, "name": 3, "arguments": {"a": 1}},
        {"type": "function_call_output", "call_id": 3, "output": None},
        {"type": "function_call_output", "call_id": "a", "output": ["x", {"type": "input_text"}]},
        {"type": "computer_call", "call_id": "a", "action": {}, "actions": []},
        {"type": "computer_call_output", "call_id": "a", "output": "x"},
        {"type": "tool_search_output", "call_id": "a", "tools": None},
        {"type": "reasoning", "summary": ["x"], "content": None},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x", "item": 1}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "x", "item": {"id": "y"}}],
        },
        {"type": "image_generation_call", "id": "ig_1", "result": None},
        {"type": "item_reference", "id": None},
    ],
)
def test_odd_items_come_back(item: dict[str, Any]) -> None:
    """What is not as it should be is kept as it was."""
    messages = [decode(encode(m)) for m in parse(item)]
    assert text(render(*messages, repair=False)) == text([item])


def test_pasted_json_stays_text() -> None:
    """Text that looks like an item is text."""
    (message,) = parse({"role": "user", "content": '{"type":"function_call"}'})
    assert message.parts == (TextPart(text='{"type":"function_call"}'),)


def test_rendering_shares_nothing_with_the_messages() -> None:
    """Changing a payload changes neither the messages nor the next payload."""
    payload = [ASK, {"type": "of_tomorrow", "x": []}, {**ANSWER, "content": [{**SAID, "annotations": [{"x": []}]}]}]
    messages = parse(*copy.deepcopy(payload))
    first = render(*messages)
    first[1]["x"].append(1)
    first[2]["content"][0]["annotations"][0]["x"].append(1)
    assert render(*messages) == payload


def test_an_edit_counts() -> None:
    """New parts in a parsed message are rendered; what was kept of the old ones is gone with them."""
    (reply,) = parse(REASONING, ANSWER)
    assert render(reply.replace(parts=(TextPart(text="New."),))) == [{"role": "assistant", "content": "New."}]
    (odd,) = parse({"type": "function_call", "call_id": "a", "name": "f", "arguments": {}})
    edited = odd.replace(parts=(ToolCall(call_id="a", name="g", arguments="{}", layout=odd.parts[0].layout),))
    assert render(edited, repair=False) == [{"type": "function_call", "call_id": "a", "name": "g", "arguments": "{}"}]


# -- refusing


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("Hi", r"messages\[1\] is a str"),
        (None, r"messages\[1\] is a NoneType"),
        ({"content": "x"}, r"messages\[1\] has no type and no role"),
        ({"type": "message", "content": "x"}, r"messages\[1\] has no role"),
        ({"role": "tool", "content": "x"}, r"messages\[1\] has the role 'tool'"),
        ({"role": ["user"], "content": "x"}, r"messages\[1\] has the role"),
        ({"role": "user", "content": "\ud83d"}, r"messages\[1\]\.content holds a lone surrogate"),
        ({**CALL, "arguments": "\ud83d"}, r"messages\[1\]\.arguments holds a lone surrogate"),
        ({**OUTPUT, "output": "\ud83d"}, r"messages\[1\]\.output holds a lone surrogate"),
        ({**ANSWER, "content": [{**SAID, "text": "\ud83d"}]}, r"messages\[1\]\.content\[0\]\.text holds a lone"),
        ({**REASONING, "encrypted_content": "\ud83d"}, r"messages\[1\]\.encrypted_content holds a lone"),
        ({**OUTPUT, "n": float("inf")}, r"messages\[1\]\.n is inf"),
    ],
)
def test_what_is_no_item_is_refused(bad: Any, said: str) -> None:
    """The error names the item and the place in it."""
    with pytest.raises(InvalidMessage, match=said):
        parse(ASK, bad)


# -- messages of our own, or of another wire


def test_messages_of_our_own() -> None:
    """Constructors give the plain spelling; the leading system prompt stands apart."""
    messages = (
        system("Be brief."),
        user("What stands there?"),
        assistant("Let me see.", ToolCall(call_id="a", name="look", arguments='{"shelf":3}')),
        tool("a", "a jar"),
        assistant(None, ToolCall(call_id="b", name="look")),
        tool("b", ["a jar", "a cup"]),
        system("Be briefer."),
        assistant(["A jar.", "A cup."]),
    )
    rendered = formats.render(WIRE, messages)
    assert rendered.repairs == ()
    assert rendered.system == "Be brief."
    assert rendered.messages == [
        {"role": "user", "content": "What stands there?"},
        {"role": "assistant", "content": "Let me see."},
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": '{"shelf":3}'},
        {"type": "function_call_output", "call_id": "a", "output": "a jar"},
        {"type": "function_call", "call_id": "b", "name": "look", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "b",
            "output": [{"type": "input_text", "text": "a jar"}, {"type": "input_text", "text": "a cup"}],
        },
        {"role": "system", "content": "Be briefer."},
        {"role": "assistant", "content": "A jar."},
        {"role": "assistant", "content": "A cup."},
    ]
    assert formats.check(WIRE, rendered.messages, system=rendered.system) == []


def test_media_in_messages_and_results() -> None:
    """Images and files have their entries in both; a name stands beside bytes, as the API demands."""
    parts: list[Any] = [
        "See:",
        ImagePart(url="https://example.org/a.png"),
        ImagePart(media_type="image/png", data="AA=="),
        FilePart(media_type="application/pdf", data="AA=="),
        FilePart(url="https://example.org/a.pdf"),
        FilePart(file_id="file-1"),
    ]
    entries = [
        {"type": "input_text", "text": "See:"},
        {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "file.pdf"},
        {"type": "input_file", "file_url": "https://example.org/a.pdf"},
        {"type": "input_file", "file_id": "file-1"},
    ]
    payload = render(user(parts), assistant(None, ToolCall(call_id="a", name="f")), tool("a", parts))
    assert payload[0]["content"] == payload[2]["output"] == entries


@pytest.mark.parametrize(
    "part",
    [
        ImagePart(blob="00ff", name="a.png"),
        AudioPart(media_type="audio/wav", data="AA==", name="a.png"),
        ImagePart(file_id="file_011", name="a.png"),
    ],
)
def test_media_that_cannot_be_shown_leave_a_breadcrumb(part: Any) -> None:
    """Bytes that were not loaded, recordings, and files of other providers become a line that names them."""
    call = assistant(None, ToolCall(call_id="a", name="f"), wire="anthropic")
    messages = (user(["See:", part], wire="anthropic"), call, tool("a", part, wire="anthropic"))
    payload, kinds = repaired(*messages)
    kind = "audio" if isinstance(part, AudioPart) else "image"
    crumb = {"type": "input_text", "text": f"[{kind}: a.png]"}
    assert payload[0]["content"][1] == crumb
    assert payload[2]["output"] == [crumb]
    assert kinds == ["media_left_out"] * 2


def test_media_of_this_wire_that_were_not_loaded_leave_a_breadcrumb() -> None:
    """What stands beside them stays as it came; a generated image leaves its item, without the image."""
    texts = {"type": "input_text", "text": "x", "y": 1}
    shown = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
    item = {"type": "message", "role": "user", "content": [texts, shown]}
    made = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AA=="}
    messages = [
        m.replace(parts=tuple(replace(p, data=None, blob="00") if isinstance(p, ImagePart) else p for p in m.parts))
        for m in parse(item, made)
    ]
    payload, kinds = repaired(*messages)
    crumb = {"type": "input_text", "text": "[image: image/png]"}
    assert payload == [{**item, "content": [texts, crumb]}, {**made, "result": None}]
    assert kinds == ["media_left_out"] * 2


def test_reasoning_and_opaque_parts_of_another_wire_are_listed() -> None:
    """What means nothing here is left out and named; nothing is left of a message that had nothing else."""
    thinking = ThinkingPart(text="Hm", signature="c2ln")
    opaque = Opaque(wire="anthropic", data='{"type":"server_tool_use"}')
    payload, kinds = repaired(
        assistant([thinking, "Hi", opaque, ImagePart(url="https://example.org/a")], wire="anthropic"),
        assistant([thinking], wire="anthropic"),
    )
    assert payload == [{"role": "assistant", "content": "Hi"}]
    assert kinds == ["thinking_left_out", "opaque_left_out", "media_left_out", "thinking_left_out", "message_left_out"]


def test_keys_of_another_wire_do_not_come_along() -> None:
    """`extra` and `layout` are read by the wire that wrote them only."""
    part = TextPart(text="Hi", layout="content", extra='{"cache_control":{"type":"ephemeral"}}')
    message = user([part], wire="anthropic", layout="list", extra='{"id":"msg_1"}')
    assert render(message) == [{"role": "user", "content": "Hi"}]
    call = ToolCall(call_id="a", name="f", layout="computer_call", extra='{"id":"x"}')
    payload = render(assistant(None, call, wire="google"), tool("a", "1"))
    assert payload[0] == {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}


def test_text_stands_before_the_calls_of_an_answer() -> None:
    """DeepSeek wants calls and their outputs side by side; also where a response came in pieces."""
    first = assistant(["One.", ToolCall(call_id="a", name="f"), "Two."], wire="google")
    second = assistant(["Three.", ToolCall(call_id="b", name="f")], wire="google", joins=True)
    payload, _ = repaired(first, second, tool("a", "1"), tool("b", "2"))
    assert [item.get("type", "message") for item in payload] == [
        *["message"] * 3,
        *["function_call"] * 2,
        *["function_call_output"] * 2,
    ]


def test_a_participant_name_is_listed() -> None:
    """There is no key for it."""
    payload, kinds = repaired(user("Hi", name="ann"))
    assert (payload, kinds) == ([{"role": "user", "content": "Hi"}], ["name_left_out"])


def test_a_failed_result_without_words_says_so() -> None:
    """There is no key for a failure; its text has to say it."""
    payload, kinds = repaired(assistant(None, ToolCall(call_id="a", name="f")), tool("a", None, is_error=True))
    assert (payload[1]["output"], kinds) == ("Error", ["text_changed"])


# -- results for calls that are no functions


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (
            {"type": "custom_tool_call", "call_id": "a", "name": "sh", "input": "ls"},
            {"type": "custom_tool_call_output", "call_id": "a", "output": "done"},
        ),
        (
            {"type": "tool_search_call", "call_id": "a", "arguments": {}, "execution": "client"},
            {"type": "function_call_output", "call_id": "a", "output": "done"},
        ),
        (
            {"type": "local_shell_call", "id": "lsh_1", "call_id": "a", "action": {}},
            {"type": "local_shell_call_output", "id": "a", "output": "done"},
        ),
        (
            {"type": "shell_call", "call_id": "a", "action": {}},
            {
                "type": "shell_call_output",
                "call_id": "a",
                "output": [{"stdout": "done", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
            },
        ),
        (
            {"type": "apply_patch_call", "call_id": "a", "operation": {}},
            {"type": "apply_patch_call_output", "call_id": "a", "status": "completed", "output": "done"},
        ),
        (
            {"type": "mcp_approval_request", "id": "a", "name": "x", "server_label": "s", "arguments": "{}"},
            {"type": "mcp_approval_response", "approval_request_id": "a", "approve": False, "reason": "done"},
        ),
    ],
)
def test_a_result_of_our_own_answers_each_kind_of_call(call: dict[str, Any], answer: dict[str, Any]) -> None:
    """It is spelled as that kind of call wants it."""
    call_id = "mcpr_a" if call["type"] == "mcp_approval_request" else "a"
    key = "id" if call_id == "mcpr_a" else "call_id"
    (reply,) = parse({**call, key: call_id})
    payload = render(reply, tool(call_id, "done"))
    expected = {k: call_id if v == "a" else v for k, v in answer.items()}
    assert payload == [{**call, key: call_id}, expected]


def test_an_approval_of_our_own_is_said_in_json() -> None:
    """Anything but a clear yes is a no."""
    request = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "x", "server_label": "s", "arguments": "{}"}
    (reply,) = parse(request)
    assert render(reply, tool("mcpr_1", '{"approve": true}'))[1]["approve"] is True
    assert render(reply, tool("mcpr_1", "yes"))[1]["approve"] is False


def test_a_failed_shell_call_says_so() -> None:
    """Its text goes to stderr, with an exit code."""
    (reply,) = parse({"type": "shell_call", "call_id": "a", "action": {}})
    (entry,) = render(reply, tool("a", "no", is_error=True))[1]["output"]
    assert (entry["stderr"], entry["outcome"]["exit_code"]) == ("no", 1)


def test_a_computer_call_is_answered_by_a_screenshot_or_becomes_a_function_call() -> None:
    """Words cannot answer a computer call: then it is said as a function call, which they can."""
    call = {"type": "computer_call", "id": "cu_1", "call_id": "a", "action": {"type": "wait"}, "status": "completed"}
    (reply,) = parse(call)
    shot = tool("a", ImagePart(media_type="image/png", data="AA=="))
    output = {"type": "computer_screenshot", "image_url": "data:image/png;base64,AA=="}
    assert render(reply, shot) == [call, {"type": "computer_call_output", "call_id": "a", "output": output}]
    payload, kinds = repaired(reply)
    assert payload[0] == {"type": "function_call", "call_id": "a", "name": "computer", "arguments": '{"type":"wait"}'}
    assert payload[1]["type"] == "function_call_output"
    assert kinds == ["interrupted", "arguments_changed"]


# -- call ids


def test_long_call_ids_are_shortened_alike_in_call_and_result_and_lead_back() -> None:
    """Also those of this wire: OpenAI refuses them wherever they came from."""
    long = "x" * 100
    for call in (
        assistant(None, ToolCall(call_id=long, name="f")),
        parse({"type": "function_call", "call_id": long, "name": "f", "arguments": "{}"})[0],
    ):
        rendered = formats.render(WIRE, [call, tool(long, "1")])
        wire_id = rendered.messages[0]["call_id"]
        assert len(wire_id) <= 64
        assert rendered.messages[1]["call_id"] == wire_id
        assert rendered.call_ids == {wire_id: long}


def test_ids_that_come_again_are_made_unique_in_the_whole_input() -> None:
    """Each result goes to its own call."""
    turn = (assistant(None, ToolCall(call_id="a", name="f")), tool("a", "1"))
    rendered = formats.render(WIRE, [*turn, *turn, *turn])
    ids = [item["call_id"] for item in rendered.messages]
    assert ids == ["a", "a", "a_2", "a_2", "a_3", "a_3"]
    assert rendered.call_ids == {"a_2": "a", "a_3": "a"}


def test_many_calls_with_one_id_are_no_work() -> None:
    """The next free number is not looked for from the start again."""
    turn = (assistant(None, ToolCall(call_id="a", name="f")), tool("a", "1"))
    rendered = formats.render(WIRE, turn * 3000)
    assert len({item["call_id"] for item in rendered.messages}) == 3000


def test_calls_without_ids_pair_by_name_and_order() -> None:
    """Google's calls often have none."""
    calls = assistant(None, *(ToolCall(name=name) for name in "fgf"), wire="google", seq=7)
    results = Message(role="tool", parts=tuple(ToolResult(name=name) for name in "gff"), wire="google", seq=8)
    payload, kinds = repaired(user("Hi"), calls, results)
    ids = [item["call_id"] for item in payload[1:4]]
    assert len(set(ids)) == 3
    assert [item["call_id"] for item in payload[4:]] == [ids[1], ids[0], ids[2]]
    assert kinds == ["call_id_made"] * 3

"""openai_chat: each rule by its id, what `check` says where it is broken, and what `render` makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from palaver import formats
from palaver.errors import InvalidMessage
from palaver.model import (
    AudioPart,
    ImagePart,
    Message,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    assistant,
    tool,
    user,
)

HI = {"role": "user", "content": "Hi"}


def call(call_id: Any = "c1", name: Any = "look", arguments: Any = "{}", **keys: Any) -> dict[str, Any]:
    """An entry of tool_calls."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **keys}


def asks(*calls: Any, **keys: Any) -> dict[str, Any]:
    """An assistant message with these calls."""
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **keys}


def answers(call_id: Any = "c1", content: Any = "a jar", **keys: Any) -> dict[str, Any]:
    """A result."""
    return {"role": "tool", "tool_call_id": call_id, "content": content, **keys}


def untyped(**keys: Any) -> dict[str, Any]:
    """A call without a type."""
    return {key: value for key, value in call(**keys).items() if key != "type"}


UNANSWERED = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "The following tool_call_ids did not have response messages: c1"
)
ORPHAN = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."

BROKEN: list[tuple[str, list[Any], str, str]] = [
    ("OC1", [], "messages", "[] is too short - 'messages'"),
    ("OC3", [HI, asks(call())], "messages[1]", UNANSWERED),
    ("OC3", [asks(call()), HI, answers()], "messages[0]", UNANSWERED),
    (
        "OC3",
        [asks(call("c0"), call()), answers("c0"), {"role": "assistant", "content": "x"}],
        "messages[0]",
        UNANSWERED,
    ),
    ("OC4", [HI, answers()], "messages[1]", ORPHAN),
    ("OC4", [asks(call()), answers(), answers("c2")], "messages[2]", ORPHAN),
    (
        "OC4",
        [asks(call()), answers(), {"role": "tool", "content": "x"}],
        "messages[2].tool_call_id",
        "Missing required parameter: 'messages[2].tool_call_id'.",
    ),
    (
        "OC4",
        [
            {"role": "assistant", "function_call": {"name": "look", "arguments": ""}},
            {"role": "function", "content": ""},
        ],
        "messages[1].name",
        "Missing parameter 'name': messages with role 'function' must have a 'name'.",
    ),
    (
        "OC5",
        [asks(content="x")],
        "messages[0].tool_calls",
        (
            "Invalid 'messages[0].tool_calls': empty array. Expected an array with minimum length 1, but got an empty "
            "array instead."
        ),
    ),
    (
        "OC5",
        [asks(untyped()), answers()],
        "messages[0].tool_calls[0].type",
        "Missing required parameter: 'messages[0].tool_calls[0].type'.",
    ),
    (
        "OC5",
        [asks(call(None)), answers("")],
        "messages[0].tool_calls[0].id",
        "Missing required parameter: 'messages[0].tool_calls[0].id'.",
    ),
    (
        "OC5",
        [{"role": "assistant", "content": "x", "tool_calls": "none"}],
        "messages[0].tool_calls",
        "Invalid type for 'messages[0].tool_calls': expected an array of objects.",
    ),
    (
        "OC5",
        [asks(3), answers("")],
        "messages[0].tool_calls[0]",
        "Invalid type for 'messages[0].tool_calls[0]': expected an object.",
    ),
    (
        "OC5",
        [{**HI, "tool_calls": [call()]}],
        "messages[0].tool_calls",
        "Additional properties are not allowed ('tool_calls' was unexpected)",
    ),
    (
        "OC6",
        [asks(call(), call()), answers(), answers()],
        "messages[0].tool_calls[1].id",
        "Duplicate value for 'tool_call_id' of 'c1'.",
    ),
    (
        "OC6",
        [asks(call()), answers(), answers(content="again")],
        "messages[2].tool_call_id",
        "Duplicate value for 'tool_call_id' of 'c1'.",
    ),
    (
        "OC7",
        [asks(call("x" * 65)), answers("x" * 65)],
        "messages[0].tool_calls[0].id",
        (
            "Invalid 'messages[0].tool_calls[0].id': string too long. Expected a string with maximum length 64, but "
            "got a string with length 65 instead."
        ),
    ),
    (
        "OC8",
        [asks(call(name="a.b")), answers()],
        "messages[0].tool_calls[0].function.name",
        (
            "Invalid 'messages[0].tool_calls[0].function.name': string does not match pattern. Expected a string that "
            "matches the pattern '^[a-zA-Z0-9_-]+$'."
        ),
    ),
    (
        "OC9",
        [asks(call(arguments={"shelf": 3})), answers()],
        "messages[0].tool_calls[0].function.arguments",
        "Invalid type for 'messages[0].tool_calls[0].function.arguments': expected a string.",
    ),
    (
        "OC10",
        [{"role": "user", "content": None}],
        "messages[0].content",
        "Invalid value for 'content': expected a string, got null.",
    ),
    (
        "OC10",
        [HI, {"role": "assistant", "content": None}],
        "messages[1].content",
        "Invalid value for 'content': expected a string, got null.",
    ),
    (
        "OC11",
        [{"role": "user", "content": []}],
        "messages[0].content",
        (
            "Invalid 'messages[0].content': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead."
        ),
    ),
    (
        "OC12",
        [{"role": "user", "content": [{"text": "x"}]}],
        "messages[0].content[0].type",
        "Missing required parameter: 'messages[0].content[0].type'.",
    ),
    (
        "OC12",
        [{"role": "user", "content": ["x"]}],
        "messages[0].content[0]",
        "Invalid type for 'messages[0].content[0]': expected an object.",
    ),
    (
        "OC12",
        [HI, {"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://example.org"}}]}],
        "messages[1].content[0].type",
        (
            "Image URLs are only allowed for messages with role 'user', but this message with role 'system' contains "
            "an image URL."
        ),
    ),
    (
        "OC12",
        [HI, {"role": "assistant", "content": [{"type": "file", "file": {"file_id": "f"}}]}],
        "messages[1].content[0].type",
        "Invalid value: 'file'. Supported values are: 'text', 'refusal'.",
    ),
    (
        "OC12",
        [{"role": "user", "content": [{"type": "image_url", "image_url": "https://example.org"}]}],
        "messages[0].content[0].image_url.url",
        "Missing required parameter: 'messages[0].content[0].image_url.url'.",
    ),
    (
        "OC12",
        [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "file", "file": {}}]}],
        "messages[0].content[1].file",
        "Missing required parameter: 'messages[0].content[1].file.file_id'.",
    ),
    (
        "OC12",
        [{"role": "user", "content": 3}],
        "messages[0].content",
        "Invalid type for 'messages[0].content': expected one of a string or array of objects.",
    ),
    (
        "OC14",
        [{**HI, "name": "Ann Lee"}],
        "messages[0].name",
        (
            r"Invalid 'messages[0].name': string does not match pattern. Expected a string that matches the pattern "
            r"'^[^\s<|\\/>]+$'."
        ),
    ),
]


@pytest.mark.parametrize(("rule", "payload", "where", "says"), BROKEN)
def test_a_broken_rule_is_found_and_mended(rule: str, payload: list[Any], where: str, says: str) -> None:
    """In the provider's words, at its place; what `render` makes of it is clean, and each change is listed."""
    found = formats.check("openai_chat", payload)
    assert (rule, where, says) in [(each.rule, each.where, each.says) for each in found]
    assert all(each.remedy for each in found)
    rendered = formats.render("openai_chat", formats.parse("openai_chat", payload))
    assert formats.check("openai_chat", rendered.messages) == []
    assert rendered.messages
    assert rendered.repairs
    assert formats.render("openai_chat", formats.parse("openai_chat", payload), repair=False).messages == payload


@pytest.mark.parametrize(
    ("message", "where", "says"),
    [
        ("Hi", "messages[0]", "Invalid type for 'messages[0]': expected an object."),
        ({"content": "x"}, "messages[0].role", "Missing required parameter: 'messages[0].role'."),
        (
            {"role": "model", "content": "x"},
            "messages[0].role",
            (
                "Invalid value: 'model'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and "
                "'developer'."
            ),
        ),
    ],
)
def test_what_is_no_message_is_found(message: Any, where: str, says: str) -> None:
    """OC2 cannot be mended, as there is nothing to parse."""
    (found,) = formats.check("openai_chat", [message])
    assert (found.rule, found.where, found.says) == ("OC2", where, says)
    with pytest.raises(InvalidMessage):
        formats.parse("openai_chat", [message])


ACCEPTED: list[list[Any]] = [
    [HI],
    [{"role": "assistant", "content": "I begin."}, {"role": "assistant", "content": "And go on."}],
    [HI, HI, {"role": "system", "content": "Now be brief."}, {"role": "developer", "content": "x", "name": "ops"}],
    [{"role": "user", "content": "", "name": None, "tool_calls": None}],
    [asks(call(), call("c2")), answers("c2"), answers()],
    [{"role": "assistant", "tool_calls": [call(arguments="{")]}, answers(content="")],
    [asks(call(), content=""), answers(), {"role": "assistant", "content": ""}],
    [asks(call("1")), answers("1"), asks(call("1")), answers("1")],
    [asks({"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}), answers()],
    [asks({"id": "c1", "type": "builtin_function", "function": {"name": "$web_search", "arguments": "{}"}}), answers()],
    [{"role": "assistant", "content": None, "refusal": "I will not."}],
    [{"role": "assistant", "audio": {"id": "audio_1"}}],
    [
        {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": "a jar"},
    ],
    [{"role": "user", "content": [{"type": "text", "text": "x", "image_url": None}, {"type": "video_url", "x": 1}]}],
    [asks(call()), answers(content=[{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}])],
    [asks(call(), reasoning_content="Hm."), answers(name="look")],
]


@pytest.mark.parametrize("payload", ACCEPTED)
def test_what_providers_take_is_clean_and_not_changed(payload: list[Any]) -> None:
    """Whatever folklore says about it."""
    assert formats.check("openai_chat", payload) == []
    rendered = formats.render("openai_chat", formats.parse("openai_chat", payload))
    assert rendered.messages == payload
    assert rendered.repairs == ()


def test_a_system_prompt_is_checked_too() -> None:
    """It becomes the first message."""
    (found,) = formats.check("openai_chat", [HI], system=[])
    assert (found.rule, found.where) == ("OC11", "system.content")
    assert formats.check("openai_chat", [], system="Be brief.") == []


# -- what mending keeps


def mended(*payload: Any) -> tuple[list[Any], list[str]]:
    """The payload, mended, and the kinds of its repairs."""
    rendered = formats.render("openai_chat", formats.parse("openai_chat", payload))
    assert formats.check("openai_chat", rendered.messages) == []
    return rendered.messages, [repair.kind for repair in rendered.repairs]


def test_mending_is_local() -> None:
    """One bad call, part or key costs nothing else of its message, not even of one that was kept whole."""
    payload, kinds = mended(
        asks(
            {"id": "c1", "function": {"name": "look", "arguments": {"shelf": 3}, "strict": True}, "note": 1},
            call("c2"),
            reasoning="Hm.",
            x=[1],
        ),
        answers("c1"),
        answers("c2"),
        {"role": "user", "content": ["x", {"type": "image_url", "image_url": "https://example.org"}, 7], "y": 2},
    )
    assert payload[0] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "look", "arguments": '{"shelf":3}', "strict": True},
                "note": 1,
            },
            call("c2"),
        ],
        "reasoning": "Hm.",
        "x": [1],
    }
    assert payload[3] == {
        "role": "user",
        "content": [
            {"type": "text", "text": "x"},
            {"type": "image_url", "image_url": {"url": "https://example.org"}},
        ],
        "y": 2,
    }
    assert kinds == ["part_changed", "arguments_changed", "part_changed", "part_changed", "part_left_out"]


def test_an_answer_that_is_left_with_nothing_beside_its_calls_has_no_content() -> None:
    """A null is what OpenAI has there itself."""
    payload, kinds = mended(asks(call(), content=[{"type": "input_audio", "input_audio": {}}]), answers())
    assert payload[0] == asks(call())
    assert kinds == ["media_left_out"]


def test_a_refusal_that_is_not_the_models_is_text() -> None:
    """Only an assistant refuses."""
    payload, _ = mended({"role": "user", "content": [{"type": "refusal", "refusal": "no"}]})
    assert payload == [{"role": "user", "content": [{"type": "text", "text": "no"}]}]


def test_pieces_of_one_answer_stand_together() -> None:
    """Also those of this wire, if somebody joined them: results have to follow all calls."""
    (first,) = formats.parse("openai_chat", [asks(call("a"), annotations=[])])
    (second,) = formats.parse("openai_chat", [asks(call("b"), content="And look.")])
    rendered = formats.render("openai_chat", [first, second.replace(joins=True), tool("b", "2"), tool("a", "1")])
    assert formats.check("openai_chat", rendered.messages) == []
    assert rendered.messages[0]["annotations"] == []
    assert [each["id"] for each in rendered.messages[0]["tool_calls"]] == ["a", "b"]
    assert [repair.kind for repair in rendered.repairs] == ["messages_merged"]


def test_parts_in_roles_that_have_none_of_them_are_listed() -> None:
    """Calls of a user, results in an answer, reasoning of a system message, a recording in an answer."""
    odd = ToolCall(call_id="c", name="look")
    rendered = formats.render(
        "openai_chat",
        [
            Message(role="user", parts=(TextPart(text="Hi"), odd, ThinkingPart(text="hm")), wire="openai_chat"),
            assistant(["x", ToolResult(call_id="c")]),
            assistant(["y", AudioPart(media_type="audio/wav", data="AAAA")], wire="openai_chat"),
        ],
    )
    assert rendered.messages == [
        HI,
        {"role": "assistant", "content": "x"},
        {"role": "assistant", "content": [{"type": "text", "text": "y"}]},
    ]
    assert [repair.kind for repair in rendered.repairs] == [
        "part_left_out",
        "thinking_left_out",
        "part_left_out",
        "media_left_out",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no such shelf", "Error: no such shelf"),
        ("Error: no such shelf", "Error: no such shelf"),
        ("an ERROR", "Error: an ERROR"),
        ("", "Error"),
    ],
)
def test_a_failed_result_says_so(text: str, said: str) -> None:
    """This wire has no key for it; where the text is changed that is listed."""
    rendered = formats.render(
        "openai_chat", [assistant(None, ToolCall(call_id="c", name="look")), tool("c", text, is_error=True)]
    )
    assert rendered.messages[1]["content"] == said
    assert [repair.kind for repair in rendered.repairs] == ([] if said == text else ["text_changed"])


def test_an_interrupted_call_says_so_as_it_is() -> None:
    """What was made up is not made up twice, and the same in every payload."""
    rendered = formats.render("openai_chat", [assistant(None, ToolCall(call_id="c", name="look")), user("Well?")])
    assert rendered.messages[1]["content"].startswith("Interrupted: ")
    assert [repair.kind for repair in rendered.repairs] == ["interrupted"]


def test_a_blob_in_a_native_message_is_a_breadcrumb() -> None:
    """What was edited, or not loaded, is said as far as it can be."""
    rendered = formats.render("openai_chat", [user([ImagePart(blob="00", name="a.png")], wire="openai_chat")])
    assert rendered.messages == [{"role": "user", "content": [{"type": "text", "text": "[image: a.png]"}]}]

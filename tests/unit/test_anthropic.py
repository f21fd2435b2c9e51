"""anthropic: what is read into typed parts, and what messages of other wires become."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
    Usage,
    assistant,
    system,
    tool,
    user,
)

CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"where": "jar"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "empty"}
PNG = {"type": "base64", "media_type": "image/png", "data": "AA=="}


def parse(*messages: Any, system: Any = None) -> list[Message]:
    """The messages of an Anthropic payload."""
    return formats.parse("anthropic", list(messages), system=system)


def render(*messages: Message) -> list[Any]:
    """The payload, where nothing had to be repaired or left out."""
    rendered = formats.render("anthropic", messages)
    assert rendered.repairs == ()
    payload: list[Any] = rendered.messages
    return payload


def repaired(*messages: Message) -> tuple[list[Any], list[str]]:
    """The payload and the kinds of its repairs."""
    rendered = formats.render("anthropic", messages)
    assert formats.check("anthropic", rendered.messages, system=rendered.system) == []
    return rendered.messages, [repair.kind for repair in rendered.repairs]


def said(role: str, *blocks: Any) -> dict[str, Any]:
    """A wire message of blocks."""
    return {"role": role, "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": words}


# -- reading


def test_the_blocks_of_an_answer_are_typed() -> None:
    """Thinking, text and calls become parts, in their order."""
    thought = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}
    hidden = {"type": "redacted_thinking", "data": "eA=="}
    (message,) = parse(said("assistant", thought, hidden, text("Hi"), CALL))
    assert message.parts == (
        ThinkingPart(text="Hm", signature="c2ln"),
        ThinkingPart(redacted="eA=="),
        TextPart(text="Hi"),
        ToolCall(call_id="toolu_1", name="look", arguments='{"where":"jar"}'),
    )
    assert (message.role, message.wire) == ("assistant", "anthropic")


def test_results_and_text_of_one_message_are_several_messages() -> None:
    """A result is a tool message; what stands beside it in its message is joined to it."""
    messages = parse(said("assistant", CALL), said("user", RESULT, text("And?")))
    assert [(m.role, m.joins) for m in messages] == [("assistant", False), ("tool", False), ("user", True)]
    assert messages[1].tool_results == (
        ToolResult(call_id="toolu_1", parts=(TextPart(text="empty"),), layout="string"),
    )
    assert render(*messages) == [said("assistant", CALL), said("user", RESULT, text("And?"))]


def test_media_are_typed() -> None:
    """Sources are taken apart; plain text becomes a file with its bytes, so that other wires can show it."""
    (message,) = parse(
        said(
            "user",
            {"type": "image", "source": PNG},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}, "title": "T"},
            {"type": "document", "source": {"type": "content", "content": [text("x")]}},
        )
    )
    assert message.parts[:4] == (
        ImagePart(media_type="image/png", data="AA=="),
        ImagePart(url="https://example.org/a.png"),
        ImagePart(file_id="file_1"),
        FilePart(media_type="text/plain", data="w6k=", name="T", layout="text"),
    )
    assert isinstance(message.parts[4], Opaque)


def test_what_has_no_common_meaning_is_opaque() -> None:
    """What the server ran, compactions, uploads, unknown types: kept as JSON text and given back."""
    blocks = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "compaction", "content": "Summary."},
        {"type": "newer", "x": [1, 1.0, True, None]},
    ]
    (message,) = parse(said("assistant", *blocks))
    assert [type(part) for part in message.parts] == [Opaque] * 4
    assert render(message) == [said("assistant", *blocks)]


def test_a_search_result_is_text_to_other_wires() -> None:
    """Its one text is typed; where it was found comes back here."""
    found = {"type": "search_result", "source": "https://a.example", "title": "A", "content": [text("words")]}
    history = [said("user", text("?")), said("assistant", CALL), said("user", {**RESULT, "content": [found]})]
    messages = parse(*history)
    assert messages[-1].text == "words"
    assert render(*messages) == history


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        " ",
        "x",
        [],
        3,
        {"a": 1},
        ["x", None, 1],
        [text("")],
        [{"type": "text"}],
        [{"type": "text", "text": "x", "citations": None, "cache_control": {"type": "ephemeral"}}],
        [CALL],
        [{**CALL, "input": "no object"}],
        [{**CALL, "id": 7}],
        [{"type": "tool_use", "id": "a", "name": "b"}],
        [{**CALL, "caller": {"type": "direct"}}],
        [RESULT],
        [{"type": "tool_result", "tool_use_id": "a"}],
        [{"type": "tool_result", "tool_use_id": "a", "content": None, "is_error": None}],
        [{"type": "tool_result", "tool_use_id": "a", "content": [], "is_error": False}],
        [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "tool_reference", "tool_name": "t"}]}],
        [{"type": "tool_result", "content": 1}],
        [{"type": "thinking", "thinking": "", "signature": "c2ln"}],
        [{"type": "thinking", "thinking": "x"}],
        [{"type": "image", "source": {**PNG, "new": 1}, "cache_control": None}],
        [{"type": "image", "source": "x"}],
    ],
)
def test_every_spelling_of_content_comes_back(role: str, content: Any) -> None:
    """Null, empty, text, lists and unknown blocks are kept apart, in every role, also through the store."""
    for payload in ({"role": role, "content": content, "x": 1}, {"role": role, "content": content}, {"role": role}):
        stored = [decode(encode(message)) for message in parse(payload)]
        again = formats.render("anthropic", stored, repair=False).messages
        assert json.dumps(again, sort_keys=True) == json.dumps([payload], sort_keys=True)


@pytest.mark.parametrize("prompt", ["", "Be brief.", [], [text("Be brief.")], [{**text("a"), "cache_control": None}]])
def test_the_system_prompt_comes_back_as_it_was(prompt: Any) -> None:
    """Text, or blocks: apart, as it was given."""
    rendered = formats.render("anthropic", parse({"role": "user", "content": "Hi"}, system=prompt))
    assert (rendered.system, rendered.messages) == (prompt, [{"role": "user", "content": "Hi"}])


def test_a_system_message_in_the_middle_stays_there() -> None:
    """After a turn of the user, it is as newer models take it."""
    history = [
        said("user", text("Hi")),
        said("assistant", text("Yes?")),
        said("user", text("Look.")),
        said("system", {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "look"}}),
    ]
    assert render(*parse(*history)) == history


def test_message_boundaries_are_kept() -> None:
    """The service merges messages of one role; a payload that has them apart keeps them apart."""
    history = [
        {"role": "user", "content": "a"},
        said("user", text("b")),
        said("assistant", CALL),
        said("assistant", text("Wait.")),
        said("user", RESULT),
        {"role": "user", "content": "c"},
    ]
    assert render(*(decode(encode(message)) for message in parse(*history))) == history


def test_a_whole_response_is_read_as_its_message() -> None:
    """Usage is counted with the cached tokens; the rest is kept and not sent back."""
    (message,) = parse(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [text("Hi")],
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 3,
                "cache_read_input_tokens": 10,
                "cache_creation_input_tokens": 5,
                "output_tokens": 7,
                "output_tokens_details": {"thinking_tokens": 2},
            },
        }
    )
    assert message.usage == Usage(
        input_tokens=18, output_tokens=7, cached_tokens=10, cache_write_tokens=5, reasoning_tokens=2, model="claude-x"
    )
    assert '"stop_reason":"end_turn"' in (message.extra or "")
    assert render(message) == [said("assistant", text("Hi"))]


@pytest.mark.parametrize("bad", [None, 3, "x", [], {}, {"role": "developer", "content": "x"}, {"role": ["user"]}])
def test_what_is_no_message_is_refused_by_its_place(bad: Any) -> None:
    """The error names the message."""
    with pytest.raises(InvalidMessage, match=r"messages\[1\]"):
        parse({"role": "user", "content": "Hi"}, bad)
    with pytest.raises(InvalidMessage, match="system"):
        parse(system={"text": "x"})


def test_an_edit_of_a_message_keeps_what_stands_beside_it() -> None:
    """New text in a parsed block is rendered, with the keys that came with the old."""
    (message,) = parse({**said("user", {**text("old"), "cache_control": {"type": "ephemeral"}}), "x": 1})
    part = message.parts[0]
    assert isinstance(part, TextPart)
    edited = message.replace(parts=(TextPart(text="new", extra=part.extra),))
    assert render(edited) == [
        {**said("user", {**text("new"), "cache_control": {"type": "ephemeral"}}), "x": 1},
    ]


# -- messages of other wires, or of none


def test_a_conversation_of_no_wire() -> None:
    """Instructions go apart, results of one turn into one message of the user."""
    rendered = formats.render(
        "anthropic",
        [
            system("Be brief."),
            user("Look."),
            assistant(
                "I look.",
                ToolCall(call_id="a", name="look", arguments='{"n":1}'),
                ToolCall(call_id="b", name="look"),
            ),
            tool("a", "a jar"),
            tool("b", ["two", "parts"], is_error=True),
            user("Thanks."),
        ],
    )
    assert rendered.repairs == ()
    assert rendered.system == "Be brief."
    assert rendered.messages == [
        {"role": "user", "content": "Look."},
        said(
            "assistant",
            text("I look."),
            {"type": "tool_use", "id": "a", "name": "look", "input": {"n": 1}},
            {"type": "tool_use", "id": "b", "name": "look", "input": {}},
        ),
        said(
            "user",
            {"type": "tool_result", "tool_use_id": "a", "content": "a jar"},
            {"type": "tool_result", "tool_use_id": "b", "content": [text("two"), text("parts")], "is_error": True},
        ),
        {"role": "user", "content": "Thanks."},
    ]


def test_instructions_in_the_middle_become_the_users() -> None:
    """Only newer models take a system message there, and which model it is, is not known."""
    messages, kinds = repaired(user("a"), assistant("b"), system("From now on: c."), user("d"))
    assert messages[2] == {"role": "user", "content": "From now on: c."}
    assert kinds == ["role_changed"]


def test_several_instructions_are_one_prompt() -> None:
    """In their order, each a block."""
    rendered = formats.render(
        "anthropic", [system("a"), Message(role="developer", parts=(TextPart(text="b"),)), user("c")]
    )
    assert rendered.system == [text("a"), text("b")]


def test_ids_and_names_that_are_refused_are_mapped() -> None:
    """Calls and results get the same id, and the payload says which one it was."""
    call = ToolCall(call_id="call|1", name="a.b", arguments="")
    rendered = formats.render("anthropic", [user("x"), assistant(None, call), tool("call|1", "y")])
    (used,) = rendered.messages[1]["content"]
    (answer,) = rendered.messages[2]["content"]
    assert used["id"] == answer["tool_use_id"]
    assert rendered.call_ids == {used["id"]: "call|1"}
    assert used["name"] == "a_b"
    assert [repair.kind for repair in rendered.repairs] == ["call_id_shortened", "name_changed"]


@pytest.mark.parametrize("arguments", ["[1]", "no json", "NaN", '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud83d"}'])
def test_arguments_that_are_no_object_are_wrapped(arguments: str) -> None:
    """Anthropic takes an object only; what the model wrote is in it."""
    call = ToolCall(call_id="a", name="look", arguments=arguments)
    messages, kinds = repaired(user("x"), assistant(None, call), tool("a", "y"))
    assert messages[1]["content"][0]["input"] == {"INVALID_JSON": arguments}
    assert kinds == ["arguments_changed"]


def test_reasoning_of_another_wire_is_left_out_and_said_so() -> None:
    """A signature cannot be forged, and as text the model would take it for its own speech."""
    message = assistant([ThinkingPart(text="Hm", signature="c2ln"), TextPart(text="Hi")], wire="openai_responses")
    messages, kinds = repaired(user("x"), message)
    assert messages[1] == {"role": "assistant", "content": "Hi"}
    assert kinds == ["thinking_left_out"]


def test_signed_reasoning_of_bedrock_is_kept() -> None:
    """It is the same model's signature on both."""
    message = assistant([ThinkingPart(text="Hm", signature="c2ln"), TextPart(text="Hi")], wire="bedrock")
    assert render(user("x"), message)[1] == said(
        "assistant", {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}, text("Hi")
    )


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (ImagePart(data="iVBORw0KGgo="), {"type": "image", "source": {**PNG, "data": "iVBORw0KGgo="}}),
        (ImagePart(media_type="image/png", data="AA=="), {"type": "image", "source": PNG}),
        (ImagePart(url="data:image/png;base64,AA=="), {"type": "image", "source": PNG}),
        (
            ImagePart(url="https://example.org/a"),
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a"}},
        ),
        (FilePart(media_type="image/png", data="AA=="), {"type": "image", "source": PNG}),
        (
            FilePart(media_type="application/pdf", data="AA==", name="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                "title": "a.pdf",
            },
        ),
        (
            FilePart(media_type="text/csv", data="YSxi"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
        ),
    ],
)
def test_media_that_anthropic_takes(part: Any, block: Any) -> None:
    """Images and documents are shown, whatever the other wire called them."""
    assert render(user([part, "What is it?"])) == [said("user", block, text("What is it?"))]


@pytest.mark.parametrize(
    ("part", "crumb"),
    [
        (AudioPart(media_type="audio/wav", data="AA=="), "[audio: audio/wav]"),
        (ImagePart(media_type="image/tiff", data="AA=="), "[image: image/tiff]"),
        (ImagePart(blob="00", name="cat.png"), "[image: cat.png]"),
        (FilePart(file_id="file_of_another", name="a.pdf"), "[file: a.pdf]"),
        (FilePart(url="gs://b/c", media_type="video/mp4"), "[file: gs://b/c]"),
    ],
)
def test_media_that_it_does_not_take_leave_a_breadcrumb(part: Any, crumb: str) -> None:
    """The model is told that there was something; the repairs tell the caller."""
    messages, kinds = repaired(user([part, "What is it?"]))
    assert messages == [said("user", text(crumb), text("What is it?"))]
    assert kinds == ["media_left_out"]


def test_an_image_whose_bytes_were_not_loaded_leaves_a_breadcrumb() -> None:
    """Also in messages of this wire, and inside results."""
    image = {"type": "image", "source": PNG}
    history = parse(
        said("user", image), said("assistant", CALL), said("user", {**RESULT, "content": [text("a"), image]})
    )
    away = ImagePart(media_type="image/png", blob="00")
    result = history[2].tool_results[0]
    history[0] = history[0].replace(parts=(away,))
    history[2] = history[2].replace(parts=(ToolResult(call_id=result.call_id, parts=(result.parts[0], away)),))
    messages, kinds = repaired(*history)
    assert messages[0] == said("user", text("[image: image/png]"))
    assert messages[2]["content"][0]["content"] == [text("a"), text("[image: image/png]")]
    assert kinds == ["media_left_out", "media_left_out"]


def test_opaque_parts_of_another_wire_are_left_out_and_said_so() -> None:
    """They mean nothing here."""
    other = Opaque(wire="google", data='{"executableCode":{}}')
    messages, kinds = repaired(user("x"), assistant([other, "y"]), user(["z"], name="Ada"))
    assert messages == [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": "z"},
    ]
    assert kinds == ["opaque_left_out", "name_left_out"]


def test_growth_changes_nothing_that_was_rendered() -> None:
    """Prompt caches live from the beginning of a payload."""
    history: list[Message] = [system("s"), user("a")]
    for number in range(4):
        history += [
            assistant(None, ToolCall(call_id=f"c!{number}", name="look", arguments="{}")),
            tool(f"c!{number}", "seen"),
            assistant("b"),
            user("c"),
        ]
    whole = formats.render("anthropic", history)
    for count in range(2, len(history) + 1):
        if history[count - 1].tool_calls:
            continue  # a call that waits gets a result that says so
        shorter = formats.render("anthropic", history[:count])
        assert whole.messages[: len(shorter.messages)] == shorter.messages
        assert whole.system == shorter.system

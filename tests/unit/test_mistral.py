"""mistral: chunks, call ids of nine characters, the order of messages, each rule by its id, and streams."""

from __future__ import annotations

import re
from typing import Any

import pytest

from palaver import formats
from palaver.codec import decode, encode
from palaver.errors import InvalidMessage
from palaver.formats import Accumulator
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

HI = {"role": "user", "content": "Hi"}
ID = "Abcdefgh1"


def call(call_id: Any = ID, name: Any = "look", arguments: Any = "{}", **keys: Any) -> dict[str, Any]:
    """An entry of tool_calls."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **keys}


def asks(*calls: Any, **keys: Any) -> dict[str, Any]:
    """An assistant message with these calls."""
    return {"role": "assistant", "content": "", "tool_calls": list(calls), **keys}


def answers(call_id: Any = ID, content: Any = "a jar", **keys: Any) -> dict[str, Any]:
    """A result."""
    return {"role": "tool", "tool_call_id": call_id, "content": content, **keys}


def thinks(*chunks: Any, **keys: Any) -> dict[str, Any]:
    """A thinking chunk."""
    return {"type": "thinking", "thinking": list(chunks), **keys}


def says(text: str, **keys: Any) -> dict[str, Any]:
    """A text chunk."""
    return {"type": "text", "text": text, **keys}


def stored(*payload: Any) -> list[Message]:
    """The messages of a payload, as a store gives them back."""
    return [decode(encode(message)) for message in formats.parse("mistral", list(payload))]


def mended(*payload: Any) -> tuple[list[Any], list[str]]:
    """The payload, mended, and the kinds of its repairs."""
    rendered = formats.render("mistral", formats.parse("mistral", list(payload)))
    assert formats.check("mistral", rendered.messages) == []
    return rendered.messages, [repair.kind for repair in rendered.repairs]


# -- what comes back exactly

ACCEPTED: list[list[Any]] = [
    [HI],
    [{"role": "system", "content": "Be brief."}, {"role": "system", "content": [says("x")]}, HI, HI],
    [HI, {"role": "system", "content": "Be brief."}, HI],
    [HI, asks(call()), answers()],
    [HI, asks(call(index=0), content=[], prefix=False), answers(name="look")],
    [HI, {"role": "assistant", "tool_calls": [call(), call("abcdefghi")]}, answers("abcdefghi"), answers()],
    [HI, asks(call(arguments={"shelf": 3})), answers(), {"role": "assistant", "content": "x", "tool_calls": None}, HI],
    [HI, asks({"id": ID, "function": {"name": "look", "arguments": "{"}}), answers(), HI],
    [HI, {"role": "assistant", "content": [thinks(says("Hm.")), says("A jar.")], "prefix": False}, HI],
    [HI, {"role": "assistant", "content": [thinks(says("Hm."), closed=True, signature="c2ln"), says("A")]}, HI],
    [HI, {"role": "assistant", "content": [says("A"), {"type": "reference", "reference_ids": [1, "b"]}]}, HI],
    [HI, {"role": "assistant", "content": "A jar", "prefix": True}],
    [HI, {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}, says("A")]}, HI],
    [
        {
            "role": "user",
            "content": [
                says("See:"),
                {"type": "image_url", "image_url": "https://example.org/a.png"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "document_url", "document_url": "https://example.org/a.pdf", "document_name": "a.pdf"},
                {"type": "document_url", "document_url": "data:application/pdf;base64,AA==", "document_name": None},
                {"type": "input_audio", "input_audio": "AAAA"},
                {"type": "input_audio", "input_audio": "https://example.org/a.wav"},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file_id": "f-1"},
                {"type": "new", "x": [1, 1.0, True]},
            ],
        }
    ],
]


@pytest.mark.parametrize("payload", ACCEPTED)
def test_what_mistral_takes_is_clean_and_comes_back_exactly(payload: list[Any]) -> None:
    """Stored between, with repairs and without."""
    assert formats.check("mistral", payload) == []
    for repair in (True, False):
        rendered = formats.render("mistral", stored(*payload), repair=repair)
        assert rendered.messages == payload
        assert rendered.repairs == ()
        assert rendered.call_ids == {}


def test_chunks_are_typed() -> None:
    """Thinking is in its place, with its signature; what has no common meaning is opaque."""
    reference = {"type": "reference", "reference_ids": [1]}
    (message,) = stored({"role": "assistant", "content": [thinks(says("Hm."), signature="c2ln"), says("A"), reference]})
    assert message.parts[:2] == (ThinkingPart(text="Hm.", signature="c2ln"), TextPart(text="A"))
    assert isinstance(message.parts[2], Opaque)
    (message,) = stored(ACCEPTED[-1][0])
    assert message.parts[1:5] == (
        ImagePart(url="https://example.org/a.png", layout="string"),
        ImagePart(media_type="image/png", data="AA==", extra='{"image_url":{"detail":"low"}}'),
        FilePart(url="https://example.org/a.pdf", name="a.pdf"),
        FilePart(media_type="application/pdf", data="AA==", extra='{"document_name":null}'),
    )
    assert message.parts[5:7] == (AudioPart(data="AAAA"), AudioPart(url="https://example.org/a.wav"))
    assert message.parts[8] == FilePart(file_id="f-1")


def test_thinking_of_several_chunks() -> None:
    """References among them are kept, for as long as the text is what it was."""
    chunk = thinks(says("Hm, "), {"type": "reference", "reference_ids": [1]}, says("a jar."))
    (message,) = stored({"role": "assistant", "content": [chunk, says("A")]})
    (part, text) = message.parts
    assert isinstance(part, ThinkingPart)
    assert part.text == "Hm, a jar."
    assert formats.render("mistral", [message], repair=False).messages[0]["content"][0] == chunk
    edited = message.replace(parts=(ThinkingPart(text="So.", extra=part.extra), text))
    assert formats.render("mistral", [edited], repair=False).messages[0]["content"][0] == thinks(says("So."))


def test_a_thinking_chunk_of_a_result_is_opaque() -> None:
    """A result has no reasoning; it comes back all the same."""
    payload = [HI, asks(call()), answers(content=[thinks(says("Hm."))])]
    message = stored(*payload)[2]
    assert isinstance(message.tool_results[0].parts[0], Opaque)
    assert formats.render("mistral", stored(*payload)).messages == payload


@pytest.mark.parametrize("role", ["developer", "function", "model"])
def test_other_roles_are_refused(role: str) -> None:
    """The error says what is known."""
    with pytest.raises(InvalidMessage, match=r"messages\[0\].*mistral knows system, user, assistant, tool"):
        formats.parse("mistral", [{"role": role, "content": "x"}])
    assert [each.rule for each in formats.check("mistral", [{"role": role, "content": "x"}])] == ["MI2"]


# -- the rules

LONG = "n" * 65
BAD_NAME = " but must be a-z, A-Z, 0-9, or contain underscores and dashes, with a maximum length of 64."

BROKEN: list[tuple[str, list[Any], str, str]] = [
    ("MI1", [], "messages", "Conversation must have at least one message"),
    (
        "MI3",
        [{"role": "assistant", "content": "x"}, HI],
        "messages[0]",
        "Conversation must start with a user message or system message",
    ),
    (
        "MI4",
        [HI, {"role": "assistant", "content": "x"}, {"role": "system", "content": "y"}, HI],
        "messages[2]",
        "Unexpected role 'system' after role 'assistant'",
    ),
    ("MI4", [HI, answers()], "messages[1]", "Unexpected role 'tool' after role 'user'"),
    (
        "MI5",
        [HI, {"role": "assistant", "content": ""}, HI],
        "messages[1]",
        "Assistant message must have either content or tool_calls, but not both.",
    ),
    ("MI6", [HI, asks(call())], "messages[1]", "Not the same number of function calls and responses"),
    ("MI6", [HI, asks(call()), HI], "messages[1]", "Not the same number of function calls and responses"),
    (
        "MI6",
        [HI, asks(call()), answers(), answers("abcdefghi")],
        "messages[3].tool_call_id",
        "Unexpected tool call id abcdefghi in tool results",
    ),
    (
        "MI6",
        [HI, asks(call()), answers(), answers()],
        "messages[3].tool_call_id",
        f"Duplicate tool call id {ID} in tool results",
    ),
    (
        "MI6",
        [HI, asks(call(), call()), answers(), answers()],
        "messages[1].tool_calls[1].id",
        f"Duplicate tool call id {ID} in assistant message",
    ),
    (
        "MI7",
        [HI, asks(call("call_0fypS1hVX")), answers("call_0fypS1hVX")],
        "messages[1].tool_calls[0].id",
        "Tool call id was call_0fypS1hVX but must be a-z, A-Z, 0-9, with a length of 9.",
    ),
    (
        "MI8",
        [HI, asks(call(name=LONG)), answers()],
        "messages[1].tool_calls[0].function.name",
        f"Function name was {LONG}{BAD_NAME}",
    ),
    ("MI8", [HI, asks(call()), answers(name="a b")], "messages[2].name", f"Function name was a b{BAD_NAME}"),
    (
        "MI9",
        [HI, {"role": "assistant", "content": "x", "prefix": True}, HI],
        "messages[1].prefix",
        "Assistant message with prefix True must be last message",
    ),
    (
        "MI10",
        [HI, {"role": "assistant", "content": "x"}],
        "messages[1]",
        "Expected last role User or Tool (or Assistant with prefix) for serving but got assistant",
    ),
    ("MI11", [{"role": "user", "content": None}], "messages[0].content", "Input should be a valid string"),
    ("MI11", [{"role": "user", "content": ["x"]}], "messages[0].content[0]", "Content chunk must have a type field."),
    ("MI11", [HI, asks({"id": ID}), answers()], "messages[1].tool_calls[0].function", "Field required"),
    (
        "MI11",
        [HI, asks(call(arguments=3)), answers()],
        "messages[1].tool_calls[0].function.arguments",
        "Input should be a valid string",
    ),
    (
        "MI11",
        [HI, {"role": "assistant", "content": "x", "tool_calls": 3}, HI],
        "messages[1].tool_calls",
        "Input should be a valid list",
    ),
    (
        "MI12",
        [HI, {"role": "assistant", "content": "x", "reasoning_content": "Hm."}, HI],
        "messages[1].reasoning_content",
        "body.messages[1].assistant.reasoning_content: Extra inputs are not permitted",
    ),
    ("MI12", [{**HI, "name": "ann"}], "messages[0].name", "body.messages[0].user.name: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("rule", "payload", "where", "words"), BROKEN)
def test_a_broken_rule_is_found_and_mended(rule: str, payload: list[Any], where: str, words: str) -> None:
    """In the provider's words, at its place; what `render` makes of it is clean, and each change is listed."""
    found = formats.check("mistral", payload)
    assert (rule, where, words) in [(each.rule, each.where, each.says) for each in found]
    rendered = formats.render("mistral", formats.parse("mistral", payload))
    assert formats.check("mistral", rendered.messages) == []
    assert rendered.messages
    assert rendered.repairs
    assert formats.render("mistral", formats.parse("mistral", payload), repair=False).messages == payload


def test_a_system_prompt_is_checked_too() -> None:
    """It becomes the first message, and places are those of the payload."""
    (found,) = formats.check("mistral", [{"role": "user"}], system="Be brief.")
    assert (found.rule, found.where) == ("MI11", "messages[0].content")
    (found,) = formats.check("mistral", [HI], system=3)
    assert (found.rule, found.where) == ("MI11", "system.content")


def test_the_order_is_mended_where_it_breaks() -> None:
    """A system message after an answer is said by the user; only the last message stays a prefix."""
    payload, kinds = mended(
        HI,
        {"role": "assistant", "content": "A", "prefix": True},
        {"role": "system", "content": "Be brief."},
        HI,
        {"role": "assistant", "content": "B", "prefix": True},
    )
    assert payload == [
        HI,
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "Be brief."},
        HI,
        {"role": "assistant", "content": "B", "prefix": True},
    ]
    assert kinds == ["prefix_left_out", "role_changed"]


def test_the_user_begins_and_has_the_last_word() -> None:
    """Where nobody else does; listed with the message that it stands beside."""
    rendered = formats.render("mistral", [assistant("I begin.", seq=4), user("Hi", seq=5), assistant("Hello.", seq=6)])
    assert [message["role"] for message in rendered.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert [(repair.kind, repair.seq) for repair in rendered.repairs] == [("user_added", 4), ("user_added", 6)]


# -- messages of our own, or of another wire


def test_foreign_call_ids_become_nine_characters() -> None:
    """The same id the same nine, in call and result, wherever the window begins; and they lead back."""
    exchange = [assistant(None, ToolCall(call_id="call_0fypS1hVX", name="look")), tool("call_0fypS1hVX", "a jar")]
    rendered = formats.render("mistral", [user("Hi"), *exchange])
    (wire_id,) = rendered.call_ids
    assert re.fullmatch("[a-zA-Z0-9]{9}", wire_id)
    assert rendered.call_ids[wire_id] == "call_0fypS1hVX"
    assert rendered.messages[1]["tool_calls"][0]["id"] == rendered.messages[2]["tool_call_id"] == wire_id
    assert [repair.kind for repair in rendered.repairs] == ["call_id_shortened"]
    later = formats.render("mistral", [user("Well?"), user("Hi"), *exchange])
    assert later.messages[3]["tool_call_id"] == wire_id


def test_calls_without_ids_get_nine_characters_too() -> None:
    """Made of their message's position, so that they stay."""
    call_message = assistant(None, *(ToolCall(name="look") for _ in "ab"), wire="google", seq=7)
    results = Message(role="tool", parts=(ToolResult(name="look"), ToolResult(name="look")), wire="google", seq=8)
    payloads = [
        formats.render("mistral", [user(text), *more, call_message, results]).messages
        for text, more in (("Hi", []), ("Well?", [user("Hi")]))
    ]
    ids = [entry["id"] for entry in payloads[0][1]["tool_calls"]]
    assert len(set(ids)) == 2
    assert [entry["id"] for entry in payloads[1][2]["tool_calls"]] == ids
    assert [message["tool_call_id"] for message in payloads[0][2:]] == ids


def test_messages_of_another_wire() -> None:
    """Developers are system, names and reasoning are left out and listed, media become chunks."""
    rendered = formats.render(
        "mistral",
        [
            Message(role="developer", parts=(TextPart(text="Be brief."),)),
            user(
                [
                    "See:",
                    ImagePart(media_type="image/png", data="AA=="),
                    FilePart(media_type="application/pdf", data="AA==", name="a.pdf"),
                    AudioPart(media_type="audio/wav", data="AAAA"),
                    ImagePart(blob="00", name="b.png"),
                ],
                name="ann",
            ),
            assistant([ThinkingPart(text="Hm.", signature="c2ln"), "A jar."], wire="anthropic"),
            user("Thanks."),
        ],
    )
    assert formats.check("mistral", rendered.messages) == []
    assert rendered.messages == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                says("See:"),
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "document_url", "document_url": "data:application/pdf;base64,AA==", "document_name": "a.pdf"},
                {"type": "input_audio", "input_audio": "AAAA"},
                says("[image: b.png]"),
            ],
        },
        {"role": "assistant", "content": "A jar."},
        {"role": "user", "content": "Thanks."},
    ]
    kinds = ["role_changed", "media_left_out", "name_left_out", "thinking_left_out"]
    assert [repair.kind for repair in rendered.repairs] == kinds


def test_mistrals_messages_on_openai_chat() -> None:
    """Text, calls and results carry over; thinking and references are left out and listed."""
    messages = formats.parse(
        "mistral",
        [
            HI,
            {
                "role": "assistant",
                "content": [thinks(says("Hm.")), says("Let me look."), {"type": "reference", "reference_ids": [1]}],
                "tool_calls": [call()],
            },
            answers(),
        ],
    )
    rendered = formats.render("openai_chat", messages)
    assert formats.check("openai_chat", rendered.messages) == []
    assert rendered.messages == [HI, asks(call(), content="Let me look."), answers()]
    assert [repair.kind for repair in rendered.repairs] == ["thinking_left_out", "opaque_left_out"]


def test_a_system_prompt_given_apart_comes_first() -> None:
    """This wire has it among the messages."""
    messages = formats.parse("mistral", [HI], system="Be brief.")
    assert messages[0] == system("Be brief.", wire="mistral")
    rendered = formats.render("mistral", messages)
    assert rendered.system is None
    assert rendered.messages == [{"role": "system", "content": "Be brief."}, HI]


# -- streams


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """One event of Mistral's SDK."""
    data = {"id": "1", "model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return {"data": data}


def test_a_stream_that_thinks() -> None:
    """Chunks in pieces, then text in pieces; the text for the person is without the thinking."""
    stream = Accumulator("mistral")
    for event in (
        chunk(role="assistant", content=""),
        chunk(content=[thinks(says("Hm, "))]),
        chunk(content=[thinks(says("a jar."))]),
        chunk(content=[thinks(closed=True)]),
        chunk(content="A "),
        chunk(content="jar."),
    ):
        stream.feed(event)
    assert stream.text == "A jar."
    last = chunk("stop", content="")
    last["data"]["usage"] = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    stream.feed(last)
    content = [thinks(says("Hm, a jar."), closed=True), says("A jar.")]
    (whole,) = formats.parse("mistral", [{"role": "assistant", "content": content}])
    usage = Usage(input_tokens=9, output_tokens=3, model="m-1")
    assert stream.finish() == [whole.replace(usage=usage)]


def test_a_stream_with_calls() -> None:
    """They come whole, in one chunk, the events without the SDK's envelope."""
    stream = Accumulator("mistral")
    stream.feed(chunk(role="assistant", content="")["data"])
    calls = [{"id": ID, "function": {"name": "look", "arguments": '{"shelf": 3}'}, "index": 0}]
    stream.feed(chunk("tool_calls", content="", tool_calls=calls)["data"])
    (message,) = stream.finish()
    (whole,) = formats.parse("mistral", [asks(call(arguments='{"shelf": 3}'))])
    assert message == whole

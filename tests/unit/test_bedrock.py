"""bedrock: what is read into typed parts, and what messages of other wires become."""

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

CALL = {"toolUse": {"toolUseId": "tooluse_1", "name": "look", "input": {"where": "jar"}}}
RESULT = {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "empty"}], "status": "success"}}
PNG = {"image": {"format": "png", "source": {"bytes": "AA=="}}}


def parse(*messages: Any, prompt: Any = None) -> list[Message]:
    """The messages of a Converse payload."""
    return formats.parse("bedrock", list(messages), system=prompt)


def render(*messages: Message) -> list[Any]:
    """The payload, where nothing had to be repaired or left out."""
    rendered = formats.render("bedrock", messages)
    assert rendered.repairs == ()
    payload: list[Any] = rendered.messages
    return payload


def repaired(*messages: Message) -> tuple[list[Any], list[str]]:
    """The payload and the kinds of its repairs."""
    rendered = formats.render("bedrock", messages)
    assert formats.check("bedrock", rendered.messages, system=rendered.system) == []
    return rendered.messages, [repair.kind for repair in rendered.repairs]


def said(role: str, *blocks: Any) -> dict[str, Any]:
    """A wire message of blocks."""
    return {"role": role, "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    """A block of text."""
    return {"text": words}


# -- reading


def test_the_blocks_of_an_answer_are_typed() -> None:
    """Reasoning, text and calls become parts, in their order; the rest is Opaque."""
    thought = {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}}
    hidden = {"reasoningContent": {"redactedContent": "eA=="}}
    cited = {"citationsContent": {"content": [text("quoted")], "citations": [{"title": "A"}]}}
    served = {"toolUse": {"toolUseId": "t", "name": "nova", "input": {}, "type": "server_tool_use"}}
    content = [thought, hidden, text("Hi"), cited, CALL, served, {"toolResult": {"toolUseId": "t", "content": []}}]
    (message,) = parse(said("assistant", *content))
    assert message.parts[:5] == (
        ThinkingPart(text="Hm", signature="c2ln"),
        ThinkingPart(redacted="eA=="),
        TextPart(text="Hi"),
        TextPart(text="quoted", layout="citations", extra='{"citationsContent":{"citations":[{"title":"A"}]}}'),
        ToolCall(call_id="tooluse_1", name="look", arguments='{"where":"jar"}'),
    )
    assert [type(part) for part in message.parts[5:]] == [Opaque, Opaque]


def test_results_and_text_of_one_message_are_several_messages() -> None:
    """A result is a tool message; JSON in it is text to other wires, its status says whether it failed."""
    answer = {"toolResult": {"toolUseId": "tooluse_1", "content": [{"json": {"n": 1.0}}, text("x")], "status": "error"}}
    history = [said("user", text("?")), said("assistant", CALL), said("user", answer, text("And?"))]
    messages = parse(*history)
    assert [(m.role, m.joins) for m in messages[2:]] == [("tool", False), ("user", True)]
    assert messages[2].tool_results == (
        ToolResult(
            call_id="tooluse_1",
            parts=(TextPart(text='{"n":1.0}', layout="json"), TextPart(text="x")),
            is_error=True,
        ),
    )
    assert json.dumps(render(*messages)) == json.dumps(history)


def test_media_are_typed() -> None:
    """Formats become media types and back."""
    blocks = [
        PNG,
        {"document": {"format": "md", "name": "notes", "source": {"bytes": "AA=="}}},
        {"document": {"format": "txt", "name": "facts", "source": {"text": "é"}, "citations": {"enabled": True}}},
        {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/c"}}}},
        {"audio": {"format": "wav", "source": {"bytes": "AA=="}}},
        {"document": {"format": "txt", "name": "x", "source": {"content": [text("x")]}}},
        text("?"),
    ]
    (message,) = parse(said("user", *blocks))
    assert message.parts[:5] == (
        ImagePart(media_type="image/png", data="AA=="),
        FilePart(media_type="text/markdown", data="AA==", name="notes"),
        FilePart(
            media_type="text/plain",
            data="w6k=",
            name="facts",
            layout="text",
            extra='{"document":{"citations":{"enabled":true}}}',
        ),
        FilePart(media_type="video/mp4", url="s3://b/c"),
        AudioPart(media_type="audio/wav", data="AA=="),
    )
    assert isinstance(message.parts[5], Opaque)
    assert render(message) == [said("user", *blocks)]


def test_raw_bytes_are_read_as_base64() -> None:
    """boto3 has bytes where the network has base64 text."""
    (message,) = parse(said("user", text("?"), {"image": {"format": "png", "source": {"bytes": b"\0"}}}))
    assert message.parts[1] == ImagePart(media_type="image/png", data="AA==")


@pytest.mark.parametrize("role", ["user", "assistant"])
@pytest.mark.parametrize(
    "content",
    [
        None,
        "x",
        [],
        ["x", None, 1],
        [text("")],
        [{**text("x"), "more": 1}],
        [{}],
        [CALL],
        [{"toolUse": {**CALL["toolUse"], "type": "tool_use"}}],
        [{"toolUse": {**CALL["toolUse"], "input": "no object"}}],
        [{"toolUse": {"toolUseId": 7}}],
        [RESULT],
        [{"toolResult": {"toolUseId": "a"}}],
        [{"toolResult": {"toolUseId": "a", "content": "x", "status": "new"}}],
        [{"toolResult": {"toolUseId": "a", "content": [], "status": None}}],
        [{"reasoningContent": {"reasoningText": {"signature": "c2ln"}}}],
        [{"reasoningContent": {"reasoningText": {"text": "", "new": 1}}}],
        [{"image": {"format": "png", "source": {"bytes": "AA==", "new": 1}}}],
        [{"image": "x"}],
        [{"cachePoint": {"type": "default"}}, {"guardContent": {"text": text("x")}}, {"newer": 1}],
    ],
)
def test_every_spelling_of_content_comes_back(role: str, content: Any) -> None:
    """Null, empty, lists and unknown blocks are kept apart, in both roles, also through the store."""
    for payload in ({"role": role, "content": content, "x": 1}, {"role": role, "content": content}, {"role": role}):
        stored = [decode(encode(message)) for message in parse(payload)]
        again = formats.render("bedrock", stored, repair=False).messages
        assert json.dumps(again, sort_keys=True) == json.dumps([payload], sort_keys=True)


@pytest.mark.parametrize("prompt", [[], [text("Be brief.")], [text("a"), {"cachePoint": {"type": "default"}}]])
def test_the_system_prompt_comes_back_as_it_was(prompt: Any) -> None:
    """Blocks, apart."""
    rendered = formats.render("bedrock", parse(said("user", text("Hi")), prompt=prompt))
    assert (rendered.system, rendered.messages) == (prompt, [said("user", text("Hi"))])


def test_a_whole_response_is_read_as_its_message() -> None:
    """Usage is counted with the cached tokens; the rest is kept and not sent back."""
    (message,) = formats.parse(
        "bedrock",
        {
            "output": {"message": said("assistant", text("Hi"))},
            "stopReason": "end_turn",
            "usage": {
                "inputTokens": 3,
                "outputTokens": 7,
                "totalTokens": 25,
                "cacheReadInputTokens": 10,
                "cacheWriteInputTokens": 5,
            },
        },
    )
    assert message.usage == Usage(input_tokens=18, output_tokens=7, cached_tokens=10, cache_write_tokens=5)
    assert '"stopReason":"end_turn"' in (message.extra or "")
    assert render(message) == [said("assistant", text("Hi"))]


@pytest.mark.parametrize("bad", [None, 3, "x", {}, {"role": "system", "content": []}, {"output": {"message": {}}}])
def test_what_is_no_message_is_refused_by_its_place(bad: Any) -> None:
    """The error names the message."""
    with pytest.raises(InvalidMessage, match=r"messages\[1\]"):
        parse(said("user", text("Hi")), bad)
    with pytest.raises(InvalidMessage, match="system"):
        parse(prompt="x")


# -- messages of other wires, or of none


def test_a_conversation_of_no_wire() -> None:
    """Instructions go apart; roles alternate, so that results and what the user says next are one message."""
    rendered = formats.render(
        "bedrock",
        [
            system("Be brief."),
            user("Look."),
            user("There."),
            assistant("I look.", ToolCall(call_id="a", name="look"), ToolCall(call_id="b", name="look")),
            tool("a", "a jar"),
            tool("b", is_error=True),
            user("Thanks."),
        ],
    )
    assert rendered.system == [text("Be brief.")]
    assert rendered.messages == [
        said("user", text("Look."), text("There.")),
        said(
            "assistant",
            text("I look."),
            {"toolUse": {"toolUseId": "a", "name": "look", "input": {}}},
            {"toolUse": {"toolUseId": "b", "name": "look", "input": {}}},
        ),
        said(
            "user",
            {"toolResult": {"toolUseId": "a", "content": [text("a jar")]}},
            {
                "toolResult": {
                    "toolUseId": "b",
                    "content": [text("The tool failed and said nothing.")],
                    "status": "error",
                }
            },
            text("Thanks."),
        ),
    ]
    assert [repair.kind for repair in rendered.repairs] == ["text_changed"]


def test_ids_and_names_that_are_refused_are_mapped() -> None:
    """64 characters, of letters, digits, `_` and `-`."""
    long = "call_" + "x" * 80
    call = ToolCall(call_id=long, name="a.b" * 30, arguments="[1]")
    rendered = formats.render("bedrock", [user("x"), assistant(None, call), tool(long, "y")])
    used = rendered.messages[1]["content"][0]["toolUse"]
    assert rendered.messages[2]["content"][0]["toolResult"]["toolUseId"] == used["toolUseId"]
    assert rendered.call_ids == {used["toolUseId"]: long}
    assert (len(used["toolUseId"]), len(used["name"])) == (64, 64)
    assert used["input"] == {"INVALID_JSON": "[1]"}


def test_signed_reasoning_of_anthropic_is_kept_and_other_reasoning_is_not() -> None:
    """It is the same model's signature on both."""
    thought = ThinkingPart(text="Hm", signature="c2ln")
    assert render(user("x"), assistant([thought, "y"], wire="anthropic"))[1]["content"][0] == {
        "reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}
    }
    _, kinds = repaired(user("x"), assistant([thought, "y"], wire="google"))
    assert kinds == ["thinking_left_out"]


def test_media_that_bedrock_takes() -> None:
    """Documents have names that no other one has, and text beside them."""
    pdf = FilePart(media_type="application/pdf", data="AA==", name="My  report?.pdf")
    messages, kinds = repaired(
        user([ImagePart(url="data:image/png;base64,AA=="), pdf]),
        assistant("b"),
        user([pdf, FilePart(media_type="text/csv", data="AA=="), "?"]),
    )
    document = {"format": "pdf", "source": {"bytes": "AA=="}}
    assert messages[0]["content"] == [
        PNG,
        {"document": {**document, "name": "My report pdf"}},
        text("[file: My report pdf]"),
    ]
    assert messages[2]["content"][:2] == [
        {"document": {**document, "name": "My report pdf (2)"}},
        {"document": {"format": "csv", "name": "document", "source": {"bytes": "AA=="}}},
    ]
    assert kinds == ["text_changed"]


@pytest.mark.parametrize(
    ("part", "crumb"),
    [
        (AudioPart(media_type="audio/wav", data="AA=="), "[audio: audio/wav]"),
        (ImagePart(url="https://example.org/a.png"), "[image: https://example.org/a.png]"),
        (ImagePart(blob="00", name="cat.png"), "[image: cat.png]"),
    ],
)
def test_media_that_it_does_not_take_leave_a_breadcrumb(part: Any, crumb: str) -> None:
    """Bedrock fetches nothing from the web."""
    messages, kinds = repaired(user([part, "What is it?"]))
    assert messages == [said("user", text(crumb), text("What is it?"))]
    assert kinds == ["media_left_out"]


# -- rules

HI, YES, GO = said("user", text("Hi")), said("assistant", text("Yes?")), said("user", text("Go."))
CALLED, SEEN = said("assistant", CALL), said("user", RESULT)
OTHER = {"toolUse": {"toolUseId": "b", "name": "look", "input": {}}}
OTHER_RESULT = {"toolResult": {"toolUseId": "b", "content": [text("x")]}}
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}}
BARE = {"document": {"format": "txt", "name": "notes", "source": {"bytes": "AA=="}}}
FAILED = "The tool failed and said nothing."
CUT_OFF = "Interrupted: this tool call was cut off, and whether it took effect is not known."


def result(*content: Any, **more: Any) -> dict[str, Any]:
    """The result of CALL."""
    return {"toolResult": {"toolUseId": "tooluse_1", "content": list(content), **more}}


BROKEN: list[tuple[str, list[Any], str, list[Any]]] = [
    ("BR1", [HI, YES, said("user", text("a"), 3)], "messages[2].content[1]", [HI, YES, said("user", text("a"))]),
    ("BR1", [HI, {"role": "assistant", "content": "x"}], "messages[1]", [HI]),
    ("BR1", [said("user", THOUGHT, text("a"))], "messages[0].content[0]", [said("user", text("a"))]),
    (
        "BR1",
        [HI, CALLED, said("user", result(CALL, text("b")))],
        "messages[2].content[0].content[0]",
        [HI, CALLED, said("user", result(text("b")))],
    ),
    (
        "BR2",
        [HI, GO, YES, YES],
        "messages[1]",
        [said("user", text("Hi"), text("Go.")), said("assistant", text("Yes?"), text("Yes?"))],
    ),
    ("BR3", [HI, YES, said("user"), YES], "messages[2]", [HI, said("assistant", text("Yes?"), text("Yes?"))]),
    ("BR4", [said("user", text(""), text("a"))], "messages[0].content[0]", [said("user", text("a"))]),
    (
        "BR4",
        [HI, CALLED, said("user", result(text(""), text("b")))],
        "messages[2].content[0].content[0]",
        [HI, CALLED, said("user", result(text("b")))],
    ),
    ("BR5", [HI, CALLED, said("user", RESULT, RESULT)], "messages[2].content[1]", [HI, CALLED, SEEN]),
    (
        "BR6",
        [HI, CALLED, said("user", result(status="error"))],
        "messages[2].content[0]",
        [HI, CALLED, said("user", result(text(FAILED), status="error"))],
    ),
    (
        "BR7",
        [HI, CALLED, GO],
        "messages[1].content[0]",
        [HI, CALLED, said("user", result(text(CUT_OFF), status="error"), text("Go."))],
    ),
    (
        "BR7",
        [HI, said("assistant", CALL, OTHER), SEEN, said("user", OTHER_RESULT)],
        "messages[1].content[1]",
        [HI, said("assistant", CALL, OTHER), said("user", RESULT, OTHER_RESULT)],
    ),
    ("BR8", [HI, YES, said("user", RESULT, text("a"))], "messages[2].content[0]", [HI, YES, said("user", text("a"))]),
    (
        "BR9",
        [HI, CALLED, said("user", text("b"), RESULT)],
        "messages[2].content[1]",
        [HI, CALLED, said("user", RESULT, text("b"))],
    ),
    (
        "BR10",
        [HI, said("assistant", {"toolUse": {**CALL["toolUse"], "input": "x"}}), SEEN],
        "messages[1].content[0].toolUse.input",
        [HI, said("assistant", {"toolUse": {**CALL["toolUse"], "input": {"INVALID_JSON": '"x"'}}}), SEEN],
    ),
    (
        "BR10",
        [HI, said("assistant", {"toolUse": {**CALL["toolUse"], "name": "a.b"}}), SEEN],
        "messages[1].content[0].toolUse.name",
        [HI, said("assistant", {"toolUse": {**CALL["toolUse"], "name": "a_b"}}), SEEN],
    ),
    (
        "BR11",
        [HI, said("assistant", text("a"), THOUGHT), GO],
        "messages[1].content[1]",
        [HI, said("assistant", text("a")), GO],
    ),
    ("BR12", [said("user", BARE)], "messages[0]", [said("user", BARE, text("[file: notes]"))]),
]


@pytest.mark.parametrize(("rule", "history", "where", "sent"), BROKEN)
def test_a_broken_rule_is_found_and_mended(rule: str, history: list[Any], where: str, sent: list[Any]) -> None:
    """Check names the rule and the place; render sends a history that breaks none, and lists what it did."""
    found = formats.check("bedrock", history)
    assert (rule, where) in [(each.rule, each.where) for each in found]
    assert all(each.says and each.remedy for each in found)
    rendered = formats.render("bedrock", formats.parse("bedrock", history))
    assert rendered.messages == sent
    assert rendered.repairs
    assert formats.check("bedrock", rendered.messages, system=rendered.system) == []


def test_the_system_prompt_is_mended() -> None:
    """Empty text and blocks without shape are left out."""
    prompt = [text(""), text("a"), 3]
    assert [each.rule for each in formats.check("bedrock", [HI], system=prompt)] == ["BR4", "BR1"]
    rendered = formats.render("bedrock", parse(HI, prompt=prompt))
    assert rendered.system == [text("a")]
    assert [repair.kind for repair in rendered.repairs] == ["part_left_out"]


@pytest.mark.parametrize(
    "history",
    [
        [YES, HI],
        [said("user", text("\n"), {"cachePoint": {"type": "default"}})],
        [HI, said("assistant", CALL, OTHER), said("user", OTHER_RESULT, RESULT, text("a"))],
        [HI, said("assistant", {"toolUse": {**OTHER["toolUse"], "type": "server_tool_use"}}, OTHER_RESULT, text("a"))],
        [HI, CALLED, said("user", result({"json": {"a": 1}}, PNG)), CALLED, SEEN],
        [HI, said("assistant", {"newer": {}}), said("user", {"newer": {}})],
    ],
)
def test_what_is_accepted_is_not_changed(history: list[Any]) -> None:
    """Rules of single models are not rules here."""
    assert formats.check("bedrock", history) == []
    rendered = formats.render("bedrock", formats.parse("bedrock", history))
    assert (rendered.messages, rendered.repairs) == (history, ())


# -- streams


def delta(index: int, **said_now: Any) -> dict[str, Any]:
    """A piece of a block."""
    return {"contentBlockDelta": {"contentBlockIndex": index, "delta": said_now}}


def start(index: int, call_id: str) -> dict[str, Any]:
    """The beginning of a call."""
    return {
        "contentBlockStart": {"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": call_id, "name": "look"}}}
    }


def stop(index: int) -> dict[str, Any]:
    """The end of a block."""
    return {"contentBlockStop": {"contentBlockIndex": index}}


BEGIN = {"messageStart": {"role": "assistant"}}
END = {"messageStop": {"stopReason": "tool_use"}}
USED = {"metadata": {"usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}, "metrics": {"latencyMs": 1}}}


def test_a_stream_gives_what_the_answer_would_have_been() -> None:
    """Reasoning, text with citations, and calls; the message is finished when it is known what it used."""
    stream = formats.Accumulator("bedrock")
    events = [
        BEGIN,
        delta(0, reasoningContent={"text": "H"}),
        delta(0, reasoningContent={"text": "m"}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        stop(0),
        delta(1, text="Hel"),
        delta(1, text="lo"),
        stop(1),
        delta(2, text="quoted"),
        delta(2, citation={"title": "A"}),
        stop(2),
        start(3, "a"),
        delta(3, toolUse={"input": '{"n":'}),
        delta(3, toolUse={"input": " 1}"}),
        stop(3),
        start(4, "b"),
        stop(4),
        END,
    ]
    assert [message for event in events for message in stream.feed(event)] == []
    answer = said(
        "assistant",
        THOUGHT,
        text("Hello"),
        {"citationsContent": {"citations": [{"title": "A"}], "content": [text("quoted")]}},
        {"toolUse": {"toolUseId": "a", "name": "look", "input": {"n": 1}}},
        {"toolUse": {"toolUseId": "b", "name": "look", "input": {}}},
    )
    usage = Usage(input_tokens=5, output_tokens=7)
    assert stream.feed(USED) == [parse(answer)[0].replace(usage=usage)]
    assert (stream.text, stream.usage, stream.finish()) == ("Helloquoted", usage, [])


def test_an_interrupted_stream_keeps_its_text_and_no_half_call() -> None:
    """And says what the service said."""
    stream = formats.Accumulator("bedrock")
    for event in (
        BEGIN,
        delta(0, text="I lo"),
        start(1, "a"),
        delta(1, toolUse={"input": "{}"}),
        {"throttlingException": {"message": "Too many tokens"}},
    ):
        assert stream.feed(event) == []
    assert [message.parts for message in stream.finish()] == [(TextPart(text="I lo"),)]
    assert stream.error == "throttlingException: Too many tokens"
    assert formats.Accumulator("bedrock").finish() == []


@pytest.mark.parametrize("event", [{}, {"contentBlockStop": {}}])
def test_what_is_no_event_is_refused(event: Any) -> None:
    """With what to give instead."""
    with pytest.raises(InvalidMessage, match="stream"):
        formats.Accumulator("bedrock").feed(event)

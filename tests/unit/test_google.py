"""google: what is read into typed parts, what comes back, and what foreign messages become."""

from __future__ import annotations

import json
from typing import Any

import pytest

from palaver import formats
from palaver.codec import decode, encode
from palaver.errors import InvalidMessage
from palaver.formats.google.mending import PLACEHOLDER
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

HI = {"role": "user", "parts": [{"text": "Hi"}]}


def says(*parts: Any, role: str = "user") -> dict[str, Any]:
    """A content."""
    return {"role": role, "parts": list(parts)}


def calls(name: str = "look", args: Any = None, **beside: Any) -> dict[str, Any]:
    """A part that calls."""
    return {"functionCall": {"name": name, "args": {} if args is None else args, **beside}}


def answers(name: str = "look", response: Any = None, **beside: Any) -> dict[str, Any]:
    """A part that answers."""
    return {
        "functionResponse": {"name": name, "response": {"output": "a jar"} if response is None else response} | beside
    }


def parse(*contents: Any, system_: Any = None) -> list[Message]:
    """The messages of a payload."""
    return formats.parse("google", list(contents), system=system_)


def back(contents: list[Any], system_: Any = None) -> tuple[list[Any], Any, list[str]]:
    """What a payload is after having been stored, with the kinds of repairs."""
    messages = [decode(encode(message)) for message in formats.parse("google", contents, system=system_)]
    rendered = formats.render("google", messages)
    return rendered.messages, rendered.system, [repair.kind for repair in rendered.repairs]


def repaired(*messages: Message) -> tuple[list[Any], list[str]]:
    """The payload and the kinds of its repairs; it breaks no rule."""
    rendered = formats.render("google", messages)
    assert formats.check("google", rendered.messages, system=rendered.system) == []
    return rendered.messages, [repair.kind for repair in rendered.repairs]


# -- reading


def test_the_parts_of_an_answer_are_typed() -> None:
    """Thoughts, text, calls and media have their types; what the service runs itself is opaque."""
    (message,) = parse(
        says(
            {"text": "Hm", "thought": True},
            {"text": "Hello", "thoughtSignature": "c2ln"},
            {**calls(args={"shelf": 3}, id="c1"), "thoughtSignature": "c2ln"},
            {"executableCode": {"code": "1"}, "thoughtSignature": "c2ln"},
            role="model",
        )
    )
    assert (message.role, message.wire) == ("assistant", "google")
    assert message.parts == (
        ThinkingPart(text="Hm"),
        TextPart(text="Hello", extra='{"thoughtSignature":"c2ln"}'),
        ToolCall(name="look", call_id="c1", arguments='{"shelf":3}', extra='{"thoughtSignature":"c2ln"}'),
        Opaque(wire="google", data='{"executableCode":{"code":"1"},"thoughtSignature":"c2ln"}'),
    )


@pytest.mark.parametrize(
    ("response", "texts", "is_error"),
    [
        ({"output": "x"}, ["x"], None),
        ({"error": "x"}, ["x"], True),
        ({"result": "x"}, ["x"], None),
        ({"return_value": "x"}, ["x"], None),
        ({"a": 1}, ['{"a":1}'], None),
        ({"output": 1}, ['{"output":1}'], None),
        ({"output": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, ["a", "b"], None),
        ({}, [], None),
        ({"output": ""}, [""], None),
        ({"output": '{"a":1}'}, ['{"a":1}'], None),
    ],
)
@pytest.mark.parametrize("key", ["functionResponse", "function_response"])
def test_what_a_tool_answered_is_text(key: str, response: Any, texts: list[str], is_error: bool | None) -> None:
    """Text comes from under its key, other objects are their JSON; all come back as they were."""
    call = {"functionCall": {"name": "look", "args": {}}}
    payload = [HI, says(call, role="model"), says({key: {"name": "look", "response": response}})]
    (result,) = parse(*payload)[2].tool_results
    assert [part.text for part in result.parts if isinstance(part, TextPart)] == texts
    assert result.is_error is is_error
    assert back(payload) == (payload, None, [])


def test_results_with_text_beside_are_two_messages() -> None:
    """The results are a tool message, the text a user message that joins it, wherever it stood."""
    payload = [
        HI,
        says(calls("look"), calls("sing"), role="model"),
        says({"text": "So:"}, answers("look"), {"text": "and"}, answers("sing"), {"text": "?"}),
    ]
    messages = parse(*payload)
    assert [(m.role, m.joins) for m in messages[2:]] == [("tool", False), ("user", True)]
    assert messages[3].layout == "at 0 2 4"
    assert back(payload) == (payload, None, [])


def test_calls_in_a_row_are_one_turn() -> None:
    """Contents of the model after one with calls join it, so that their results are found together."""
    payload = [
        HI,
        says(calls("look", id="a"), role="model"),
        says(calls("sing", id="b"), role="model"),
        says(answers("look", id="a"), answers("sing", id="b")),
    ]
    assert [m.joins for m in parse(*payload)] == [False, False, True, False]
    assert back(payload) == (payload, None, [])


def test_several_contents_answer_one_turn() -> None:
    """Calls without ids are told by name and order; each content of answers stays by itself."""
    payload = [
        HI,
        says(calls("look"), calls("look"), calls("sing"), role="model"),
        says(answers("look", {"output": "1"})),
        says(answers("sing", {"output": "2"})),
        says(answers("look", {"output": "3"})),
    ]
    assert back(payload) == (payload, None, [])


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"inline_data": {"mime_type": "audio/wav", "data": "_9j-"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "_9j_4AA", "displayName": "a.pdf"}},
        {"fileData": {"file_uri": "gs://b/a.pdf", "mime_type": "application/pdf"}},
        {"fileData": {"fileUri": "https://example.org/a.mp4"}, "videoMetadata": {"fps": 1}},
        {"text": ""},
        {"text": "", "thoughtSignature": "c2ln"},
        {"thoughtSignature": "c2ln"},
        {"thought": True, "thought_signature": "c2ln"},
        {"text": "Hm", "thought": True, "thought_signature": "c2ln"},
        {"text": "x", "thought": False, "partMetadata": {"a": None}},
        {"text": None, "inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"toolCall": {"id": "s", "toolType": "GOOGLE_SEARCH_WEB"}, "thoughtSignature": "c2ln"},
        {"tool_response": {"id": "s"}},
        {"newKind": {"a": 1.0}},
    ],
)
def test_every_part_comes_back(part: dict[str, Any]) -> None:
    """Both spellings, signatures on anything, empty parts, unknown kinds: as they were, from either side."""
    payload = [HI, says({"text": "So."}, part, role="model"), says(part, {"text": "?"})]
    assert back(payload) == (payload, None, [])
    assert formats.check("google", payload) == []


def test_media_are_typed_for_other_wires() -> None:
    """Base64 is in the alphabet that everybody reads; addresses that only Google can fetch are file ids."""
    (message,) = parse(
        says(
            {"inlineData": {"mimeType": "image/jpeg", "data": "_9j_4A"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}},
            {"fileData": {"fileUri": "https://example.org/a.mp4", "mimeType": "video/mp4"}},
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"}},
            {"fileData": {"fileUri": "gs://b/a.png", "mimeType": "image/png"}},
        )
    )
    assert message.parts == (
        ImagePart(media_type="image/jpeg", data="/9j/4A==", layout="url64 unpadded"),
        AudioPart(media_type="audio/wav", data="AA=="),
        FilePart(media_type="video/mp4", url="https://example.org/a.mp4"),
        FilePart(file_id="https://generativelanguage.googleapis.com/v1beta/files/x"),
        ImagePart(media_type="image/png", file_id="gs://b/a.png"),
    )


@pytest.mark.parametrize(
    "content",
    [
        {"role": "function", "parts": [answers()]},
        {"parts": [answers()]},
        {"role": None, "parts": [answers()]},
        {"role": "", "parts": [answers()], "note": None},
        {"role": "user", "parts": [answers(id="")]},
        {"role": "user", "parts": [answers(willContinue=False, parts=[])]},
        {"role": "user", "parts": [{"functionResponse": {"name": "look"}}]},
        {
            "role": "user",
            "parts": [answers(response={}, parts=[{"inlineData": {"mimeType": "image/png", "data": "AA=="}}])],
        },
    ],
)
def test_every_spelling_of_a_content_comes_back(content: dict[str, Any]) -> None:
    """Roles absent, null and empty, keys that are empty, media inside a result."""
    payload = [HI, says(calls(), role="model"), content]
    assert back(payload) == (payload, None, [])


@pytest.mark.parametrize(
    "instruction",
    [
        "Be brief.",
        "",
        {"parts": [{"text": "Be brief."}]},
        {"parts": [{"text": "Be"}, {"text": "brief."}], "role": "user"},
        {"text": "Be brief."},
        [{"text": "Be brief."}, "Please."],
        {"parts": []},
        {},
    ],
)
def test_every_instruction_comes_back(instruction: Any) -> None:
    """A string, a content, and what the SDK makes a content of."""
    assert back([HI], instruction) == ([HI], instruction, [])


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (["Hi"], r"messages\[0\] is a str"),
        ([HI, {"role": "system", "parts": []}], r"messages\[1\] has the role 'system'"),
        ([{"role": ["user"], "parts": []}], r"messages\[0\] has the role"),
        ([HI, {"role": "user", "parts": [{"text": "\ud800"}]}], r"messages\[1\]\.parts\[0\]\.text holds a lone surr"),
        ([{"role": "model", "parts": [calls(args={"a": float("nan")})]}], r"messages\[0\].* is nan"),
        ([{"candidates": [{"content": HI}, {"content": HI}]}], r"messages\[0\] has 2 candidates"),
        ([{"candidates": [3]}], r"candidates\[0\] is a int"),
        ([{"content": 3}], r"messages\[0\]\.content is a int"),
        ("Hi", "messages is a str"),
        ([HI, {"text": "Hi"}], r"messages\[1\] has 'text' and no parts; .* give {'role': 'user', 'parts': \[{'text'"),
        ([{"role": "model", "functionCall": {"name": "look"}}], r"messages\[0\] has 'functionCall' and no parts"),
    ],
)
def test_what_is_no_message_is_refused(bad: Any, said: str) -> None:
    """The place is named."""
    with pytest.raises(InvalidMessage, match=said):
        formats.parse("google", bad)
    with pytest.raises(InvalidMessage, match="system is a int"):
        formats.parse("google", [], system=3)


def test_a_whole_response_is_its_message() -> None:
    """With its usage, and with what the service says about the answer beside it."""
    response = {
        "candidates": [
            {
                "content": says({"text": "Hello"}, role="model"),
                "finishReason": "STOP",
                "groundingMetadata": {"webSearchQueries": ["x"]},
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 7,
            "toolUsePromptTokenCount": 3,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 2,
            "cachedContentTokenCount": 4,
        },
        "modelVersion": "gemini-x",
    }
    (message,) = formats.parse("google", response)
    assert message.text == "Hello"
    assert message.metadata == {"google": {"groundingMetadata": {"webSearchQueries": ["x"]}}}
    assert message.usage == Usage(
        input_tokens=10, output_tokens=7, cached_tokens=4, reasoning_tokens=2, model="gemini-x"
    )
    assert formats.render("google", [user("Hi"), message]).messages == [HI, says({"text": "Hello"}, role="model")]
    assert formats.parse("google", {"promptFeedback": {"blockReason": "SAFETY"}}) == []


# -- messages of other wires


def test_a_foreign_history_is_carried_over() -> None:
    """Instructions apart, results as one content under their calls' names, the first call of the step signed."""
    messages, kinds = repaired(
        system("Be brief."),
        user(["Look", ImagePart(data="iVBORw0KGgo=")], wire="anthropic"),
        assistant(
            [ThinkingPart(text="Hm", signature="x"), "Let me see."],
            ToolCall(call_id="a", name="look", arguments='{"shelf":3}'),
            ToolCall(call_id="b", name="sing", arguments=""),
            wire="anthropic",
        ),
        tool("b", "la"),
        tool("a", "gone", is_error=True),
        user("Thanks"),
    )
    assert messages == [
        says({"text": "Look"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}),
        says(
            {"text": "Hm", "thought": True},
            {"text": "Let me see."},
            {**calls("look", {"shelf": 3}, id="a"), "thoughtSignature": PLACEHOLDER},
            calls("sing", id="b"),
            role="model",
        ),
        says(answers("sing", {"output": "la"}, id="b"), answers("look", {"error": "gone"}, id="a")),
        says({"text": "Thanks"}),
    ]
    assert kinds == ["thinking_changed", "signature_made"]
    rendered = formats.render("google", [system("Be"), system("brief."), user("Hi")])
    assert rendered.system == {"parts": [{"text": "Be"}, {"text": "brief."}]}


def test_the_placeholder_stays_when_the_turn_is_over() -> None:
    """Each step has it whether or not its turn is the current one, so that what was sent stays the same."""
    turn = [user("Hi"), assistant(None, ToolCall(call_id="a", name="look")), tool("a", "x")]
    now, _ = repaired(*turn)
    later, _ = repaired(*turn, assistant("A jar."), user("And now?"))
    assert later[: len(now)] == now
    assert now[1]["parts"][0]["thoughtSignature"] == PLACEHOLDER
    unrepaired = formats.render("google", turn, repair=False)
    assert unrepaired.messages[1]["parts"] == [calls(id="a")]


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("a jar", {"output": "a jar"}),
        ('{"a":1}', {"a": 1}),
        ('{"a": 1}', {"output": '{"a": 1}'}),
        ('{"output":"x"}', {"output": '{"output":"x"}'}),
        ("{}", {"output": "{}"}),
        ("[1]", {"output": "[1]"}),
        ('{"a":1e999}', {"output": '{"a":1e999}'}),
    ],
)
def test_results_come_back_as_the_same_text(text: str, response: Any) -> None:
    """A text that is an object becomes it where the object gives the same text again."""
    messages, _ = repaired(user("Hi"), assistant(None, ToolCall(call_id="a", name="look")), tool("a", text))
    assert messages[2]["parts"][0]["functionResponse"]["response"] == response
    assert parse(*messages)[2].text == text


@pytest.mark.parametrize(
    ("arguments", "args", "kinds"),
    [
        ("", {}, []),
        ('{"a": 1.0}', {"a": 1.0}, []),
        ("[1]", {"arguments": [1]}, ["arguments_changed"]),
        ("{nope", {"arguments": "{nope"}, ["arguments_changed"]),
        ('{"a":NaN}', {"arguments": '{"a":NaN}'}, ["arguments_changed"]),
        ('{"a":"\\ud83d"}', {"a": "\N{REPLACEMENT CHARACTER}"}, ["arguments_changed"]),
    ],
)
def test_arguments_are_objects(arguments: str, args: Any, kinds: list[str]) -> None:
    """What is no object stands in one, and that is listed."""
    call = ToolCall(call_id="a", name="look", arguments=arguments)
    messages, noted = repaired(user("Hi"), assistant(None, call), tool("a", "x"))
    assert messages[1]["parts"][0]["functionCall"]["args"] == args
    assert noted == [*kinds, "signature_made"]


def test_a_result_of_ones_own_answers_a_call_without_an_id() -> None:
    """The answer to Google's call gets the call's name, and no id where the call has none."""
    (call,) = parse(says({**calls(), "thoughtSignature": "c2ln"}, role="model"))
    messages, kinds = repaired(user("Hi"), call, tool("", "a jar"))
    assert messages[2] == says(answers())
    assert messages[1]["parts"][0]["thoughtSignature"] == "c2ln"
    assert kinds == []


def test_what_a_tool_showed_stands_after_the_results() -> None:
    """Older models take no media inside a result; breadcrumbs stand for what cannot be shown at all."""
    result = ToolResult(call_id="a", parts=(TextPart(text="see"), ImagePart(media_type="image/png", data="AA==")))
    messages, kinds = repaired(
        user("Hi"),
        assistant(None, ToolCall(call_id="a", name="look"), ToolCall(call_id="b", name="look")),
        Message(role="tool", parts=(result,)),
        tool("b", [FilePart(file_id="file-1", name="a.pdf")]),
    )
    assert messages[2]["parts"] == [
        answers(response={"output": "see"}, id="a"),
        answers(response={}, id="b"),
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"text": "[file: a.pdf]"},
    ]
    assert kinds == ["signature_made", "moved", "media_left_out"]


def test_what_cannot_be_said_is_listed() -> None:
    """Nothing goes unlisted: foreign parts, names, instructions in the middle."""
    messages, kinds = repaired(
        user("Hi", name="ada"),
        user(Opaque(wire="anthropic", data="{}")),
        assistant([ThinkingPart(redacted="x"), "So."]),
        Message(role="developer", parts=(TextPart(text="Hush."),)),
        user(ImagePart(blob="00")),
    )
    assert messages == [HI, says({"text": "So."}, role="model"), says({"text": "Hush."}), says({"text": "[image]"})]
    assert kinds == [
        "name_left_out",
        "opaque_left_out",
        "message_left_out",
        "thinking_left_out",
        "role_changed",
        "media_left_out",
    ]


def test_a_failure_without_a_word_says_that_it_is_one() -> None:
    """An empty `error` says nothing to the model; what came from Google stays as it came."""
    called = assistant("", ToolCall(call_id="a", name="look"))
    for said in ("", ()):
        parts = (TextPart(text=said),) if isinstance(said, str) else said
        failed = Message(role="tool", parts=(ToolResult(call_id="a", parts=parts, is_error=True),))
        messages, kinds = repaired(user("Look"), called, failed)
        assert messages[-1] == says(answers("look", {"error": "Error"}, id="a"))
        assert kinds == ["signature_made", "text_changed"]
    own = [HI, says(calls("look"), role="model"), says(answers("look", {"error": ""}))]
    assert back(own) == (own, None, [])


def test_an_edited_result_is_still_an_answer() -> None:
    """What was an object and is cut to no JSON is text."""
    payload = [HI, says(calls(), role="model"), says(answers(response={"a": [1, 2]}))]
    *rest, last = parse(*payload)
    (result,) = last.tool_results
    cut = ToolResult(name="look", parts=(TextPart(text='{"a":[1'),), layout=result.layout)
    messages, _ = repaired(*rest, last.replace(parts=(cut,)))
    assert messages[2] == says(answers(response={"output": '{"a":[1'}))


# -- streams


def chunk(*parts: Any, **beside: Any) -> dict[str, Any]:
    """A chunk of a stream."""
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0, **beside}]}


def stream(*events: Any) -> formats.Accumulator:
    """An accumulator that was fed, and is finished."""
    found = formats.Accumulator("google")
    for event in events:
        assert found.feed(event) == []
    found.finish()
    return found


def test_a_stream_is_put_together() -> None:
    """Texts in a row become one, thoughts apart; a text with a signature stays by itself."""
    found = stream(
        chunk({"text": "Hm", "thought": True}),
        chunk({"text": "m.", "thought": True}),
        chunk({"text": "Hel"}),
        chunk({"text": "lo"}, {"text": "!"}),
        chunk(calls(args={"a": 1})),
        {
            **chunk({"text": "", "thoughtSignature": "c2ln"}, finishReason="STOP"),
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4},
        },
    )
    (expected,) = parse(
        says(
            {"text": "Hmm.", "thought": True},
            {"text": "Hello!"},
            calls(args={"a": 1}),
            {"text": "", "thoughtSignature": "c2ln"},
            role="model",
        )
    )
    usage = Usage(input_tokens=3, output_tokens=4)
    assert found.messages == [expected.replace(usage=usage)]
    assert (found.text, found.usage, found.error) == ("Hello!", usage, None)


def test_arguments_that_come_in_pieces() -> None:
    """Each under its path; a call that is not whole when the stream breaks off is left out."""

    def piece(*pieces: Any, more: bool = True, **beside: Any) -> dict[str, Any]:
        return chunk({"functionCall": {**beside, "partialArgs": list(pieces), "willContinue": more}})

    events = [
        chunk({"text": "Well"}),
        piece(name="look", id="a"),
        piece({"jsonPath": "$.room", "stringValue": "kit", "willContinue": True}),
        piece({"jsonPath": "$.room", "stringValue": "chen"}),
        piece({"jsonPath": "$.at[1].shelf", "numberValue": 3}, {"jsonPath": "$['b c']", "boolValue": True}),
    ]
    assert [message.text for message in stream(*events).messages] == ["Well"]
    assert stream(*events).messages[0].tool_calls == ()
    (message,) = stream(*events, chunk({"functionCall": {}})).messages
    (call,) = message.tool_calls
    assert (call.name, call.call_id) == ("look", "a")
    assert json.loads(call.arguments) == {"room": "kitchen", "at": [None, {"shelf": 3}], "b c": True}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}, "overloaded"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "SAFETY"),
        ({"prompt_feedback": {"block_reason": "OTHER", "block_reason_message": "no"}}, "OTHER: no"),
        (chunk(finishReason="MALFORMED_FUNCTION_CALL", finishMessage="no"), "MALFORMED_FUNCTION_CALL: no"),
        (chunk(finishReason="MAX_TOKENS"), None),
    ],
)
def test_what_went_wrong_in_a_stream_is_kept(event: Any, said: str | None) -> None:
    """The text stays as far as it came."""
    found = stream(chunk({"text": "Hel"}), event)
    assert (found.error, [message.text for message in found.messages]) == (said, ["Hel"])


def test_odd_streams() -> None:
    """Nothing at all, a content without parts, other candidates, and what is no chunk."""
    assert stream().messages == stream({}, {"usageMetadata": {}}).messages == []
    assert stream({"candidates": [{"content": {"role": "model"}}]}).messages == parse({"role": "model"})
    two = {"candidates": [{"index": 1, "content": says({"text": "b"})}, {"content": says({"text": "a"}, role="model")}]}
    assert stream(two).text == "a"
    bad: Any
    for bad in ({"choices": []}, {"candidates": 3}, {"candidates": [{"content": 3}]}):
        with pytest.raises(InvalidMessage):
            stream(bad)

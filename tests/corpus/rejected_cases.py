"""One history of our own for each structural rule that a provider is known to enforce, written from what providers say.

What begins with "keep" is in a message that is legal whatever becomes of the rest, and has to stay.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.corpus.sessions import (
    SIGNATURE,
    answer,
    asked,
    block,
    call,
    item,
    look,
    model,
    output,
    reasoned,
    response,
    result,
    said,
    spoken,
    told,
    tooled,
    toolu,
    use,
    user,
)

__all__ = ["CASES", "Case"]

ASK = user("keep: the question")
THEN = user("keep: the next one")


class Case(NamedTuple):
    """A history that a provider refuses, the rules that say so, and what is wrong."""

    wire: str
    rules: tuple[str, ...]
    """Any of these: two rules may say the same of one fault."""
    what: str
    messages: list[Any]
    system: Any = None


def chat(rules: str, what: str, *messages: Any) -> Case:
    """A case of openai_chat."""
    return Case("openai_chat", tuple(rules.split()), what, list(messages))


def calling(*calls: Any, **more: Any) -> dict[str, Any]:
    """A message that only calls."""
    return said(None, tool_calls=list(calls), **more)


CHAT = [
    chat("OC2", "an unknown role", ASK, {"role": "tool_result", "content": "x"}),
    chat("OC3", "a call without a result, at the end", ASK, calling(look("a"))),
    chat("OC3", "a call without a result, in the middle", ASK, calling(look("a")), THEN),
    chat("OC3", "one result of two", ASK, calling(look("a"), look("b")), result("a"), THEN),
    chat("OC3 OC4", "something between a call and its result", ASK, calling(look("a")), THEN, result("a", "keep")),
    chat("OC4", "a result without a call", ASK, said("keep: an answer"), result("a"), THEN),
    chat("OC4", "a history that begins with a result", result("a"), ASK),
    chat(
        "OC4", "a result of an older call", ASK, calling(look("a")), result("a", "keep"), said("x"), result("a"), THEN
    ),
    chat("OC5", "tool_calls empty", ASK, said("keep: an answer", tool_calls=[]), THEN),
    chat(
        "OC5",
        "a call without a type",
        ASK,
        calling({"id": "a", "function": {"name": "look", "arguments": "{}"}}),
        result("a", "keep"),
    ),
    chat(
        "OC6", "two calls with one id", ASK, calling(look("a"), look("a")), result("a", "keep"), result("a", "keep 2")
    ),
    chat("OC6 OC4", "two results of one call", ASK, calling(look("a")), result("a", "keep"), result("a"), THEN),
    chat("OC7", "an id of 83 characters", ASK, calling(look("a" * 83)), result("a" * 83, "keep"), THEN),
    chat(
        "OC8",
        "a function name with a dot",
        ASK,
        calling(block("function", id="a", function={"name": "shelf.look", "arguments": "{}"})),
        result("a", "keep"),
    ),
    chat(
        "OC9",
        "arguments as an object",
        ASK,
        calling(block("function", id="a", function={"name": "look", "arguments": {"shelf": 3}})),
        result("a", "keep"),
    ),
    chat("OC10", "content null", ASK, said(None), THEN),
    chat("OC10", "content of the user null", ASK, user(None), THEN),
    chat("OC11", "content an empty list", ASK, user([]), THEN),
    chat("OC12", "a part without a type", ASK, user([{"text": "x"}]), THEN),
    chat(
        "OC12", "an image by the model", ASK, said([block("image_url", image_url={"url": "https://example.org"})]), THEN
    ),
    chat("OC14", "a participant's name with a space", ASK, {**user("x"), "name": "Ada Lovelace"}, THEN),
]


def responses(rules: str, what: str, *items: Any) -> Case:
    """A case of openai_responses."""
    return Case("openai_responses", tuple(rules.split()), what, list(items))


KEPT = output("a", "keep")
RESPONSES = [
    responses("OR3", "reasoning without what it led to", ASK, reasoned("rs_1"), THEN),
    responses("OR3", "reasoning at the end", ASK, spoken("keep: an answer", id="msg_1"), THEN, reasoned("rs_1")),
    responses(
        "OR3", "reasoning before a message without its id", ASK, reasoned("rs_1"), spoken("keep: an answer"), THEN
    ),
    responses("OR3b", "a call without an output", ASK, asked("a", id="fc_1"), THEN),
    responses("OR3b", "a call without an output, at the end", ASK, asked("a", id="fc_1")),
    responses("OR4", "an output without a call", ASK, output("a"), THEN),
    responses(
        "OR5", "input_text by the model", ASK, {"role": "assistant", "content": [item("input_text", text="x")]}, THEN
    ),
    responses("OR5", "output_text by the user", ASK, user([item("output_text", text="x", annotations=[])]), THEN),
    responses("OR5", "content null", ASK, user(None), THEN),
    responses("OR6", "reasoning without a summary", ASK, item("reasoning", encrypted_content="Zw=="), THEN),
    responses("OR6", "a call without a call_id", ASK, item("function_call", name="look", arguments="{}"), THEN),
    responses("OR6", "arguments as an object", ASK, {**asked("a"), "arguments": {"shelf": 3}}, KEPT, THEN),
    responses("OR6", "an output that is an object", ASK, asked("a"), {**output("a"), "output": {"x": 1}}, THEN),
    responses("OR7", "an item twice", ASK, spoken("keep: an answer", id="msg_1"), THEN, spoken("keep 2", id="msg_1")),
    responses("OR7", "a call_id twice", ASK, asked("a"), KEPT, THEN, asked("a"), output("a", "keep 2")),
    responses("OR8", "a call's id as the item's", ASK, asked("a", id="call_a"), KEPT, THEN),
    responses("OR9", "a call_id of 116 characters", ASK, asked("a" * 116), output("a" * 116, "keep"), THEN),
    responses("OR10", "a function name with a dot", ASK, {**asked("a"), "name": "shelf.look"}, KEPT, THEN),
]


def anthropic(rules: str, what: str, *messages: Any) -> Case:
    """A case of anthropic."""
    return Case("anthropic", tuple(rules.split()), what, list(messages))


def signed(text: str = "Hm.") -> dict[str, Any]:
    """A thinking block."""
    return block("thinking", thinking=text, signature=SIGNATURE)


TOLD = user([answer("a", content="keep")])
ANTHROPIC = [
    anthropic("AN2", "an unknown role", ASK, {"role": "tool", "content": "x"}),
    anthropic("AN2", "system at the beginning", {"role": "system", "content": "keep: be brief"}, ASK),
    anthropic("AN4", "empty content", ASK, said(""), THEN),
    anthropic("AN4", "an empty list", ASK, said([]), THEN),
    anthropic("AN5", "a tool_use without a result", ASK, said([use("a")]), THEN),
    anthropic("AN5", "a tool_use without a result, at the end", ASK, said([use("a")])),
    anthropic("AN5", "one result of two", ASK, said([use("a"), use("b")]), TOLD, THEN),
    anthropic("AN5b", "a result without a tool_use", ASK, said("keep: an answer"), user([answer("a")]), THEN),
    anthropic("AN5b", "a result at the beginning", user([answer("a"), block("text", text="keep: the question")])),
    anthropic("AN6", "an empty text block", ASK, said([block("text", text=""), block("text", text="keep")]), THEN),
    anthropic(
        "AN6", "text of spaces by the user", ASK, said("keep: an answer"), user([block("text", text="  ")]), THEN
    ),
    anthropic("AN7", "a last answer that ends in a space", ASK, said("keep: an answer ")),
    anthropic(
        "AN8 AN5",
        "text before the results",
        ASK,
        said([use("a")]),
        user([block("text", text="keep: beside it"), answer("a", content="keep")]),
        said("x"),
    ),
    anthropic("AN9", "two tool_uses with one id", ASK, said([use("a"), use("a")]), TOLD, THEN),
    anthropic(
        "AN9 AN5b", "two results of one tool_use", ASK, said([use("a")]), user([*TOLD["content"], answer("a")]), THEN
    ),
    anthropic("AN10", "an id with a dot", ASK, said([use("a.b")]), user([answer("a.b", content="keep")]), THEN),
    anthropic(
        "AN11", "input as text", ASK, said([block("tool_use", id="a", name="look", input='{"shelf": 3}')]), TOLD, THEN
    ),
    anthropic("AN12", "audio in a result", ASK, said([use("a")]), user([answer("a", content=[block("audio")])]), THEN),
    anthropic(
        "AN12", "an error without content", ASK, said([use("a")]), user([answer("a", is_error=True, content=[])]), THEN
    ),
    anthropic(
        "AN13",
        "thinking without a signature",
        ASK,
        said([block("thinking", thinking="Hm."), block("text", text="keep: an answer")]),
        THEN,
    ),
    anthropic(
        "AN13", "redacted without data", ASK, said([block("redacted_thinking"), block("text", text="keep")]), THEN
    ),
    anthropic("AN14", "thinking at the end", ASK, said([block("text", text="keep"), signed()]), THEN),
    anthropic(
        "AN15",
        "five cache marks",
        *(
            {"role": role, "content": [block("text", text=f"keep {role}", cache_control={"type": "ephemeral"})]}
            for role in ("user", "assistant", "user", "assistant", "user")
        ),
    ),
    anthropic(
        "AN15",
        "a cache mark on thinking",
        ASK,
        said([{**signed(), "cache_control": {"type": "ephemeral"}}, block("text", text="keep")]),
        THEN,
    ),
    anthropic(
        "AN16",
        "a server's result without its call",
        ASK,
        said([block("web_search_tool_result", tool_use_id="srvtoolu_1", content=[]), block("text", text="keep")]),
        THEN,
    ),
    anthropic(
        "AN17",
        "a server's call without its result",
        ASK,
        said([block("text", text="keep"), block("server_tool_use", id="srvtoolu_1", name="web_search", input={})]),
        THEN,
    ),
]


def google(rules: str, what: str, *contents: Any) -> Case:
    """A case of google."""
    return Case("google", tuple(rules.split()), what, list(contents))


GASK = told({"text": "keep: the question"})
GTHEN = told({"text": "keep: the next one"})
GSAID = model({"text": "keep: an answer"})
GOOGLE = [
    google("GG1 GG2", "a content without parts", GASK, model(), GTHEN),
    google("GG3", "an unknown role", GASK, {"role": "assistant", "parts": [{"text": "x"}]}, GTHEN),
    google("GG4", "a part without data", GASK, model({"thought": True}), GTHEN),
    google(
        "GG4",
        "a part with two data",
        GASK,
        GSAID,
        told({"text": "x", "inlineData": {"mimeType": "a/b", "data": "AA=="}}),
    ),
    google("GG7 GG6", "a call without a response", GASK, model(call(1, signed=True)), told({"text": "keep"}), GSAID),
    google("GG5", "a call at the beginning", model(call(1, signed=True)), told(response("keep"))),
    google("GG6", "a response after text", GASK, GSAID, told(response("x")), GSAID),
    google("GG6 GG5", "a response at the beginning", told(response("x")), GSAID, GTHEN),
    google("GG7 GG6", "one response of two", GASK, model(call(1, signed=True), call(2)), told(response("keep")), GSAID),
    google(
        "GG7", "two responses of one", GASK, model(call(1, signed=True)), told(response("keep"), response("x")), GSAID
    ),
    google(
        "GG8",
        "a response by another name",
        GASK,
        model(call(1, signed=True)),
        told({"functionResponse": {"name": "touch", "response": {"output": "x"}}}),
        GSAID,
    ),
    google(
        "GG9",
        "a response without a name",
        GASK,
        model(call(1, signed=True)),
        told({"functionResponse": {"name": "", "response": {}}}),
    ),
    google(
        "GG9",
        "args as text",
        GASK,
        model({"functionCall": {"name": "look", "args": "{}"}, "thoughtSignature": SIGNATURE}),
        told(response("keep")),
    ),
    google(
        "GG9",
        "a response that is text",
        GASK,
        model(call(1, signed=True)),
        told({"functionResponse": {"name": "look", "response": "keep"}}),
    ),
    google("GG10", "one content, by the model", model({"text": "keep: hello"})),
]


def mistral(rules: str, what: str, *messages: Any) -> Case:
    """A case of mistral."""
    return Case("mistral", tuple(rules.split()), what, list(messages))


CALL, CALL2 = "abcdefgh1", "abcdefgh2"
MISTRAL = [
    mistral("MI3", "the model begins", said("keep: hello"), ASK),
    mistral("MI4", "system after the model", ASK, said("keep: an answer"), {"role": "system", "content": "keep"}, THEN),
    mistral("MI4 MI6", "a result after the user", ASK, result(CALL), said("keep: an answer"), THEN),
    mistral("MI5", "the model says nothing", ASK, said(""), THEN),
    mistral("MI6", "a call without a result", ASK, said("", tool_calls=[look(CALL)]), said("keep: an answer"), THEN),
    mistral(
        "MI6",
        "one result of two",
        ASK,
        said("", tool_calls=[look(CALL), look(CALL2)]),
        result(CALL, "keep"),
        said("x"),
        THEN,
    ),
    mistral(
        "MI6",
        "two results of one",
        ASK,
        said("", tool_calls=[look(CALL)]),
        result(CALL, "keep"),
        result(CALL),
        said("x"),
        THEN,
    ),
    mistral(
        "MI6", "a result of another call", ASK, said("", tool_calls=[look(CALL)]), result(CALL2), said("keep"), THEN
    ),
    mistral(
        "MI7", "an id of another's alphabet", ASK, said("", tool_calls=[look("call_0fyp")]), result("call_0fyp", "keep")
    ),
    mistral(
        "MI8",
        "a function name with a dot",
        ASK,
        said("", tool_calls=[block("function", id=CALL, function={"name": "shelf.look", "arguments": "{}"})]),
        result(CALL, "keep"),
    ),
    mistral("MI9 MI10 MI9/10", "the model has the last word", ASK, said("keep: an answer")),
    mistral("MI9 MI10 MI9/10", "a prefix in the middle", ASK, said("keep: an answer", prefix=True), THEN),
]


def bedrock(rules: str, what: str, *messages: Any) -> Case:
    """A case of bedrock."""
    return Case("bedrock", tuple(rules.split()), what, list(messages))


BASK = user([{"text": "keep: the question"}])
BTHEN = user([{"text": "keep: the next one"}])
BSAID = said([{"text": "keep: an answer"}])
BEDROCK = [
    bedrock("BR3", "a message without content", BASK, said([]), BTHEN),
    bedrock("BR4", "a blank text", BASK, said([{"text": ""}, {"text": "keep"}]), BTHEN),
    bedrock(
        "BR6", "an error without content", BASK, said([toolu("a")]), user([tooled("a", status="error")]), BSAID, BTHEN
    ),
    bedrock("BR7", "a call without a result", BASK, said([toolu("a")]), BTHEN),
    bedrock("BR7", "a call without a result, at the end", BASK, said([toolu("a")])),
    bedrock(
        "BR7",
        "results in two messages",
        BASK,
        said([toolu("a"), toolu("b")]),
        user([tooled("a", {"text": "keep a"})]),
        user([tooled("b", {"text": "keep b"})]),
        BSAID,
        BTHEN,
    ),
    bedrock("BR8", "a result without a call", BASK, BSAID, user([tooled("a", {"text": "x"}), {"text": "keep"}])),
    bedrock(
        "BR8",
        "more results than calls",
        BASK,
        said([toolu("a")]),
        user([tooled("a", {"text": "keep"}), tooled("b", {"text": "x"})]),
        BSAID,
        BTHEN,
    ),
]

CASES = [*CHAT, *RESPONSES, *ANTHROPIC, *GOOGLE, *MISTRAL, *BEDROCK]

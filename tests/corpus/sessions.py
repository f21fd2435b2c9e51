"""Histories of our own that each provider takes as they are: whole conversations, with the answer that came."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["SESSIONS"]

Session: TypeAlias = tuple[str, Any, Any, Any]
"""Name, messages, system prompt where the wire has it apart, and the answer."""

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjEKJSVFT0YK"
PICTURE = f"data:image/png;base64,{PNG}"
SIGNATURE = "c2lnbmVkIGJ5IG5vYm9keQ=="


def look(call_id: str, arguments: str = '{"shelf": 3}') -> dict[str, Any]:
    """A call, as OpenAI and Mistral spell it."""
    return {"id": call_id, "type": "function", "function": {"name": "look", "arguments": arguments}}


def user(content: Any) -> dict[str, Any]:
    """A message of the user on most wires."""
    return {"role": "user", "content": content}


def said(content: Any, **more: Any) -> dict[str, Any]:
    """A message of the model on most wires."""
    return {"role": "assistant", "content": content, **more}


def result(call_id: str, content: Any = "a jar", **more: Any) -> dict[str, Any]:
    """A tool message, as OpenAI and Mistral spell it."""
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


def block(kind: str, **more: Any) -> dict[str, Any]:
    """An object with a type."""
    return {"type": kind, **more}


CHAT: list[Session] = [
    ("one question", [user("What stands on the shelf?")], None, [said("A jar.", refusal=None)]),
    (
        "several turns with a system prompt",
        [
            {"role": "system", "content": "Be brief."},
            user("What stands on the shelf?"),
            said("A jar."),
            user("  And\nbeside it?  "),
            said("Nothing – 什么都没有。"),
            user("Thanks!"),
        ],
        None,
        [said("Any time.")],
    ),
    (
        "calls one after another, null content",
        [
            {"role": "developer", "content": [block("text", text="Use tools.")]},
            user([block("text", text="Look on shelf three and four.")]),
            said(None, tool_calls=[look("call_1")]),
            result("call_1"),
            said("And the other.", tool_calls=[look("call_2", '{"shelf":4,"at":1.0}')]),
            result("call_2", [block("text", text="nothing")], name="look"),
            said("A jar on three, nothing on four."),
            user("And five?"),
        ],
        None,
        [said(None, tool_calls=[look("call_3", '{ "shelf": 5 }')])],
    ),
    (
        "parallel calls, results in another order",
        [
            user("Look everywhere."),
            said("", tool_calls=[look("call_a", '{"shelf": 1}'), look("call_b", '{"shelf": 2}'), look("call_c", "{}")]),
            result("call_b", "a cup"),
            result("call_a", "a jar"),
            result("call_c", "Error: no shelf"),
        ],
        None,
        [said("A jar and a cup.")],
    ),
    (
        "media",
        [
            user(
                [
                    block("text", text="What is this?"),
                    block("image_url", image_url={"url": PICTURE, "detail": "low"}),
                    block("image_url", image_url={"url": "https://example.org/shelf.png"}),
                    block("file", file={"filename": "list.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}),
                    block("input_audio", input_audio={"data": "AAAA", "format": "wav"}),
                ]
            ),
        ],
        None,
        [said("A shelf, and a list.", annotations=[])],
    ),
    (
        "reasoning, a refusal, and the same id in two turns",
        [
            user("Look."),
            said("", reasoning_content="I should look.", tool_calls=[look("call_0")]),
            result("call_0"),
            said("A jar.", reasoning_content="There is one."),
            user("Break it."),
            said(None, refusal="I will not break it."),
            user("Then look again."),
            said("", tool_calls=[look("call_0")]),
            result("call_0", "still a jar"),
        ],
        None,
        [said("Still there.", reasoning="Nothing changed.")],
    ),
    ("beginning and ending with the model", [said("Hello!"), user("Hi."), user("Well?"), said("Well")], None, None),
]


def use(call_id: str, **shelf: Any) -> dict[str, Any]:
    """A tool_use block."""
    return block("tool_use", id=call_id, name="look", input=shelf)


def answer(call_id: str, **more: Any) -> dict[str, Any]:
    """A tool_result block."""
    return block("tool_result", tool_use_id=call_id, **more)


ANTHROPIC: list[Session] = [
    ("one question", [user("What stands on the shelf?")], None, [said([block("text", text="A jar.")])]),
    (
        "several turns with a system prompt",
        [
            user("What stands on the shelf?"),
            said("A jar."),
            user([block("text", text="And beside it?", cache_control={"type": "ephemeral"})]),
            said([block("text", text="Nothing – 什么都没有。")]),
            user("Thanks!"),
        ],
        "Be brief.",
        [said([block("text", text="Any time.", citations=None)])],
    ),
    (
        "thinking and calls",
        [
            user("Look on shelf three and four."),
            said(
                [
                    block("thinking", thinking="I should look.", signature=SIGNATURE),
                    block("text", text="Looking."),
                    use("toolu_1", shelf=3),
                ]
            ),
            user([answer("toolu_1", content="a jar")]),
            said([use("toolu_2", shelf=4, at=1.0)]),
            user([answer("toolu_2", content=[block("text", text="no such shelf")], is_error=True)]),
            said([block("thinking", thinking="", signature=SIGNATURE), block("text", text="A jar on three.")]),
            user("And five?"),
        ],
        [block("text", text="Use tools.", cache_control={"type": "ephemeral"})],
        [said([block("redacted_thinking", data="ZGF0YQ=="), use("toolu_3", shelf=5)])],
    ),
    (
        "parallel calls, results with text after them",
        [
            user("Look everywhere."),
            said([use("toolu_a", shelf=1), use("toolu_b", shelf=2), use("toolu_c")]),
            user(
                [
                    answer("toolu_b", content="a cup"),
                    answer("toolu_a"),
                    answer(
                        "toolu_c", content=[block("image", source=block("base64", media_type="image/png", data=PNG))]
                    ),
                    block("text", text="Is any of them full?"),
                ]
            ),
        ],
        None,
        [said([block("text", text="The cup is.")])],
    ),
    (
        "media and a document with citations",
        [
            user(
                [
                    block("image", source=block("url", url="https://example.org/shelf.png")),
                    block("document", source=block("base64", media_type="application/pdf", data=PDF), title="list"),
                    block("text", text="What is this?"),
                ]
            ),
            said([block("text", text="A shelf.", citations=[])]),
            user("And this?"),
            user([block("text", text="I mean the list.")]),
        ],
        None,
        [said([block("text", text="A list.")])],
    ),
    (
        "a server's tool",
        [
            user("What are jars?"),
            said(
                [
                    block("server_tool_use", id="srvtoolu_1", name="web_search", input={"query": "jars"}),
                    block("web_search_tool_result", tool_use_id="srvtoolu_1", content=[]),
                    block("text", text="Jars hold things."),
                ]
            ),
            user("Which things?"),
        ],
        None,
        [said([block("text", text="Jam, mostly.")])],
    ),
]


def told(*parts: Any) -> dict[str, Any]:
    """A content of Google's, by the user."""
    return {"role": "user", "parts": list(parts)}


def model(*parts: Any) -> dict[str, Any]:
    """A content of Google's, by the model."""
    return {"role": "model", "parts": list(parts)}


def call(shelf: int, *, signed: bool = False, **more: Any) -> dict[str, Any]:
    """A functionCall part."""
    part: dict[str, Any] = {"functionCall": {"name": "look", "args": {"shelf": shelf}, **more}}
    return {**part, "thoughtSignature": SIGNATURE} if signed else part


def response(output: str, **more: Any) -> dict[str, Any]:
    """A functionResponse part."""
    return {"functionResponse": {"name": "look", "response": {"output": output}, **more}}


GOOGLE: list[Session] = [
    ("one question", [told({"text": "What stands on the shelf?"})], None, [model({"text": "A jar."})]),
    (
        "several turns with a system prompt",
        [
            told({"text": "What stands on the shelf?"}),
            model({"text": "A jar.", "thoughtSignature": SIGNATURE}),
            told({"text": "And beside it?"}, {"text": "Anything?"}),
            model({"text": "Nothing – 什么都没有。"}),
            told({"text": "Thanks!"}),
        ],
        {"parts": [{"text": "Be brief."}]},
        [model({"text": "Any time."})],
    ),
    (
        "signed calls without ids",
        [
            told({"text": "Look on shelf three and four."}),
            model(call(3, signed=True)),
            told(response("a jar")),
            model({"text": "And the other."}, call(4, signed=True)),
            told(response("nothing")),
            model({"text": "A jar on three."}, {"text": "", "thoughtSignature": SIGNATURE}),
            told({"text": "And five?"}),
        ],
        {"parts": [{"text": "Use tools."}], "role": "user"},
        [model({"text": "Hm.", "thought": True}, call(5, signed=True))],
    ),
    (
        "parallel calls with ids",
        [
            told({"text": "Look everywhere."}),
            model(call(1, id="a", signed=True), call(2, id="b")),
            told(response("a cup", id="a"), response("a jar", id="b")),
        ],
        None,
        [model({"text": "A cup and a jar."})],
    ),
    (
        "snake case and media",
        [
            told(
                {"text": "What is this?"},
                {"inline_data": {"mime_type": "image/png", "data": PNG}},
                {"file_data": {"file_uri": "https://example.org/a.mp4", "mime_type": "video/mp4"}},
            ),
            model({"function_call": {"name": "look", "args": {}}, "thought_signature": SIGNATURE}),
            told({"function_response": {"name": "look", "response": {"error": "gone"}}}),
        ],
        None,
        [model({"text": "It is gone."})],
    ),
]


def item(kind: str, **more: Any) -> dict[str, Any]:
    """An item of the Responses API."""
    return {"type": kind, **more}


def spoken(text: str, **more: Any) -> dict[str, Any]:
    """An answer's message item."""
    content = [item("output_text", text=text, annotations=[], logprobs=[])]
    return item("message", role="assistant", content=content, **{"status": "completed", **more})


def asked(call_id: str, arguments: str = '{"shelf": 3}', **more: Any) -> dict[str, Any]:
    """A function_call item."""
    return item("function_call", call_id=call_id, name="look", arguments=arguments, **more)


def output(call_id: str, said: Any = "a jar") -> dict[str, Any]:
    """A function_call_output item."""
    return item("function_call_output", call_id=call_id, output=said)


def reasoned(name: str, text: str = "Hm.") -> dict[str, Any]:
    """A reasoning item with encrypted content."""
    summary = [item("summary_text", text=text)]
    return item("reasoning", id=name, summary=summary, encrypted_content="Z0FBQQ==")


RESPONSES: list[Session] = [
    ("a bare question", "What stands on the shelf?", "Be brief.", [spoken("A jar.", id="msg_0")]),
    (
        "several turns",
        [
            {"role": "system", "content": "Be brief."},
            user("What stands on the shelf?"),
            said("A jar."),
            user([item("input_text", text="And beside it?")]),
            spoken("Nothing – 什么都没有。", id="msg_1"),
            user("Thanks!"),
        ],
        None,
        [spoken("Any time.", id="msg_2")],
    ),
    (
        "reasoning kept with its items",
        [
            user("Look on shelf three and four."),
            reasoned("rs_1"),
            asked("call_1", id="fc_1", status="completed"),
            output("call_1"),
            reasoned("rs_2"),
            spoken("And the other.", id="msg_1"),
            asked("call_2", '{"shelf":4,"at":1.0}', id="fc_2", status="completed"),
            output("call_2", [item("input_text", text="nothing")]),
            spoken("A jar on three.", id="msg_2"),
            user("And five?"),
        ],
        "Use tools.",
        [reasoned("rs_3"), asked("call_3", id="fc_3", status="completed")],
    ),
    (
        "parallel calls without item ids",
        [
            user("Look everywhere."),
            item("reasoning", summary=[], encrypted_content="Z0FBQQ=="),
            asked("call_a"),
            asked("call_b", "{}"),
            output("call_b", "a cup"),
            output("call_a"),
        ],
        None,
        [spoken("A jar and a cup.", id="msg_1")],
    ),
    (
        "media and a server's tool",
        [
            user(
                [
                    item("input_text", text="What is this?"),
                    item("input_image", image_url=PICTURE, detail="auto"),
                    item("input_file", filename="list.pdf", file_data=f"data:application/pdf;base64,{PDF}"),
                ]
            ),
            item("web_search_call", id="ws_1", status="completed", action=item("search", query="jars")),
            spoken("A shelf.", id="msg_1"),
            user("Sure?"),
        ],
        None,
        [spoken("Quite.", id="msg_2", phase="final_answer")],
    ),
]

MISTRAL: list[Session] = [
    ("one question", [user("What stands on the shelf?")], None, [said("A jar.", tool_calls=None)]),
    (
        "several turns with a system prompt",
        [
            {"role": "system", "content": "Be brief."},
            user("What stands on the shelf?"),
            said("A jar."),
            user([block("text", text="And beside it?"), block("image_url", image_url=PICTURE)]),
            said("Nothing – 什么都没有。"),
            user("Thanks!"),
        ],
        None,
        [said("Any time.")],
    ),
    (
        "calls, one and two at once",
        [
            user("Look on shelf three, four and five."),
            said("", tool_calls=[look("abcdefgh1")]),
            result("abcdefgh1", name="look"),
            said("And the others.", tool_calls=[look("abcdefgh2"), look("abcdefgh3", '{"shelf": 5}')]),
            result("abcdefgh2", "a cup", name="look"),
            result("abcdefgh3", "nothing", name="look"),
            said("A jar and a cup."),
            user("And six?"),
        ],
        None,
        [said("", tool_calls=[look("abcdefgh4", '{"shelf": 6}')])],
    ),
    (
        "thinking",
        [
            user("Look."),
            said(
                [
                    block("thinking", thinking=[block("text", text="I cannot look.")]),
                    block("text", text="I cannot."),
                ]
            ),
            user("Why?"),
        ],
        None,
        [said("I have no eyes.")],
    ),
]


def toolu(call_id: str, **shelf: Any) -> dict[str, Any]:
    """A toolUse block."""
    return {"toolUse": {"toolUseId": call_id, "name": "look", "input": shelf}}


def tooled(call_id: str, *content: Any, **more: Any) -> dict[str, Any]:
    """A toolResult block."""
    return {"toolResult": {"toolUseId": call_id, "content": list(content), **more}}


BEDROCK: list[Session] = [
    ("one question", [user([{"text": "What stands on the shelf?"}])], None, [said([{"text": "A jar."}])]),
    (
        "several turns with a system prompt",
        [
            user([{"text": "What stands on the shelf?"}]),
            said([{"text": "A jar."}]),
            user([{"text": "And this?"}, {"image": {"format": "png", "source": {"bytes": PNG}}}]),
            said([{"text": "Nothing – 什么都没有。"}]),
            user([{"text": "Thanks!"}]),
        ],
        [{"text": "Be brief."}],
        [said([{"text": "Any time."}])],
    ),
    (
        "thinking and calls, two at once",
        [
            user([{"text": "Look on shelf three, four and five."}]),
            said(
                [
                    {"reasoningContent": {"reasoningText": {"text": "I should look.", "signature": SIGNATURE}}},
                    {"text": "Looking."},
                    toolu("tooluse_1", shelf=3),
                ]
            ),
            user([tooled("tooluse_1", {"text": "a jar"}, status="success")]),
            said([toolu("tooluse_2", shelf=4), toolu("tooluse_3", shelf=5)]),
            user(
                [
                    tooled("tooluse_2", {"json": {"found": "a cup"}}),
                    tooled("tooluse_3", {"text": "no such shelf"}, status="error"),
                    {"text": "Is any of them full?"},
                ]
            ),
            said([{"text": "The cup is."}]),
            user([{"text": "And six?"}]),
        ],
        [{"text": "Use tools."}],
        [said([toolu("tooluse_4", shelf=6)])],
    ),
]

SESSIONS: dict[str, list[Session]] = {
    "anthropic": ANTHROPIC,
    "bedrock": BEDROCK,
    "google": GOOGLE,
    "mistral": MISTRAL,
    "openai_chat": CHAT,
    "openai_responses": RESPONSES,
}

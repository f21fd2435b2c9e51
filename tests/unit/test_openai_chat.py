"""openai_chat: what is read into typed parts, what foreign messages become, and what is refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from palaver import formats
from palaver.codec import decode, encode
from palaver.errors import InvalidMessage, UnsupportedFormat
from palaver.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Opaque,
    Sender,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    assistant,
    system,
    tool,
    user,
)

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def parse(*messages: Any) -> list[Message]:
    """The messages of an openai_chat payload."""
    return formats.parse("openai_chat", list(messages))


def render(*messages: Message, repair: bool = True) -> list[Any]:
    """The payload, where nothing had to be repaired or left out."""
    rendered = formats.render("openai_chat", messages, repair=repair)
    assert rendered.repairs == ()
    payload: list[Any] = rendered.messages
    return payload


def repaired(*messages: Message) -> tuple[list[Any], list[str]]:
    """The payload and the kinds of its repairs."""
    rendered = formats.render("openai_chat", messages)
    return rendered.messages, [repair.kind for repair in rendered.repairs]


class Sdk:
    """What an SDK returns: an object that knows its fields and which of them were set."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def model_dump(self, *, exclude_unset: bool = False) -> dict[str, Any]:
        """The fields that were set; all of them otherwise."""
        return self.fields if exclude_unset else {**self.fields, "unset": None}


# -- reading


def test_the_parts_of_an_answer_are_typed() -> None:
    """Reasoning, text and calls become parts, in this order; what has no field is kept as JSON text."""
    (message,) = parse(
        {"role": "assistant", "content": "Hi", "reasoning_content": "Hm", "tool_calls": [CALL], "annotations": []}
    )
    assert message.parts == (
        ThinkingPart(text="Hm"),
        TextPart(text="Hi"),
        ToolCall(call_id="c1", name="look", arguments="{}"),
    )
    assert (message.wire, message.extra) == ("openai_chat", '{"annotations":[]}')


def test_a_result_keeps_its_call_id_and_name() -> None:
    """A tool message is a message with one result."""
    (message,) = parse({"role": "tool", "tool_call_id": "c1", "name": "look", "content": "a jar"})
    assert message.role == "tool"
    assert message.parts == (ToolResult(call_id="c1", name="look", parts=(TextPart(text="a jar"),)),)


def test_media_are_typed() -> None:
    """Data URLs are taken apart into media type and base64; file names and ids have their fields."""
    (message,) = parse(
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
            ],
        }
    )
    assert message.parts == (
        ImagePart(media_type="image/png", data="AA=="),
        AudioPart(media_type="audio/mpeg", data="AA=="),
        FilePart(media_type="application/pdf", data="AA==", name="a.pdf"),
    )


def test_pasted_json_stays_text() -> None:
    """Text that looks like a list of parts is text."""
    (message,) = parse({"role": "user", "content": '[{"type":"text","text":"x"}]'})
    assert message.parts == (TextPart(text='[{"type":"text","text":"x"}]'),)


@pytest.mark.parametrize(
    "content",
    [None, "", " ", "x", [], [{"type": "text", "text": ""}], [{"type": "new", "x": [1.0, 1, True]}], ["x"], 3],
)
@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool", "function"])
def test_every_spelling_of_content_comes_back(role: str, content: Any) -> None:
    """Null, empty, text, lists and unknown parts are kept apart, in every role, also through the store."""
    raw = {"role": role, "content": content, "name": "n", "tool_call_id": "t"}
    for payload in (raw, {k: v for k, v in raw.items() if k != "content"}, {"role": role, "content": content}):
        again = render(*(decode(encode(m)) for m in parse(payload)), repair=False)
        assert json.dumps(again, sort_keys=True) == json.dumps([payload], sort_keys=True)


def test_what_has_no_reading_is_kept_whole_until_it_is_edited() -> None:
    """An odd message comes back as it was; once its parts are changed, what they say counts."""
    odd = {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": {"a": 1}}}], "x": 1}
    (message,) = parse(odd)
    assert message.tool_calls == (ToolCall(name="look", arguments='{"a":1}'),)
    assert render(message, repair=False) == [odd]
    edited = message.replace(parts=(TextPart(text="new"),))
    assert render(edited) == [{"role": "assistant", "content": "new"}]


def test_an_edit_of_an_ordinary_message_keeps_its_other_keys() -> None:
    """New text in a parsed message is rendered, with the keys that came beside the old."""
    (message,) = parse({"role": "assistant", "content": None, "refusal": None, "tool_calls": [CALL]})
    edited = message.replace(parts=(TextPart(text="new"),))
    assert render(edited) == [{"role": "assistant", "content": "new", "refusal": None}]


def test_an_sdk_object_is_read_by_what_was_set() -> None:
    """A response's message object is accepted, alone, in a list, and inside a dict."""
    call = Sdk(**CALL)
    message = Sdk(role="assistant", content=None, tool_calls=[call])
    expected = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    assert render(*formats.parse("openai_chat", message), repair=False) == [expected]
    assert render(*parse(message, {**expected, "tool_calls": [call]}), repair=False) == [expected, expected]


def test_a_system_prompt_given_apart_comes_first() -> None:
    """This wire has it among the messages."""
    messages = formats.parse("openai_chat", [{"role": "user", "content": "Hi"}], system="Be brief.")
    rendered = formats.render("openai_chat", messages)
    assert rendered.messages == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert rendered.system is None


def test_rendering_shares_nothing_with_the_messages() -> None:
    """Changing a payload changes neither the messages nor the next payload."""
    payload = [
        {"role": "user", "content": [{"type": "new", "x": []}]},
        {"role": "assistant", "content": "x", "audio": {"id": 3}},
    ]
    messages = parse(*copy.deepcopy(payload))
    first = render(*messages)
    first[0]["content"][0]["x"].append(1)
    first[1]["audio"]["id"] = 4
    assert render(*messages) == payload


# -- refusing


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("Hi", r"messages\[1\] is a str"),
        (None, r"messages\[1\] is a NoneType"),
        ({"content": "x"}, r"messages\[1\] has no role"),
        ({"role": "model", "content": "x"}, r"messages\[1\] has the role 'model'.*assistant"),
        ({"role": ["user"]}, r"messages\[1\] has the role"),
        ({"role": "user", "content": "\ud83d"}, r"messages\[1\]\.content holds a lone surrogate"),
        ({"role": "user", "content": "x", "\ud83d": 1}, r"messages\[1\].* holds a lone surrogate"),
        ({"role": "user", "content": [{"x": float("nan")}]}, r"messages\[1\]\.content\[0\]\.x is nan"),
        ({"role": "user", "content": "x", "n": float("inf")}, r"messages\[1\]\.n is inf"),
        ({"role": "user", "content": "x", 1: 2}, r"messages\[1\] has the key 1"),
        ({"role": "user", "content": b"x"}, r"messages\[1\]\.content is a bytes"),
    ],
)
def test_what_is_no_message_is_refused(bad: Any, said: str) -> None:
    """The error names the message and the place in it."""
    with pytest.raises(InvalidMessage, match=said):
        parse({"role": "user", "content": "x"}, bad)


def test_deep_nesting_is_refused() -> None:
    """Nesting that the codec could not read back is an InvalidMessage, not a RecursionError."""
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidMessage, match=r"messages\[0\].* nested deeper"):
        parse({"role": "user", "content": deep})


def test_messages_that_are_no_list_are_refused() -> None:
    """A bare string is not a list of messages."""
    with pytest.raises(InvalidMessage, match="messages is a str"):
        formats.parse("openai_chat", "Hi")


@pytest.mark.parametrize("use", [lambda: formats.parse("smoke", []), lambda: formats.render("smoke", [])])
def test_an_unknown_wire_is_refused(use: Any) -> None:
    """The error lists the wires that are known."""
    with pytest.raises(UnsupportedFormat, match=r"'smoke'.*openai_chat"):
        use()


# -- messages of our own, or of another wire


def test_messages_of_our_own() -> None:
    """Constructors give the plain spelling: text as a string, one message per result, no sender."""
    messages = (
        system("Be brief."),
        user("What stands there?", sender=Sender(id="7", name="Ann")),
        assistant(
            None, ToolCall(call_id="a", name="look", arguments='{"shelf":3}'), ToolCall(call_id="b", name="look")
        ),
        Message(
            role="tool",
            parts=(
                ToolResult(call_id="a", name="look", parts=(TextPart(text="a jar"), TextPart(text="a cup"))),
                ToolResult(call_id="b"),
            ),
        ),
        assistant("A jar."),
    )
    call = {"type": "function", "function": {"name": "look", "arguments": '{"shelf":3}'}}
    other = {"type": "function", "function": {"name": "look", "arguments": "{}"}}
    assert render(*messages) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What stands there?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", **call}, {"id": "b", **other}]},
        {"role": "tool", "tool_call_id": "a", "content": "a jar\na cup"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "assistant", "content": "A jar."},
    ]


def test_media_in_a_user_message() -> None:
    """Images, audio and files have their parts; texts stay apart."""
    message = user(
        [
            "See:",
            ImagePart(url="https://example.org/a.png"),
            ImagePart(media_type="image/png", data="AA=="),
            AudioPart(media_type="audio/wav", data="AA=="),
            FilePart(media_type="application/pdf", data="AA==", name="a.pdf"),
            FilePart(file_id="file-1"),
        ]
    )
    assert render(message)[0]["content"] == [
        {"type": "text", "text": "See:"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]


@pytest.mark.parametrize("wire", [None, "anthropic", "openai_chat"])
def test_media_that_cannot_be_shown_leave_a_breadcrumb(wire: str | None) -> None:
    """Bytes that were not loaded become a line that names them, and that is listed."""
    message = user([TextPart(text="See:"), ImagePart(blob="00ff", name="a.png")], wire=wire)
    payload, kinds = repaired(message)
    assert payload[0]["content"][1] == {"type": "text", "text": "[image: a.png]"}
    assert kinds == ["media_left_out"]


def test_results_are_text_and_their_media_are_listed() -> None:
    """This wire takes text as a result; an image leaves its breadcrumb."""
    payload, kinds = repaired(
        assistant(None, ToolCall(call_id="a", name="shot")),
        tool("a", ["Done.", ImagePart(url="https://example.org/a.png")]),
    )
    assert payload[1]["content"] == "Done.\n[image: https://example.org/a.png]"
    assert kinds == ["media_left_out"]


def test_reasoning_and_opaque_parts_of_another_wire_are_listed() -> None:
    """What means nothing here is left out and named; nothing is left of a message that had nothing else."""
    thinking = ThinkingPart(text="Hm", signature="c2ln")
    opaque = Opaque(wire="anthropic", data='{"type":"server_tool_use"}')
    payload, kinds = repaired(
        assistant([thinking, "Hi", opaque], wire="anthropic"), assistant([thinking], wire="anthropic")
    )
    assert payload == [{"role": "assistant", "content": "Hi"}]
    assert kinds == ["thinking_left_out", "opaque_left_out", "thinking_left_out", "message_left_out"]


def test_keys_of_another_wire_do_not_come_along() -> None:
    """`extra` and `layout` are read by the wire that wrote them only."""
    part = TextPart(text="Hi", extra='{"cache_control":{"type":"ephemeral"}}')
    message = user([part], wire="anthropic", layout="list absent", extra='{"id":"msg_1"}')
    assert render(message) == [{"role": "user", "content": "Hi"}]


def test_responses_that_came_in_pieces_are_one_message() -> None:
    """Calls of one response stand in one message here, as their results have to follow all of them."""
    first = assistant("Let me see.", ToolCall(call_id="a", name="f"), wire="openai_responses")
    second = assistant(None, ToolCall(call_id="b", name="f"), wire="openai_responses", joins=True)
    payload = render(first, second, tool("a", "1"), tool("b", "2"))
    assert [m["role"] for m in payload] == ["assistant", "tool", "tool"]
    assert [call["id"] for call in payload[0]["tool_calls"]] == ["a", "b"]


# -- call ids and names


def test_long_call_ids_are_shortened_alike_in_call_and_result() -> None:
    """The same id becomes the same id in every payload, and the result follows its call."""
    long = "x" * 100
    messages = (assistant(None, ToolCall(call_id=long, name="f")), tool(long, "1"))
    payload, kinds = repaired(*messages)
    wire_id = payload[0]["tool_calls"][0]["id"]
    assert len(wire_id) <= 64
    assert payload[1]["tool_call_id"] == wire_id
    assert kinds == ["call_id_shortened"]
    assert repaired(user("Hi"), *messages)[0][1]["tool_calls"][0]["id"] == wire_id


def test_a_long_id_that_a_look_alike_gave_is_shortened_for_its_result_too() -> None:
    """OpenAI refuses it, whoever gave it; without repairs it stays."""
    long = "x" * 100
    (reply,) = parse({"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": long}]})
    payload, kinds = repaired(reply, tool(long, "1"))
    assert payload[0]["tool_calls"][0]["id"] == payload[1]["tool_call_id"] != long
    assert kinds == ["call_id_shortened"]
    assert render(reply, tool(long, "1"), repair=False)[1]["tool_call_id"] == long


@pytest.mark.parametrize("native", [True, False])
def test_ids_that_occur_twice_in_a_message_are_made_unique(native: bool) -> None:
    """Each result goes to its own call, in order; the same id in a later message stays."""
    if native:
        (calls,) = parse({"role": "assistant", "content": None, "tool_calls": [CALL, CALL]})
    else:
        calls = assistant(None, ToolCall(call_id="c1", name="look"), ToolCall(call_id="c1", name="look"))
    payload, kinds = repaired(
        calls, tool("c1", "1"), tool("c1", "2"), assistant(None, ToolCall(call_id="c1", name="look")), tool("c1", "3")
    )
    ids = [call["id"] for call in payload[0]["tool_calls"]]
    assert len(set(ids)) == 2
    assert [(m["tool_call_id"], m["content"]) for m in payload[1:3]] == [(ids[0], "1"), (ids[1], "2")]
    assert payload[3]["tool_calls"][0]["id"] == payload[4]["tool_call_id"] == "c1"
    assert kinds == ["call_id_made_unique", "call_id_made_unique"]
    again = formats.render("openai_chat", [calls, tool("c1", "1")], repair=False)
    assert [call["id"] for call in again.messages[0]["tool_calls"]] == ["c1", "c1"]


def test_calls_without_ids_get_one_and_pair_by_name_and_order() -> None:
    """Google's calls often have no id; what is made up stays the same wherever the window begins."""
    calls = assistant(None, *(ToolCall(name=name) for name in "fgf"), wire="google", seq=7)
    results = Message(role="tool", parts=tuple(ToolResult(name=name) for name in "gff"), wire="google", seq=8)
    payload, kinds = repaired(user("Hi"), calls, results)
    ids = [call["id"] for call in payload[1]["tool_calls"]]
    assert len(set(ids)) == 3
    assert [m["tool_call_id"] for m in payload[2:]] == [ids[1], ids[0], ids[2]]
    assert kinds == ["call_id_made"] * 3
    assert repaired(calls, results)[0] == payload[1:]


def test_a_call_that_came_without_an_id_gets_one() -> None:
    """Unless nothing is to be repaired: call and result have to agree."""
    raw = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": CALL["function"]}]}
    (reply,) = parse(raw)
    assert render(reply, repair=False) == [raw]
    payload, kinds = repaired(reply, tool("", "1"))
    assert payload[0]["tool_calls"][0]["id"] == payload[1]["tool_call_id"] != ""
    assert kinds == ["call_id_made"]


def test_a_result_of_our_own_answers_a_legacy_function_call() -> None:
    """It is spelled as the wire spelled the call: by name, without an id."""
    (reply,) = parse({"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}})
    assert render(reply, tool("", "a jar"))[1] == {"role": "function", "name": "look", "content": "a jar"}


def test_a_result_that_names_no_call_is_listed() -> None:
    """There is no way to spell it, with repairs or without."""
    payload, kinds = repaired(user("Hi"), tool("", "1"))
    assert (payload, kinds) == ([{"role": "user", "content": "Hi"}], ["message_left_out"])
    rendered = formats.render("openai_chat", [user("Hi"), tool("", "1")], repair=False)
    assert rendered.messages == [{"role": "user", "content": "Hi"}]
    assert [repair.kind for repair in rendered.repairs] == ["result_left_out"]


@pytest.mark.parametrize(
    ("name", "kind"), [("", "name_missing"), ("a.b:c d", "name_changed"), ("n" * 65, "name_changed")]
)
def test_function_names_are_made_acceptable(name: str, kind: str) -> None:
    """OpenAI takes letters, digits, _ and -, at most 64."""
    payload, kinds = repaired(assistant(None, ToolCall(call_id="a", name=name), wire="google"), tool("a", "1"))
    found = payload[0]["tool_calls"][0]["function"]["name"]
    assert found.replace("_", "").replace("-", "").isalnum()
    assert len(found) <= 64
    assert kinds == [kind]


def test_a_participant_name_that_is_refused_is_listed() -> None:
    """OpenAI refuses spaces in `name`."""
    assert render(user("Hi", name="ann"))[0]["name"] == "ann"
    payload, kinds = repaired(user("Hi", name="Ann Lee"))
    assert (payload, kinds) == ([{"role": "user", "content": "Hi"}], ["name_left_out"])


def test_a_repair_says_where() -> None:
    """Position in the session where it is known, and in the list."""
    rendered = formats.render("openai_chat", [user("Hi"), tool("", "1", seq=12)])
    (repair,) = rendered.repairs
    assert repair.seq == 12
    assert "messages[1]" in repair.detail

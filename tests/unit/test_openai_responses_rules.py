"""openai_responses: what is refused, by rule, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from palaver import formats
from palaver.exchanges import INTERRUPTED
from palaver.model import Opaque, TextPart, ThinkingPart, assistant, tool, user

WIRE = "openai_responses"
ASK = {"role": "user", "content": "What stands on the shelf?"}
SECRET = {"encrypted_content": "zz"}


def thought(item_id: str | None = "rs_1", **keys: Any) -> dict[str, Any]:
    """A reasoning item."""
    named = {} if item_id is None else {"id": item_id}
    return {"type": "reasoning", **named, "summary": [], **keys}


def call(call_id: Any = "call_1", **keys: Any) -> dict[str, Any]:
    """A function call."""
    return {"type": "function_call", "call_id": call_id, "name": "look", "arguments": "{}", **keys}


def output(call_id: Any = "call_1", **keys: Any) -> dict[str, Any]:
    """Its output."""
    return {"type": "function_call_output", "call_id": call_id, "output": "a jar", **keys}


def said(text: str = "A jar.", **keys: Any) -> dict[str, Any]:
    """A message of a response."""
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}], **keys}


def rules(items: Any, system: Any = None) -> list[str]:
    """The rules that an input breaks."""
    return [violation.rule for violation in formats.check(WIRE, items, system=system)]


def repaired(items: Any) -> tuple[list[Any], list[str]]:
    """The input after parsing and rendering, and the kinds of its repairs. It breaks no rule."""
    rendered = formats.render(WIRE, formats.parse(WIRE, items))
    assert formats.check(WIRE, rendered.messages, system=rendered.system) == []
    return rendered.messages, [repair.kind for repair in rendered.repairs]


LONG = "x" * 65
HYPHEN = "rs_" + "0123-" * 16

BROKEN: list[tuple[str, list[str], list[Any], list[Any], list[str]]] = [
    (
        "OR3: reasoning whose answer lost its id keeps its encrypted content without an id",
        ["OR3"],
        [ASK, thought(**SECRET), said()],
        [ASK, thought(None, **SECRET), said()],
        ["item_id_left_out"],
    ),
    (
        "OR3: reasoning that only the server could know is left out",
        ["OR3"],
        [ASK, thought(), call(), output()],
        [ASK, call(), output()],
        ["thinking_left_out"],
    ),
    (
        "OR3: reasoning that nothing follows",
        ["OR3", "OR3"],
        [ASK, thought("rs_1", **SECRET), thought("rs_2", **SECRET)],
        [ASK],
        ["thinking_left_out"] * 2,
    ),
    (
        "OR3: reasoning before a message of the user",
        ["OR3"],
        [ASK, thought(**SECRET), ASK],
        [ASK, ASK],
        ["thinking_left_out"],
    ),
    (
        "OR3: reasoning before an output",
        ["OR3"],
        [ASK, call(id="fc_1"), thought(**SECRET), output()],
        [ASK, call(id="fc_1"), output()],
        ["thinking_left_out"],
    ),
    (
        "OR3b: a call without an output",
        ["OR3b"],
        [ASK, thought(), call(id="fc_1"), ASK],
        [ASK, thought(), call(id="fc_1"), output(output=INTERRUPTED), ASK],
        ["interrupted"],
    ),
    (
        "OR3b: a custom call without an output",
        ["OR3b"],
        [{"type": "custom_tool_call", "call_id": "a", "name": "sh", "input": "ls"}],
        [
            {"type": "custom_tool_call", "call_id": "a", "name": "sh", "input": "ls"},
            {"type": "custom_tool_call_output", "call_id": "a", "output": INTERRUPTED},
        ],
        ["interrupted"],
    ),
    ("OR4: an output without a call", ["OR4"], [ASK, output(), ASK], [ASK, ASK], ["message_left_out"]),
    (
        "OR4: an output before its call",
        ["OR4"],
        [output(), call()],
        [call(), output(output=INTERRUPTED)],
        ["message_left_out", "interrupted"],
    ),
    ("OR5: no content", ["OR5"], [ASK, {"role": "user", "content": None}], [ASK], ["message_left_out"]),
    ("OR5: empty content", ["OR5"], [ASK, {"role": "user", "content": []}], [ASK], ["message_left_out"]),
    (
        "OR5: an input text in an answer",
        ["OR5"],
        [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}],
        [{"role": "assistant", "content": "x"}],
        ["text_changed"],
    ),
    (
        "OR5: an answer's text, and an image of Chat Completions, in a question",
        ["OR5", "OR5"],
        [
            {
                "role": "user",
                "content": [{"type": "output_text", "text": "x"}, {"type": "image_url", "image_url": {"url": "u"}}],
            }
        ],
        [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}],
        ["text_changed", "part_left_out"],
    ),
    (
        "OR5: an image that is nowhere, in an output",
        ["OR5"],
        [call(), output(output=[{"type": "input_image"}])],
        [call(), output(output="")],
        ["part_left_out"],
    ),
    (
        "OR6: reasoning without a summary",
        ["OR6"],
        [{"type": "reasoning", "encrypted_content": "zz"}, said()],
        [thought(None, **SECRET), said()],
        ["thinking_changed"],
    ),
    (
        "OR6: arguments and output that are no text",
        ["OR6", "OR6"],
        [call(arguments={"shelf": 3}), output(output={"found": 1})],
        [call(arguments='{"shelf":3}'), output(output='{"found":1}')],
        ["arguments_changed", "text_changed"],
    ),
    (
        "OR6: a call and an output without a call id",
        ["OR6", "OR6"],
        [call(None), output(None)],
        [call("call_m0_0"), output("call_m0_0")],
        ["call_id_made"],
    ),
    (
        "OR7: the same items twice",
        ["OR7", "OR7"],
        [thought(**SECRET), said(id="msg_1"), ASK, thought(**SECRET), said(id="msg_1")],
        [thought(**SECRET), said(id="msg_1"), ASK, thought(None, **SECRET), said()],
        ["item_id_left_out"] * 2,
    ),
    (
        "OR7: reasoning that has nothing but its id, twice",
        ["OR7", "OR7"],
        [thought(), said(id="msg_1"), ASK, thought(), said(id="msg_1")],
        [thought(), said(id="msg_1"), ASK, said()],
        ["thinking_left_out", "item_id_left_out"],
    ),
    (
        "OR7: reasoning twice, before a call without an id",
        ["OR3", "OR7", "OR3"],
        [thought(**SECRET), thought(**SECRET), call(), output()],
        [thought(None, **SECRET), thought(None, **SECRET), call(), output()],
        ["item_id_left_out"] * 2,
    ),
    (
        "OR5: an output of nothing but what it cannot hold",
        ["OR5", "OR5"],
        [call(), output(output=[3, {"type": "input_image"}])],
        [call(), output(output="")],
        ["part_left_out"] * 2,
    ),
    (
        "OR7: a search twice, which means nothing without its id",
        ["OR7"],
        [{"type": "web_search_call", "id": "ws_1"}, said(), ASK, {"type": "web_search_call", "id": "ws_1"}, said()],
        [{"type": "web_search_call", "id": "ws_1"}, said(), ASK, said()],
        ["opaque_left_out"],
    ),
    (
        "OR7: a call id twice",
        ["OR7", "OR7"],
        [call(), output(), ASK, call(), output()],
        [call(), output(), ASK, call("call_1_2"), output("call_1_2")],
        ["call_id_made_unique"],
    ),
    (
        "OR7: two outputs for one call",
        ["OR7"],
        [call(), output(), output(output="a cup")],
        [call(), output()],
        ["message_left_out"],
    ),
    (
        "OR8: an id that is not the item's, with the reasoning before it",
        ["OR8"],
        [thought(**SECRET), call(id="call_1"), output()],
        [thought(None, **SECRET), call(), output()],
        ["item_id_left_out"] * 2,
    ),
    ("OR8: an id that is no text", ["OR8"], [said(id=3)], [said()], ["item_id_left_out"]),
    ("OR9: an item id that is too long", ["OR9"], [said(id="msg_" + LONG)], [said()], ["item_id_left_out"]),
    (
        "OR10: a name of other characters, and none",
        ["OR10", "OR10"],
        [call("a", name="a.b:c"), output("a"), call("b", name=""), output("b")],
        [call("a", name="a_b_c"), output("a"), call("b", name="unknown"), output("b")],
        ["name_changed", "name_missing"],
    ),
    (
        "OR11: text between calls and their outputs",
        ["OR11"],
        [thought("rs-a"), call("a"), said("One."), call("b"), output("a"), output("b")],
        [said("One."), thought("rs-a"), call("a"), call("b"), output("a"), output("b")],
        ["moved"],
    ),
    (
        "OR11: reasoning in the open between calls",
        ["OR11"],
        [thought("rs-a"), call("a"), thought("rs-b"), call("b"), output("a"), output("b")],
        [thought("rs-a"), thought("rs-b"), call("a"), call("b"), output("a"), output("b")],
        ["moved"],
    ),
    (
        "OR11: an answer takes along the reasoning that it came from",
        ["OR11"],
        [call("a"), thought(), said(id="msg_1"), output("a")],
        [thought(), said(id="msg_1"), call("a"), output("a")],
        ["moved"],
    ),
]


@pytest.mark.parametrize("case", BROKEN, ids=[case[0] for case in BROKEN])
def test_what_is_refused_is_found_and_mended(case: Any) -> None:
    """Each rule finds its history; rendering changes no more than it has to, and lists it."""
    _, broken, items, mended, kinds = case
    assert rules(items) == broken
    assert repaired(items) == (mended, kinds)


def test_long_call_ids_are_found_and_mended() -> None:
    """OR9: call and output get the same shorter id."""
    items = [call(LONG), output(LONG)]
    assert rules(items) == ["OR9", "OR9"]
    payload, kinds = repaired(items)
    assert payload[0]["call_id"] == payload[1]["call_id"] != LONG
    assert kinds == ["call_id_shortened"]


@pytest.mark.parametrize(
    "items",
    [
        [ASK, thought(), call(id="fc_1"), output()],
        [ASK, thought(), thought("rs_2"), {"type": "web_search_call", "id": "ws_1"}, thought("rs_3"), said(id="msg_1")],
        [ASK, thought(None, **SECRET), call(), output()],
        [ASK, thought("0123-4567"), call(), output()],
        [ASK, thought(HYPHEN, **SECRET), thought(HYPHEN, **SECRET), {"role": "assistant", "content": "x"}],
        [ASK, thought(), call("a", id="fc_1"), thought("rs_2"), said(id="msg_1"), output("a")],
        [ASK, call("a", id="fc_0123-4567_0"), said(id="msg_0123-4567"), output("a")],
        [ASK, thought(None, **SECRET), call("a"), thought(None, **SECRET), call("b"), output("a"), output("b")],
        [ASK, {"type": "tool_search_call", "call_id": "a", "arguments": {}, "execution": "client"}, output("a")],
        [ASK, {"type": "tool_search_call", "arguments": {}, "execution": "server"}, said()],
        [ASK, {"type": "function_call_output", "name": "clock", "output": "noon"}],
        [ASK, {"type": "item_reference", "id": "fc_1"}, output()],
        [{"type": "shell_call", "call_id": "a", "action": {}, "environment": {"type": "container_reference"}}, said()],
        [{"role": "user", "content": ""}, {"role": "user", "content": [{"type": "input_of_tomorrow"}]}],
        [{"type": "message", "id": "msg_1", "role": "assistant", "content": []}],
        [{"type": "of_tomorrow"}],
    ],
)
def test_what_a_provider_takes_breaks_no_rule(items: list[Any]) -> None:
    """Ids with hyphens are those of xAI and DeepSeek, which take what OpenAI refuses.

    Items of OpenAI's keep their order, and what is not known yet is let through.
    """
    assert rules(items) == []


@pytest.mark.parametrize("item", ["x", 3, None, [], {}, {"content": "x"}, {"type": 3}])
def test_garbage_is_a_violation(item: Any) -> None:
    """It is no item at all."""
    assert rules([ASK, item])[0] == "OR6"


@pytest.mark.parametrize("role", ["tool", None, 3, ["user"]])
def test_a_role_that_is_none_is_a_violation(role: Any) -> None:
    """OR5: roles are those of the API."""
    assert rules([{"role": role, "content": "x"}]) == ["OR5"]


def test_instructions_are_text() -> None:
    """Those of a prompt template are items; a request has to say them in front of its input."""
    items = [{"role": "developer", "content": "Be brief."}]
    assert rules([ASK], system=items) == ["OR6"]
    messages = formats.parse(WIRE, [ASK], system=items)
    assert formats.render(WIRE, messages, repair=False).system == items
    rendered = formats.render(WIRE, messages)
    assert (rendered.system, rendered.messages) == (None, [*items, ASK])
    assert [repair.kind for repair in rendered.repairs] == ["moved"]


def test_violations_come_in_order_and_say_where() -> None:
    """The provider's own words, the place, and what to do."""
    found = formats.check(WIRE, [call(id="call_1"), output("call_2"), {"role": "user", "content": None}])
    assert [violation.where for violation in found] == [
        "messages[0].id",
        "messages[0]",
        "messages[1].call_id",
        "messages[2].content",
    ]
    assert found[0].says == "Invalid 'input[0].id': 'call_1'. Expected an ID that begins with 'fc'."
    assert found[1].says == "No tool output found for function call call_1."
    assert found[2].says == "No tool call found for function call output with call_id call_2."
    assert all(violation.remedy for violation in found)


def test_a_repair_says_where() -> None:
    """Position in the session where it is known, and in the list."""
    messages = formats.parse(WIRE, [ASK, thought(), said()])
    (repair,) = formats.render(WIRE, [m.replace(seq=i + 7) for i, m in enumerate(messages)]).repairs
    assert repair.seq == 8
    assert repair.detail.startswith("messages[1]: ")


def test_payloads_that_were_sent_on_their_own_lose_their_outputs() -> None:
    """An output whose call only the server has (previous_response_id) looks like an orphan: send it without repairs."""
    items = [output()]
    assert rules(items) == ["OR4"]
    messages = formats.parse(WIRE, items)
    assert formats.render(WIRE, messages).messages == [{"role": "user", "content": "Continue."}]
    assert formats.render(WIRE, messages, repair=False).messages == items


def test_a_result_of_a_session_finds_its_call() -> None:
    """The same payload, appended to a session that has the call, is paired."""
    before = formats.parse(WIRE, [ASK, thought(), call(id="fc_1")])
    delta = formats.parse(WIRE, [output()])
    rendered = formats.render(WIRE, [*before, *delta])
    assert rendered.repairs == ()
    assert rendered.messages == [ASK, thought(), call(id="fc_1"), output()]


def test_opaque_parts_that_are_no_items_are_left_out() -> None:
    """Whatever another hand put there."""
    parts = [Opaque(wire=WIRE, data=data) for data in ("3", "no json", '{"type":"function_call"}', "[]")]
    rendered = formats.render(WIRE, [user("Hi"), assistant([*parts, "Hi"], wire=WIRE)])
    assert rendered.messages == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi"}]
    assert sorted(repair.kind for repair in rendered.repairs) == ["opaque_left_out"] * 3 + ["part_left_out"]


def test_reasoning_of_this_wire_that_was_made_by_hand() -> None:
    """With encrypted content it can be sent; without, it is left out and listed."""
    message = assistant([ThinkingPart(redacted="zz"), ThinkingPart(text="Hm"), "Hi"], wire=WIRE)
    rendered = formats.render(WIRE, [message])
    assert rendered.messages == [thought(None, **SECRET), {"role": "assistant", "content": "Hi"}]
    assert [repair.kind for repair in rendered.repairs] == ["thinking_left_out"]


def test_results_in_odd_places_are_listed() -> None:
    """A tool message says results and nothing else."""
    message = tool("a", "1").replace(parts=(*tool("a", "1").parts, TextPart(text="x")))
    (reply,) = formats.parse(WIRE, [call("a")])
    rendered = formats.render(WIRE, [reply, message])
    assert "part_left_out" in [repair.kind for repair in rendered.repairs] or rendered.messages[1]["output"] == "1"

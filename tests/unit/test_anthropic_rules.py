"""anthropic: each rule is found by check, and mended by render as locally as it can be."""

from __future__ import annotations

from typing import Any

import pytest

from palaver import formats

CALL = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "seen"}
THOUGHT = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
MARK = {"cache_control": {"type": "ephemeral"}}


def text(words: str, **more: Any) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": words, **more}


def user(*blocks: Any) -> dict[str, Any]:
    """A message of the user: a string, or blocks."""
    return {"role": "user", "content": blocks[0] if blocks and isinstance(blocks[0], str) else list(blocks)}


def model(*blocks: Any) -> dict[str, Any]:
    """A message of the assistant: a string, or blocks."""
    return {"role": "assistant", "content": blocks[0] if blocks and isinstance(blocks[0], str) else list(blocks)}


HI, YES, GO = user("Hi"), model("Yes?"), user("Go.")
CALLED, SEEN = model(CALL), user(RESULT)

# rule, the history that breaks it, where, and the history that is sent instead
BROKEN: list[tuple[str, list[Any], str, list[Any]]] = [
    ("AN1", [HI, YES, user(text("a"), 3)], "messages[2].content[1]", [HI, YES, user(text("a"))]),
    ("AN1", [HI, {"role": "assistant", "content": 3}, GO], "messages[1]", [HI, GO]),
    ("AN1", [user({"type": "text"}, text("a"))], "messages[0].content[0]", [user(text("a"))]),
    ("AN2", [{"role": "system", "content": "s"}, HI], "messages[0].role", [HI]),
    (
        "AN2",
        [HI, YES, {"role": "system", "content": "s"}, GO],
        "messages[2].role",
        [HI, YES, user("s"), GO],
    ),
    (
        "AN2",
        [HI, {"role": "system", "content": [text("s"), {"type": "image", "source": {}}]}],
        "messages[1].content[1]",
        [HI, {"role": "system", "content": [text("s")]}],
    ),
    ("AN4", [HI, YES, user(""), GO], "messages[2]", [HI, YES, GO]),
    ("AN4", [HI, model(), GO], "messages[1]", [HI, GO]),
    (
        "AN5",
        [HI, CALLED, GO],
        "messages[1].content[0]",
        [
            HI,
            CALLED,
            user(
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": "Interrupted: this tool call was cut off, and whether it took effect is not known.",
                    "is_error": True,
                }
            ),
            GO,
        ],
    ),
    ("AN5", [HI, YES, user(CALL, text("a"))], "messages[2].content[0]", [HI, YES, user(text("a"))]),
    ("AN5b", [HI, YES, user(RESULT, text("a"))], "messages[2].content[0]", [HI, YES, user(text("a"))]),
    ("AN5b", [HI, user(RESULT, text("a"))], "messages[1].content[0]", [HI, user(text("a"))]),
    ("AN5b", [HI, model(RESULT, text("a"))], "messages[1].content[0]", [HI, model(text("a"))]),
    ("AN6", [user(text("a"), text(""))], "messages[0].content[1]", [user(text("a"))]),
    ("AN6", [user(text("a"), text("\n"))], "messages[0].content[1]", [user(text("a"))]),
    ("AN6", [HI, YES, user(" "), GO], "messages[2]", [HI, YES, GO]),
    ("AN6", [HI, model(text(" "), text("\n")), GO], "messages[1].content[0]", [HI, GO]),
    (
        "AN6",
        [HI, CALLED, user({**RESULT, "content": [text(""), text("b")]})],
        "messages[2].content[0].content[0]",
        [HI, CALLED, user({**RESULT, "content": [text("b")]})],
    ),
    ("AN7", [HI, model("The answer is ")], "messages[1]", [HI, model("The answer is")]),
    ("AN7", [HI, model(text("a"), text("b\n"))], "messages[1].content[1]", [HI, model(text("a"), text("b"))]),
    ("AN8", [HI, CALLED, user(text("b"), RESULT)], "messages[2].content[1]", [HI, CALLED, SEEN, user(text("b"))]),
    ("AN8", [HI, CALLED, GO, SEEN], "messages[3].content[0]", [HI, CALLED, SEEN, GO]),
    ("AN9", [HI, CALLED, SEEN, SEEN], "messages[3].content[0]", [HI, CALLED, SEEN]),
    ("AN9", [HI, CALLED, user(RESULT, RESULT)], "messages[2].content[1]", [HI, CALLED, SEEN]),
    (
        "AN12",
        [HI, CALLED, user({**RESULT, "content": [CALL, text("b")]})],
        "messages[2].content[0].content[0]",
        [HI, CALLED, user({**RESULT, "content": [text("b")]})],
    ),
    (
        "AN12",
        [HI, CALLED, user({**RESULT, "content": "", "is_error": True})],
        "messages[2].content[0].content",
        [HI, CALLED, user({**RESULT, "content": "The tool failed and said nothing.", "is_error": True})],
    ),
    (
        "AN13",
        [HI, model({"type": "thinking", "thinking": "Hm"}, text("a")), GO],
        "messages[1].content[0].signature",
        [HI, model(text("a")), GO],
    ),
    (
        "AN13",
        [HI, model({**THOUGHT, "signature": ""}, text("a")), GO],
        "messages[1].content[0].signature",
        [HI, model(text("a")), GO],
    ),
    (
        "AN13",
        [HI, model({"type": "redacted_thinking", "data": ""}, text("a")), GO],
        "messages[1].content[0].data",
        [HI, model(text("a")), GO],
    ),
    ("AN13", [user(THOUGHT, text("a"))], "messages[0].content[0].signature", [user(text("a"))]),
    ("AN14", [HI, model(text("a"), THOUGHT), GO], "messages[1].content[1]", [HI, model(text("a")), GO]),
    ("AN14", [HI, model(THOUGHT), GO], "messages[1].content[0]", [HI, GO]),
    (
        "AN15",
        [user(*(text(words, **MARK) for words in "abcde"))],
        "messages[0].content[0].cache_control",
        [user(text("a"), *(text(words, **MARK) for words in "bcde"))],
    ),
    (
        "AN15",
        [HI, model({**THOUGHT, **MARK}, text("a"))],
        "messages[1].content[0].cache_control",
        [HI, model(THOUGHT, text("a"))],
    ),
    ("AN16", [HI, model(FOUND, text("a"))], "messages[1].content[0]", [HI, model(text("a"))]),
    ("AN17", [HI, model(SEARCH, text("a")), GO], "messages[1].content[0]", [HI, model(text("a")), GO]),
    (
        "AN17",
        [HI, model(SEARCH, CALL), SEEN, YES, GO],
        "messages[1].content[0]",
        [HI, model(CALL), SEEN, YES, GO],
    ),
    (
        "AN10",
        [HI, model({**SEARCH, "id": "toolu_1"}, text("a")), GO],
        "messages[1].content[0].id",
        [HI, model(text("a")), GO],
    ),
    (
        "AN11",
        [HI, model({**CALL, "input": "x"}), SEEN],
        "messages[1].content[0].input",
        [HI, model({**CALL, "input": {"INVALID_JSON": '"x"'}}), SEEN],
    ),
    (
        "AN11",
        [HI, model({**CALL, "name": ""}), SEEN],
        "messages[1].content[0].name",
        [HI, model({**CALL, "name": "unknown"}), SEEN],
    ),
]


@pytest.mark.parametrize(("rule", "history", "where", "sent"), BROKEN)
def test_a_broken_rule_is_found_and_mended(rule: str, history: list[Any], where: str, sent: list[Any]) -> None:
    """Check names the rule and the place; render sends a history that breaks none, and lists what it did."""
    found = formats.check("anthropic", history)
    assert (rule, where) in [(each.rule, each.where) for each in found]
    assert all(each.says and each.remedy for each in found)
    rendered = formats.render("anthropic", formats.parse("anthropic", history))
    assert rendered.messages == sent
    assert rendered.repairs
    assert formats.check("anthropic", rendered.messages, system=rendered.system) == []


@pytest.mark.parametrize("history", [[HI, CALLED, user(RESULT, RESULT)]])
def test_findings_are_in_the_order_of_the_payload(history: list[Any]) -> None:
    """Whatever the order is in which the rules look."""
    broken = [user(text("")), *history, user(text(" "))]
    places = [each.where for each in formats.check("anthropic", broken)]
    assert places == sorted(places)


def test_ids_are_mended_on_both_sides() -> None:
    """AN9 and AN10: a call's new id is its result's too, and the payload says what it was."""
    history = [HI, model({**CALL, "id": "a!"}), user({**RESULT, "tool_use_id": "a!"})]
    assert [each.rule for each in formats.check("anthropic", history)] == ["AN10", "AN5b"]
    rendered = formats.render("anthropic", formats.parse("anthropic", history))
    assert formats.check("anthropic", rendered.messages) == []
    used = rendered.messages[1]["content"][0]["id"]
    assert rendered.messages[2]["content"][0]["tool_use_id"] == used
    assert rendered.call_ids == {used: "a!"}
    twice = [HI, model(CALL, CALL), user(RESULT, RESULT)]
    assert [each.rule for each in formats.check("anthropic", twice)] == ["AN9", "AN9"]
    rendered = formats.render("anthropic", formats.parse("anthropic", twice))
    assert [block["id"] for block in rendered.messages[1]["content"]] == ["a", "a_2"]


def test_the_system_prompt_is_mended() -> None:
    """Empty text, blocks that are no text, and marks beyond the fourth."""
    prompt = [*(text(words, **MARK) for words in "abcde"), text(""), {"type": "image"}]
    assert [each.rule for each in formats.check("anthropic", [HI], system=prompt)] == ["AN6", "AN1", "AN15"]
    rendered = formats.render("anthropic", formats.parse("anthropic", [HI], system=prompt))
    assert rendered.system == [text("a"), *(text(words, **MARK) for words in "bcde")]
    assert formats.check("anthropic", [HI], system=rendered.system) == []


def test_marks_of_the_prompt_stay_and_the_newest_of_the_messages() -> None:
    """AN15: old marks in a long conversation are what is given up."""
    history = [user(text(words, **MARK)) for words in "abcde"]
    rendered = formats.render("anthropic", formats.parse("anthropic", history, system=[text("s", **MARK)]))
    assert rendered.system == [text("s", **MARK)]
    assert rendered.messages == [user(text("a")), user(text("b")), *history[2:]]
    assert {repair.kind for repair in rendered.repairs} == {"cache_mark_left_out"}


LEGAL: list[list[Any]] = [
    [YES, HI],
    [HI, model("```python")],
    [HI, model(SEARCH, FOUND, text("a"), text(" "), text("b")), GO],
    [HI, model(SEARCH, CALL), SEEN],
    [HI, model(SEARCH, CALL), SEEN, model(FOUND, text("a")), GO],
    [
        HI,
        model(SEARCH, CALL),
        SEEN,
        model({**CALL, "id": "b"}),
        user({**RESULT, "tool_use_id": "b"}),
        model(FOUND, CALL),
        SEEN,
    ],
    [HI, model(text("a"), SEARCH)],
    [HI, CALLED, SEEN, CALLED, SEEN],
    [HI, model(CALL, text("b")), user(RESULT, text("c"))],
    [HI, CALLED, model(text("b")), SEEN, user("c")],
    [HI, model({**THOUGHT, "thinking": ""}, CALL), SEEN],
    [HI, model({"type": "new", "x": 1}), user({"type": "newer"})],
    [HI, CALLED, user({**RESULT, "content": [{"type": "newer"}]})],
    [HI, model(CALL, {**CALL, "id": "b"}), SEEN, user({**RESULT, "tool_use_id": "b"}), GO],
    [HI, {"role": "system", "content": "s"}, {"role": "system", "content": "t"}, YES],
]


@pytest.mark.parametrize("history", LEGAL)
def test_what_is_accepted_is_not_changed(history: list[Any]) -> None:
    """Folklore is no rule: histories that begin or end with the assistant, messages of one role in a row, and so on."""
    assert formats.check("anthropic", history) == []
    rendered = formats.render("anthropic", formats.parse("anthropic", history))
    assert (rendered.messages, rendered.repairs) == (history, ())


def test_thinking_of_the_last_turn_stays_where_it_is() -> None:
    """AN18 and AN19 cannot be seen in a payload; a repair beside it leaves thinking in place and in order."""
    later = {**THOUGHT, "signature": "bGF0ZXI="}
    history = [HI, model(THOUGHT, text(""), later, CALL), user(text("b"), RESULT)]
    rendered = formats.render("anthropic", formats.parse("anthropic", history))
    assert rendered.messages[1] == model(THOUGHT, later, CALL)

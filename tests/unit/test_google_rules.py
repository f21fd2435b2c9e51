"""google: each rule is found in a payload that breaks it, and mended where it is broken."""

from __future__ import annotations

from typing import Any

import pytest

from palaver import formats
from palaver.exchanges import INTERRUPTED
from palaver.formats.google.mending import PLACEHOLDER
from palaver.formats.wire import CONTINUE
from palaver.model import Message, TextPart

HI = {"role": "user", "parts": [{"text": "Hi"}]}
SO = {"role": "model", "parts": [{"text": "So."}]}


def call(name: Any = "look", args: Any = None, **beside: Any) -> dict[str, Any]:
    """A content that calls."""
    inner = {"name": name, "args": {} if args is None else args, **beside}
    return {"role": "model", "parts": [{"functionCall": inner}]}


def answer(name: Any = "look", response: Any = None, **beside: Any) -> dict[str, Any]:
    """A content that answers."""
    inner = {"name": name, "response": {"output": "x"} if response is None else response, **beside}
    return {"role": "user", "parts": [{"functionResponse": inner}]}


def says(*parts: Any, role: str = "user") -> dict[str, Any]:
    """A content."""
    return {"role": role, "parts": list(parts)}


GONE = answer(response={"error": INTERRUPTED})
MORE = {"role": "user", "parts": [{"text": CONTINUE}]}
SIGNED = {"thoughtSignature": PLACEHOLDER}

# Rule, a payload that breaks it, what it becomes, and the kinds of changes that are listed.
BROKEN: list[tuple[str, list[Any], list[Any], list[str]]] = [
    ("GG1", [], [MORE], ["user_added"]),
    ("GG2", [HI, {"role": "user", "parts": []}], [HI], ["message_left_out"]),
    ("GG2", [HI, {"role": "user"}, SO, HI], [HI, SO, HI], ["message_left_out"]),
    ("GG3", [{"role": "tool", "parts": [{"text": "Hi"}]}], [HI], ["role_changed"]),
    ("GG4", [says({"text": "Hi"}, {})], [HI], ["part_left_out"]),
    ("GG4", [says({"text": "Hi"}, {"thought": True})], [HI], ["part_left_out"]),
    ("GG4", [says({"text": "Hi"}, 3, {"text": 3})], [HI], ["part_left_out", "part_left_out"]),
    ("GG4", [says("Hi")], [HI], ["text_changed"]),
    (
        "GG4",
        [says({"text": "Hi", "fileData": {"fileUri": "gs://a"}})],
        [says({"text": "Hi"}, {"fileData": {"fileUri": "gs://a"}})],
        ["split"],
    ),
    ("GG4", [HI, SO, says({"text": ""})], [HI, SO], ["message_left_out"]),
    ("GG4", [HI, says({"text": "", "thought": True}, role="model"), HI], [HI, HI], ["message_left_out"]),
    ("GG4", [says({"text": ""})], [MORE], ["message_left_out", "user_added"]),
    ("GG4", [says({"text": ""}), call(), answer()], [MORE, call(), answer()], ["message_left_out", "user_added"]),
    ("GG5", [call(), answer()], [MORE, call(), answer()], ["user_added"]),
    ("GG5", [SO, call(), answer()], [MORE, SO, call(), answer()], ["user_added"]),
    ("GG5", [says({"text": "Hi"}, *call()["parts"])], [HI], ["part_left_out"]),
    ("GG6", [HI, SO, answer()], [HI, SO], ["message_left_out"]),
    ("GG6", [HI, call(), HI, answer()], [HI, call(), answer(), HI], ["moved"]),
    ("GG6", [HI, says({"text": "So."}, *answer()["parts"], role="model")], [HI, SO], ["part_left_out"]),
    ("GG7", [HI, call()], [HI, call(), GONE], ["interrupted"]),
    ("GG7", [HI, call(), HI], [HI, call(), GONE, HI], ["interrupted"]),
    ("GG7", [HI, call(), answer(), answer()], [HI, call(), answer()], ["message_left_out"]),
    (
        "GG7",
        [HI, says(*call()["parts"], *call("sing")["parts"], role="model"), answer("sing")],
        [
            HI,
            says(*call()["parts"], *call("sing")["parts"], role="model"),
            answer("sing"),
            GONE,
        ],
        ["interrupted"],
    ),
    (
        "GG7",
        [
            HI,
            says(*call()["parts"], *call("sing")["parts"], role="model"),
            {**answer(), "role": "function"},
            {**answer("sing"), "role": "function"},
        ],
        [
            HI,
            says(*call()["parts"], *call("sing")["parts"], role="model"),
            says(*answer()["parts"], *answer("sing")["parts"], role="function"),
        ],
        ["moved"],
    ),
    ("GG8", [HI, call(id="a"), answer("sing", id="a")], [HI, call(id="a"), answer(id="a")], ["name_changed"]),
    ("GG9", [HI, call(""), answer("")], [HI, call("unknown"), answer("unknown")], ["name_missing", "name_missing"]),
    ("GG9", [HI, call(args=[1]), answer()], [HI, call(args={"arguments": [1]}), answer()], ["arguments_changed"]),
    ("GG9", [HI, call(), answer(response=[1])], [HI, call(), answer(response={"output": [1]})], ["text_changed"]),
    ("GG10", [SO], [SO, MORE], ["user_added"]),
    (
        "GG11",
        [HI, says({**call()["parts"][0], "thoughtSignature": "no base64!"}, role="model"), answer()],
        [HI, says({**call()["parts"][0], **SIGNED}, role="model"), answer()],
        ["signature_made"],
    ),
    (
        "GG11",
        [HI, says({"text": "So.", "thought_signature": 3}, role="model")],
        [HI, SO],
        ["thinking_changed"],
    ),
]


@pytest.mark.parametrize(("rule", "payload", "mended", "kinds"), BROKEN)
def test_a_broken_rule_is_found_and_mended(rule: str, payload: list[Any], mended: list[Any], kinds: list[str]) -> None:
    """`check` names it, with the service's words; `render` mends it there and nowhere else, and says so."""
    found = formats.check("google", payload)
    assert rule in {violation.rule for violation in found}
    assert all(violation.says and violation.remedy and violation.where for violation in found)
    rendered = formats.render("google", formats.parse("google", payload))
    assert rendered.messages == mended
    assert [repair.kind for repair in rendered.repairs] == kinds
    assert formats.check("google", rendered.messages) == []


def test_an_empty_text_that_is_left_alone_is_left_out() -> None:
    """A result that answers nothing goes, and with it the content whose only other part is an empty text."""
    payload = [HI, SO, says(*answer()["parts"], {"text": ""}), SO]
    rendered = formats.render("google", formats.parse("google", payload))
    assert rendered.messages == [HI, SO, SO]
    assert formats.render("google", [Message(role="user", parts=(TextPart(text=""),))]).messages == [MORE]


def test_every_rule_has_its_case() -> None:
    """GG1 to GG11."""
    assert {rule for rule, *_ in BROKEN} == {f"GG{number}" for number in range(1, 12)}


@pytest.mark.parametrize("garbage", [[3], [None], [[]], [{"role": {}, "parts": {}}], [{"role": 3, "parts": [[]]}]])
def test_check_takes_garbage(garbage: list[Any]) -> None:
    """What is no content at all is a violation."""
    assert formats.check("google", garbage)
    assert {violation.where for violation in formats.check("google", [HI], system=3)} == {"system"}
    assert {violation.where for violation in formats.check("google", [HI], system={"parts": 3})} == {"system.parts"}


@pytest.mark.parametrize(
    "payload",
    [
        [HI, {**HI, "role": None}, {"parts": [{"text": "?"}]}],
        [HI, SO],
        [SO, HI],
        [
            HI,
            says({"text": "Hm", "thought": True}, {"thoughtSignature": "c2ln"}, *call()["parts"], role="model"),
            answer(),
        ],
        [HI, call(id="a"), answer()],
        [HI, call(), answer(id="a")],
        [HI, says(*call(id="a")["parts"], *call()["parts"], role="model"), answer(), answer()],
        [HI, says({"newKind": 1}, role="model"), HI],
        [HI, call(), says(*answer()["parts"], {"text": "So?"})],
        [HI, says({"text": ""}, {"text": "Hi"}), SO],
        [says({"text": ""}, {"text": ""})],
        [HI, says({"text": "", "thoughtSignature": "c2ln"}, role="model"), HI],
    ],
)
def test_what_the_service_takes_is_no_violation(payload: list[Any]) -> None:
    """Missing signatures are no violation either: only some models ask for them."""
    assert formats.check("google", payload) == []
    assert formats.render("google", formats.parse("google", payload)).messages == payload

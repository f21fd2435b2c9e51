"""The work of reading, rendering and checking grows with the number of messages, and not with its square.

Work is counted in calls of functions, Python's and built-in ones, which is the same on every machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from palaver import formats
from palaver.model import ImagePart, Message, Part, TextPart, ThinkingPart, ToolCall, ToolResult

FEW, MANY = 60, 240
"""Four times as many calls may cost four times the work, and a little more."""


def said(text: str) -> Message:
    """A message of the user."""
    return Message(role="user", parts=(TextPart(text=text),))


def spoken(*parts: Part) -> Message:
    """A message of the model."""
    return Message(role="assistant", parts=parts)


def call(call_id: str) -> ToolCall:
    """A call."""
    return ToolCall(call_id=call_id, name="look", arguments="{}")


def answer(call_id: str, name: str = "look") -> ToolResult:
    """A result."""
    return ToolResult(call_id=call_id, name=name, parts=(TextPart(text="a jar"),))


def told(call_id: str, name: str = "look") -> Message:
    """A result in a message of its own."""
    return Message(role="tool", parts=(answer(call_id, name),))


def ids(count: int) -> list[str]:
    """Ids, each another one."""
    return [f"call_{number}" for number in range(count)]


def at_once(count: int, *results: Message) -> list[Message]:
    """One message with many calls, and these results."""
    return [said("Look"), spoken(*map(call, ids(count))), *results]


def joined(messages: list[Message]) -> list[Message]:
    """The messages, all but the first joining the one before."""
    return [message.replace(joins=number > 0) for number, message in enumerate(messages)]


def shown(call_id: str) -> Message:
    """A result with an image in it."""
    image = ImagePart(data="iVBORw0KGgo=", media_type="image/png")
    return Message(role="tool", parts=(ToolResult(call_id=call_id, name="look", parts=(image,)),))


SHAPES: dict[str, Callable[[int], list[Message]]] = {
    "in order": lambda n: at_once(n, *map(told, ids(n))),
    "reversed": lambda n: at_once(n, *map(told, reversed(ids(n)))),
    "in one message": lambda n: at_once(n, Message(role="tool", parts=tuple(map(answer, reversed(ids(n)))))),
    "one id": lambda n: [said("Look"), spoken(*[call("a")] * n), *[told("a")] * n],
    "one long id": lambda n: [said("Look"), spoken(*[call("a" * 99)] * n), *[told("a" * 99)] * n],
    "no ids": lambda n: [said("Look"), spoken(*[call("")] * n), *[told("")] * n],
    "ids on one side": lambda n: at_once(n, *[told("")] * n),
    "unknown ids": lambda n: at_once(n, *[told(f"other_{number}") for number in range(n)]),
    "other names": lambda n: at_once(n, *[told(each, f"name_{each}") for each in reversed(ids(n))]),
    "images": lambda n: at_once(n, *map(shown, ids(n))),
    "the user between": lambda n: at_once(n, *[each for i in ids(n) for each in (said("Well"), told(i))]),
    "unanswered": lambda n: at_once(n, said("Well?")),
    "orphans": lambda n: [said("Look"), *map(told, ids(n))],
    "calls, then results": lambda n: [said("Look"), *[spoken(call(each)) for each in ids(n)], *map(told, ids(n))],
    "one id in every turn": lambda n: [each for _ in range(n) for each in (said("Look"), spoken(call("a")), told("a"))],
    "joined texts": lambda n: [said("Hi"), *joined([spoken(TextPart(text="x"))] * n)],
    "joined users": lambda n: joined([said("x")] * n),
    "joined calls": lambda n: [
        said("Look"),
        *joined([spoken(call(each)) for each in ids(n)]),
        *joined(list(map(told, ids(n)))),
    ],
    "empty": lambda n: [each for _ in range(n) for each in (said(""), spoken(), Message(role="tool"))],
    "reasoning": lambda n: [each for _ in range(n) for each in (said("Hi"), spoken(ThinkingPart(text="x")))],
}


def work(wire: str, messages: list[Message]) -> dict[str, int]:
    """How many calls it takes to render the messages, check the payload, read it and mend it."""
    counts: dict[str, int] = {}

    def counted(step: str, run: Callable[[], Any]) -> Any:
        count = 0

        def profile(_frame: object, event: str, _value: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            return run()
        finally:
            sys.setprofile(before)
            counts[step] = count

    counted("repair", lambda: formats.render(wire, messages))
    sent = counted("render", lambda: formats.render(wire, messages, repair=False))
    counted("check", lambda: formats.check(wire, sent.messages, system=sent.system))
    read = counted("parse", lambda: formats.parse(wire, sent.messages, system=sent.system))
    counted("mend", lambda: formats.render(wire, read))
    return counts


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wire", formats.wires())
def test_work_grows_with_the_messages(wire: str, shape: str) -> None:
    """Four times the messages, at most five times the work, whatever their shape."""
    work(wire, SHAPES[shape](2))  # what is made once is made here
    few, many = work(wire, SHAPES[shape](FEW)), work(wire, SHAPES[shape](MANY))
    grown = {step: round(many[step] / few[step], 1) for step in few if many[step] > 5 * few[step] + 500}
    assert not grown


@pytest.mark.parametrize("shape", ["in order", "reversed", "one id", "no ids", "joined texts", "joined calls"])
def test_thousands_of_results_are_rendered(shape: str) -> None:
    """Within the time of a test: this took minutes when each result looked through all calls again."""
    messages = SHAPES[shape](4_000)
    rendered = formats.render("google", messages)
    assert formats.check("google", rendered.messages) == []
    assert formats.render("google", formats.parse("google", rendered.messages)).messages == rendered.messages

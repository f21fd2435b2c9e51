"""Messages and their parts: the constructors, what is frozen, and what may be asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from palaver.model import (
    FilePart,
    ImagePart,
    Message,
    Opaque,
    Sender,
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

if TYPE_CHECKING:
    from collections.abc import Callable

CALL = ToolCall(name="read", call_id="c1", arguments='{"path": "a"}')
PARTS = [
    TextPart(text="hi"),
    ImagePart(url="https://example.org/cat.png"),
    FilePart(name="a.pdf", data="aGk="),
    ThinkingPart(text="hm", signature="c2ln"),
    CALL,
    ToolResult(call_id="c1", parts=(TextPart(text="done"),)),
    Opaque(wire="google", data="{}"),
]


def test_text_becomes_one_part() -> None:
    """A constructor that is given text makes one text part of it."""
    assert user("hi").parts == (TextPart(text="hi"),)


def test_text_that_looks_like_json_stays_text() -> None:
    """Kind is never guessed: a person's pasted JSON is text."""
    pasted = '{"kind":"tool_call","name":"rm"}'
    assert user(pasted).parts == (TextPart(text=pasted),)


def test_text_and_parts_mix_in_order() -> None:
    """A list may hold text and parts, and keeps their order."""
    image = ImagePart(file_id="f1")
    assert user(["look:", image, "?"]).parts == (TextPart(text="look:"), image, TextPart(text="?"))


@pytest.mark.parametrize("make", [user, assistant, system])
def test_nothing_empty_and_text_are_three_things(make: Callable[..., Message]) -> None:
    """No content, empty text, an empty list and a space are told apart, but for no content and no parts."""
    assert make(None).parts == ()
    assert make([]).parts == ()
    assert make("").parts == (TextPart(text=""),)
    assert make(" ").parts == (TextPart(text=" "),)


def test_user_takes_a_sender_by_name() -> None:
    """A sender given as text is a sender of that name, without an id."""
    assert user("hi", sender="Ada").sender == Sender(name="Ada")
    assert user("hi", sender=Sender(id="7")).sender == Sender(id="7")


def test_roles_of_the_constructors() -> None:
    """Each constructor gives its own role."""
    made = [user("a"), assistant("a"), tool("c1", "a"), system("a")]
    assert [m.role for m in made] == ["user", "assistant", "tool", "system"]


def test_assistant_puts_its_calls_after_what_it_says() -> None:
    """Tool calls follow the content, in the order they were given."""
    other = ToolCall(name="write", call_id="c2")
    message = assistant("one moment", CALL, other)
    assert message.parts == (TextPart(text="one moment"), CALL, other)
    assert message.tool_calls == (CALL, other)


def test_assistant_may_only_call() -> None:
    """A message that only asks for tools has no text part."""
    assert assistant(None, CALL).parts == (CALL,)


def test_tool_wraps_its_content_in_a_result() -> None:
    """A tool message holds one result, with the call's id, the tool's name and whether it failed."""
    message = tool("c1", "no such file", name="read", is_error=True, id="r1")
    result = ToolResult(call_id="c1", name="read", parts=(TextPart(text="no such file"),), is_error=True)
    assert message.parts == (result,)
    assert message.tool_results == (result,)
    assert message.id == "r1"


def test_not_said_not_failed_and_failed_are_three_things() -> None:
    """Whether a result is an error may be unknown, which is not the same as no error."""
    said = [tool("c", "x", is_error=flag).tool_results[0].is_error for flag in (None, False, True)]
    assert said == [None, False, True]


def test_text_joins_what_was_written_and_what_tools_answered() -> None:
    """All text of a message, that of results included; reasoning, media and calls are left out."""
    message = Message(
        role="assistant",
        parts=(ThinkingPart(text="hm"), TextPart(text="a"), ImagePart(name="b"), CALL, TextPart(text="c")),
    )
    assert message.text == "ac"
    assert tool("c1", ["x", ImagePart(name="y"), "z"]).text == "xz"


def test_further_fields_are_those_of_message() -> None:
    """The constructors pass on every field of a message, and refuse others."""
    assert user("hi", flags=("hidden",), metadata={"a": 1}).metadata == {"a": 1}
    with pytest.raises(TypeError):
        user("hi", color="red")


@pytest.mark.parametrize("value", [*PARTS, Sender(id="7"), Usage(input_tokens=1), user("hi")], ids=repr)
def test_values_are_frozen(value: Any) -> None:
    """No field of a message, a part, a sender or a usage can be set."""
    field = msgspec.structs.fields(value)[0].name
    with pytest.raises(AttributeError):
        setattr(value, field, None)


@pytest.mark.parametrize("part", [*PARTS, Sender(id="7"), Usage(input_tokens=1)], ids=repr)
def test_parts_are_hashable_and_equal_by_content(part: Any) -> None:
    """Equal parts are one entry of a set."""
    twin = msgspec.structs.replace(part)
    assert twin is not part
    assert {part, twin} == {part}


def test_messages_do_not_share_their_metadata() -> None:
    """The empty default is each message's own: one that is filled does not show in another."""
    one, other = user("a"), user("b")
    one.metadata["seen"] = True
    assert other.metadata == {}
    assert user("c").metadata == {}


def test_replace_leaves_the_original() -> None:
    """`replace` gives a changed copy."""
    message = user("hi", id="m1")
    copy = message.replace(seq=4)
    assert (message.seq, copy.seq, copy.id) == (0, 4, "m1")
    with pytest.raises(TypeError):
        message.replace(color="red")


def test_a_message_is_unstored_until_a_store_gave_it_a_position() -> None:
    """A new message has position 0, no time and no id."""
    message = user("hi")
    assert (message.seq, message.created_at, message.id) == (0, None, None)

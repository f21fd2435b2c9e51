"""Token estimates: by script, by kind of part, and what was counted as it was counted."""

from __future__ import annotations

import pytest

from palaver.model import (
    AudioPart,
    ImagePart,
    Message,
    Opaque,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    assistant,
    tool,
    user,
)
from palaver.tokens import estimate_tokens, text_tokens, tools_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("abcd", 1),
        ("abcde", 2),
        ("你好世界", 4),
        ("你好 abc", 3),
        ("привет", 3),
        ("안녕", 2),
        ("é", 1),
        ("नमस्ते", 3),
        ("مرحبا", 2),
        ("👍", 3),
        ("1234567890", 7),
        ("\ud800", 1),
    ],
)
def test_text_is_estimated_by_script(text: str, tokens: int) -> None:
    """A Latin letter is a quarter of a token, a Cyrillic one two fifths, a Chinese character nearly a whole one."""
    assert text_tokens(text) == tokens


@pytest.mark.parametrize(
    ("dear", "cheap"),
    [
        ("3f9a0c77b1e24d58" * 40, "the lamps along the pier "),
        ("QmFzZTY0IGlzIG5vdCBwcm9zZQ==" * 30, "the lamps along the pier "),
        ('{"id": 17, "ok": true}, ' * 30, "the lamps along the pier "),
        ("今天的天气很好，我们去公园散步吧。" * 30, "Вчера вечером к нам зашла соседка. "),
        ("Вчера вечером к нам зашла соседка " * 30, "the lamps along the pier "),
    ],
)
def test_some_texts_are_dearer_than_others(dear: str, cheap: str) -> None:
    """What a tokenizer has few words for takes more tokens at the same length."""
    cheap = (cheap * (len(dear) // len(cheap) + 1))[: len(dear)]
    assert text_tokens(dear) > 1.3 * text_tokens(cheap)


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        (user("q", tokens=77), 77),
        (user("abcd"), 5),
        (user(["abcd", ImagePart()]), 1005),
        (assistant(None, ToolCall(name="read", arguments='{"a":1}')), 4 + 4 + 1 + 5),
        (tool("a", ["abcd", AudioPart()]), 4 + 1 + 1000),
        (Message(role="tool", parts=(ToolResult(),)), 4),
        (assistant(ThinkingPart(text="abcd", signature="x" * 400)), 4 + 1),
        (assistant(ThinkingPart(text="", signature="x" * 400)), 4 + 75),
        (assistant(ThinkingPart(redacted="x" * 400)), 4 + 75),
        (assistant(Opaque(wire="google", data="{}")), 4 + 2),
        (assistant(Opaque(wire="google", data='{"b64":"' + "A" * 90_000 + '"}')), 4 + 1000 + 7),
    ],
)
def test_messages_are_estimated_by_their_parts(message: Message, tokens: int) -> None:
    """A count wins; else text by script, media by a constant, and a little for each message and call.

    What encrypts reasoning, and what a server tool drew, is no text, however much base64 it is.
    """
    assert estimate_tokens(message) == tokens


TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a place, now and for the next three days.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}


def test_tool_definitions_have_a_size() -> None:
    """None are nothing; each one adds to it; Anthropic's instructions for tools are counted where they are sent."""
    assert tools_tokens([]) == 0
    one, two = tools_tokens([TOOL]), tools_tokens([TOOL, TOOL])
    assert 40 < one < 100
    assert one < two < 2 * one
    assert tools_tokens([TOOL], "anthropic") == one + 334


def test_every_json_value_in_a_tool_is_counted() -> None:
    """Numbers, truth values and lists too; null is nothing."""
    plain = tools_tokens([{"name": "f"}])
    assert tools_tokens([{"name": "f", "enum": [1, True, "abcd", None]}]) == plain + 1 + 1 + 1 + 1 + 1


def test_text_of_a_part_inside_a_result_counts_as_text() -> None:
    """A result's texts are looked at, however short: tools write data."""
    digits = "0123456789" * 10
    assert estimate_tokens(tool("a", digits)) > estimate_tokens(user(digits))
    assert estimate_tokens(tool("a", TextPart(text=digits))) == 4 + text_tokens(digits)

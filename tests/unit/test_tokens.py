"""Token estimates: by script, by kind of part, and what was counted as it was counted."""

from __future__ import annotations

import pytest

from palaver.model import (
    AudioPart,
    ImagePart,
    Message,
    Opaque,
    ThinkingPart,
    ToolCall,
    ToolResult,
    assistant,
    tool,
    user,
)
from palaver.tokens import estimate_tokens, text_tokens


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
    ],
)
def test_text_is_estimated_by_script(text: str, tokens: int) -> None:
    """Four Latin characters to a token, one Chinese, Japanese or Korean one, two of other scripts."""
    assert text_tokens(text) == tokens


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        (user("q", tokens=77), 77),
        (user("abcd"), 5),
        (user(["abcd", ImagePart()]), 1005),
        (assistant(None, ToolCall(name="read", arguments='{"a":1}')), 4 + 4 + 1 + 2),
        (tool("a", ["abcd", AudioPart()]), 4 + 1 + 1000),
        (Message(role="tool", parts=(ToolResult(),)), 4),
        (assistant(ThinkingPart(text="abcd", signature="x" * 40)), 4 + 1 + 10),
        (assistant(Opaque(wire="google", data="{}")), 5),
    ],
)
def test_messages_are_estimated_by_their_parts(message: Message, tokens: int) -> None:
    """A count wins; else text by script, media by a constant, and a little for each message and call."""
    assert estimate_tokens(message) == tokens

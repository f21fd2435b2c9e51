"""What a tool answered: the `response` object of a functionResponse, as text and back.

Google asks for an object, "output" for what a function gave and "error" for what went wrong
(`FunctionResponse` in google-genai 3.4). Text goes under those keys and comes from under them; an object
of any other shape is its compact JSON text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palaver.errors import InvalidMessage
from palaver.formats.google.keys import compact, loaded
from palaver.formats.wire import is_array, is_object

__all__ = ["KEYS", "read_response", "spell_response"]

KEYS = frozenset({"output", "error", "result", "return_value", "content"})
"""Keys under which a single text is the answer itself: Google's two, and those that frameworks write."""


def read_response(response: Any) -> tuple[list[str], str | None]:
    """The texts in a `response`, and the word that says how they stood there; `error` says that it is one.

    Raises InvalidMessage for what is no JSON.
    """
    if is_object(response):
        if not response:
            return [], None
        if len(response) == 1:
            key, value = next(iter(response.items()))
            if key in KEYS:
                if isinstance(value, str):
                    return [value], None if key == "output" else key
                if key in ("output", "error") and is_array(value) and (texts := _blocks(value)):
                    return texts, "blocks" if key == "output" else "error blocks"
    return [compact(response, "response")], "json"


def _blocks(value: list[Any]) -> list[str]:
    texts: list[str] = []
    for block in value:
        if not is_object(block) or len(block) != 2 or block.get("type") != "text":
            return []
        text = block.get("text")
        if not isinstance(text, str):
            return []
        texts.append(text)
    return texts


def spell_response(texts: Sequence[str], words: Sequence[str], *, is_error: bool, native: bool) -> Any:
    """The `response` that says these texts, in the way that the words tell, or else as Google asks for it.

    Of another wire, a text that is an object becomes that object, if reading it gives the very same text again.
    """
    if not texts:
        return {"error": ""} if is_error else {}
    if len(texts) == 1 and "json" in words and (said := loaded(texts[0])) is not None:
        return said
    if len(texts) > 1 or "blocks" in words:
        return {"error" if is_error else "output": [{"type": "text", "text": text} for text in texts]}
    if not native and not is_error and (said := _as_object(texts[0])) is not None:
        return said
    key = "error" if is_error else next((word for word in words if word in KEYS and word != "error"), "output")
    return {key: texts[0]}


def _as_object(text: str) -> dict[str, Any] | None:
    """The object that a text is, where reading the object gives that very text again."""
    if not text.startswith("{"):
        return None
    said = loaded(text)
    if not is_object(said):
        return None
    try:
        texts, word = read_response(said)
    except InvalidMessage:
        return None
    return said if word == "json" and texts == [text] else None

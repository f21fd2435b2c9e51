"""What the rules find: a fault, what the provider says about it, and which step mends it."""

from __future__ import annotations

from typing import Any, NamedTuple

from palaver.formats.wire import is_array, is_object

__all__ = ["MAX_ID", "Fault", "Fix", "json_type", "missing", "too_long", "wrong_type"]

MAX_ID = 64
"""OpenAI refuses a longer `call_id` or `id`."""


class Fix:
    """What mends a fault; the steps of `mending`."""

    CONTENT = "content"
    FIELD = "field"
    ID = "id"
    LEAVE_OUT = "leave_out"
    NAME = "name"
    ORDER = "order"
    THOUGHT = "thought"


class Fault(NamedTuple):
    """A rule that an item breaks."""

    rule: str
    at: int
    path: str
    says: str
    remedy: str
    fix: str
    place: int = 0
    """Where the calls begin that an item in the wrong place keeps from their outputs."""


def json_type(value: Any) -> str:
    """A value's type, as the API names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if is_object(value):
        return "an object"
    if is_array(value):
        return "an array"
    return "a string" if isinstance(value, str) else "a number"


def wrong_type(where: str, expected: str, value: Any) -> str:
    """What the API says of a value of the wrong type."""
    return f"Invalid type for '{where}': expected {expected}, but got {json_type(value)} instead."


def missing(where: str) -> str:
    """What the API says of a field that is not there."""
    return f"Missing required parameter: '{where}'."


def too_long(where: str, value: str) -> str:
    """What the API says of an id that is too long."""
    return (
        f"Invalid '{where}': string too long. Expected a string with maximum length {MAX_ID}, "
        f"but got a string with length {len(value)} instead."
    )

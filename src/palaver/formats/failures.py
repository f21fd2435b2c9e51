"""Results that are errors, on wires that have no key for that: their text has to say it."""

from __future__ import annotations

import re
from typing import Any

from palaver.exchanges import INTERRUPTED
from palaver.formats.wire import Notes, is_array

__all__ = ["failed"]

_SAYS = re.compile(r"\W*(?:\w*error|failed|failure|\w*exception|traceback)\b", re.IGNORECASE)


def failed(said: Any, notes: Notes, *, entry: str = "text") -> Any:
    """What a failed result says, with the word before it where it does not begin with one for failure.

    `said` is a text, or a list of entries, whose texts have the type `entry`.
    """
    if is_array(said):
        if any(one.get("type") == entry and _SAYS.match(str(one.get("text"))) for one in said):
            return said
        notes.add("text_changed", "the result is an error, which its text did not say; it got the word before it")
        return [{"type": entry, "text": "Error:"}, *said]
    if not (said is None or isinstance(said, str)) or said == INTERRUPTED or _SAYS.match(said or ""):
        return said
    notes.add("text_changed", "the result is an error, which its text did not say; it got the word before it")
    return f"Error: {said}" if said else "Error"

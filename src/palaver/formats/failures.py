"""Results that are errors, on wires that have no key for that: their text has to say it."""

from __future__ import annotations

from typing import Any

from palaver.exchanges import INTERRUPTED
from palaver.formats.wire import Notes

__all__ = ["failed"]


def failed(said: Any, notes: Notes) -> Any:
    """What a failed result says, with the word before it where its text does not say so. Other content stays."""
    if not (said is None or isinstance(said, str)) or said == INTERRUPTED or "error" in (said or "").casefold():
        return said
    notes.add("text_changed", "the result is an error, which its text did not say; it got the word before it")
    return f"Error: {said}" if said else "Error"

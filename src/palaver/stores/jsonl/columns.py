"""What the columns of a line may hold: a line that says anything else is damaged, and must not reach the index."""

from __future__ import annotations

from typing import Any

__all__ = ["NULLABLE", "is_flag", "is_text", "value_of"]

_LARGEST = (1 << 63) - 1

NULLABLE = {
    "parent",
    "parent_kind",
    "reset_reason",
    "notice",
    "origin",
    "title",
    "preview",
    "metadata",
    "tags",
    "holds",
    "ended_at",
    "end_reason",
    "deleted_at",
    "holder",
    "reason",
    "taken",
    "budget",
    "calibration",
    "error",
    "title_source",
    "settings",
    "title_key",
    "target",
    "scope",
    "scrubbed_at",
    "cost_source",
    "usage",
}
"""Columns that may hold nothing."""
_NEVER_NULL = {("put_todo", "reason")}
"""But for these."""
_TIMES = {"ended_at", "deleted_at", "scrubbed_at"}
"""Those of them that are numbers."""
_TEXTS = (NULLABLE - _TIMES) | {
    "owner",
    "key",
    "alias",
    "token",
    "model",
    "summary",
    "state",
    "counts",
    "address",
    "name",
    "value",
}
_TEXTS_OF = {
    ("put_session", "id"),
    ("put_message_id", "id"),
    ("drop_message_id", "id"),
    ("put_erasure", "id"),
    ("put_cut", "kind"),
}
"""Columns of a name that is a number's elsewhere."""
_FLAGS = {
    "explicit",
    "archived",
    "pinned",
    "hidden",
    "session_is_new",
    "first_contact",
    "lifted",
    "settled",
}
"""Numbers that may be written as true and false."""


def is_text(name: str, column: str) -> bool:
    """Whether a column of a statement is text; all others that `value_of` gives are numbers."""
    return column in _TEXTS or (name, column) in _TEXTS_OF


def is_flag(column: str) -> bool:
    """Whether a number may be written as true or false."""
    return column in _FLAGS


def value_of(name: str, column: str, fields: dict[str, Any]) -> Any:
    """What a line says for a column of its statement; what the column has where the line does not name it.

    Raises ValueError for a value of another type, or a number that is too large for the index.
    """
    text = is_text(name, column)
    if column not in fields:
        return None if _may_be_null(name, column) else "" if text else 0
    value = fields[column]
    if value is None:
        fits = _may_be_null(name, column)
    elif text:
        fits = isinstance(value, str)
    else:
        fits = isinstance(value, int) and abs(value) <= _LARGEST and (is_flag(column) or not isinstance(value, bool))
    if not fits:
        msg = f"{column} is {str(value)[:40]!r}: {'text' if text else 'a number'} is to be there"
        raise ValueError(msg)
    return value


def _may_be_null(name: str, column: str) -> bool:
    return column in NULLABLE and (name, column) not in _NEVER_NULL

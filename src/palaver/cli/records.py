"""What `--json` writes.

The keys are a promise: each is always there, null where there is nothing, and none goes away without a deprecation;
new ones may come. Parts of messages carry only what they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from palaver.model import Message

__all__ = ["of", "of_message"]

_INTERNAL = frozenset({"layout", "joins"})
"""How a wire spelled a message: read by that wire's module and nobody else."""


def of(value: msgspec.Struct) -> dict[str, Any]:
    """Every field of a value, and of the values in it."""
    return {name: _plain(getattr(value, name)) for name in value.__struct_fields__ if name not in _INTERNAL}


def of_message(message: Message) -> dict[str, Any]:
    """A message, with all its text under `text`."""
    return {**of(message), "text": message.text}


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in cast("tuple[Any, ...]", value)]
    if isinstance(value, msgspec.Struct):
        if value.__struct_config__.tag is None:
            return of(value)
        return _without_internal(msgspec.to_builtins(value))
    return msgspec.to_builtins(value)


def _without_internal(part: Any) -> Any:
    if isinstance(part, dict):
        fields = cast("dict[str, Any]", part)
        return {name: _without_internal(each) for name, each in fields.items() if name not in _INTERNAL}
    if isinstance(part, list):
        return [_without_internal(each) for each in cast("Sequence[Any]", part)]
    return part

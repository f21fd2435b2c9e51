"""What the objects of provider SDKs stand for, as those SDKs send them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

__all__ = ["dumped"]

_PARSED = ("parsed", "parsed_arguments")
_MAX_DEPTH = 150


def dumped(value: object, dump: Callable[..., object]) -> object:
    """The fields of an object that were set: as JSON where it can say it, for some hold bytes and other objects.

    Left out is what an SDK keeps for the program that reads an answer, and strips before it sends it: the fields that
    a class names in `__api_exclude__` (openai and anthropic SDKs, `_transform.py`), and what OpenAI's `Parsed…`
    classes add to those of the API, which the API refuses ("Unknown parameter: 'messages[1].parsed'").
    """
    hidden = _hidden(value, 0)
    kept = {"exclude": hidden} if hidden else {}
    try:
        return dump(mode="json", exclude_unset=True, **kept)
    except (TypeError, ValueError):
        return dump(exclude_unset=True, **kept)


def _hidden(value: object, depth: int) -> dict[Any, Any]:
    """The fields to leave out of an object or a container, at any depth, as pydantic's `exclude` takes them."""
    if depth > _MAX_DEPTH or value is None or isinstance(value, (str, bytes, bytearray, int, float)):
        return {}
    if isinstance(value, Mapping):
        return _hidden_in(cast("Mapping[Any, object]", value), depth)
    if isinstance(value, Sequence):
        return _hidden_in(dict(enumerate(cast("Sequence[object]", value))), depth)
    if not hasattr(value, "model_dump"):
        return {}
    fields: dict[Any, object] = {**getattr(value, "__dict__", {}), **(getattr(value, "__pydantic_extra__", None) or {})}
    names = _named(value)
    found = _hidden_in({name: child for name, child in fields.items() if name not in names}, depth)
    return {**found, **{name: True for name in fields if name in names}}


def _hidden_in(children: Mapping[Any, object], depth: int) -> dict[Any, Any]:
    return {key: found for key, child in children.items() if (found := _hidden(child, depth + 1))}


def _named(value: object) -> frozenset[Any]:
    """Names of the fields that an object has for its program alone."""
    names: set[Any] = set()
    told = getattr(value, "__api_exclude__", None)
    if isinstance(told, Mapping):  # what is in its fields is asked of them
        names.update(name for name, how in cast("Mapping[object, object]", told).items() if how is True)
    elif isinstance(told, (AbstractSet, list, tuple)):
        names.update(cast("AbstractSet[object]", told))
    if any(
        kind.__name__.startswith("Parsed") and kind.__module__.startswith("openai.") for kind in type(value).__mro__
    ):
        names.update(_PARSED)
    return frozenset(names)

"""The keys that parts keep beside their fields, as JSON text, and the fingerprint of a part that was kept whole."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from palaver.codec import json_text
from palaver.formats.wire import is_object
from palaver.model import Part

__all__ = ["NOTHING", "combined", "fingerprint", "kept_keys", "loaded", "unchanged", "verbatim", "without"]

_decode = json.JSONDecoder().decode
NOTHING = object()
"""No JSON value at all: null is one."""


def without(value: dict[str, Any], *keys: str) -> dict[str, Any]:
    """A copy of an object without some of its keys."""
    return {key: kept for key, kept in value.items() if key not in keys}


def loaded(text: str) -> Any:
    """The value of JSON text; NOTHING where it is none, as text that another hand wrote may be."""
    try:
        return _decode(text)
    except (ValueError, RecursionError):
        return NOTHING


def kept_keys(extra: str | None) -> dict[str, Any]:
    """The keys that a part or a message keeps beside its fields."""
    if extra is None:
        return {}
    keys = loaded(extra)
    return keys if is_object(keys) else {}


def combined(typed: dict[str, Any], extra: str | None) -> dict[str, Any]:
    """`typed` with the kept keys beside it; what a field says wins, objects are merged one level deep."""
    if extra is None:
        return typed
    for key, kept in kept_keys(extra).items():
        if is_object(kept) and is_object(typed.get(key)):
            typed[key] = {**kept, **typed[key]}
        else:
            typed.setdefault(key, kept)
    return typed


def fingerprint(part: Part) -> str:
    """Twelve hex digits of what a part says, to tell later whether it still says it."""
    try:
        said = msgspec.json.encode(msgspec.structs.replace(part, extra=None, layout=None))
    except UnicodeEncodeError:  # edited, and by a hand that left half a character
        return ""
    return hashlib.blake2b(said, digest_size=6).hexdigest()


def verbatim(part: Part, raw: dict[str, Any], where: str) -> Any:
    """The part, with the item that it is kept whole beside it until it says something else."""
    return msgspec.structs.replace(part, extra=json_text(raw, where), layout=f"verbatim {fingerprint(part)}")


def unchanged(part: Part) -> dict[str, Any] | None:
    """The item that a part came as, where it was kept whole and still says the same."""
    layout = part.layout
    if layout is None or not layout.startswith("verbatim"):
        return None
    return kept_keys(part.extra) if layout == f"verbatim {fingerprint(part)}" else None

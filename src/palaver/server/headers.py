"""Headers as they came: layers that ask every request for one look here, and do not decode all of them each time."""

from __future__ import annotations

from starlette.types import Scope

__all__ = ["all_of", "first_of"]


def first_of(scope: Scope, name: bytes) -> str | None:
    """The first header of this name, which is in small letters; None where there is none."""
    for each, value in scope["headers"]:
        if each == name:
            text: str = value.decode("latin-1")
            return text
    return None


def all_of(scope: Scope, name: bytes) -> list[str]:
    """Every header of this name."""
    return [value.decode("latin-1") for each, value in scope["headers"] if each == name]

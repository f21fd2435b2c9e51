"""How a family of routes spells its errors: Palaver's own as problem documents, others as their clients expect them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from palaver.server.problems import Problem, answer

__all__ = ["PROBLEMS", "Style"]


@dataclass(frozen=True, slots=True)
class Style:
    """What is the same for all routes of one API."""

    answer: Callable[[Problem, dict[str, str] | None], Response]
    """An error as a response."""
    error: type[Any]
    """What such a response holds."""
    media_type: str
    status: Callable[[int], int]
    """Which status an error is answered with that has this one as a problem."""
    lenient: bool = False
    """Whether parameters and keys that are not known are let through: official clients may send any."""


def _same(status: int) -> int:
    return status


PROBLEMS = Style(answer=answer, error=Problem, media_type="application/problem+json", status=_same)
"""Palaver's own API: problem documents (RFC 9457), and nothing that is not known."""

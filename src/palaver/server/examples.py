"""Examples of answers, for the OpenAPI document: what a server answered when every operation was asked once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["FILE", "examples"]

FILE = Path(__file__).parent / "examples.json"
"""Written by `python -m tests.e2e.examples`, and held against the server by a test."""


@cache
def examples() -> Mapping[str, Mapping[str, Any]]:
    """By operation, and then by the answer's media type."""
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, dict[str, Any]])

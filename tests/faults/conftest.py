"""Stores that keep what they are told, by the places where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["sqlite", "jsonl"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What to open: the same store each time."""
    return str(tmp_path / "chat.db") if request.param == "sqlite" else f"jsonl:///{tmp_path}/lines"

"""A store in a file, with its folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import palaver
from palaver import SessionManager


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store lies."""
    return tmp_path


@pytest.fixture
def url(folder: Path) -> str:
    """The store's URL."""
    return f"sqlite:///{folder}/chat.db"


@pytest.fixture
def sessions(url: str) -> Iterator[SessionManager]:
    """The store, open, and sound afterwards."""
    with palaver.open(url) as opened:
        yield opened
        assert opened.check() == []

"""Fixtures with servers, for every folder of tests: `tests/conftest.py` imports them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.servers.postgres import DEFAULT_VERSION, databases

__all__ = ["MakeDatabase", "new_postgres_url", "postgres_url"]

MakeDatabase = Callable[[], str]


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of an empty database of the test's own, on a real PostgreSQL.

    `@pytest.mark.parametrize("postgres_url", [16, 18], indirect=True)` chooses the versions.
    """
    there = databases(getattr(request, "param", DEFAULT_VERSION))
    url = there.new()
    yield url
    there.drop(url)


@pytest.fixture
def new_postgres_url() -> Iterator[MakeDatabase]:
    """Makes another empty database with each call."""
    there = databases()
    made: list[str] = []

    def make() -> str:
        made.append(there.new())
        return made[-1]

    yield make
    for url in made:
        there.drop(url)

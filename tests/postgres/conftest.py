"""A server that tests may stop, kill and cut off, and a database on it for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.servers.postgres import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that may be harmed."""
    made = Server().make().start()
    yield made
    made.stop()


@pytest.fixture
def url(server: Server, request: pytest.FixtureRequest) -> str:
    """A new database on it, called as the test."""
    name = request.node.name.partition("[")[0]
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")
        connection.execute(f"create database {name}")
    return server.url(name)

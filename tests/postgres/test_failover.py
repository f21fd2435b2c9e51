"""A primary that dies, and the standby that takes its place: what was acknowledged is on both, and is there once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import palaver
from palaver import StoreError, user
from tests.faults import kit
from tests.postgres.load import Load
from tests.postgres.pair import Pair, alone, in_step, pair_of, waiting
from tests.servers.postgres import VERSIONS
from tests.waiting import until


@pytest.fixture(params=VERSIONS)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A primary, and a standby that every commit waits for."""
    with pair_of(request.param) as made:
        yield made


def test_the_standby_takes_over(pair: Pair) -> None:
    """Killed under load; the standby is promoted; the writers find it by themselves."""
    with Load(pair.url) as load:
        load.goes_on(200)
        pair.primary.kill()
        pair.standby.promote()
        load.goes_on(100)
        load.end()


def test_the_standby_had_died_first(pair: Pair) -> None:
    """Nothing is acknowledged while it is away, not even by a commit whose waiting is broken off; then all goes on."""
    with Load(pair.url) as load:
        load.goes_on(100)
        pair.standby.kill()
        until(lambda: alone(pair.primary), "the end of what the standby had still said")
        until(lambda: bool(waiting(pair.primary)), "a commit that waits for the standby")
        before, writers = len(load.moments), len(load.acknowledged)
        for _ in range(3 * writers):
            for pid in waiting(pair.primary):
                pair.primary.query(f"select pg_cancel_backend({pid})")
            until(lambda: bool(waiting(pair.primary)), "the next commit that waits")
        # A writer may take its time to count what it was told before, and that is one at most.
        assert len(load.moments) <= before + writers, "acknowledged, though no standby has it"
        until(lambda: any(error.outcome == "unknown" for error in load.errors), "a writer that was told")
        pair.standby.start()
        load.goes_on(100)
        load.end()


def test_nothing_is_acknowledged_that_only_the_dead_primary_has(pair: Pair) -> None:
    """The standby dies, a commit's waiting is broken off, the primary dies, the standby is promoted as it was."""
    acknowledged: list[str] = []
    with palaver.open(pair.url) as sessions:
        session = sessions.get_or_create("k")
        for number in range(5):
            session.append(user(str(number), id=str(number)))
            acknowledged.append(str(number))
        until(lambda: in_step(pair.primary), "the standby to have it")
        pair.standby.kill()
        errors: list[StoreError] = []

        def write() -> None:
            for _ in range(3):  # the same message again: the second time it is there already, on the primary alone
                try:
                    session.append(user("last", id="last"))
                except StoreError as error:
                    errors.append(error)
                else:
                    acknowledged.append("last")
                    return

        writer = threading.Thread(target=write)
        writer.start()
        for number in range(3):
            until(lambda: bool(waiting(pair.primary)) or not writer.is_alive(), "a commit that waits for the standby")
            for pid in waiting(pair.primary):
                pair.primary.query(f"select pg_cancel_backend({pid})")
            until(lambda: len(errors) > number or not writer.is_alive(), "its answer")  # noqa: B023 - at once
        writer.join(60)
        assert not writer.is_alive()
        assert acknowledged == ["0", "1", "2", "3", "4"]
        assert [error.outcome for error in errors] == ["unknown"] * 3
        pair.primary.kill()
        pair.standby.start()
        pair.standby.promote()
        assert kit.texts(sessions, "k") == acknowledged
        assert session.append(user("last", id="last")).fresh

"""Leases are judged by the server's clock, in reads as in writes: what a client's own clock says changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

import palaver
from palaver import Origin, SessionBusy, user

CHAT = Origin("telegram", chat_id="42")


def off_by(hours: float) -> Callable[[], datetime]:
    """A clock that is ahead of the true one."""
    return lambda: datetime.now(UTC) + timedelta(hours=hours)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_off_does_not_end_a_lease(postgres_url: str, hours: float) -> None:
    """Of a turn that runs elsewhere; every read says so, before that client has written anything and after."""
    with palaver.open(postgres_url) as there, palaver.open(postgres_url, clock=off_by(hours)) as here:
        with there.begin_turn(CHAT, user("hi")) as turn:
            for number in range(2):
                session = here.get(turn.session_id)
                assert [each.alive for each in here.open_turns()] == [True]
                assert session.info().turn_running
                assert here.resolve(CHAT).info().turn_running
                assert [each.id for each in here.list() if each.turn_running] == [turn.session_id]
                assert session.history().pending == there.get(turn.session_id).history().pending
                with pytest.raises(SessionBusy):
                    here.begin_turn(CHAT, user("too"), on_busy="raise")
                here.create(f"other-{number}").append(user("a write"))
        assert here.open_turns() == []


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_off_does_not_prolong_one(postgres_url: str, hours: float) -> None:
    """A lease that has run out by the server's clock has run out for every reader."""
    with palaver.open(postgres_url) as there, palaver.open(postgres_url, clock=off_by(hours)) as here:
        turn = there.begin_turn(CHAT, user("hi"))
        with psycopg.connect(postgres_url) as connection:
            connection.execute(
                "UPDATE palaver.turns SET expires_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 1000"
            )
        assert [each.alive for each in here.open_turns()] == [False]
        assert not here.get(turn.session_id).info().turn_running
        assert not here.list()[0].turn_running


def test_where_callers_judge_their_clock_does(postgres_url: str) -> None:
    """With `clock=caller` a reader who is an hour ahead sees a lease of ten minutes as run out."""
    url = f"{postgres_url}?clock=caller"
    with palaver.open(url) as there, palaver.open(url, clock=off_by(1)) as here, there.begin_turn(CHAT, user("hi")):
        assert [each.alive for each in there.open_turns()] == [True]
        assert [each.alive for each in here.open_turns()] == [False]

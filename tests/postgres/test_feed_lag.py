"""How far the change feed is behind what is committed, while somebody holds a transaction open."""

from __future__ import annotations

import psycopg
from starlette.testclient import TestClient

import palaver
from palaver import user
from palaver.server import app
from palaver.stores.base import FeedLag


def test_what_an_open_transaction_holds_back(postgres_url: str) -> None:
    """Is counted, and how old that transaction is, in the figures and on the health page; afterwards it is nothing."""
    with palaver.open(postgres_url) as sessions, psycopg.connect(postgres_url) as holding:
        session = sessions.create()
        told = len(sessions.events())
        assert sessions.stats().feed_lag == FeedLag()
        holding.execute("SELECT pg_current_xact_id()")
        for text in "abc":
            session.append(user(text))
        assert len(sessions.events()) == told
        lag = sessions.stats().feed_lag
        assert lag.changes == 3
        assert lag.seconds is not None
        assert lag.seconds > 0
        assert sessions.for_owner("ann").stats().feed_lag == FeedLag()
        with TestClient(app(postgres_url), base_url="http://localhost") as http:
            assert "palaver_feed_held_changes 3" in http.get("/metrics").text
            seconds = http.get("/v1/stats").json()["feed_lag"]["seconds"]
            assert seconds >= lag.seconds
            assert "Changes held back" in http.get("/doctor", headers={"accept": "text/html"}).text
        holding.rollback()
        assert len(sessions.events()) == told + 3
        assert sessions.stats().feed_lag == FeedLag()


def test_who_may_not_see_the_transaction(postgres_url: str) -> None:
    """Of a user who may not look at others' transactions: how much is held back is known, and not for how long."""
    with psycopg.connect(postgres_url, autocommit=True) as administrator:
        role = f"plain_{administrator.info.dbname}"
        administrator.execute(f'CREATE ROLE "{role}"')  # type: ignore[call-overload, unused-ignore]
        administrator.execute(f'GRANT CREATE ON DATABASE "{administrator.info.dbname}" TO "{role}"')  # type: ignore[call-overload, unused-ignore]
        with palaver.open(f"{postgres_url}?options=-crole%3D{role}") as sessions, administrator.transaction():
            session = sessions.create()
            administrator.execute("SELECT pg_current_xact_id()")
            session.append(user("a"))
            assert sessions.stats().feed_lag == FeedLag(changes=1, seconds=None)
        administrator.execute(f'DROP OWNED BY "{role}"')  # type: ignore[call-overload, unused-ignore]
        administrator.execute(f'DROP ROLE "{role}"')  # type: ignore[call-overload, unused-ignore]

"""A server that lacks what it had committed: a backup was restored, or a standby took over that was behind.

Numbers of sessions are then given anew, also those that a running process remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

import palaver
from palaver import Session, SessionManager, SessionNotFound, assistant, user
from tests.faults import kit
from tests.servers.bouncer import Bouncer
from tests.servers.postgres import QUICK, Server, databases

WRITES: list[Callable[[Session], object]] = [
    lambda session: session.append(user("late")),
    lambda session: session.append(user("late", id="late")),
    lambda session: session.append(user("late"), assistant("later")),
    lambda session: session.begin_turn(user("late")),
    lambda session: session.rename("late"),
    lambda session: session.rewind(),
    lambda session: session.fork(),
]


class Moment:
    """Everything that a database holds, to be put back under those who are connected to it."""

    def __init__(self, url: str) -> None:
        self._url = url
        with psycopg.connect(url, autocommit=True) as connection:
            self._tables = [row[0] for row in connection.execute(self._ask("r"))]
            self._rows = {name: self._copied(connection, name) for name in self._tables}
            self._sequences = {
                name: connection.execute(f"select last_value, is_called from palaver.{name}").fetchone()
                for (name,) in connection.execute(self._ask("S")).fetchall()
            }

    @staticmethod
    def _ask(kind: str) -> Any:
        return f"select relname from pg_class where relnamespace = 'palaver'::regnamespace and relkind = '{kind}'"

    @staticmethod
    def _copied(connection: psycopg.Connection[Any], name: str) -> list[bytes]:
        with connection.cursor().copy(f"copy palaver.{name} to stdout") as copy:
            return [bytes(each) for each in copy]

    def put_back(self) -> None:
        """The database holds this again, and nothing else."""
        with psycopg.connect(self._url) as connection:
            tables = ", ".join(f"palaver.{name}" for name in self._tables)
            connection.execute(f"truncate {tables}")
            for name, rows in self._rows.items():
                with connection.cursor().copy(f"copy palaver.{name} from stdin") as copy:
                    for row in rows:
                        copy.write(row)
            for name, state in self._sequences.items():
                assert state is not None
                connection.execute("select setval(%s, %s, %s)", (f"palaver.{name}", *state))


@contextmanager
def replaced(url: str) -> Iterator[None]:
    """A database that is dropped, and comes again as it was before the block."""
    name, saved = urlsplit(url).path[1:], f"{urlsplit(url).path[1:]}_saved"
    server = databases().at("postgres")

    def run(text: str) -> None:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(text)

    run(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
    run(f'create database "{saved}" template "{name}"')
    try:
        yield
    finally:
        run(f'drop database "{name}" with (force)')
        run(f'create database "{name}" template "{saved}"')
        run(f'drop database "{saved}"')


def used(sessions: SessionManager, key: str) -> Session:
    """A session of which everything is remembered that can be: it was written to and read."""
    session = sessions.get_or_create(key)
    session.append(user("one", id="1"))
    session.append(assistant("two"), user("three"))
    session.append(user("four"))
    session.history()
    sessions.list()
    assert texts(session) == ["one", "two", "three", "four"]
    return session


def texts(session: Session) -> list[str]:
    """What a model would be shown."""
    return [each.text for each in session.history().messages]


@pytest.mark.parametrize("write", WRITES)
def test_a_number_that_is_another_sessions_now(postgres_url: str, write: Callable[[Session], object]) -> None:
    """Restored under a connection that lives on: what is written to a session that is gone goes to no other."""
    with palaver.open(postgres_url) as sessions:
        used(sessions, "before")
        moment = Moment(postgres_url)
        lost = used(sessions, "lost")
        moment.put_back()
        with palaver.open(postgres_url) as others:
            theirs = others.for_owner("ann").get_or_create("theirs")
            theirs.append(user("private"))
            theirs.append(assistant("secret"), user("more"))
            theirs.append(user("still more"))
            with pytest.raises(SessionNotFound):
                write(lost)
            with pytest.raises(SessionNotFound):
                lost.history()
            with pytest.raises(SessionNotFound):
                lost.messages()
            assert texts(theirs) == ["private", "secret", "more", "still more"]
            assert texts(sessions.get(theirs.id)) == ["private", "secret", "more", "still more"]
            assert sorted(each.id for each in sessions.list()) == sorted([theirs.id, sessions.resolve("before").id])
            assert kit.texts(sessions, "before") == ["one", "two", "three", "four"]
            assert others.check() == []


def test_a_turn_whose_session_is_gone(postgres_url: str) -> None:
    """It ends with nothing written, and not in the turn of another."""
    with palaver.open(postgres_url) as sessions:
        used(sessions, "before")
        moment = Moment(postgres_url)
        lost = used(sessions, "lost")
        turn = lost.begin_turn(user("question"))
        moment.put_back()
        with palaver.open(postgres_url) as others:
            theirs = used(others, "theirs")
            with theirs.begin_turn(user("their question")) as their_turn:
                with pytest.raises(SessionNotFound):
                    turn.append(assistant("half"))
                with pytest.raises(SessionNotFound):
                    turn.finish(assistant("whole"))
                their_turn.finish(assistant("their answer"))
            assert texts(theirs)[-2:] == ["their question", "their answer"]
            assert others.check() == []


def test_messages_that_are_gone(postgres_url: str) -> None:
    """A conversation goes on from what is stored, and shows nothing that is not, where as many came instead."""
    with palaver.open(postgres_url) as sessions:
        session = used(sessions, "k")
        with replaced(postgres_url):
            session.rename("a title that is lost")
            session.append(user("lost"))
            assert texts(session)[-1] == "lost"
            assert sessions.list()[0].title == "a title that is lost"
        with palaver.open(postgres_url) as others:
            others.get(session.id).rename("a title")
            others.get(session.id).append(user("came instead"))
            assert texts(session) == ["one", "two", "three", "four", "came instead"]
            assert [each.title for each in sessions.list()] == ["a title"]
            session.append(user("five"))
            assert texts(session) == ["one", "two", "three", "four", "came instead", "five"]
            assert others.check() == []


@pytest.mark.parametrize("pooled", ["0", "1"])
def test_as_many_messages_as_are_remembered(postgres_url: str, pooled: str) -> None:
    """Restored under connections that live on, and as long and as often changed since: still nothing else is shown."""
    with palaver.open(f"{postgres_url}?pooled={pooled}") as sessions:
        session, other = used(sessions, "k"), used(sessions, "other")
        moment = Moment(postgres_url)
        for each in (session, other):
            each.append(user("lost"))
            assert texts(each)[-1] == "lost"
        moment.put_back()
        with palaver.open(postgres_url) as others:
            for each in (session, other):
                others.get(each.id).append(user("came instead"))
            assert texts(session) == ["one", "two", "three", "four", "came instead"]
            with other.begin_turn(user("and now")) as turn:
                assert [each.text for each in turn.window.messages][-2:] == ["came instead", "and now"]
                turn.finish(assistant("then"))
            assert texts(session) == ["one", "two", "three", "four", "came instead"]
            assert others.check() == []


def test_restored_by_pg_restore(server: Server, url: str) -> None:
    """The same with PostgreSQL's own tools, which drop the tables and make them anew."""
    file = server.folder / "dump"
    with palaver.open(url) as sessions:
        session = used(sessions, "k")
        server.run("pg_dump", "-Fc", "-f", file, url)
        session.append(user("lost"))
        assert texts(session)[-1] == "lost"
        server.run("pg_restore", "--clean", "--single-transaction", "-d", url, file)
        with palaver.open(url) as others:
            others.get(session.id).append(user("came instead"))
            assert texts(session) == ["one", "two", "three", "four", "came instead"]
            session.append(user("five"))
            assert texts(session) == ["one", "two", "three", "four", "came instead", "five"]
            assert others.check() == []


@pytest.mark.pgbouncer
def test_a_pooler_hides_the_server() -> None:
    """The same where a pooler stands in between, and the connections to it live on."""
    server = Server(settings=QUICK).make().start()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("create database chat")
    bouncer = Bouncer(server)
    try:
        with palaver.open(server.url("chat", port=bouncer.port, pooled="1")) as sessions:
            session = used(sessions, "k")
            moment = Moment(server.url("chat"))
            session.append(user("lost"))
            assert texts(session)[-1] == "lost"
            moment.put_back()
            with palaver.open(server.url("chat")) as others:
                others.get(session.id).append(user("came instead"))
            server.stop()
            server.start()
            assert texts(session) == ["one", "two", "three", "four", "came instead"]
    finally:
        bouncer.stop()
        server.stop()

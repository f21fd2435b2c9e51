"""Finding a conversation as a person names it, and the titles it is named by, on each store and with both APIs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import palaver
from palaver import (
    Origin,
    ResetPolicy,
    SessionAmbiguous,
    SessionConflict,
    SessionManager,
    SessionNotFound,
    assistant,
    suggested_title,
    user,
)

HERE = Origin("telegram", chat_id="42", user_id="7")


@pytest.fixture(params=["sqlite", "memory"])
def sessions(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionManager]:
    """A manager on each store that is there."""
    with palaver.open(f"sqlite:///{tmp_path}/a.db" if request.param == "sqlite" else "memory://") as opened:
        yield opened
        assert opened.check() == []


def test_a_session_is_found_by_any_of_its_names(sessions: SessionManager) -> None:
    """Its id, alias, title, the title otherwise written, and the beginning of title or id."""
    session = sessions.create(alias="rome-1", title="Trip to Rome")
    sessions.create(title="Taxes")
    names = (session.id, "rome-1", "Trip to Rome", "trip  TO rome", "Trip", "tri", session.id[:-1], session.id.upper())
    for name in names:
        assert sessions.find(name) == session


def test_the_better_name_counts(sessions: SessionManager) -> None:
    """An alias before a title, a title before one in other letters, that before the beginning of others."""
    one, two, three = sessions.create(title="plans"), sessions.create(title="Plans"), sessions.create(title="plans b")
    assert (sessions.find("plans"), sessions.find("Plans"), sessions.find("plans b")) == (one, two, three)
    with pytest.raises(SessionAmbiguous, match="is the title of 2 sessions"):
        sessions.find("PLANS")
    assert sessions.create(alias="plans") == sessions.find("plans") != one


def test_several_that_are_meant_are_listed(sessions: SessionManager) -> None:
    """With ids and titles, as a person and as a program reads them."""
    made = [sessions.create(title=f"Trip to {city}") for city in ("Oslo", "Rome")]
    with pytest.raises(
        SessionAmbiguous, match=rf"'trip' begins .* 2 sessions: 'Trip to Oslo' \({made[0].id}\)"
    ) as told:
        sessions.find("trip")
    assert [(c.id, c.title) for c in told.value.candidates] == [(s.id, s.info().title) for s in made]
    assert isinstance(told.value, SessionConflict)


@pytest.mark.parametrize("name", ["", "  ", "\ud800", "a\x00b", "Rume", "Rome trip"])
def test_what_nothing_has_is_not_found(sessions: SessionManager, name: str) -> None:
    """Names that are near are the remedy."""
    sessions.create(title="Rome").append(user("hi"))
    with pytest.raises(SessionNotFound, match="did you mean 'Rome'" if name == "Rume" else "id, an? alias|id, alias"):
        sessions.find(name)


def test_owners_do_not_find_each_others(sessions: SessionManager) -> None:
    """Neither by title nor by the beginning of an id, nor as a near name; the operator is told of both."""
    ann, bob = sessions.for_owner("ann"), sessions.for_owner("bob")
    session = ann.create(title="plans")
    session.append(user("hi"))
    for name in ("plans", session.id, session.id[:12], "plan", "plams"):
        with pytest.raises(SessionNotFound) as told:
            bob.find(name)
        assert session.id not in str(told.value).replace(name, "")
    bob.create(title="plans")
    assert ann.find("plans") == session
    with pytest.raises(SessionAmbiguous):
        sessions.find("plans")


def test_resume_takes_a_name_and_reopens(sessions: SessionManager) -> None:
    """What was ended by a reset goes on under the key, by its title's beginning."""
    with sessions.begin_turn(HERE, user("To Rome?")) as turn:
        turn.finish(assistant("By train."))
    old = sessions.resolve(HERE)
    old.rename("Trip to Rome")
    sessions.reset(HERE)
    assert old.info().ended_at is not None
    assert sessions.resume(HERE, "trip to") == old
    assert (sessions.resolve(HERE), old.info().ended_at) == (old, None)
    with pytest.raises(SessionNotFound):
        sessions.resume(HERE, "nothing of that name")


def test_forks_have_the_title_with_the_next_number(sessions: SessionManager) -> None:
    """Of the whole lineage, whichever is forked; one of a session without a title has none."""
    session = sessions.create(title="Rome")
    session.append(user("hi"))
    second = session.fork()
    third, own = second.fork(), session.fork(title="Oslo")
    assert [s.info().title for s in (second, third, own)] == ["Rome #2", "Rome #3", "Oslo"]
    assert [s.info().title_source for s in (second, own)] == ["user", "user"]
    assert sessions.create().fork().info().title is None
    with pytest.raises(SessionConflict, match="'Rome #4', which is free"):
        sessions.create(title="Rome")


def test_a_reset_that_carries_on_carries_the_title(tmp_path: Path) -> None:
    """What begins with the last turns goes on with them under the next number; what begins anew has no title."""
    for policy, title in ((ResetPolicy(carry_over=1), "Rome #2"), (ResetPolicy(), None)):
        with palaver.open("memory://", reset_policy=policy) as sessions:
            with sessions.begin_turn(HERE, user("hi")) as turn:
                turn.finish(assistant("hello"))
            sessions.resolve(HERE).rename("Rome")
            assert sessions.reset(HERE).info().title == title


def test_generated_titles(sessions: SessionManager) -> None:
    """A suggestion is numbered as needed, a model's is tidied, and neither replaces the user's own."""
    one, other = sessions.create(), sessions.create()
    for session in (one, other):
        session.append(user("How do I get to Rome?"), assistant("By train."))
    suggestion = suggested_title(one.messages())
    assert one.rename(suggestion, generated=True) == "How do I get to Rome?"
    assert other.rename(suggestion, generated=True) == "How do I get to Rome? #2"
    assert one.rename('"Getting to Rome"\n', generated=True) == "Getting to Rome"
    assert one.rename("My trip") == "My trip"
    assert one.rename("Getting to Rome", generated=True) == "My trip"
    assert one.rename(" \n", generated=True) == "My trip"
    assert (one.info().title_source, other.info().title_source) == ("user", "generated")
    assert other.rename("My trip", numbered=True) == "My trip #2"


def test_the_same_with_await(tmp_path: Path) -> None:
    """The async manager finds, resumes and renames alike."""

    async def story() -> list[str | None]:
        async with palaver.aopen(tmp_path / "a.db") as sessions:
            session = await sessions.create(title="Rome")
            assert await sessions.find("ro") == session
            assert await sessions.resume(HERE, "ROME") == session
            other = await sessions.create()
            return [await other.rename("Rome", numbered=True), (await other.info()).title_source]

    assert asyncio.run(story()) == ["Rome #2", "user"]

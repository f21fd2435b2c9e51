"""Sessions whose own fields are damaged: reads leave those out and name them; nothing is written over them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import apsw
import psycopg
import pytest
from psycopg import sql
from starlette.testclient import TestClient

import palaver
from palaver import CorruptRecord, Origin, SweepPolicy, assistant, user
from palaver.cli import main
from palaver.server import app
from tests.e2e.asking import BASE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with three sessions, all tagged."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        for name in "abc":
            made = sessions.get_or_create(Origin("telegram", chat_id=name, agent="writer"))
            made.append(user(f"plum {name}"))
            made.tag("fruit")
            made.set_metadata({"of": name})
    return path


def damage(path: Path, field: str, value: str) -> None:
    """Put noise into a field of the second session."""
    connection = apsw.Connection(str(path))
    connection.execute(f"UPDATE sessions SET {field} = ? WHERE number = 2", (value,))
    connection.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("origin", "noise"),
        ("origin", '{"platform": ""}'),
        ("metadata", "["),
        ("tags", "{}"),
        ("tags", "noise"),
        ("holds", "3"),
        ("settings", "["),
    ],
)
def test_a_list_names_the_session_and_goes_on(
    path: Path, field: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has the session without the damaged field, and says which that is; so do the command line and HTTP."""
    damage(path, field, value)
    with palaver.open(path) as sessions:
        listed = sessions.list()
        assert [(info.preview, info.unreadable) for info in listed] == [
            ("plum c", ()),
            ("plum b", (field,)),
            ("plum a", ()),
        ]
        assert sessions.list() == listed
        first = sessions.list(limit=2)
        assert [*first, *sessions.list(limit=2, after=first[-1].id)] == listed
        for narrowed in (sessions.list(tag="fruit"), sessions.list(agent="writer"), sessions.list(platform="telegram")):
            assert {"plum a", "plum c"} <= {info.preview for info in narrowed}
        assert {hit.snippet for hit in sessions.search("plum")} == {"plum a", "plum b", "plum c"}
        assert {"plum a", "plum c"} <= {hit.snippet for hit in sessions.search("plum", tag="fruit")}
        assert {"plum a", "plum c"} <= {hit.snippet for hit in sessions.search("plum", agent="writer")}
    assert main(["ls", "--store", str(path)]) == 0
    said = capsys.readouterr()
    assert said.out.count("plum") == 3
    assert f"damaged, and not shown: {field};" in said.err
    with TestClient(app(path), base_url=BASE) as http:
        assert [each["unreadable"] for each in http.get("/v1/sessions").json()["sessions"]] == [[], [field], []]
    with palaver.open(path) as sessions:
        sessions.repair()
        assert [info.unreadable for info in sessions.list()] == [(), (), ()]


FIELDS = [("origin", "noise"), ("metadata", "["), ("tags", "{}"), ("holds", "3"), ("settings", "["), ("notice", "[")]
REFUSED = ("tags", "holds")
"""What a write of the session stores anew."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of a kind whose rows somebody can write noise into."""
    return str(tmp_path / "chat.db") if request.param == "sqlite" else request.getfixturevalue("postgres_url")


def ruin(url: str, field: str, value: str) -> None:
    """Put noise into a field of the second session, whatever the store."""
    if "://" not in url:
        damage(Path(url), field, value)
        return
    with psycopg.connect(url) as connection:
        connection.execute(
            sql.SQL(
                "UPDATE palaver.sessions SET {} = %s WHERE number = (SELECT number FROM palaver.sessions"
                " ORDER BY number OFFSET 1 LIMIT 1)"
            ).format(sql.Identifier(field)),
            (value,),
        )


@pytest.mark.parametrize(("field", "value"), FIELDS)
def test_the_session_itself_is_read_without_the_field(url: str, field: str, value: str, tmp_path: Path) -> None:
    """It is found, told about and read, and says which field is missing; a repair makes it whole, with its messages."""
    here = Origin("telegram", chat_id="b")
    with palaver.open(url) as sessions:
        for name in "abc":
            sessions.get_or_create(Origin("telegram", chat_id=name)).append(user(f"plum {name}"))
        damaged = sessions.list()[1].id
        ruin(url, field, value)
    named = () if field == "notice" else (field,)
    with palaver.open(url) as sessions:
        session = sessions.get(damaged)
        assert session.info().unreadable == named
        assert session.info().keys == (sessions.resolve(here).info().keys)
        assert sessions.resolve(here).id == sessions.get_or_create(here).id == damaged
        assert [m.text for m in session.history().messages] == [m.text for m in session.messages()] == ["plum b"]
        texts = ["plum b", "more", "hi", "hello"]
        if field in REFUSED:
            with pytest.raises(CorruptRecord, match=f"the {field} of session '{damaged}'.*check --repair"):
                session.append(user("more"))
            with pytest.raises(CorruptRecord, match=damaged):
                sessions.begin_turn(here, user("hi"))
            texts = ["plum b"]
        else:
            session.append(user("more"))
            with sessions.begin_turn(here, user("hi")) as turn:
                assert turn.notice is None
                turn.finish(assistant("hello"))
        other = sessions.get_or_create(Origin("telegram", chat_id="c"))
        assert other.append(user("pear")).last_seq == 2
        assert other.info().unreadable == ()
        assert [each.problem for each in sessions.check(session_id=damaged)] != []
        sessions.repair(str(tmp_path / "before.db"))
        assert session.info().unreadable == ()
        assert [m.text for m in session.messages()] == texts
        assert session.append(user("again")).last_seq == len(texts) + 1


@pytest.mark.parametrize("field", ["holds", "origin"])
def test_a_sweep_leaves_it_alone_until_a_repair(url: str, field: str, tmp_path: Path) -> None:
    """It may be what keeps it that cannot be read; the others are swept."""
    with palaver.open(url) as sessions:
        for name in "abc":
            sessions.get_or_create(Origin("telegram", chat_id=name)).append(user(f"plum {name}"))
        damaged = sessions.list()[1].id
        ruin(url, field, "noise")
    policy = SweepPolicy(delete_after=timedelta(0), expire=False)
    with palaver.open(url) as sessions:
        swept = {each.session_id for each in sessions.sweep(policy).actions}
        assert len(swept) == 2
        assert damaged not in swept
        sessions.repair(str(tmp_path / "before.db"))
        assert [each.session_id for each in sessions.sweep(policy).actions] == [damaged]


def test_what_cannot_be_read_is_not_written_over(path: Path) -> None:
    """New metadata is not merged into what cannot be read, and a person is not erased from who knows what."""
    damage(path, "metadata", "[")
    with palaver.open(path) as sessions:
        session = sessions.get(sessions.list()[1].id)
        with pytest.raises(CorruptRecord, match=r"metadata.*check --repair"):
            session.set_metadata({"new": "value"})
        sessions.repair()
        session.set_metadata({"new": "value"})
        assert session.info().metadata == {"new": "value"}
    damage(path, "origin", "noise")
    with palaver.open(path) as sessions:
        with pytest.raises(CorruptRecord, match=f"origin of session '{session.id}'.*check --repair.*erase again"):
            sessions.erase(user=Origin("telegram", chat_id="b", user_id="b"))
        sessions.repair()
        assert sessions.erase(user=Origin("telegram", chat_id="b", user_id="b")).counts is not None

"""Sessions whose own fields are damaged: lists and searches show them without those, and all others."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from starlette.testclient import TestClient

import palaver
from palaver import Origin, user
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

"""Checking, repairing, copying, exporting and importing a store over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from starlette.testclient import TestClient

import palaver
from palaver import assistant, user
from palaver.media import as_text
from palaver.model import ImagePart
from palaver.server import app
from palaver.server.cutting import CutOffError
from palaver.server.limits import Limits
from tests.e2e.asking import BASE, problem

ANA = {"Palaver-Owner": "ana"}
LINES = {"Content-Type": "application/jsonl"}
SAID = b'{"role": "user", "content": "Hello"}\n{"role": "assistant", "content": "Hi!"}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with two sessions: nobody's, with an undone message and a picture, and one of ana's."""
    path = tmp_path / "kept" / "chat.db"
    path.parent.mkdir()
    with palaver.open(path) as sessions:
        made = sessions.create(alias="mine", title="Trip")
        made.append(user("first"), assistant("call +49 170 1234567"), user(ImagePart(data=as_text(b"x" * 20_000))))
        made.append(user("a slip"), assistant("never mind"))
        made.rewind()
        sessions.for_owner("ana").create(alias="hers").append(user("her words"))
    return path


@pytest.fixture
def http(path: Path) -> Iterator[TestClient]:
    """The application over it."""
    with TestClient(app(path, limits=Limits(max_import_bytes=200_000)), base_url=BASE) as client:
        yield client


def sessions_in(lines: str) -> list[dict[str, Any]]:
    """The first line of every session."""
    values = [json.loads(line) for line in lines.splitlines()]
    return [value["session"] for value in values if value["type"] == "session"]


# ---------------------------------------------------------------------- check and repair
def damage(path: Path) -> None:
    """A count that is wrong, in nobody's session."""
    connection = apsw.Connection(str(path))
    list(connection.execute("UPDATE sessions SET message_count = 77 WHERE owner = ''"))
    connection.close()


def test_a_check_says_what_is_wrong_and_a_repair_mends_it(http: TestClient, path: Path) -> None:
    """Each finding says what it means and what can be done; a backup is made before anything is changed."""
    assert http.get("/v1/check").json() == {"findings": []}
    assert http.post("/v1/repair").json() == {}
    damage(path)
    [found] = http.get("/v1/check").json()["findings"]
    assert found["repairable"]
    assert found["meaning"]
    assert http.get("/v1/check", params={"session_id": "mine"}).json()["findings"] == [found]
    assert http.get("/v1/check", headers=ANA).json() == {"findings": []}
    assert http.get("/v1/check", params={"session_id": "hers"}, headers=ANA).json() == {"findings": []}
    assert problem(http.get("/v1/check", params={"session_id": "mine"}, headers=ANA)) == (404, "session-not-found")
    done = http.post("/v1/repair").json()
    assert done["found"] == [found]
    assert Path(done["backup"]["path"]).parent == path.parent / "backups"
    assert done["repaired"]
    assert "left" not in done
    assert http.get("/v1/check").json() == {"findings": []}


def test_a_check_has_notes_on_request(http: TestClient) -> None:
    """What windows mend is no fault, and is told where it is asked for."""
    call = {"kind": "tool_call", "name": "f", "call_id": "c"}
    body = {"messages": [{"role": "user", "content": "go"}, {"role": "assistant", "parts": [call]}]}
    assert http.post("/v1/sessions/hers/messages", json=body, headers=ANA).status_code == 201
    assert http.get("/v1/check", headers=ANA).json() == {"findings": []}
    found = http.get("/v1/check", params={"notes": True}, headers=ANA).json()["findings"]
    assert [each["problem"] for each in found] == ["history_mended"]


def test_where_the_store_lies_is_not_told_to_an_owner(http: TestClient, path: Path) -> None:
    """Findings about the store as a whole name no path of the server's."""
    connection = apsw.Connection(str(path))
    list(connection.execute("UPDATE messages SET body = x'00' WHERE id >> 32 = 2"))
    connection.close()
    found = http.get("/v1/check", headers=ANA)
    assert found.json()["findings"]
    assert str(path.parent) not in found.text


# ---------------------------------------------------------------------- backups
def test_a_backup_goes_where_the_store_keeps_them(http: TestClient, path: Path) -> None:
    """It is a store of its own; a request cannot say where it goes; older ones go where it is asked for."""
    assert http.get("/v1/backups").json() == {"backups": []}
    answer = http.post("/v1/backup")
    made = answer.json()
    assert (answer.status_code, made["sessions"], Path(made["path"]).parent) == (201, 2, path.parent / "backups")
    with palaver.open(made["path"]) as copy:
        assert len(copy.list()) == 2
    for where in ({"path": "/tmp/x.db"}, {"to": "../x.db"}, {"keep": 0}):
        assert problem(http.post("/v1/backup", json=where)) == (422, "invalid-request")
    assert http.get("/v1/backups").json()["backups"] == [made]
    second = http.post("/v1/backup", json={"keep": 1}).json()
    assert http.get("/v1/backups").json()["backups"] == [second]
    assert [each.name for each in (path.parent / "backups").iterdir()] == [Path(second["path"]).name]


def test_what_is_of_the_whole_store_is_the_operators(http: TestClient, path: Path) -> None:
    """Who asks for an owner is refused, and nothing is done."""
    for method, where in (("POST", "/v1/repair"), ("POST", "/v1/backup"), ("GET", "/v1/backups")):
        assert problem(http.request(method, where, headers=ANA)) == (403, "operator-only")
    assert not (path.parent / "backups").exists()


def test_a_store_in_memory_has_no_backup() -> None:
    """And says so."""
    with TestClient(app("memory://"), base_url=BASE) as http:
        assert problem(http.post("/v1/backup")) == (503, "store-unavailable")
        assert http.get("/v1/backups").json() == {"backups": []}
        assert http.get("/v1/check").json() == {"findings": []}


# ---------------------------------------------------------------------- export
@pytest.mark.parametrize(
    ("form", "kind", "suffix", "says"),
    [
        ("jsonl", "application/jsonl", ".jsonl", "a slip"),
        ("markdown", "text/markdown; charset=utf-8", ".md", "first"),
        ("html", "text/html; charset=utf-8", ".html", "first"),
        ("text", "text/plain; charset=utf-8", ".txt", "first"),
        ("openai_chat", "application/json", ".json", "first"),
        ("sharegpt", "application/json", ".json", "first"),
        ("messages", "application/json", ".json", "first"),
    ],
)
def test_a_session_in_each_form(http: TestClient, form: str, kind: str, suffix: str, says: str) -> None:
    """As `palaver export` writes it, to be saved under the session's id; nothing that is hidden shows."""
    got = http.get("/v1/sessions/mine/export", params={"format": form})
    session_id = http.get("/v1/sessions/mine").json()["id"]
    assert (got.status_code, got.headers["content-type"]) == (200, kind)
    assert got.headers["content-disposition"] == f'attachment; filename="{session_id}{suffix}"'
    assert says in got.text
    assert ("a slip" in got.text) == (form == "jsonl")
    hidden = http.get("/v1/sessions/mine/export", params={"format": form, "redact": True}).text
    assert "1234567" in got.text
    assert "1234567" not in hidden
    head = http.head("/v1/sessions/mine/export", params={"format": form})
    assert (head.status_code, head.text, head.headers["content-type"]) == (200, "", kind)


def test_what_cannot_be_exported_so(http: TestClient) -> None:
    """Options that a form does not have, forms that there are not, and what is another's."""
    for wrong in ("format=pdf", "format=sharegpt&undone=true", "format=html&limit=3", "limit=0", "fromat=html"):
        assert problem(http.get(f"/v1/sessions/mine/export?{wrong}")) == (422, "invalid-request"), wrong
    assert problem(http.get("/v1/sessions/mine/export", headers=ANA)) == (404, "session-not-found")
    assert "a slip" in http.get("/v1/sessions/mine/export?format=markdown&undone=true").text
    assert json.loads(http.get("/v1/sessions/mine/export?format=openai_chat&limit=1").text)["messages"]


def test_all_sessions_are_exported_and_imported_again(http: TestClient, tmp_path: Path) -> None:
    """Into another store, where they are what they were; an owner's export has that owner's only."""
    whole = http.get("/v1/export").text
    assert [each.get("title") for each in sessions_in(whole)] == ["Trip", None]
    hers = http.get("/v1/export", headers=ANA).text
    assert [each["owner"] for each in sessions_in(hers)] == ["ana"]
    assert "first" not in hers
    assert "1234567" not in http.get("/v1/export?redact=true").text
    with TestClient(app(tmp_path / "other.db"), base_url=BASE) as other:
        assert other.get("/v1/export").text == ""
        dry = other.post("/v1/import?dry_run=true", content=whole, headers=LINES).json()
        assert (dry["dry_run"], dry["imported"], other.get("/v1/stats").json()["sessions"]) == (True, 6, 0)
        done = other.post("/v1/import", content=whole, headers=LINES).json()
        assert (done["records"], done["imported"], done["skipped"]) == (6, 6, 0)
        assert [each["status"] for each in done["sessions"]] == ["new", "new"]
        assert other.get("/v1/export").text == whole
        again = other.post("/v1/import", content=whole, headers=LINES).json()
        assert (again["imported"], again["present"]) == (0, 6)


def add_long_session(path: Path) -> None:
    """A session whose export is of many chunks."""
    with palaver.open(path) as sessions:
        long = sessions.create(alias="long")
        for _ in range(20):
            long.append(*(user("word " * 400) for _ in range(50)))


def export_to(path: Path, reader: Callable[[bytes], bool], query: str = "", asked_for: str = "/v1/export") -> None:
    """Ask for all of a store, and give each chunk to a reader before the next is made; until it says that it goes."""

    async def ask() -> None:
        made = app(path)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": asked_for,
            "raw_path": asked_for.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"127.0.0.1")],
        }
        gone = asyncio.Event()
        asked = False

        async def receive() -> Any:
            nonlocal asked
            if asked:
                await gone.wait()
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body" and message["body"] and not reader(message["body"]):
                gone.set()

        async with made.router.lifespan_context(made):
            await receive()
            await made(scope, receive, send)

    asyncio.run(ask())


def test_a_slow_reader_holds_no_snapshot(path: Path) -> None:
    """Between two chunks of an export nothing is open: the log can be emptied, however long the reader takes."""
    add_long_session(path)
    chunks: list[bytes] = []
    emptied: list[Any] = []

    def read(chunk: bytes) -> bool:
        chunks.append(chunk)
        with palaver.open(path) as other:
            other.for_owner("ana").get("hers").append(user(f"meanwhile {len(chunks)}"))
        connection = apsw.Connection(str(path))
        emptied.append(next(iter(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)"))))
        connection.close()
        return True

    export_to(path, read)
    assert len(chunks) > 3
    assert {busy for busy, _, _ in emptied} == {0}
    lines = b"".join(chunks).splitlines()
    assert sum(b'"type":"end"' in line for line in lines) == 3


def test_who_goes_away_is_not_written_for(path: Path) -> None:
    """An export ends with its reader."""
    add_long_session(path)
    chunks: list[bytes] = []

    def read(chunk: bytes) -> bool:
        chunks.append(chunk)
        return False

    export_to(path, read)
    assert len(chunks) == 1


@pytest.mark.parametrize("of", ["the store", "the inspector"])
def test_an_export_that_fails_midway_is_cut_off(path: Path, of: str) -> None:
    """Whoever reads it notices that it is not whole: the answer has no end. No error's text goes further."""
    add_long_session(path)
    with palaver.open(path) as sessions:
        page = f"/sessions/{max(sessions.list(limit=10), key=lambda each: each.message_count).id}/export"
    chunks: list[bytes] = []

    def read(chunk: bytes) -> bool:
        chunks.append(chunk)
        connection = apsw.Connection(str(path))
        list(connection.execute("DROP TABLE IF EXISTS turns"))
        connection.close()
        return True

    with pytest.raises(CutOffError) as caught:
        export_to(path, read, asked_for="/v1/export" if of == "the store" else page)
    assert caught.value.__suppress_context__
    assert chunks


@pytest.mark.parametrize("query", ["", "redact=true"])
def test_what_goes_meanwhile_costs_the_others_nothing(path: Path, query: str) -> None:
    """Of a session that is purged while it is exported nothing more is sent; those after it are whole."""
    add_long_session(path)
    with palaver.open(path) as sessions:
        sessions.create(alias="last").append(user("the last"))
    chunks: list[bytes] = []

    def read(chunk: bytes) -> bool:
        chunks.append(chunk)
        if len(chunks) == 1:
            with palaver.open(path) as other:
                other.get("long").purge()
        return True

    export_to(path, read, query)
    lines = [json.loads(line) for line in b"".join(chunks).splitlines()]
    assert len([line for line in lines if line["type"] == "session"]) == 4
    assert len([line for line in lines if line["type"] == "end"]) == 4
    assert len([line for line in lines if line["type"] == "message"]) < 500
    assert lines[-2]["message"]["parts"][0]["text"] == "the last"


# ---------------------------------------------------------------------- import
def test_lines_of_messages_are_imported(http: TestClient) -> None:
    """OpenAI-style messages make a conversation; sent again, nothing is stored twice; by another name it is another."""
    done = http.post("/v1/import?name=notes", content=SAID, headers=LINES).json()
    assert (done["source"], done["records"], done["imported"]) == ("notes.jsonl", 2, 2)
    [made] = done["sessions"]
    assert (made["system"], made["file"], made["status"]) == ("openai", "notes.jsonl", "new")
    again = http.post("/v1/import?name=notes", content=SAID, headers={"Content-Type": "application/x-ndjson"}).json()
    assert (again["imported"], again["present"]) == (0, 2)
    more = SAID + b'{"role": "user", "content": "More"}\n[torn'
    grown = http.post("/v1/import?name=notes", content=more, headers=LINES).json()
    assert (grown["imported"], grown["present"], grown["skipped"]) == (1, 2, 1)
    assert grown["sessions"][0]["session_id"] == made["session_id"]
    other = http.post("/v1/import?name=others", content=SAID, headers=LINES).json()
    assert other["sessions"][0]["session_id"] != made["session_id"]
    imported = http.get(f"/v1/sessions/{made['session_id']}").json()["metadata"]["imported"]
    assert imported["place"] == "sent"


def test_an_import_is_the_owners(http: TestClient) -> None:
    """Who imports for an owner gets what is imported, and nothing of what is another's."""
    done = http.post("/v1/import", content=SAID, headers={**LINES, **ANA}).json()
    made = done["sessions"][0]["session_id"]
    assert http.get(f"/v1/sessions/{made}").json()["owner"] == "ana"
    theirs = http.get("/v1/export", headers=ANA).content
    refused = http.post("/v1/import", content=theirs, headers={**LINES, "Palaver-Owner": "bo"}).json()
    assert {each["status"] for each in refused["sessions"]} == {"refused"}
    assert http.get("/v1/sessions", headers={"Palaver-Owner": "bo"}).json()["sessions"] == []


def test_bodies_that_are_no_import(http: TestClient) -> None:
    """Of another type, too large, empty, of another system, or called as no file is."""
    assert problem(http.post("/v1/import", json={})) == (415, "unsupported-media-type")
    assert problem(http.post("/v1/import", content=SAID)) == (415, "unsupported-media-type")
    plain = {"Content-Type": "text/plain"}
    assert problem(http.post("/v1/import", content=SAID, headers=plain)) == (415, "unsupported-media-type")
    large = SAID * 3_000
    assert problem(http.post("/v1/import", content=large, headers=LINES)) == (413, "body-too-large")
    assert problem(http.post("/v1/import", content=iter([large]), headers=LINES)) == (413, "body-too-large")
    for nothing in (b"", b"\n", b"hello", b'{"type": "user", "sessionId": "x", "uuid": "y"}\n', b"PK\x03\x04"):
        assert problem(http.post("/v1/import", content=nothing, headers=LINES)) == (422, "invalid-request"), nothing
    for name in ("../x", "", "a.b", "-x", "a" * 101):
        got = http.post("/v1/import", params={"name": name}, content=SAID, headers=LINES)
        assert problem(got) == (422, "invalid-request"), name
    assert http.get("/v1/stats").json()["sessions"] == 2

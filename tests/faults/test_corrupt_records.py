"""A stored record that cannot be decoded: it is named, and everything beside it is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import palaver
from palaver import SessionManager, assistant, user
from tests.faults import kit

TEXTS = ["one", "two", "three", "four", "five", "six"]
BODIES = {
    "noise": b"\x00\xff\xfenoise",
    "cut off": b'{"seq":3,"role":"user","par',
    "another shape": b'["seq",3]',
    "two in one": b'{"seq":3,"role":"user"},{"seq":3,"role":"user"}',
    "empty": b"",
    "a role that is none": b'{"seq":3,"role":"wizard"}',
    "nested too deep": b'{"seq":3,"role":"user","extra":' + b"[" * 100_000,
}
FIRST_SESSION = 1 << 32


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A closed store with a session of six messages, and another one."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        session = sessions.create("key")
        for n, text in enumerate(TEXTS):
            session.append(user(text, id=text) if n % 2 == 0 else assistant(text))
        sessions.create("other").append(user("unharmed"))
    return path


@pytest.fixture(params=list(BODIES))
def body(request: pytest.FixtureRequest) -> bytes:
    """What stands in the place of a message."""
    return BODIES[request.param]


def overwrite(path: Path, seq: int, body: bytes) -> None:
    """Damage one message."""
    with kit.raw(path) as connection:
        connection.execute("UPDATE messages SET body = ? WHERE id = ?", (body, FIRST_SESSION | seq))
        assert connection.changes() == 1


@pytest.fixture(params=[3, 6], ids=["in the middle", "the newest"])
def seq(request: pytest.FixtureRequest) -> int:
    """Which message is damaged."""
    position: int = request.param
    return position


@pytest.fixture
def damaged(written: Path, body: bytes, seq: int) -> Iterator[SessionManager]:
    """The store with one damaged message."""
    overwrite(written, seq, body)
    with palaver.open(written) as sessions:
        yield sessions


def test_the_window_is_served_and_names_it(damaged: SessionManager, seq: int) -> None:
    """history() is never refused: it holds every other message, and says which one is missing."""
    window = damaged.resolve("key").history()
    left = [t for n, t in enumerate(TEXTS, 1) if n != seq]
    assert "\n".join(m.text for m in window.messages) == "\n".join(left)
    assert any(o.from_seq <= seq <= o.through_seq for o in window.omitted), "left out in silence"
    assert damaged.resolve("other").history().messages[0].text == "unharmed"


def test_the_tail_names_it(damaged: SessionManager, seq: int) -> None:
    """The one read behind every window says where the record lies that it left out."""
    core = damaged.resolve("key")._core
    tail = core.store.tail(damaged.resolve("key").id, None, core.now(), limit=100)
    assert tail.corrupt == (seq,)


def test_check_names_it(damaged: SessionManager, seq: int) -> None:
    """The check lists exactly this record."""
    [finding] = damaged.check()
    assert finding.kind == "corrupt"
    assert f"seq {seq}" in finding.where


def test_a_page_names_it_and_the_rest_is_served(damaged: SessionManager, seq: int) -> None:
    """A page says where the record lies that it left out, and holds all others."""
    session = damaged.resolve("key")
    page = session.messages()
    assert [m.text for m in page] == [t for n, t in enumerate(TEXTS, 1) if n != seq]
    assert page.corrupt == (seq,)
    assert [m.text for m in session.messages(before=seq)] == TEXTS[: seq - 1]
    assert [m.text for m in session.messages(after=seq)] == TEXTS[seq:]


def test_the_session_goes_on(damaged: SessionManager, seq: int) -> None:
    """Turns and appends go on behind it, and counts and lists are right."""
    session = damaged.resolve("key")
    assert session.info().message_count == len(TEXTS)
    assert session.info().last_seq == len(TEXTS)
    assert len(damaged.list()) == 2
    with damaged.begin_turn("key", user("seven"), on_busy="raise") as turn:
        turn.append(assistant("a step"))
        turn.finish(assistant("eight"))
    session.append(user("nine"))
    assert [m.text for m in session.messages(after=6)] == ["seven", "a step", "eight", "nine"]
    assert session.info().last_seq == 10
    assert "nine" in session.history().messages[-1].text
    assert [f.kind for f in damaged.check()] == ["corrupt"]


def test_it_is_quarantined(damaged: SessionManager, written: Path, body: bytes, seq: int) -> None:
    """What was found is kept as it was found, so that repairing or purging the message cannot lose it."""
    damaged.resolve("key").history()
    damaged.check()
    with kit.raw(written) as connection:
        rows = connection.execute("SELECT location, body FROM quarantine").fetchall()
    assert [row[1] for row in rows] == [body]
    assert f"seq {seq}" in str(rows[0][0])


def test_a_corrupt_message_can_be_purged(damaged: SessionManager, seq: int) -> None:
    """Purging it leaves a store that is well."""
    session = damaged.resolve("key")
    assert session.purge(seq, seq) == 1
    assert [m.text for m in session.messages()] == [t for n, t in enumerate(TEXTS, 1) if n != seq]
    assert damaged.check() == []


def test_a_corrupt_message_in_the_queue(tmp_path: Path) -> None:
    """A message that waits for the running turn and is damaged does not hide the others that wait."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions, sessions.begin_turn("key", user("one")) as turn:
        for text in ("two", "three"):
            assert sessions.begin_turn("key", user(text), on_busy="store").queued
        overwrite(path, 2, BODIES["noise"])
        assert [m.text for m in turn.inbox()] == ["three"]
        turn.finish(assistant("done"))


def test_a_fork_has_all_that_comes_after_it(tmp_path: Path) -> None:
    """What cannot be decoded cannot be copied; that ends no chunk of a long fork before its time."""
    path = tmp_path / "chat.db"
    texts = [f"text {n}" for n in range(1, 1202)]
    with palaver.open(path) as sessions:
        sessions.create("key").append(*(user(text) for text in texts))
    for seq in (3, 500, 501, 1201):
        overwrite(path, seq, b"noise")
        texts.remove(f"text {seq}")
    with palaver.open(path) as sessions:
        fork = sessions.resolve("key").fork()
        found = [m.text for after in (0, 1000) for m in fork.messages(after=after, limit=1000)]
    assert found == texts

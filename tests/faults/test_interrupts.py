"""Ctrl-C in the thread that commits, once the store's own commit is done: it stays, once, and the store goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import SessionNotFound, StoreUnavailable, user
from palaver.stores.jsonl.files import Directory
from palaver.stores.jsonl.ledger import JsonlLedger
from palaver.stores.sqlite.ledger import SqliteLedger
from palaver.stores.sqlite.tails import TailCache
from palaver.stores.waking import Wakes
from tests.faults import kit

BEHIND = [(TailCache, "note"), (SqliteLedger, "flushed"), (Wakes, "wake"), (SqliteLedger, "trim")]
"""What comes behind the commit of the database."""
BEFORE = [(SqliteLedger, "flush")]


def struck(*_args: Any, **_fields: Any) -> Any:
    """What Ctrl-C does."""
    raise KeyboardInterrupt


def after(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, and then Ctrl-C."""

    def called(*args: Any, **fields: Any) -> Any:
        call(*args, **fields)
        raise KeyboardInterrupt

    return called


@pytest.fixture(params=["sqlite:///{}/chat.db", "jsonl:///{}/lines"], ids=["sqlite", "jsonl"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of each kind that has files."""
    return str(request.param).format(tmp_path)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("kind", "name"), [*BEHIND, *BEFORE])
def test_once_or_not_at_all(url: str, kind: type, name: str, late: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was being written when it struck is there from then on, or never; all that was answered for is."""
    with palaver.open(url) as sessions:
        session = sessions.get_or_create("key")
        session.append(user("first"))
        with monkeypatch.context() as patched:
            patched.setattr(kind, name, after(getattr(kind, name)) if late else struck)
            with pytest.raises(KeyboardInterrupt):
                session.append(user("struck", id="s"))
        seen = [message.text for message in session.messages()]
        assert seen == (["first"] if (kind, name) in BEFORE else ["first", "struck"])
        session.append(user("next"))
        assert [message.text for message in session.messages()] == [*seen, "next"]
        assert [message.text for message in session.history().messages] == [*seen, "next"]
        session.append(user("struck", id="s"))  # as whoever was not answered does
        expected = sorted({*seen, "next", "struck"})
        assert sorted(message.text for message in session.messages()) == expected
        assert sessions.check() == []
    with palaver.open(url) as sessions:
        assert sorted(kit.texts(sessions, "key")) == expected
        assert sessions.check() == []
        sessions.erase(session=sessions.resolve("key").id)


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), PermissionError(13, "Permission denied")], ids=["ctrl-c", "unlink"]
)
def test_a_purge_that_is_broken_off(tmp_path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that was written without the messages stays as it is, and the next purge leaves nothing of them."""
    url = f"jsonl:///{tmp_path}"
    with palaver.open(url) as sessions:
        session = sessions.get_or_create("key")
        session.append(*(user(f"secret {n} " * 20) for n in range(5)))
        (tmp_path / "quarantine").mkdir(exist_ok=True)
        with monkeypatch.context() as patched:

            def failing(*_args: Any, **_fields: Any) -> Any:
                raise error

            if isinstance(error, OSError):
                patched.setattr(Path, "iterdir", failing)
            else:
                patched.setattr(Directory, "drop_aside", failing)
            with pytest.raises((KeyboardInterrupt, StoreUnavailable)):
                session.purge()
        [file] = (tmp_path / "sessions").glob("[!~]*.jsonl")
        assert b"secret" not in file.read_bytes()
        assert b"\0" not in file.read_bytes()
    with palaver.open(url) as sessions:
        with suppress(SessionNotFound):  # as whoever was not answered does
            sessions.get(session.id).purge()
        files = [path for folder in ("sessions", "quarantine") for path in (tmp_path / folder).iterdir()]
        assert [path for path in files if b"secret" in path.read_bytes()] == []
        assert sessions.check() == []


def test_the_jsonl_ledger_is_one_of_sqlite() -> None:
    """What is struck above is what runs in both."""
    assert issubclass(JsonlLedger, SqliteLedger)

"""Erasures and backups: the report names those that may hold it, and restoring one does not bring it back."""

from __future__ import annotations

from pathlib import Path

import pytest

import palaver
from palaver import Origin, assistant, user
from tests.faults import kit

HERS = Origin("telegram", chat_id="77123", user_id="77123")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of two people."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        with sessions.begin_turn(HERS, user("Quixotic marmalade", id="tg-1")) as turn:
            turn.finish(assistant("Marmalade it is"))
        sessions.get_or_create("other").append(user("bread"))
        sessions.search("marmalade")
    return path


def test_the_report_names_the_backups(path: Path, tmp_path: Path) -> None:
    """Those that are still there; one owner learns no paths of the machine."""
    with palaver.open(path) as sessions:
        gone, made = sessions.backup(tmp_path / "gone.db"), sessions.backup(tmp_path / "b.db")
        Path(gone.path).unlink()
        sessions.for_owner("acme").create().append(user("mine"))
        assert sessions.erase(user=HERS, dry_run=True).backups == (made.path,)
        assert sessions.erase(user=HERS).backups == (made.path,)
        assert sessions.for_owner("acme").erase(owner="acme").backups == ("b.db",)


def test_restoring_does_not_bring_back_what_was_erased(path: Path, tmp_path: Path) -> None:
    """It goes from the copy before that takes the store's place: no reader and no byte of the file has it."""
    with palaver.open(path) as sessions:
        made = sessions.backup(tmp_path / "b.db")
        sessions.erase(user=HERS)
        before = sessions.erasures()
        sessions.resolve("other").append(user("since"))
    done = palaver.restore(made.path, path, force=True)
    assert done.erased is not None
    assert done.erased.counts["messages"] == 2
    assert not done.erasures_lost
    assert b"marmalade" not in path.read_bytes().lower()
    assert {each.name for each in tmp_path.iterdir()} == {"b.db", "chat.db", Path(str(done.kept)).name}
    with palaver.open(path) as sessions:
        assert [info.keys for info in sessions.list()] == [("other",)]
        assert kit.texts(sessions, "other") == ["bread"]
        assert sessions.erasures()[: len(before)] == before
        assert sessions.check() == []
        with pytest.raises(palaver.ContentErased):
            sessions.begin_turn(HERS, user("Quixotic marmalade", id="tg-1"))
    again = palaver.restore(made.path, path, force=True)
    assert again.erased is not None
    assert b"marmalade" not in path.read_bytes().lower()


def test_an_interrupted_erasure_is_gone_on_with_after_restoring(path: Path, tmp_path: Path) -> None:
    """What it was about is on record in the store that is replaced, and goes from the copy, too."""
    with palaver.open(path) as sessions:
        made = sessions.backup(tmp_path / "b.db")
        sessions.erase(user=HERS)
    with kit.raw(path) as connection:  # as if it had been killed before the first session
        connection.execute(
            "UPDATE erasures SET ended_at = NULL, scrubbed_at = NULL, "
            """target = '{"what":"user","platform":"telegram","ids":["77123"]}'"""
        )
        connection.execute("DELETE FROM erased")
    done = palaver.restore(made.path, path, force=True)
    assert done.erased is not None
    assert done.erased.unfinished == 1
    with palaver.open(path) as sessions:
        assert [info.keys for info in sessions.list()] == [("other",)]
        assert sessions.check() == []


def test_a_damaged_store_cannot_say_what_was_erased(path: Path, tmp_path: Path) -> None:
    """The restored one is whole, and the report says that erasures have to be made anew."""
    with palaver.open(path) as sessions:
        made = sessions.backup(tmp_path / "b.db")
        sessions.erase(user=HERS)
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 50_000)
    done = palaver.restore(made.path, path, force=True)
    assert done.erasures_lost
    assert done.erased is None


def test_erased_from_apart(path: Path, tmp_path: Path) -> None:
    """Marks under two secrets cannot be joined: restoring is refused, and nothing is replaced."""
    with palaver.open(path) as sessions:
        old = sessions.backup(tmp_path / "old.db")
        sessions.erase(user=HERS)
        new = sessions.backup(tmp_path / "new.db")
    apart = palaver.restore(old.path, tmp_path / "apart.db").path
    with palaver.open(apart) as sessions:
        sessions.erase(session=sessions.resolve("other").id)
    with pytest.raises(FileExistsError, match="erased from apart"):
        palaver.restore(new.path, apart, force=True)
    with palaver.open(apart) as sessions:
        assert [info.keys for info in sessions.list()] == [("telegram:dm:77123",)]
    assert palaver.restore(new.path, tmp_path / "third.db").erased is None


def test_what_was_purged_before_it_was_erased_does_not_come_back(path: Path, tmp_path: Path) -> None:
    """No message of it was there to be marked: it is known by its person or owner, and what came since stays."""
    with palaver.open(path) as sessions:
        acme = sessions.for_owner("acme").create()
        acme.append(user("marmalade of acme"))
        made = sessions.backup(tmp_path / "b.db")
        sessions.resolve(HERS).purge()
        acme.purge()
        sessions.erase(user=HERS)
        sessions.erase(owner="acme")
        sessions.begin_turn(HERS, user("here again")).finish(assistant("welcome"))
        later = sessions.backup(tmp_path / "later.db")
    palaver.restore(made.path, path, force=True)
    assert b"marmalade" not in path.read_bytes().lower()
    with palaver.open(path) as sessions:
        assert [info.keys for info in sessions.list()] == [("other",)]
    palaver.restore(later.path, path, force=True)
    with palaver.open(path) as sessions:
        assert kit.texts(sessions, "telegram:dm:77123") == ["here again", "welcome"]

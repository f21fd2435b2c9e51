"""Restoring a backup into a directory of lines: all of it, over nothing by accident, and not what was erased."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

import palaver
from palaver import Origin, SessionManager, assistant, user
from palaver.cli import main
from palaver.errors import CursorExpired, StoreBusy, StoreUnavailable
from tests.faults import kit
from tests.servers.fixtures import MakeDatabase

HERS = Origin("telegram", chat_id="77123", user_id="77123")


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Path]:
    """A directory of lines with two people in it, closed."""
    place = tmp_path / "lines"
    with opened(place) as sessions:
        with sessions.begin_turn(HERS, user("Quixotic marmalade", id="tg-1")) as turn:
            turn.finish(assistant("Marmalade it is"))
        other = sessions.get_or_create("other")
        other.append(user("bread"), assistant("rolls"))
        other.rename("Bread")
    yield place
    assert not [each.name for each in tmp_path.iterdir() if each.name.endswith(".partial")]


def opened(place: Path) -> SessionManager:
    """The store in a directory."""
    return palaver.open(url(place))


def url(place: Path) -> str:
    """Its URL."""
    return f"jsonl:///{place}"


def said(place: Path) -> bytes:
    """Every byte of a directory."""
    return b"".join(each.read_bytes() for each in sorted(place.rglob("*")) if each.is_file())


def test_a_backup_becomes_lines(lines: Path, tmp_path: Path) -> None:
    """Everything is there, sound, for this user alone; also after the index is gone."""
    with opened(lines) as sessions:
        made = sessions.backup(tmp_path / "b.db")
    new = tmp_path / "deep" / "new"
    done = palaver.restore(made.path, url(new))
    assert (done.path, done.kept, done.erased) == (str(new), None, None)
    assert done.backup is not None
    assert done.backup.content_digest == made.content_digest
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    with opened(new) as sessions:
        assert kit.texts(sessions, "other") == ["bread", "rolls"]
        assert sessions.resolve("other").info().title == "Bread"
        assert sessions.check() == []
    shutil.rmtree(new / ".palaver")
    with opened(new) as sessions:
        assert kit.texts(sessions, "other") == ["bread", "rolls"]
        assert sessions.check() == []


def test_content_is_replaced_when_forced_only(lines: Path, tmp_path: Path) -> None:
    """It is kept beside; backups stay where they were, and are known; readers of the feed learn that it began anew."""
    with opened(lines) as sessions:
        made = sessions.backup()
        sessions.resolve("other").append(user("since"))
        cursor = sessions.events()[-1].cursor
    before = said(lines / "sessions")
    with pytest.raises(FileExistsError, match="has content"):
        palaver.restore(made.path, url(lines))
    assert said(lines / "sessions") == before
    done = palaver.restore(made.path, url(lines), force=True)
    with opened(Path(str(done.kept))) as sessions:
        assert kit.texts(sessions, "other")[-1] == "since"
    with opened(lines) as sessions:
        assert kit.texts(sessions, "other") == ["bread", "rolls"]
        assert sessions.backups() == [made]
        with pytest.raises(CursorExpired):
            sessions.events(cursor)
        sessions.resolve("other").append(user("anew"))
        assert int(sessions.events()[-1].cursor, 16) > int(cursor, 16)
        newest = sessions.events()[-1].cursor
    shutil.rmtree(lines / ".palaver")
    with opened(lines) as sessions:
        with pytest.raises(CursorExpired):
            sessions.events(cursor)
        sessions.resolve("other").append(user("and on"))
        assert int(sessions.events()[-1].cursor, 16) > int(newest, 16)


def test_killed_while_it_takes_the_place(tmp_path: Path) -> None:
    """The old store stands there whole, or the new one, with the old beside it; backups stay, and erased is erased."""
    source, copies = tmp_path / "source", tmp_path / "copies"
    source.mkdir()
    copies.mkdir()
    with opened(source / "lines") as sessions:
        sessions.get_or_create("k").append(user("old"))
        with sessions.begin_turn(HERS, user("Quixotic marmalade", id="tg-1")) as turn:
            turn.finish(assistant("Marmalade it is"))
        made = sessions.backup(tmp_path / "b.db")
        sessions.backup()
        sessions.resolve("k").append(user("since"))
        sessions.erase(user=HERS)
    [count] = map(int, kit.finished("restorer.py", made.path, source, copies))
    assert count > 6
    outcomes: list[bool] = []
    for number in range(1, count + 1):
        place = copies / str(number) / "lines"
        with opened(place) as sessions:
            texts = kit.texts(sessions, "k")
            assert texts in (["old", "since"], ["old"])
            outcomes.append(texts == ["old"])
            assert sessions.check() == []
            [backup] = (place / "backups").iterdir()
        assert b"marmalade" not in said(place / "sessions").lower()
        beside = sorted(place.parent.glob("lines.before-restore-*"))
        assert len(beside) == outcomes[-1]
        for kept in beside:
            with opened(kept) as sessions:
                assert kit.texts(sessions, "k") == ["old", "since"]
        palaver.restore(backup, url(place), force=True)
        with opened(place) as sessions:
            assert kit.texts(sessions, "k") == ["old"]
        left = {each.name for each in place.parent.iterdir() if "before-restore" not in each.name}
        assert left == {"lines"}
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


def test_a_copy_that_never_took_the_place_is_no_store(tmp_path: Path, lines: Path) -> None:
    """Who restored died before the store was moved, and that went away since, on purpose: it begins empty."""
    with opened(lines) as sessions:
        sessions.backup(tmp_path / "b.db")
    copy = tmp_path / ".lines.restored"
    lines.rename(copy)
    (copy / ".palaver" / "replaces").write_text("lines.before-restore-1")
    with opened(lines) as sessions:
        assert sessions.list() == []
    (tmp_path / "lines.before-restore-1").mkdir()
    shutil.rmtree(lines)
    with opened(lines) as sessions:
        assert kit.texts(sessions, "other") == ["bread", "rolls"]


def test_what_was_erased_stays_away(lines: Path, tmp_path: Path) -> None:
    """It goes from the copy before that takes the store's place: no byte has it, and a redelivery is refused."""
    with opened(lines) as sessions:
        made = sessions.backup(tmp_path / "b.db")
        sessions.erase(user=HERS)
        before = sessions.erasures()
    for _ in range(2):
        done = palaver.restore(made.path, url(lines), force=True)
        assert done.erased is not None
        assert done.erased.counts["messages"] == 2
        assert b"marmalade" not in said(lines).lower()
        with opened(lines) as sessions:
            assert [info.keys for info in sessions.list()] == [("other",)]
            assert sessions.erasures()[: len(before)] == before
            assert sessions.check() == []
            with pytest.raises(palaver.ContentErased):
                sessions.begin_turn(HERS, user("Quixotic marmalade", id="tg-1"))


def test_erased_from_apart_is_refused(lines: Path, tmp_path: Path) -> None:
    """Neither can say what the other lost: nothing is touched."""
    with palaver.open(tmp_path / "other.db") as others:
        others.get_or_create(HERS).append(user("hello"))
        others.erase(user=HERS)
        made = others.backup(tmp_path / "b.db")
    with opened(lines) as sessions:
        sessions.erase(user=HERS)
    before = said(lines / "sessions")
    with pytest.raises(FileExistsError, match="erased from apart"):
        palaver.restore(made.path, url(lines), force=True)
    assert said(lines / "sessions") == before


def test_what_is_open_or_no_store_or_damaged_is_left(lines: Path, tmp_path: Path) -> None:
    """A store that is open, a directory of other things, a file, a backup that is damaged: each says why."""
    with opened(lines) as sessions:
        made = sessions.backup(tmp_path / "b.db")
        with pytest.raises(StoreBusy, match="lines open"):
            palaver.restore(made.path, url(lines), force=True)
        assert kit.texts(sessions, "other") == ["bread", "rolls"]
        sessions.resolve("other").append(user("goes on"))
    diary = tmp_path / "diary"
    diary.mkdir()
    (diary / "today.txt").write_text("dear diary")
    with pytest.raises(FileExistsError, match="no store"):
        palaver.restore(made.path, url(diary), force=True)
    with pytest.raises(FileExistsError, match="is a file"):
        palaver.restore(made.path, url(diary / "today.txt"), force=True)
    assert {each.name for each in diary.iterdir()} == {"today.txt"}
    (tmp_path / "bad.db").write_bytes(b"no database at all" * 400)
    with pytest.raises(StoreUnavailable):
        palaver.restore(tmp_path / "bad.db", url(lines), force=True)
    with opened(lines) as sessions:
        assert kit.texts(sessions, "other") == ["bread", "rolls", "goes on"]


def test_the_commands(
    lines: Path, tmp_path: Path, new_postgres_url: MakeDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    """`palaver restore` makes lines; a database says how it is done there, and that way is open: `palaver copy`."""
    backup = str(tmp_path / "b.db")
    database = new_postgres_url()
    with palaver.open(database) as sessions:
        with sessions.begin_turn(HERS, user("Quixotic marmalade", id="tg-1")) as turn:
            turn.finish(assistant("Marmalade it is"))
        sessions.get_or_create("other").append(user("bread"), assistant("rolls"))
    assert main(["backup", backup, "--store", database]) == 0
    assert main(["restore", backup, url(lines)]) == 2
    assert main(["restore", backup, url(lines), "--force"]) == 0
    with opened(lines) as sessions:
        assert kit.texts(sessions, "other") == ["bread", "rolls"]
        assert sessions.check() == []
    capsys.readouterr()
    assert main(["restore", backup, database]) == 2
    assert "palaver copy" in capsys.readouterr().err
    fresh = new_postgres_url()
    assert main(["copy", backup, fresh]) == 0
    assert main(["copy", backup, fresh]) == 0
    with palaver.open(fresh) as sessions:
        assert kit.texts(sessions, "other") == ["bread", "rolls"]
        assert sessions.resolve(HERS).messages()[0].id == "tg-1"
        assert sessions.check() == []

"""Files of lines that lost what was answered for: it is named, kept as the index had it, and a repair puts it back."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

import palaver
from palaver import Origin, SessionManager, assistant, user
from palaver.cli import main
from palaver.errors import CorruptRecord
from palaver.findings import Finding
from palaver.media import as_text
from palaver.model import ImagePart, Usage
from palaver.reach import core_of
from palaver.stores.jsonl.journal import Journal
from tests.faults import kit

PICTURE = ImagePart(media_type="image/png", data=as_text(bytes(20_000)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The store's directory, with two sessions: of one everything, so that a file of it has lines of each kind."""
    root = tmp_path / "lines"
    with opened(root) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("one", id="m-1"), assistant("two"), user("three", id="m-3"))
        session.rename("plans")
        with sessions.begin_turn("k", user(["four", PICTURE], id="m-4")) as turn:
            turn.finish(assistant("five"), usage=Usage(input_tokens=3, model="m"))
        session.edit(2, "two, mended")
        session.append(user("six", id="m-6"))
        session.tag("last")
        sessions.get_or_create("other").append(user("hi"))
    return root


def opened(root: Path) -> SessionManager:
    """The store, open."""
    return palaver.open(f"jsonl:///{root}")


def file_of(root: Path, key: str = "k") -> Path:
    """The file of a session."""
    with opened(root) as sessions:
        return root / "sessions" / f"{sessions.resolve(key).id}.jsonl"


def state(sessions: SessionManager, key: str = "k") -> tuple[object, ...]:
    """All that a reader sees of a session, but for its version, which a repair moves on."""
    session = sessions.resolve(key)
    info = session.info()
    said = [*session.messages(limit=500, live=False)]
    told = (info.title, info.tags, info.usage, info.last_seq, info.message_count, info.keys, info.last_active_at)
    return told, said, [list(session.versions(m.seq or 0)) for m in said]


def lost_in(found: list[Finding]) -> list[Finding]:
    """What check says of files that lost something."""
    return [each for each in found if each.problem == "lines_lost"]


@pytest.mark.parametrize("left", ["most", "a commit", "half", "one line", "nothing"])
def test_what_was_answered_for_is_named_and_put_back(root: Path, left: str, tmp_path: Path) -> None:
    """Wherever the file ends by now: exactly what it lacks is named; after a backup, everything is as it was."""
    path = file_of(root)
    with opened(root) as sessions:
        before = state(sessions)
        rev = sessions.resolve("k").info().rev
    whole = path.read_bytes()
    ends = [n + 1 for n, byte in enumerate(whole) if byte == 10]
    size = {"most": ends[-3] + 9, "a commit": ends[-3], "half": len(whole) // 2, "one line": ends[0], "nothing": 0}[
        left
    ]
    os.truncate(path, size)
    session_id = path.stem
    with opened(root) as sessions:
        there = (
            [m.text for m in sessions.get(session_id).messages(live=False)]
            if left not in {"one line", "nothing"}
            else []
        )
        [found] = lost_in(sessions.check())
        assert found.repairable
        assert f"{path.name} ends at byte " in found.detail
        first = len(there) + 1
        if first <= 6:
            named = f"are {7 - first} messages: seq {first}-6" if first < 6 else "is 1 message: seq 6"
            assert f"lost {named}; " in found.detail
        assert [each.problem for each in sessions.check()] == ["lines_lost"]  # one cause, one finding
        assert lost_in(sessions.check(sessions.resolve("other").id)) == []
        report = sessions.repair(str(tmp_path / "before.db"))
        assert report.backup is not None
        assert report.repaired[0].problem == "lines_lost"
        assert [each.failed for each in report.repaired] == [None] * len(report.repaired)
        assert report.left == ()
        assert state(sessions) == before
        assert sessions.resolve("k").info().rev > rev
        assert [each.session_id for each in sessions.search("three")] == [session_id]
        sessions.resolve("k").append(user("seven"))
    assert not list((root / "quarantine").glob("*.lost"))
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        assert kit.texts(sessions, "k")[-2:] == ["six", "seven"]
        assert sessions.check() == []


def test_a_session_that_went_on_keeps_both(root: Path, tmp_path: Path) -> None:
    """New messages take new positions; the old ones come back to theirs."""
    path = file_of(root)
    lines = path.read_bytes().splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if b'"n":' in line)
    path.write_bytes(b"".join(lines[: first + 1]))
    with opened(root) as sessions:
        assert kit.texts(sessions, "k") == ["one", "two", "three"]
        session = sessions.resolve("k")
        assert session.append(user("after")).last_seq == 7
        with sessions.begin_turn("k", user("and this")) as turn:
            turn.finish(assistant("yes"))
        report = sessions.repair(str(tmp_path / "before.db"))
        assert report.left == ()
        said = ["one", "two", "three", "four", "five", "six", "after", "and this", "yes"]
        assert [m.text for m in session.messages(live=False)] == said
        assert [m.text for m in session.history().messages] == said
        assert session.append(user("six", id="m-6")).seqs == (6,)  # it is known again
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        assert kit.texts(sessions, "k") == said
        assert sessions.check() == []


def test_a_tear_while_the_store_is_open(root: Path, tmp_path: Path) -> None:
    """Check looks at the files, and a repair reads them before it writes."""
    path = file_of(root)
    with opened(root) as sessions:
        before = state(sessions)
        os.truncate(path, path.stat().st_size - 30)
        [found] = lost_in(sessions.check())
        assert path.name in found.where
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert state(sessions) == before
    with opened(root) as sessions:
        assert state(sessions) == before
        assert sessions.check() == []


def test_zeros_at_the_end_are_a_loss_too(root: Path, tmp_path: Path) -> None:
    """The file has its length, and not what it said: what was answered for is not taken for what never was."""
    path = file_of(root)
    with opened(root) as sessions:
        before = state(sessions)
    whole = path.read_bytes()
    tail = whole.rindex(b"\n", 0, len(whole) - 1) - 20
    path.write_bytes(whole[:tail] + bytes(len(whole) - tail))
    with opened(root) as sessions:
        assert len(lost_in(sessions.check())) == 1
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert state(sessions) == before


def test_a_person_who_wants_the_older_file_keeps_it(root: Path) -> None:
    """Who removes what was set aside is not told again of it."""
    path = file_of(root)
    text = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(text[:-2]))
    with opened(root) as sessions:
        assert len(lost_in(sessions.check())) == 1
    for kept in (root / "quarantine").glob("*.lost"):
        kept.unlink()
    with opened(root) as sessions:
        assert sessions.repair().left == ()
        assert sessions.resolve("k").info().tags == ()


def test_what_was_purged_is_not_kept_aside(root: Path) -> None:
    """A purge takes what was set aside of the session along."""
    path = file_of(root)
    os.truncate(path, path.stat().st_size - 30)
    with opened(root) as sessions:
        assert list((root / "quarantine").glob("*.lost"))
        sessions.resolve("k").purge(1, 1)
        assert not list((root / "quarantine").glob("*.lost"))


@pytest.mark.parametrize("left", ["most", "nothing"])
def test_nothing_is_erased_beside_what_is_set_aside(root: Path, left: str, tmp_path: Path) -> None:
    """What was lost would stay there, and a repair would bring it back: it is put back first, and erased then."""
    path = file_of(root)
    os.truncate(path, path.stat().st_size // 2 if left == "most" else 0)
    with opened(root) as sessions:
        [kept] = (root / "quarantine").glob("*.lost")
        with pytest.raises(CorruptRecord, match=kept.name):
            sessions.erase(owner="")
        assert sessions.erasures() == []
        sessions.erase(owner="", dry_run=True)
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert path.stem in sessions.erase(owner="").sessions
        assert not list((root / "quarantine").glob("*.lost"))
        assert sessions.repair(str(tmp_path / "after.db")).left == ()
    assert not [each for each in root.rglob("*") if each.is_file() and b"two, mended" in each.read_bytes()]


def test_the_file_of_the_store_is_written_anew(root: Path, tmp_path: Path) -> None:
    """Who was erased stays known."""
    with opened(root) as sessions:
        sessions.erase(user=Origin("telegram", chat_id="7", user_id="7"))
    path = root / "sessions" / "~store.jsonl"
    os.truncate(path, path.stat().st_size // 2)
    with opened(root) as sessions:
        [found] = lost_in(sessions.check())
        assert "~store.jsonl" in found.where
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        known = core_of(sessions).store.marks(b"", limit=10)
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        assert core_of(sessions).store.marks(b"", limit=10) == known
        assert len(core_of(sessions).store.erasures()) == 1


# ---------------------------------------------------------------------- the journal
def test_damage_in_the_journal_is_kept_and_named(root: Path, tmp_path: Path) -> None:
    """Of two records, one is damaged, after a crash: the other is replayed, the damaged one is set aside as it was."""
    copy = tmp_path / "copy"
    with opened(root) as sessions:
        sessions.resolve("k").append(user("seven"))
        sessions.resolve("other").append(user("eight"))
        shutil.copytree(root, copy)  # as a crash would leave it
    journal = copy / ".palaver" / "journal"
    data = journal.read_bytes()
    place = data.index(b"seven")
    journal.write_bytes(data[:place] + b"SEVEN" + data[place + 5 :])
    with opened(copy) as sessions:
        assert kit.texts(sessions, "k")[-1] == "seven"  # its file has it
        assert kit.texts(sessions, "other") == ["hi", "eight"]
        [found] = [each for each in sessions.check() if each.problem == "journal_damaged"]
        assert found.where.startswith("quarantine/~journal-0-")
    [kept] = (copy / "quarantine").glob("*.record")
    assert b"SEVEN" in kept.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert journal.read_bytes() == b""
    assert main(["check", "--store", f"jsonl:///{copy}"]) == 1
    kept.unlink()
    assert main(["check", "--store", f"jsonl:///{copy}"]) == 0


def test_the_last_record_is_named_where_it_was_whole(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One whose writing was broken off was never answered for, and is no damage."""
    with opened(root) as sessions:
        sessions.resolve("k").append(user("seven"))
        for name in ("damaged", "torn"):
            shutil.copytree(root, tmp_path / name)
    journal = tmp_path / "damaged" / ".palaver" / "journal"
    data = bytearray(journal.read_bytes())
    data[data.index(b"seven")] ^= 1
    journal.write_bytes(data)
    torn = tmp_path / "torn" / ".palaver" / "journal"
    end = torn.read_bytes().index(b"seven")
    torn.write_bytes(torn.read_bytes()[:end] + bytes(len(data) - end))
    with caplog.at_level(logging.ERROR):
        opened(tmp_path / "torn").close()
        assert not (tmp_path / "torn" / "quarantine").exists()
        assert not caplog.records
        opened(tmp_path / "damaged").close()
    assert len(list((tmp_path / "damaged" / "quarantine").glob("*.record"))) == 1
    assert [getattr(each, "action", None) for each in caplog.records] == ["journal_damaged"]


def test_a_journal_that_is_folded_while_it_is_used_keeps_damage_too(root: Path) -> None:
    """Not only who opens a store empties the journal: who closes it does as well."""
    with opened(root) as sessions:
        sessions.resolve("k").append(user("seven"))
        journal = root / ".palaver" / "journal"
        data = bytearray(journal.read_bytes())
        data[data.index(b"seven")] ^= 1
        journal.write_bytes(data)
        assert list(Journal(journal).entries()) == []
    assert len(list((root / "quarantine").glob("*.record"))) == 1
    with opened(root) as sessions:
        assert kit.texts(sessions, "k")[-1] == "seven"
        sessions.resolve("k").purge(1, 1)  # nobody knows whose a damaged record is
    assert not list((root / "quarantine").glob("*.record"))

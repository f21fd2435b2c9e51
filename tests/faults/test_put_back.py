"""What a repair does with what was set aside of a file of lines, whatever became of the session in between."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import palaver
from palaver import Session, SessionManager, assistant, user
from palaver.cli import main
from palaver.erasure import SessionTarget
from palaver.errors import CorruptRecord, CursorExpired, StoreUnavailable
from palaver.findings import Finding
from palaver.media import as_text
from palaver.model import ImagePart
from palaver.moving import Copier
from palaver.operations import BeginErasure, Import
from palaver.reach import core_of
from palaver.times import to_micros
from tests.faults import kit

PICTURE = ImagePart(media_type="image/png", data=as_text(bytes(20_000)))


def opened(root: Path) -> SessionManager:
    """The store, open."""
    return palaver.open(f"jsonl:///{root}")


def cut(path: Path, commits: int) -> None:
    """Take the last commits of a file away."""
    lines = path.read_bytes().splitlines(keepends=True)
    ends = [n + 1 for n, line in enumerate(lines) if b'"n":' in line]
    path.write_bytes(b"".join(lines[: ([0, *ends])[-1 - commits]]))


def aside(root: Path) -> list[Path]:
    """What is set aside of what files lost."""
    return sorted((root / "quarantine").glob("*.lost"))


def lost_in(sessions: SessionManager) -> list[Finding]:
    """What check says of it; and nothing else says the same in other words."""
    found = sessions.check()
    assert {each.problem for each in found} <= {"lines_lost"}
    return found


# ---------------------------------------------------------------------- of a mirror
class Mirror:
    """A store, and a directory of lines that it is copied to."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "chat.db"
        self.root = folder / "lines"
        with palaver.open(self.source) as sessions:
            session = sessions.get_or_create("k")
            session.append(user("one", id="m-1"), assistant("two"))
            self.id = session.id
        self.copy()
        self.say("three", "four")
        self.copy()
        self.file = self.root / "sessions" / f"{self.id}.jsonl"

    def say(self, *texts: str) -> None:
        """Store more in the source."""
        with palaver.open(self.source) as sessions:
            sessions.get(self.id).append(*[user(text) for text in texts])

    def copy(self) -> tuple[str, ...]:
        """Copy, compare, and give what could not be copied, and why."""
        with palaver.open(self.source) as one, opened(self.root) as other:
            report = Copier(core_of(one).store, core_of(other).store, verify=True).copy()
        return tuple(each.reason for each in report.problems)


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    """One session of four messages, that came in two commits."""
    return Mirror(tmp_path)


@pytest.mark.parametrize("commits", [1, 2])
def test_what_a_copy_brought_again_is_not_put_back(mirror: Mirror, commits: int, tmp_path: Path) -> None:
    """Check says so, a repair removes what was set aside and changes nothing, and then an erasure goes."""
    cut(mirror.file, commits)
    opened(mirror.root).close()
    [kept] = aside(mirror.root)
    assert mirror.copy() == ()
    with opened(mirror.root) as sessions:
        before = sessions.get(mirror.id).info(), sessions.get(mirror.id).messages()
        [found] = lost_in(sessions)
        assert "is there again" in found.detail
        assert kept.name in found.detail
        with pytest.raises(CorruptRecord, match=kept.name):
            sessions.erase(session=mirror.id)
        report = sessions.repair(str(tmp_path / "before.db"))
        assert [(each.count, each.failed) for each in report.repaired] == [(0, None)]
        assert report.left == ()
        assert (sessions.get(mirror.id).info(), sessions.get(mirror.id).messages()) == before
    assert aside(mirror.root) == []
    mirror.say("five")
    assert mirror.copy() == ()
    with opened(mirror.root) as sessions:
        assert kit.texts(sessions, "k") == ["one", "two", "three", "four", "five"]
        assert sessions.erase(session=mirror.id).sessions == (mirror.id,)


@pytest.mark.parametrize("commits", [1, 2])
def test_a_repair_of_a_mirror_is_no_change_of_ours(mirror: Mirror, commits: int, tmp_path: Path) -> None:
    """It is what its import made of it, and is copied on; what was changed here is refused as ever."""
    cut(mirror.file, commits)
    with opened(mirror.root) as sessions:
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert kit.texts(sessions, "k") == ["one", "two", "three", "four"]
        assert "repaired" in [each.kind for each in sessions.events()]
    mirror.say("five")
    assert mirror.copy() == ()
    with opened(mirror.root) as sessions:
        assert kit.texts(sessions, "k") == ["one", "two", "three", "four", "five"]
        assert sessions.check() == []
        sessions.get(mirror.id).rename("mine")
    cut(mirror.file, 1)
    with opened(mirror.root) as sessions:
        assert sessions.repair(str(tmp_path / "again.db")).left == ()
        assert sessions.get(mirror.id).info().title == "mine"
    mirror.say("six")
    [reason] = mirror.copy()
    assert "was changed here since" in reason


def test_what_was_purged_at_the_source_stays_away(mirror: Mirror, tmp_path: Path) -> None:
    """A copy brought the purge with it: what was set aside has the message still, and it does not come back."""
    cut(mirror.file, 1)
    opened(mirror.root).close()
    with palaver.open(mirror.source) as sessions:
        sessions.get(mirror.id).purge(3, 3)
    assert mirror.copy() == ()
    with opened(mirror.root) as sessions:
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert kit.texts(sessions, "k") == ["one", "two", "four"]
    assert aside(mirror.root) == []


def test_what_was_edited_after_it_came_again_counts_as_there(mirror: Mirror, tmp_path: Path) -> None:
    """What the message said is among its versions."""
    cut(mirror.file, 1)
    opened(mirror.root).close()
    assert mirror.copy() == ()
    with opened(mirror.root) as sessions:
        sessions.get(mirror.id).edit(4, "four, mended")
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert kit.texts(sessions, "k") == ["one", "two", "three", "four, mended"]
    assert aside(mirror.root) == []


def test_a_copy_that_was_broken_off_is_completed_by_either(mirror: Mirror, tmp_path: Path) -> None:
    """A part came again by a copy, the rest is put back, and the copy goes on from there."""
    cut(mirror.file, 2)
    opened(mirror.root).close()
    with palaver.open(mirror.source) as sessions, opened(mirror.root) as other:
        source, target = core_of(sessions).store, core_of(other).store
        record = source.record(mirror.id, None)
        chunk = source.chunk(mirror.id, None, after=0, limit=2)
        target.commit([Import(at=record.row.created_at, row=record.row, chunk=chunk)])
    with opened(mirror.root) as sessions:
        [found] = lost_in(sessions)
        assert "lost are 2 messages: seq 3-4;" in found.detail
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
    assert mirror.copy() == ()
    with opened(mirror.root) as sessions:
        assert kit.texts(sessions, "k") == ["one", "two", "three", "four"]
        assert sessions.check() == []


# ---------------------------------------------------------------------- places that others have
def grown(root: Path) -> Path:
    """A session of six messages, each a commit of its own; its file."""
    with opened(root) as sessions:
        session = sessions.get_or_create("k")
        for text in ("one", "two", "three", "four", "five", "six"):
            session.append(user(text))
        return root / "sessions" / f"{session.id}.jsonl"


def test_a_place_that_another_message_has_is_named_and_the_rest_put_back(tmp_path: Path) -> None:
    """What cannot be put back stays aside, and is not marked as purged; the finding says what to do by hand."""
    root = tmp_path / "lines"
    path = grown(root)
    cut(path, 3)
    opened(root).close()
    shutil.rmtree(root / ".palaver")  # nobody knows that the positions were given out
    with opened(root) as sessions:
        assert sessions.resolve("k").append(user("another four")).last_seq == 4
        [found] = lost_in(sessions)
        assert "lost are 2 messages: seq 5-6; at seq 4 others stand by now" in found.detail
        report = sessions.repair(str(tmp_path / "before.db"))
        assert [(each.problem, each.count, each.failed) for each in report.repaired] == [("lines_lost", 2, None)]
        assert kit.texts(sessions, "k") == ["one", "two", "three", "another four", "five", "six"]
        [found] = report.left
        assert not found.repairable
        assert "seq 4 cannot be put back: other messages stand there" in found.detail
        [kept] = aside(root)
        assert f"quarantine/{kept.name}" in found.remedy
        with pytest.raises(CorruptRecord, match=kept.name):
            sessions.erase(owner="")
        assert sessions.repair(str(tmp_path / "again.db")).backup is None
    assert main(["check", "--store", f"jsonl:///{root}"]) == 1
    kept.unlink()
    with opened(root) as sessions:
        assert sessions.check() == []


def test_what_cannot_be_read_is_kept_for_a_person(tmp_path: Path) -> None:
    """It is named, nothing is erased beside it, and a repair neither removes it nor gives up what it may hold."""
    root = tmp_path / "lines"
    cut(grown(root), 2)
    opened(root).close()
    [kept] = aside(root)
    first, _, rest = kept.read_bytes().partition(b"\n")
    for damage in (b"noise\n" + rest, first + b"\n" + rest.replace(b'"seq":5', b'"seq":"x"')):
        kept.write_bytes(damage)
        with opened(root) as sessions:
            found = [each for each in sessions.check() if each.problem == "lines_lost"]
            assert [(each.where, each.repairable) for each in found] == [(f"quarantine/{kept.name}", False)]
            with pytest.raises(CorruptRecord, match=kept.name):
                sessions.erase(owner="")
            sessions.repair(str(tmp_path / f"before-{len(damage)}.db"))
        assert kept.read_bytes() == damage


# ---------------------------------------------------------------------- files that are gone
def test_a_session_whose_file_was_removed_is_named_and_made_again(tmp_path: Path) -> None:
    """Nobody can tell whether it was to be gone: check says how to have it either way."""
    root = tmp_path / "lines"
    path = grown(root)
    with opened(root) as sessions:
        before = sessions.resolve("k").info()
    cut(path, 2)
    opened(root).close()
    path.unlink()
    shutil.copytree(root, tmp_path / "copy")
    with opened(root) as sessions:
        [found] = lost_in(sessions)
        [kept] = aside(root)
        assert f"{path.name} is gone" in found.detail
        assert f"remove quarantine/{kept.name}" in found.remedy
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        after = sessions.resolve("k").info()
        assert (after.id, after.created_at, after.last_seq) == (before.id, before.created_at, before.last_seq)
        assert kit.texts(sessions, "k") == ["one", "two", "three", "four", "five", "six"]
        assert sessions.erase(owner="").sessions == (before.id,)
    [kept] = aside(tmp_path / "copy")
    kept.unlink()
    with opened(tmp_path / "copy") as sessions:
        assert sessions.check() == []
        assert sessions.list() == []


def test_a_session_whose_number_another_has_gets_one_of_its_own(tmp_path: Path) -> None:
    """The index was lost with the file, and a new session began with the first number."""
    root = tmp_path / "lines"
    path = grown(root)
    cut(path, 2)
    opened(root).close()
    path.unlink()
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        sessions.get_or_create("other").append(user("hi"))
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert kit.texts(sessions, "other") == ["hi"]
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        assert kit.texts(sessions, "k") == ["one", "two", "three", "four", "five", "six"]
        assert kit.texts(sessions, "other") == ["hi"]
        assert sessions.check() == []


def test_an_erased_session_does_not_come_back(tmp_path: Path) -> None:
    """Its file and what was set aside of it were put back by hand, from a copy of the directory."""
    root = tmp_path / "lines"
    path = grown(root)
    cut(path, 2)
    opened(root).close()
    [kept] = aside(root)
    text = kept.read_bytes()
    kept.unlink()
    with opened(root) as sessions:
        sessions.erase(session=path.stem)
    path.unlink()
    kept.write_bytes(text)
    with opened(root) as sessions:
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert sessions.list() == []
    assert aside(root) == []
    assert not path.exists()


def test_of_two_losses_the_newest_is_put_back_first(tmp_path: Path) -> None:
    """The session as it was last, and the messages that were lost before."""
    root = tmp_path / "lines"
    path = grown(root)
    cut(path, 2)
    with opened(root) as sessions:
        sessions.resolve("k").append(user("seven"))
        sessions.resolve("k").rename("newest")
    cut(path, 3)
    opened(root).close()
    for n, kept in enumerate(sorted(aside(root), key=lambda each: each.stat().st_mtime_ns)):
        os.utime(kept, ns=(n, n))
    assert len(aside(root)) == 2
    with opened(root) as sessions:
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert kit.texts(sessions, "k") == ["one", "two", "three", "four", "five", "six", "seven"]
        assert sessions.resolve("k").info().title == "newest"
        assert sessions.check() == []


# ---------------------------------------------------------------------- the whole store's file
def test_an_erasure_that_has_ended_since_stays_ended(tmp_path: Path) -> None:
    """What was set aside knows it as begun."""
    root = tmp_path / "lines"
    path = grown(root)
    with opened(root) as sessions:
        core = core_of(sessions)
        target = SessionTarget(path.stem)
        core.store.commit([BeginErasure(at=to_micros(core.now()), erasure_id="e-1", target=target, secret=bytes(32))])
    store_file = root / "sessions" / "~store.jsonl"
    os.truncate(store_file, store_file.stat().st_size - 5)
    with opened(root) as sessions:
        [kept] = aside(root)
        assert b'"ended_at"' not in kept.read_bytes()
        sessions.erase(session=path.stem)
        ended = sessions.erasures()
        assert len(ended) == 2
        marks = core_of(sessions).store.marks(b"", limit=100)
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert sessions.erasures() == ended
        assert core_of(sessions).store.marks(b"", limit=100) == marks
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        assert sessions.erasures() == ended
        assert sessions.check() == []


def test_marks_under_another_secret_are_not_mixed(tmp_path: Path) -> None:
    """The file was lost with the index, and something was erased since: the repair says why it stops."""
    root = tmp_path / "lines"
    path = grown(root)
    with opened(root) as sessions:
        sessions.get_or_create("other").append(user("hi"))
        sessions.erase(session=path.stem)
        other = sessions.resolve("other").id
    store_file = root / "sessions" / "~store.jsonl"
    os.truncate(store_file, 0)
    opened(root).close()
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        sessions.erase(session=other)
        marks = core_of(sessions).store.marks(b"", limit=100)
        report = sessions.repair(str(tmp_path / "before.db"))
        [done] = report.repaired
        assert "another secret" in str(done.failed)
        assert core_of(sessions).store.marks(b"", limit=100) == marks
    assert len(aside(root)) == 1


# ---------------------------------------------------------------------- while it waits
@pytest.mark.parametrize("when", ["lost", "gone"])
def test_no_position_of_the_feed_is_given_out_twice(tmp_path: Path, when: str) -> None:
    """Whose cursor stood at the end, where what was told there is lost, goes on with what comes, or begins anew."""
    root = tmp_path / "lines"
    path = grown(root)
    with opened(root) as sessions:
        end, before = sessions.events().cursor, sessions.events(limit=2).cursor
    cut(path, 3)
    if when == "gone":
        path.unlink()
    with opened(root) as sessions:
        with pytest.raises(CursorExpired):
            sessions.events(before)
        sessions.get_or_create("other").append(user("hi"))
        told = sessions.events(end)
        assert [each.kind for each in told] == ["created", "appended"]
        if when == "lost":
            assert sessions.repair(str(tmp_path / "before.db")).left == ()
            assert {each.kind for each in sessions.events(told.cursor)} == {"repaired"}


def test_content_of_lost_messages_stays(tmp_path: Path) -> None:
    """No message shows it until it is put back: a sweep leaves it, and so does the check."""
    root = tmp_path / "lines"
    with opened(root) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("one"))
        session.append(user(["look", PICTURE]))
        path = root / "sessions" / f"{session.id}.jsonl"
    cut(path, 1)
    with opened(root) as sessions:
        assert len(lost_in(sessions)) == 1
        core_of(sessions).store.clean()
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert _picture(sessions.resolve("k")) == bytes(20_000)
    shutil.rmtree(root / ".palaver")
    with opened(root) as sessions:
        assert _picture(sessions.resolve("k")) == bytes(20_000)


def _picture(session: Session) -> bytes:
    part = session.messages()[-1].parts[1]
    assert isinstance(part, ImagePart)
    assert part.blob is not None
    return session.media(part.blob)


def test_what_an_editor_put_in_the_place_of_an_open_file_is_noticed(tmp_path: Path) -> None:
    """A process goes on with the file that it has open: what it wrote there is known to the index, and put back."""
    root = tmp_path / "lines"
    with opened(root) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("hello"))
        path = root / "sessions" / f"{session.id}.jsonl"
        draft = path.with_name("draft")
        draft.write_text(path.read_text().replace('"hello"', f'"hello, {"and more " * 500}"'))
        draft.replace(path)
        session.append(user("said meanwhile"))
    with opened(root) as sessions:
        [found] = lost_in(sessions)
        assert f"{path.name} was changed, and is without what came to it meanwhile: lost is 1 message: seq 2;" in (
            found.detail
        )
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert kit.texts(sessions, "k")[-1] == "said meanwhile"


def test_many_lost_messages_are_told_as_ranges(tmp_path: Path) -> None:
    """Ranges and a count, however many there are, and one finding for one cause."""
    root = tmp_path / "lines"
    with opened(root) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("first"))
        session.append(*[user(str(n), id=f"m-{n}") for n in range(2, 401)])
        for seq in range(10, 400, 10):
            session.purge(seq, seq)
        path = root / "sessions" / f"{session.id}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if b'"seq":2' in line)
    path.write_bytes(b"".join(lines[:first]).removesuffix(b"}\n") + b',"n":1}\n')
    with opened(root) as sessions:
        [found] = lost_in(sessions)
        assert "lost are 360 messages: seq 2-9, 11-19, 21-29, " in found.detail
        assert "191-199 and 181 more; " in found.detail
        assert sessions.repair(str(tmp_path / "before.db")).left == ()
        assert len(sessions.resolve("k").messages(limit=500, live=False)) == 361


def test_a_file_of_which_nothing_can_be_read_is_named(mirror: Mirror) -> None:
    """It is in the way of its session: check says so, and so does who writes there, until it is moved away."""
    mirror.file.write_bytes(b"noise\n")
    shutil.rmtree(mirror.root / ".palaver")
    with opened(mirror.root) as sessions:
        [found] = sessions.check()
        assert (found.where, found.repairable) == (f"quarantine/{mirror.file.name}.unreadable", False)
        assert f"move sessions/{mirror.file.name} away" in found.remedy
        sessions.get_or_create("other").append(user("hi"))
    with pytest.raises(StoreUnavailable, match=rf"sessions/{mirror.file.name} holds something else"):
        mirror.copy()
    assert mirror.file.read_bytes() == b"noise\n"
    mirror.file.unlink()
    (mirror.root / "quarantine" / f"{mirror.file.name}.unreadable").unlink()
    assert mirror.copy() == ()
    with opened(mirror.root) as sessions:
        assert sessions.check() == []

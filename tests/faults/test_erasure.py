"""Erasure as a court would look at it: nothing of it in any byte of the store's files, whatever happened meanwhile."""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import IO, Any

import pytest

import palaver
from palaver import Origin, SessionManager, assistant, user
from palaver.errors import PalaverError, SessionNotFound, TurnLost
from palaver.model import ImagePart, Sender
from palaver.operations import Operation
from palaver.reset import CarryOver, ResetPolicy
from palaver.stores.sqlite.store import SqliteStore
from tests.faults import kit

HERS = Origin("telegram", chat_id="77123", user_id="77123", user_name="Zebulon")
GROUP = Origin("telegram", chat_type="group", chat_id="-5", thread_id="9", user_id="77123", user_name="Zebulon")
WORDS = (b"quixotic", b"marmalade", b"zebulon", b"77123", b"mediamark")
NOISE = "nothing of hers is in here, and it stays where it is "


def fill(sessions: SessionManager, noise: int = 20) -> None:
    """A person in every corner of a store: dm, group, edits, cuts, forks, media, summaries, queue, index, titles."""
    for n in range(noise):
        other = sessions.get_or_create(f"other:{n}")
        other.append(*[user(f"{NOISE} {n} {i}", id=f"n{n}-{i}") for i in range(30)])
    with sessions.begin_turn(HERS, user("Quixotic marmalade, please", id="tg-77123-1", sender="Zebulon")) as turn:
        turn.append(assistant("Quixotic marmalade it is"))
        turn.finish(assistant("Zebulon, done"))
    mine = sessions.resolve(HERS)
    picture = base64.b64encode(b"MEDIAMARK" * 4_000).decode()
    mine.append(user(ImagePart(data=picture, name="quixotic.png")), user("marmalade again " * 2_000), user("more"))
    mine.edit(1, "Quixotic, as edited")
    mine.delete_message(2)
    mine.rename("Quixotic marmalade")
    mine.set_metadata({"name": "Zebulon"})
    mine.tag("zebulon")
    mine.hold("quixotic")
    mine.compact("Zebulon wants marmalade", through_seq=3)
    mine.fork(title="Quixotic too")
    sessions.create(alias="zebulon-77123").append(user("x"))
    for name, sender in (("Zebulon", "77123"), ("Bob", "8"), ("Zebulon", "77123")):
        asked = user(f"{name} asks of {'marmalade' if sender != '8' else 'bread'}", sender=Sender(id=sender, name=name))
        with sessions.begin_turn(GROUP, asked) as turn:
            turn.finish(assistant(f"an answer on {'marmalade' if sender != '8' else 'bread'}"))
    sessions.search("marmalade")
    sessions.search("nothing")
    for n in range(noise):  # pages split and move, and leave behind what they held
        sessions.resolve(f"other:{n}").append(*[user(f"{NOISE} {n} {i}") for i in range(30)])
    sessions.resolve(HERS).append(user("quixotic and late"))
    sessions.begin_turn(HERS, user("running quixotic"))
    sessions.begin_turn(HERS, user("queued marmalade"), on_busy="store")


def traces(path: Path) -> dict[str, int]:
    """How often each word stands in each file of the store."""
    found: dict[str, int] = {}
    for file in sorted(path.parent.iterdir()):
        if file.name.startswith(path.name):
            data = file.read_bytes().lower()
            found.update({f"{file.name} {word.decode()}": data.count(word) for word in WORDS if word in data})
    return found


def test_no_byte_of_it_is_left(tmp_path: Path) -> None:
    """Text, words of the index, media, names and ids: gone from the database, its log and its shared memory."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        fill(sessions)
        sessions.resolve("other:1")
        assert {line.partition(" ")[2].encode() for line in traces(path)} == {*WORDS}
        report = sessions.erase(user="telegram:77123")
        left = traces(path)
        assert set(left) <= {"chat.db zebulon", "chat.db 77123"}, left  # the alias, which only its owner can tell
        alias = sessions.get("zebulon-77123").id
        sessions.erase(session=alias)
        assert traces(path) == {}
        assert report.scrub is not None
        assert report.scrub.done
        assert [m.text for m in sessions.resolve(GROUP).messages()] == ["Bob asks of bread", "an answer on bread"]
        assert sessions.check() == []
        assert list(sessions.search("marmalade")) == []
        assert len(sessions.search("nothing", limit=2_000)) == 1_200
    assert traces(path) == {}


def test_without_scrubbing_files_hold_it_until_they_are_scrubbed(tmp_path: Path) -> None:
    """The report says so, and `scrub` cleans them."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        fill(sessions, noise=2)
        assert sessions.erase(user="telegram:77123", scrub=False).scrub is None
        assert traces(path)
        sessions.erase(session="zebulon-77123", scrub=False)
        assert [row.scrubbed_at for row in sessions.erasures()] == [None, None]
        assert sessions.scrub().done
        assert None not in [row.scrubbed_at for row in sessions.erasures()]
        assert traces(path) == {}


def test_a_long_reader_is_waited_for_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody reads on an old snapshot: what is erased is gone for all others, and the log cannot be emptied yet."""
    monkeypatch.setattr("palaver.stores.sqlite.scrubbing._PATIENCE", 0.1)
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        fill(sessions, noise=2)
        with kit.raw(path) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM messages").fetchall()
            report = sessions.erase(user="telegram:77123")
            assert report.scrub is not None
            assert not report.scrub.done
            assert "reads" in (report.scrub.reason or "")
        sessions.erase(session="zebulon-77123")
        assert traces(path) == {}


@pytest.mark.parametrize("after", [1, 5, 9])
def test_killed_in_the_middle_it_is_finished_by_the_next(tmp_path: Path, after: int) -> None:
    """After kill -9 the store is sound and says that an erasure has to be gone on with; the next one does."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        fill(sessions, noise=4)
    with kit.process("eraser.py", path, "telegram:77123") as running:
        lines = [kit.pipe(running.stdout).readline() for _ in range(after)]
        kit.kill(running)
    assert lines[-1] != "done\n"
    with palaver.open(path) as sessions:
        kinds = {finding.kind for finding in sessions.check()}
        [record] = sessions.erasures()
        assert kinds == ({"erasure"} if record.ended_at is None else set())
        report = sessions.erase(session="zebulon-77123")
        assert report.unfinished == (record.ended_at is None)
        assert all(row.ended_at is not None and row.target is None for row in sessions.erasures())
        assert traces(path) == {}
        assert sessions.check() == []
        assert [m.text for m in sessions.resolve(GROUP).messages()] == ["Bob asks of bread", "an answer on bread"]


class Dead(BaseException):
    """What ends an erasure here."""


@pytest.mark.parametrize("what", ["user", "owner"])
def test_one_that_dies_before_any_of_its_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Wherever it ends, the next one goes on with it, and leaves nothing of either."""
    filled = tmp_path / "filled.db"
    with palaver.open(filled) as sessions:
        fill(sessions, noise=1)
    commit = SqliteStore.commit
    for survived in count():
        path = tmp_path / "chat.db"
        path.write_bytes(filled.read_bytes())
        left = survived

        def dying(store: SqliteStore, operations: Sequence[Operation]) -> list[Any]:
            nonlocal left
            left -= 1
            if left < 0:
                raise Dead
            return commit(store, operations)

        with palaver.open(path) as sessions:
            with monkeypatch.context() as patched, suppress(Dead):
                patched.setattr(SqliteStore, "commit", dying)
                if what == "user":
                    sessions.erase(user="telegram:77123")
                else:
                    sessions.erase(owner="")
            ended = left >= 0
            if not survived:  # nothing was begun
                continue
            another = "zebulon-77123" if what == "user" else sessions.create("later").id
            sessions.erase(session=another)
            assert traces(path) == {}, survived
            assert sessions.check() == []
        if ended:
            break
    assert survived >= 5


def _until_end(pipe: IO[str], ended: threading.Event) -> None:
    pipe.read()
    ended.set()


def test_others_work_on_meanwhile(tmp_path: Path) -> None:
    """Another process erases while this one writes, reads and searches: nobody fails, nothing of others is lost."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        fill(sessions, noise=10)
        failed: list[Exception] = []
        written = 0
        with kit.process("eraser.py", path, "telegram:77123") as running:
            pipe = kit.pipe(running.stdout)
            ended = threading.Event()
            threading.Thread(target=_until_end, args=(pipe, ended), name="reader").start()
            while not ended.is_set():
                try:
                    with sessions.begin_turn(f"busy:{written % 3}", user(f"{NOISE} {written}")) as turn:
                        turn.finish(assistant("ok"))
                    sessions.search("nothing", limit=5)
                    sessions.list(limit=10)
                    written += 1
                except PalaverError as error:
                    failed.append(error)
        assert failed == []
        assert (
            sum(len(sessions.resolve(f"busy:{n}").messages(limit=10_000)) for n in range(min(3, written)))
            == 2 * written
        )
        sessions.erase(session="zebulon-77123")
        assert traces(path) == {}
        assert sessions.check() == []


def test_a_late_writer_cannot_bring_it_back(tmp_path: Path) -> None:
    """Turns that ran, handles held, and a second process: none of them stores anything of it any more."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions, palaver.open(path) as other:
        turn = sessions.begin_turn(HERS, user("quixotic"))
        group = sessions.begin_turn(GROUP, user("marmalade", sender=Sender(id="77123")))
        handle = other.resolve(HERS)
        fork = other.resolve(HERS)
        other.erase(user="telegram:77123")
        with pytest.raises(SessionNotFound):
            turn.append(assistant("quixotic indeed"))
        with pytest.raises(SessionNotFound):
            turn.finish(assistant("quixotic indeed"))
        with pytest.raises(TurnLost) as lost:
            group.finish(assistant("marmalade indeed"))
        assert [message.text for message in lost.value.unstored] == ["marmalade indeed"]
        for verb in (lambda: handle.append(user("quixotic")), fork.fork, handle.reset, handle.messages):
            with pytest.raises(SessionNotFound):
                verb()
        assert traces(path) == {}


def test_what_was_carried_over_goes_too(tmp_path: Path) -> None:
    """A reset that took messages along, or the summary: the session after it holds nothing of the one before."""
    path = tmp_path / "chat.db"
    carried: tuple[CarryOver, ...] = (3, "summary")
    for number, carry in enumerate(carried):
        with palaver.open(path, reset_policy=ResetPolicy(carry_over=carry)) as sessions:
            key = f"carry:{number}"
            with sessions.begin_turn(key, user("quixotic")) as turn:
                turn.finish(assistant("marmalade"))
            before = sessions.resolve(key)
            before.compact("quixotic marmalade", through_seq=2)
            after = sessions.reset(key)
            after.append(user("hello"))
            sessions.erase(session=before.id)
            assert [m.text for m in after.messages()][-1] == "hello"
            assert "quixotic" not in str(after.history()).casefold()
            assert traces(path) == {}


def test_an_old_backup_is_erased_again(tmp_path: Path) -> None:
    """The file of before in the store's place, with the hashes of the store: all of it goes once more, and no more."""
    path, old = tmp_path / "chat.db", tmp_path / "old" / "chat.db"
    old.parent.mkdir()
    with palaver.open(path) as sessions:
        fill(sessions, noise=3)
    with kit.raw(path) as connection:
        connection.execute("VACUUM INTO ?", (str(old),))
    with palaver.open(path) as sessions:
        sessions.erase(user="telegram:77123")
        sessions.erase(session="zebulon-77123")
        sessions.begin_turn(HERS, user("hello again", id="new"))
    with kit.raw(old) as connection:
        connection.execute("ATTACH ? AS now", (str(path),))
        connection.execute("INSERT INTO erased SELECT * FROM now.erased")
        connection.execute("INSERT INTO erasures SELECT * FROM now.erasures")
        connection.execute("INSERT INTO meta SELECT * FROM now.meta WHERE name = 'erasure_secret'")
    with palaver.open(old) as sessions:
        assert traces(old)
        report = sessions.erase_again()
        assert len(report.sessions) == 3
        assert len(report.parts) == 1
        assert [m.text for m in sessions.resolve(GROUP).messages()] == ["Bob asks of bread", "an answer on bread"]
        assert traces(old) == {}
        assert sessions.check() == []
        assert sessions.erase_again().sessions == ()

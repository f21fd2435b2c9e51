"""What erasure has to find in places of their own: set aside by a repair, handed on by a reset, half purged, quoted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

import palaver
from palaver import Origin, SessionManager, Settings, assistant, user
from palaver.model import Sender
from palaver.operations import EraseMessages, EraseSession, Import, Sweep
from palaver.reset import ResetPolicy
from palaver.sweeping import SweepPolicy
from tests.faults import kit

HERS = Origin("telegram", chat_id="77123", user_id="77123")
THREAD = Origin("telegram", chat_type="group", chat_id="-5", thread_id="9", user_id="77123")
"""Others take part in it."""
CARRY = ResetPolicy(carry_over="summary")


def remains(path: Path, word: bytes = b"quixotic") -> list[str]:
    """Which of the store's files hold the word."""
    found = [file for file in path.parent.iterdir() if file.is_file() and word in file.read_bytes().lower()]
    return sorted(file.name for file in found if file.name.startswith(path.name))


@pytest.mark.parametrize("how", ["purge", "erase"])
def test_what_a_repair_set_aside(tmp_path: Path, how: str) -> None:
    """Bytes that could not be read, of messages, versions, turns and the session itself, go with the session."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        with sessions.begin_turn("k", user("quixotic")) as turn:
            turn.finish(assistant("yes"))
        mine = sessions.resolve("k")
        mine.edit(1, "quixotic, as edited")
        mine.append(user("quixotic too"))
        mine.set_metadata({"a": 1})
        sessions.get_or_create("other").append(user("bread"))
    with kit.raw(path) as connection:
        connection.execute("UPDATE messages SET body = CAST('{quixotic' AS BLOB) WHERE id & 4294967295 = 3")
        connection.execute("UPDATE versions SET body = CAST('{quixotic' AS BLOB)")
        connection.execute("UPDATE turns SET budget = '{quixotic'")
        connection.execute("UPDATE sessions SET metadata = '{quixotic' WHERE title IS NULL AND metadata IS NOT NULL")
    with palaver.open(path) as sessions:
        assert len(sessions.repair().repaired) >= 4
        assert remains(path)
        mine = sessions.resolve("k")
        if how == "erase":
            sessions.erase(session=mine.id)
        else:
            mine.purge()
            sessions.scrub()
        assert remains(path) == []
        assert sessions.check() == []


@pytest.mark.parametrize("purged", ["nothing", "the erased", "the one between"])
def test_summaries_that_were_handed_on(tmp_path: Path, purged: str) -> None:
    """A summary goes on from session to session; those that had it from the erased one lose it, whatever was purged."""
    path = tmp_path / "chat.db"
    with palaver.open(path, reset_policy=CARRY) as sessions:
        first, between, last = chain(sessions)
        assert "quixotic" in sessions.get(last).history().messages[0].text
        if purged != "nothing":
            sessions.get(first if purged == "the erased" else between).purge()
        sessions.erase(session=first)
        assert [m.text for m in sessions.get(last).history().messages] == ["on and on"]
        assert remains(path) == []
        assert sessions.check() == []


def chain(sessions: SessionManager, key: str | Origin = "k") -> tuple[str, str, str]:
    """Three sessions, of which each began with the summary of the one before."""
    with sessions.begin_turn(key, user("quixotic")) as turn:
        turn.finish(assistant("yes"))
    first = sessions.resolve(key)
    first.compact("quixotic indeed", through_seq=2)
    between = sessions.reset(key)
    between.append(user("on"))
    last = sessions.reset(key)
    last.append(user("on and on"))
    return first.id, between.id, last.id


class Killed(BaseException):
    """As if the process had died."""


def test_summaries_handed_on_where_it_was_killed(tmp_path: Path) -> None:
    """The next erasure goes on with it, and knows what the dead process had come to."""
    path = tmp_path / "chat.db"
    with palaver.open(path, reset_policy=CARRY) as sessions:
        asked = user("quixotic", sender=Sender(id="77123"))
        with sessions.begin_turn(THREAD, asked) as turn:
            turn.finish(assistant("yes"))
        shared = sessions.resolve(THREAD)
        shared.append(user("bread", sender=Sender(id="8")))
        shared.compact("quixotic indeed", through_seq=2)
        after = sessions.reset(THREAD)
        after.append(user("on", sender=Sender(id="8")))
        other = sessions.create()

        def stop(what: str, looked: int) -> None:
            if (what, looked) == ("erasing", 3):
                raise Killed

        with pytest.raises(Killed):
            sessions.erase(user="telegram:77123", progress=stop)
        assert "quixotic" in after.history().messages[0].text
        assert sessions.erase(session=other.id).unfinished == 1
        assert [m.text for m in after.history().messages] == ["on"]
        assert remains(path) == []


def test_many_copies_where_it_was_killed(tmp_path: Path) -> None:
    """Copies go in steps; what a dead process took away first does not hide the rest."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        mine = sessions.get_or_create("k")
        mine.append(*[user(f"quixotic {n}") for n in range(600)])
        fork = mine.fork()
        fork.append(user("bread"))

        def stop(what: str, looked: int) -> None:
            if (what, looked) == ("erasing", 1):
                raise Killed

        with pytest.raises(Killed):
            sessions.erase(session=mine.id, progress=stop)
        store = sessions._core.store  # pyright: ignore[reportPrivateUsage] - a step by hand
        [record] = sessions.erasures()
        step = EraseMessages(
            at=record.began_at, erasure_id=record.id, session_id=fork.id, from_seq=1, through_seq=250, copies=True
        )
        store.commit([step])
        sessions.erase(session=sessions.create().id)
        assert [m.text for m in fork.messages()] == ["bread"]
        assert remains(path) == []


@pytest.mark.parametrize("gone", [False, True])
def test_a_fork_of_copies_alone_where_it_was_killed(tmp_path: Path, gone: bool) -> None:
    """Its copies went and nothing was left of it: the fork itself and its subagents go when the erasure goes on."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        mine = sessions.get_or_create("k")
        mine.append(user("quixotic"), user("bread"))
        mine.rename("quixotic plans")
        fork = mine.fork()
        helper = fork.subagent()
        helper.append(user("quixotic errand"))

        def stop(what: str, looked: int) -> None:
            if (what, looked) == ("erasing", 1):
                raise Killed

        with pytest.raises(Killed):
            sessions.erase(session=mine.id, progress=stop)
        store = sessions._core.store  # pyright: ignore[reportPrivateUsage] - steps by hand
        [record] = sessions.erasures()
        at = record.began_at
        copies = EraseMessages(at=at, erasure_id=record.id, session_id=fork.id, from_seq=1, through_seq=2, copies=True)
        store.commit([copies])
        if gone:
            store.commit([EraseSession(at=at, erasure_id=record.id, session_id=fork.id)])
        other = sessions.create()
        assert sessions.erase(session=other.id).unfinished == 1
        assert sessions.list(include_empty=True, include_hidden=True) == []
        assert sessions.check() == []
        assert remains(path) == []


def test_what_a_sweep_has_half_purged(tmp_path: Path) -> None:
    """Nobody can say any more whose it was: an erasure takes the rest of it away, and does not wait for a sweep."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        with sessions.begin_turn(HERS, user("quixotic")) as turn:
            turn.finish(assistant("quixotic"))
        mine = sessions.resolve(HERS)
        mine.append(*[user("quixotic") for _ in range(50)])
        mine.delete()
        store = sessions._core.store  # pyright: ignore[reportPrivateUsage] - half a sweep
        rev = sessions.events(limit=1_000)[-1].rev
        [left] = store.commit(
            [Sweep(at=1, session_id=mine.id, verb="purge", expected_seq=52, expected_rev=rev, most=9)]
        )
        assert left == 43
        sessions.erase(user=HERS)
        assert remains(path) == []
        assert [action.what for action in sessions.sweep(SweepPolicy()).actions] == []


def test_what_a_worker_said_of_its_failure(tmp_path: Path) -> None:
    """A to-do's error may quote what it failed at: it goes with what a person said in a shared session."""
    path = tmp_path / "chat.db"
    settings = Settings(before_reset=True)
    with palaver.open(path, settings=settings) as sessions:
        with sessions.begin_turn(THREAD, user("quixotic", sender=Sender(id="77123"))) as turn:
            turn.finish(assistant("yes"))
        sessions.resolve(THREAD).append(user("bread", sender=Sender(id="8")))
        sessions.reset(THREAD)
        [todo] = sessions.due()
        sessions.fail(sessions.claim(todo), "cannot summarise 'quixotic'")
        report = sessions.erase(user="telegram:77123")
        assert report.parts == (todo.session_id,)
        assert remains(path) == []


def test_what_comes_once_more_to_a_shared_session(tmp_path: Path) -> None:
    """A platform delivers again for hours: what a person said there is refused, and others' messages are not."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        hers, others = Sender(id="77123"), Sender(id="8")
        with sessions.begin_turn(THREAD, user("quixotic", id="m1", sender=hers)) as turn:
            turn.finish(assistant("yes"))
        with sessions.resolve(THREAD).retry() as turn:
            turn.finish(assistant("indeed"))
        sessions.erase(user="telegram:77123")
        with pytest.raises(palaver.ContentErased):
            sessions.begin_turn(THREAD, user("quixotic", id="m1", sender=hers))
        with sessions.begin_turn(THREAD, user("yes", id="m2", sender=others)) as turn:
            turn.finish(assistant("well"))
        with sessions.begin_turn(THREAD, user("me again", id="m3", sender=hers)) as turn:
            turn.finish(assistant("hello"))
        assert remains(path) == []


def test_a_sweep_leaves_what_was_erased(tmp_path: Path) -> None:
    """What stands for it says that it was erased, for as long as the store is there."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        sessions.begin_turn(HERS, user("quixotic")).finish(assistant("yes"))
        sessions.erase(user=HERS)
        policy = SweepPolicy(purge_deleted_after=timedelta(0), max_bytes=1)
        assert sessions.sweep(policy).actions == ()
        assert sessions.events(limit=100)[-1].kind == "erased"


def test_half_an_import_is_found(tmp_path: Path) -> None:
    """A session that an import has not come to the end of belongs to somebody already."""
    path = tmp_path / "chat.db"
    with palaver.open("memory://") as other, palaver.open(path) as sessions:
        mine = other.get_or_create(HERS)
        mine.append(*[user("quixotic") for _ in range(9)])
        source = other._core.store  # pyright: ignore[reportPrivateUsage] - half an import
        store = sessions._core.store  # pyright: ignore[reportPrivateUsage] - the same
        half = source.chunk(mine.id, None, after=0, limit=5)
        store.commit([Import(at=1, row=source.record(mine.id, None).row, chunk=half)])
        assert sessions.erase(user=HERS).sessions == (mine.id,)
        assert remains(path) == []

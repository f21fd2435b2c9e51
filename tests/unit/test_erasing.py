"""What `erase` takes for a person's, an owner's, a session's; what it leaves; and what does not come back."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import ContentErased, KeyPolicy, Origin, SessionManager, SessionNotFound, assistant, user
from palaver.erasure import EraseReport, Person, person_of
from palaver.importers import import_path
from palaver.keys import ChatType
from palaver.model import Sender

DM = Origin("telegram", chat_id="42", user_id="7")


@pytest.fixture
def sessions() -> Any:
    """A manager over an empty store."""
    with palaver.open("memory://") as opened:
        yield opened


def said(sessions: SessionManager, origin: Origin | str, *texts: str, sender: str | None = None) -> palaver.Session:
    """A session under this origin, with these messages."""
    session = sessions.get_or_create(origin)
    session.append(*[user(text, sender=Sender(id=sender) if sender else None) for text in texts])
    return session


def left(session: palaver.Session) -> list[str] | None:
    """What a session holds; None where it is gone."""
    try:
        return [m.text for m in session.messages(live=False)]
    except SessionNotFound:
        return None


@pytest.mark.parametrize(
    ("origin", "whole"),
    [
        (Origin("telegram", chat_id="42", user_id="7"), True),
        (Origin("telegram", chat_id="7"), True),
        (Origin("telegram", chat_id="42", user_id="x", user_id_alt="7"), True),
        (Origin("telegram", chat_type="group", chat_id="-1", user_id="7"), True),  # a session of her own in the group
        (Origin("telegram", chat_id="7", user_id="8"), False),
        (Origin("telegram", chat_id="42", user_id="77"), False),
        (Origin("slack", chat_id="42", user_id="7"), False),
        (Origin("telegram", chat_type="group", chat_id="7", user_id="8"), False),
        (Origin("telegram", chat_type="thread", chat_id="-1", thread_id="7", user_id="7"), False),
        (Origin("telegram", chat_type="channel", chat_id="7", thread_id="1"), False),
    ],
)
def test_which_sessions_are_a_persons_alone(sessions: SessionManager, origin: Origin, whole: bool) -> None:
    """Direct messages, and groups where everybody has a session; by the user's id, or else the chat's."""
    session = said(sessions, origin, "hello")
    sessions.erase(user="telegram:7")
    assert left(session) == (None if whole else ["hello"])


@pytest.mark.parametrize("chat_type", ["group", "channel", "thread"])
def test_whether_a_group_is_shared_is_the_policys(chat_type: ChatType) -> None:
    """Where a group is one session, what others said in it stays."""
    with palaver.open("memory://", key_policy=KeyPolicy(group_sessions_per_user=False)) as sessions:
        origin = Origin("telegram", chat_type=chat_type, chat_id="-1", thread_id="2", user_id="7")
        session = said(sessions, origin, "hers", sender="7")
        session.append(user("his", sender=Sender(id="8")))
        report = sessions.erase(user="telegram:7")
        assert (left(session), report.parts, report.sessions) == (["his"], (session.id,), ())


def test_a_person_is_named_with_the_platform() -> None:
    """By text or origin, with all ids; the same number elsewhere is another person."""
    assert person_of("telegram:7") == Person("telegram", ("7",))
    assert person_of("matrix:@ana:example.org") == Person("matrix", ("@ana:example.org",))
    assert person_of(Origin("signal", user_id="+49", user_id_alt="uuid")) == Person("signal", ("+49", "uuid"))
    for wrong in ("7", "telegram:", ":7", Origin("telegram", chat_id="7")):
        with pytest.raises(ValueError, match="user"):
            person_of(wrong)


def test_what_is_to_be_erased_is_named_once(sessions: SessionManager) -> None:
    """Nothing, two things, and another owner are refused, and nothing is done."""
    for wrong in ({}, {"owner": "a", "user": "telegram:7"}):
        with pytest.raises(ValueError, match="alone"):
            sessions.erase(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="alone"):
        sessions.for_owner("a").erase(owner="b")
    with pytest.raises(SessionNotFound):
        sessions.erase(session="nobody")
    assert sessions.erasures() == []


def test_an_owner_goes_whole_and_others_stay(sessions: SessionManager) -> None:
    """Live, deleted, ended, hidden and purged sessions of the owner; nobody else's."""
    ana, bo = sessions.for_owner("ana"), sessions.for_owner("bo")
    mine = [said(ana, f"k{n}", "a") for n in range(4)]
    mine[0].delete()
    mine[1].archive()
    mine[2].purge()
    ana.reset("k3")
    theirs = said(bo, "k0", "b")
    report = sessions.erase(owner="ana")
    assert {mine[0].id, mine[1].id, mine[3].id} <= {*report.sessions}
    assert ana.list(include_deleted=True, include_empty=True) == []
    assert left(theirs) == ["b"]
    assert [info.owner for info in sessions.list(include_empty=True)] == ["bo"]
    with pytest.raises(SessionNotFound):
        sessions.restore(mine[0].id)


def test_a_scoped_manager_erases_within_its_scope(sessions: SessionManager) -> None:
    """The same person in another owner's sessions stays; a foreign session is not found."""
    ana, bo = sessions.for_owner("ana"), sessions.for_owner("bo")
    mine, theirs = said(ana, DM, "a"), said(bo, DM, "b")
    with pytest.raises(SessionNotFound):
        ana.erase(session=theirs.id)
    ana.erase(user="telegram:7")
    assert (left(mine), left(theirs)) == (None, ["b"])


def test_forks_go_with_what_they_copied(sessions: SessionManager) -> None:
    """A fork, a fork of the fork, and what was said in them since stays theirs."""
    one = said(sessions, "k", "a", "b")
    two = one.fork()
    two.append(user("own"))
    three = two.fork()
    assert sessions.erase(session=one.id).parts == (two.id, three.id)
    assert (left(two), left(three)) == (["own"], ["own"])
    assert sessions.check() == []


def test_a_fork_with_nothing_of_its_own_goes_whole(sessions: SessionManager) -> None:
    """It is not listed empty under the title that it took along; nor are forks and subagents of it."""
    one = said(sessions, "k", "a", "b")
    one.rename("Elm Street")
    two = one.fork()
    three = two.fork()
    helper = three.subagent()
    helper.append(user("their errand"))
    four = two.fork(title="Mine")
    four.append(user("own"))
    of_helper = helper.fork()
    report = sessions.erase(session=one.id)
    assert report.sessions == (one.id, two.id, three.id, helper.id, of_helper.id)
    assert report.parts == (four.id,)
    assert report.counts["sessions"] == 5
    assert [info.id for info in sessions.list(include_empty=True, include_hidden=True)] == [four.id]
    assert [left(each) for each in (two, three, helper, of_helper, four)] == [None] * 4 + [["own"]]
    assert sessions.check() == []


def test_what_a_key_leads_to_stays_though_it_is_empty(sessions: SessionManager) -> None:
    """A conversation that goes on in copies may be that of many: only the copies go, and the key stays."""
    one = said(sessions, "k", "a", "b")
    two = one.fork()
    sessions.resume("other", two.id)
    assert sessions.erase(session=one.id).parts == (two.id,)
    assert left(two) == []
    assert sessions.resolve("other").id == two.id


def test_a_summary_of_the_fork_goes_too(sessions: SessionManager) -> None:
    """It told what the copies said; and one that was handed on from there."""
    one = said(sessions, "k", "a", "b")
    two = one.fork()
    two.compact("a and b", through_seq=2)
    two.append(user("own"))
    three = two.fork()
    sessions.erase(session=one.id)
    assert [[m.text for m in each.history().messages] for each in (two, three)] == [["own"]] * 2


def test_a_person_may_begin_anew(sessions: SessionManager) -> None:
    """The next message is a first contact; the erased one, delivered again, begins nothing."""
    with sessions.begin_turn(DM, user("a", id="tg-1")) as turn:
        turn.finish(assistant("b"))
    before = sessions.resolve(DM).id
    sessions.erase(user="telegram:7")
    with pytest.raises(ContentErased, match="tg-1"):
        sessions.begin_turn(DM, user("a", id="tg-1"))
    with sessions.begin_turn(DM, user("c", id="tg-2")) as turn:
        assert (turn.first_contact, turn.session_is_new, sessions.resolve(DM).id != before) == (True, True, True)
        turn.finish(assistant("d"))
    with pytest.raises(ContentErased):
        sessions.begin_turn(DM, user("a", id="tg-1"))
    assert [m.text for m in sessions.resolve(DM).messages()] == ["c", "d"]


def test_a_dry_run_says_what_will_go(sessions: SessionManager) -> None:
    """The same sessions and as many messages; nothing is written, not even that it was asked."""
    said(sessions, DM, "a", "b")
    group = Origin("telegram", chat_type="thread", chat_id="-1", thread_id="2")
    said(sessions, group, "hers", sender="7").append(assistant("to her"), user("his", sender=Sender(id="8")))
    before = sessions.events()
    would = sessions.erase(user="telegram:7", dry_run=True)
    assert (sessions.events(), sessions.erasures(), would.id) == (before, [], None)
    done = sessions.erase(user="telegram:7")
    assert (would.sessions, would.parts) == (done.sessions, done.parts)
    assert would.counts["messages"] == done.counts["messages"] == 4
    assert sessions.erase(user="telegram:7").counts == {}


def test_a_dry_run_says_what_cannot_be_told_apart(sessions: SessionManager) -> None:
    """Messages without a sender, where others take part, stay; who asks first is told how many."""
    group = Origin("telegram", chat_type="thread", chat_id="-1", thread_id="2")
    said(sessions, group, "hers", sender="7").append(user("whose?"), assistant("yours"))
    would = sessions.erase(user="telegram:7", dry_run=True).counts
    assert would["unattributed"] == sessions.erase(user="telegram:7").counts["unattributed"] == 1


def test_what_is_left_of_an_erasure_names_nobody(sessions: SessionManager) -> None:
    """While it is under way it must know whom it is about; afterwards there are numbers and hashes."""
    said(sessions, DM, "a")
    sessions.erase(user="telegram:7")
    [record] = sessions.erasures()
    assert (record.target, record.scope) == (None, None)
    assert record.ended_at is not None
    assert "7" not in str(record.counts.keys())
    assert sessions.for_owner("ana").erasures() == []


def test_readers_of_the_feed_are_told(sessions: SessionManager) -> None:
    """Session and positions, without content, so that an index elsewhere can follow."""
    cursor = said(sessions, DM, "a", "b").id and sessions.events()[-1].cursor
    sessions.erase(user="telegram:7")
    assert [(e.kind, e.from_seq, e.through_seq) for e in sessions.events(cursor)] == [("erased", 1, 2)]


def test_the_async_twin_erases(tmp_path: Path) -> None:
    """With its progress told, and the file written anew."""
    told: list[str] = []

    async def work() -> EraseReport:
        async with palaver.aopen(tmp_path / "a.db") as sessions:
            turn = await sessions.begin_turn(DM, user("quixotic"))
            await turn.finish(assistant("a"))
            report = await sessions.erase(user="telegram:7", scrub=False, progress=lambda what, _: told.append(what))
            assert (await sessions.scrub()).done
            assert len(await sessions.erasures()) == 1
            return report

    report = asyncio.run(work())
    assert (len(report.sessions), report.counts["messages"]) == (1, 2)
    assert "erasing" in told
    assert b"quixotic" not in (tmp_path / "a.db").read_bytes()


def nanobot(folder: Path, *texts: str) -> Path:
    """A nanobot session file in a folder of its own."""
    lines = [{"_type": "metadata", "created_at": "2026-01-01T10:00:00", "metadata": {}, "last_consolidated": 0}]
    lines += [
        {"role": "user", "content": text, "timestamp": f"2026-01-01T10:00:{n:02}"} for n, text in enumerate(texts)
    ]
    where = folder / ".nanobot" / "sessions"
    where.mkdir(parents=True, exist_ok=True)
    (where / "telegram_42.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / ".nanobot"


def test_an_import_does_not_bring_it_back(sessions: SessionManager, tmp_path: Path) -> None:
    """An erased conversation is refused, told, also by a dry run; what was said since is taken, without its title."""
    source = nanobot(tmp_path, "one", "two")
    first = import_path(sessions, source, zone=UTC)
    assert first.total("imported") == 2
    [imported] = first.sessions
    assert imported.session_id is not None
    sessions.erase(session=imported.session_id)
    for dry_run in (True, False):
        report = import_path(sessions, source, zone=UTC, dry_run=dry_run)
        assert (report.total("imported"), report.total("skipped")) == (0, 2)
        assert "erased" in " ".join(note.reason for note in report.every_note())
    assert sessions.list(include_empty=True, include_hidden=True) == []
    nanobot(tmp_path, "one", "two", "three")
    assert import_path(sessions, source, zone=UTC).total("imported") == 1
    [info] = sessions.list()
    assert [m.text for m in sessions.get(info.id).messages()] == ["three"]
    assert sessions.check() == []


def test_a_restored_export_does_not_bring_it_back(tmp_path: Path) -> None:
    """What `palaver export` wrote before is refused for the erased session, and taken for the others."""
    from palaver.cli import main

    url = f"sqlite:///{tmp_path}/a.db"
    with palaver.open(url) as sessions:
        gone, stays = said(sessions, DM, "quixotic"), said(sessions, "k", "b")
    assert main(["export", "--all", "--store", url, "--output", str(tmp_path / "out.jsonl")]) == 0
    with palaver.open(url) as sessions:
        sessions.erase(session=gone.id)
    main(["import", str(tmp_path / "out.jsonl"), "--store", url])
    with palaver.open(url) as sessions:
        assert [info.id for info in sessions.list()] == [stays.id]
        assert sessions.check() == []
    assert b"quixotic" not in (tmp_path / "a.db").read_bytes()


def test_a_message_by_its_time_and_words(sessions: SessionManager) -> None:
    """A day later, too, one that was erased is known by when it was said, where it is restored."""
    from palaver import codec
    from palaver.operations import Append

    at = datetime(2026, 1, 1, tzinfo=UTC)
    gone = said(sessions, "k", "x")
    gone.append(user("a", created_at=at))
    sessions.erase(session=gone.id)
    other = said(sessions, "other", "y")
    again = Append(
        at=2 * 10**15, session_id=other.id, messages=(codec.draft(user("a", created_at=at)),), restoring=True
    )
    assert isinstance(sessions._core.store.commit([again])[0], ContentErased)
    other.append(user("a", created_at=at))  # as a new message of somebody else it is their own

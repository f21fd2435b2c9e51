"""Taking back, editing and forking a conversation, as callers do it: legal afterwards, and all of it to be had back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

import palaver
from palaver import (
    ImagePart,
    Message,
    Session,
    SessionBusy,
    SessionConflict,
    SessionManager,
    SessionNotFound,
    ToolCall,
    assistant,
    system,
    tool,
    user,
)
from palaver.media import as_text

LOOK = assistant("let me look", ToolCall(call_id="c1", name="look", arguments="{}"))


@pytest.fixture(params=["sqlite", "memory"])
def sessions(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionManager]:
    """A manager on each store that is there."""
    with palaver.open(f"sqlite:///{tmp_path}/a.db" if request.param == "sqlite" else "memory://") as opened:
        yield opened
        assert opened.check() == []


def talk(sessions: SessionManager, turns: int = 3) -> Session:
    """A session of so many turns: a question, a call, its result, an answer."""
    session = sessions.create()
    for n in range(1, turns + 1):
        session.append(user(f"question {n}"), LOOK, tool("c1", f"result {n}"), assistant(f"answer {n}"))
    return session


def texts(session: Session) -> list[str]:
    """What is live."""
    return [message.text for message in session.messages(limit=10_000)]


def test_an_answer_and_its_continuation(sessions: SessionManager) -> None:
    """Text that goes on is one text; versions and redo have what it was; calls are never merged."""
    session = sessions.create()
    more = assistant([palaver.TextPart(text="wo"), ImagePart(url="https://a/b.png")])
    session.append(user("count"), assistant("one, t"), user("go on"), more)
    message = session.merge(2, 4)
    assert (message.seq, message.text) == (2, "one, two")
    assert [m.text for m in session.messages()] == ["count", "one, two"]
    assert isinstance(session.messages()[-1].parts[1], ImagePart)
    assert [m.text for m in session.versions(2)] == ["one, t"]
    session.redo()
    assert texts(session) == ["count", "one, t", "go on", "wo"]
    assert session.merge(2, 4, separator="\n").text == "one, t\nwo"
    session.append(user("look"), LOOK, tool("c1", "x"), assistant("seen"))
    with pytest.raises(SessionConflict, match="without calls"):
        session.merge(6, 8)
    with pytest.raises(SessionConflict):
        session.merge(2, 8, expected_rev=session.info().rev)
    assert palaver.formats.check("openai_chat", session.history().render("openai_chat").messages) == []


# ---------------------------------------------------------------------- rewind and redo
def test_a_turn_is_taken_back_whole(sessions: SessionManager) -> None:
    """From the user's message on; what was taken is given, and redo brings it back."""
    session = talk(sessions)
    taken = session.rewind()
    assert [message.text for message in taken] == ["question 3", "let me look", "result 3", "answer 3"]
    assert texts(session)[-1] == "answer 2"
    assert session.rewind()[0].text == "question 2"
    session.redo()
    back = session.redo()
    assert (back.from_seq, back.through_seq) == (9, 12)
    assert texts(session)[-1] == "answer 3"
    with pytest.raises(SessionConflict, match="nothing to redo"):
        session.redo()


def test_several_turns_and_more_than_there_are(sessions: SessionManager) -> None:
    """As many as asked for; all of them where there are fewer; nothing where there is nothing."""
    session = talk(sessions)
    assert len(session.rewind(2)) == 8
    assert len(session.rewind(9)) == 4
    assert list(session.rewind()) == []
    with pytest.raises(ValueError, match="at least one"):
        session.rewind(0)


def test_messages_in_a_row_are_one_turn(sessions: SessionManager) -> None:
    """The user wrote twice before the model answered: that is taken back together. Commands begin no turn."""
    session = sessions.create()
    session.append(
        system("be kind"),
        user("a"),
        assistant("b"),
        user("c"),
        user("/help", flags=("command",)),
        user("d"),
        assistant("e"),
    )
    assert [m.text for m in session.rewind()] == ["c", "/help", "d", "e"]
    assert [m.text for m in session.rewind(5)] == ["a", "b"]
    assert texts(session) == ["be kind"]


def test_a_turn_longer_than_a_page(sessions: SessionManager) -> None:
    """However long the turn is, it is taken back whole."""
    session = sessions.create()
    session.append(user("first"), assistant("answer"), user("go"))
    session.append(*[assistant(f"step {n}") for n in range(450)])
    assert len(session.rewind()) == 451
    assert texts(session) == ["first", "answer"]


def test_a_running_turn_is_left_alone(sessions: SessionManager) -> None:
    """Taking back what a turn stands on is SessionBusy; what is before it can be edited."""
    session = talk(sessions, 1)
    with session.begin_turn(user("wait")) as turn:
        for verb in (session.rewind, session.clear, lambda: session.truncate(after=2), lambda: session.edit(5, "x")):
            with pytest.raises(SessionBusy):
                verb()
        session.edit(1, "better question")
        turn.finish(assistant("done"))
    assert texts(session)[0] == "better question"


# ---------------------------------------------------------------------- cutting
def test_truncate_retain_and_clear(sessions: SessionManager) -> None:
    """The first part, the newest legal part behind the instructions, nothing; each can be undone."""
    session = sessions.create()
    session.append(system("be kind"))
    for n in range(4):
        session.append(user(f"q{n}"), LOOK, tool("c1", "r"), assistant(f"a{n}"))
    session.truncate(after=9)
    assert texts(session)[-1] == "a1"
    session.redo()
    session.retain(last=6)
    assert texts(session) == ["be kind", "q3", "let me look", "r", "a3"]
    session.redo()
    session.retain(last=100)
    assert len(texts(session)) == 17
    session.clear()
    assert texts(session) == []
    session.redo()
    assert len(texts(session)) == 17


def test_deleting_any_message_leaves_a_legal_history(sessions: SessionManager) -> None:
    """A call without its result, a result without its call: windows mend it, and no provider refuses it."""
    for seq in range(1, 9):
        session = talk(sessions, 2)
        session.delete_message(seq)
        payload = session.history().render("openai_chat")
        assert palaver.check("openai_chat", payload.messages) == []
        assert len(session.messages(limit=99)) == 7


def test_replacing_everything(sessions: SessionManager) -> None:
    """In one transaction, and only if nobody spoke meanwhile."""
    session = talk(sessions, 1)
    with pytest.raises(SessionConflict):
        session.replace(user("new"), expected_seq=3)
    done = session.replace(user("new"), assistant("fresh"), expected_seq=4)
    assert done.seqs == (5, 6)
    assert texts(session) == ["new", "fresh"]
    assert len(session.messages(limit=99, live=False)) == 6


# ---------------------------------------------------------------------- editing
def test_an_edit_and_what_was_said_before(sessions: SessionManager) -> None:
    """By text, by parts or by a whole message; each version is kept."""
    session = talk(sessions, 1)
    assert session.edit(1, "second thoughts").text == "second thoughts"
    picture = ImagePart(media_type="image/png", data=as_text(b"x" * 20_000))
    session.edit(1, ["look at this", picture])
    session.edit(4, assistant("another answer", metadata={"by": "me"}))
    assert [m.text for m in session.versions(1)] == ["question 1", "second thoughts"]
    window = session.history().messages
    assert window[0].parts[1] == picture
    assert (window[3].text, window[3].metadata) == ("another answer", {"by": "me"})
    with pytest.raises(SessionConflict, match="no live message"):
        session.edit(99, "x")
    with pytest.raises(palaver.InvalidMessage, match="keeps the role"):
        session.edit(1, assistant("x"))


def test_an_edit_of_metadata_alone(sessions: SessionManager) -> None:
    """A message can be given other metadata: it says and is the same otherwise, and has its version."""
    session = sessions.get_or_create("k")
    session.append(user("hi"), assistant("hello", metadata={"speed": 1}))
    before = session.messages()[1]
    session.edit(2, before.replace(metadata={"speed": 2, "stopped": True}))
    after = session.messages()[1]
    assert after.metadata == {"speed": 2, "stopped": True}
    assert (after.seq, after.id, after.parts, after.created_at) == (2, before.id, before.parts, before.created_at)
    assert [m.metadata for m in session.versions(2)] == [{"speed": 1}]


def test_an_edited_result_still_answers_its_call(sessions: SessionManager) -> None:
    """Text for a tool message is what its result says; deleting what is deleted changes nothing."""
    session = talk(sessions, 1)
    session.edit(3, "another result")
    result = session.messages()[2].tool_results[0]
    assert (result.call_id, result.parts[0]) == ("c1", palaver.TextPart(text="another result"))
    assert session.history().repairs == ()
    session.delete_message(4)
    session.delete_message(4)
    session.redo()
    assert len(session.messages()) == 4
    with pytest.raises(SessionConflict):
        session.delete_message(9)


def test_who_has_not_seen_the_session_as_it_is_changes_nothing(sessions: SessionManager) -> None:
    """A version that is not the session's any more is a SessionConflict; the one that it has is no hindrance."""
    session = talk(sessions, 2)
    seen = session.info().rev
    session.rename("plans")
    for verb in (
        lambda rev: session.rewind(expected_rev=rev),
        lambda rev: session.redo(expected_rev=rev),
        lambda rev: session.truncate(after=1, expected_rev=rev),
    ):
        before = texts(session)
        with pytest.raises(SessionConflict, match="rev"):
            verb(seen)
        assert texts(session) == before
        verb(session.info().rev)
        assert texts(session) != before


# ---------------------------------------------------------------------- forks
def test_a_fork_shares_nothing(sessions: SessionManager) -> None:
    """It begins with copies, says where it came from, and goes its own way."""
    session = talk(sessions, 2)
    session.set_metadata({"project": "rome"})
    fork = session.fork(at=4, title="what if")
    assert texts(fork) == texts(session)[:4]
    info = fork.info()
    assert (info.parent, info.parent_kind, info.title, info.metadata) == (
        session.id,
        "fork",
        "what if",
        {"project": "rome"},
    )
    assert [m.copied_from for m in fork.messages()] == [f"{session.id}~{n}" for n in range(1, 5)]
    fork.append(user("elsewhere"))
    session.edit(1, "changed")
    assert texts(fork)[0] == "question 1"
    assert "elsewhere" not in texts(session)


@pytest.mark.parametrize("how", ["delete", "purge"])
def test_a_fork_outlives_its_parent(sessions: SessionManager, how: str) -> None:
    """What it holds is its own: it stays whole, and says still where it came from."""
    session = talk(sessions, 2)
    said, fork = texts(session), session.fork()
    if how == "delete":
        session.delete()
    else:
        session.purge()
    assert texts(fork) == said
    assert fork.info().parent == session.id
    assert [info.id for info in sessions.list()] == [fork.id]
    assert sessions.check() == []


def test_a_fork_leaves_behind_what_runs(sessions: SessionManager) -> None:
    """Keys, holds, the running turn and what waits for it belong to the session, and not to its copy."""
    session = sessions.get_or_create("k")
    session.append(user("before"))
    session.hold("a job")
    with session.begin_turn(user("now")) as turn:
        session.begin_turn(user("and this"), on_busy="store")
        fork = session.fork(at=1)
        info = fork.info()
        assert (info.keys, info.holds, info.turn_running) == ((), (), False)
        assert texts(fork) == ["before"]
        assert [m.text for m in turn.inbox()] == ["and this"]
        turn.finish(assistant("done"))
    with fork.begin_turn(user("elsewhere")) as own:
        assert not own.inbox()
        own.finish(assistant("free"))
    assert texts(fork) == ["before", "elsewhere", "free"]


@pytest.mark.parametrize(("at", "length"), [(0, 0), (1, 1), (2, 1), (3, 3), (4, 4), (5, 5), (8, 8), (None, 8)])
def test_a_fork_tears_no_exchange(sessions: SessionManager, at: int | None, length: int) -> None:
    """Between a call and its result it ends before the call."""
    assert len(talk(sessions, 2).fork(at=at).messages()) == length


def test_a_fork_beyond_the_end_is_refused(sessions: SessionManager) -> None:
    """There is no message there: who names one has counted wrong, and is told how far the session goes."""
    session = talk(sessions, 2)
    for at in (-1, 9, 999):
        with pytest.raises(SessionConflict, match=f"positions 1 to 8; there is no message at seq {at}"):
            session.fork(at=at)
    assert len(sessions.list()) == 1


def test_a_long_fork_with_its_summary_and_images(sessions: SessionManager) -> None:
    """Copied in pieces and shown when it is whole; the summary stands for the same messages, images are shown."""
    session = sessions.create()
    picture = ImagePart(media_type="image/png", data=as_text(b"y" * 20_000))
    session.append(user(["see", picture]), assistant("a cat"))
    for n in range(600):
        session.append(user(f"q{n}"), assistant(f"a{n}"))
    session.delete_message(3)
    session.compact("a cat was seen, and much was asked", through_seq=1_000)
    fork = session.fork()
    assert not fork.info().hidden
    assert texts(fork) == texts(session)
    mine, theirs = fork.history(max_messages=50), session.history(max_messages=50)
    assert [m.text for m in mine.messages] == [m.text for m in theirs.messages]
    assert fork.history(max_messages=5_000).messages[0].text.endswith("much was asked")
    part = fork.messages(limit=1)[0].parts[1]
    assert isinstance(part, ImagePart)
    session.purge(1, 1)
    assert fork.media(part.blob or "") == b"y" * 20_000


# ---------------------------------------------------------------------- names and marks
def test_names_and_marks(sessions: SessionManager) -> None:
    """Titles are unique, archived sessions leave the list, tags are a set."""
    one, other = talk(sessions, 1), talk(sessions, 1)
    one.rename("plans")
    with pytest.raises(SessionConflict, match="choose another"):
        other.rename("plans")
    with pytest.raises(ValueError, match="title is empty"):
        one.rename(" ")
    one.rename(None)
    other.rename("plans")
    one.archive()
    one.pin()
    one.tag("work", "rome", "work")
    assert [info.id for info in sessions.list()] == [other.id]
    info = one.info()
    assert (info.archived, info.pinned, info.tags) == (True, True, ("work", "rome"))
    one.archive(False)
    assert len(sessions.list()) == 2


def test_a_deleted_session_comes_back(sessions: SessionManager) -> None:
    """It is not found, its key begins anew, and `restore` brings it back."""
    with sessions.begin_turn("k", user("a")) as turn:
        turn.finish(assistant("b"))
    session = sessions.resolve("k")
    session.delete()
    with pytest.raises(SessionNotFound):
        session.history()
    assert [info.id for info in sessions.list(include_deleted=True)] == [session.id]
    assert sessions.list() == []
    with sessions.begin_turn("k", user("c")) as turn:
        assert turn.session_is_new
        turn.finish(assistant("d"))
    assert texts(sessions.restore(session.id)) == ["a", "b"]
    sessions.resume("k", session.id)
    assert texts(sessions.resolve("k")) == ["a", "b"]


def test_a_session_that_is_not_stored_has_nothing_to_rewrite(sessions: SessionManager) -> None:
    """Each verb says so."""
    session = sessions.get_or_create("nobody")
    for verb in (session.rewind, session.redo, session.clear, session.fork):
        with pytest.raises(SessionNotFound):
            verb()


async def _everything(store: Path) -> list[str]:
    async with palaver.aopen(store) as sessions:
        session = await sessions.create()
        given: list[Message] = [user("a"), assistant("b"), user("c"), assistant("d")]
        await session.append(*given)
        await session.rewind()
        await session.redo()
        await session.edit(1, "A")
        fork = await session.fork(at=2, title="f")
        await fork.rename("g")
        await fork.replace(user("x"))
        await session.truncate(after=2)
        return [m.text for m in (*await session.messages(), *await fork.messages(), *await session.versions(1))]


def test_the_same_with_await(tmp_path: Path) -> None:
    """The async handle does what the sync one does."""
    import asyncio

    assert asyncio.run(_everything(tmp_path / "a.db")) == ["A", "b", "x", "a"]


def test_a_purge_takes_the_text_of_summaries(tmp_path: Path) -> None:
    """A summary may quote what was purged: nothing of it is left in the store's file, of one that is stale neither."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        session = sessions.create()
        session.append(user("my PIN is 4711"), assistant("noted"), user("thanks"), assistant("sure"))
        session.compact("The PIN is 4711.", through_seq=2)
        session.compact("The PIN is still 4711.", through_seq=4)
        session.delete_message(1)
        session.purge(1, 1)
    rows = apsw.Connection(str(path)).execute("SELECT summary FROM compactions").fetchall()
    assert rows == [("",), ("",)]

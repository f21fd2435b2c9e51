"""Bugs that five agents' session layers had: what a model is shown. One test each; docs/features.md lists them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest

import palaver
from palaver import Origin, SessionManager, assistant, user
from palaver.errors import InvalidMessage, SessionConflict
from palaver.formats import check, parse, render
from palaver.model import ToolCall, tool
from tests.immunity.stores import texts


def call(name: str, call_id: str) -> palaver.Message:
    """An assistant message that calls a tool."""
    return assistant(None, ToolCall(name=name, call_id=call_id))


def shown(session: palaver.Session, **budget: Any) -> list[str]:
    """What a window has to say."""
    return [message.text for message in session.history(**budget).messages]


def test_15_replay_is_always_legal(sessions: SessionManager) -> None:
    """However the stored transcript ends or begins: orphans out, calls answered, nothing valid thrown away."""
    session = sessions.get_or_create("k")
    session.append(
        tool("lost", "an orphan"),
        assistant("hello"),
        user("one"),
        call("f", "c"),
        tool("c", "r"),
        tool("c", "again"),
        call("g", "d"),
        user("two"),
        call("f", "c"),
        tool("c", "later"),
        call("h", "open"),
    )
    for wire in ("openai_chat", "anthropic", "google", "openai_responses", "bedrock", "mistral"):
        payload = session.history().render(wire)
        assert check(wire, payload.messages, system=payload.system) == []
        whole = str(payload.messages)
        assert all(said in whole for said in ("one", "two", "later"))
    window = session.history()
    assert {repair.kind for repair in window.repairs} | {each.reason for each in window.omitted}, "all of it is listed"


def test_16_a_summary_covers_what_it_was_made_of(sessions: SessionManager) -> None:
    """Messages that come while it is made stay; one that was made of an older state is refused."""
    session = sessions.get_or_create("k")
    session.append(*[message for n in range(6) for message in (user(f"u{n}"), assistant(f"a{n}"))])
    first = session.compact("six so far", through_seq=8)
    session.append(user("meanwhile"))
    assert shown(session)[1:] == ["u4", "a4", "u5", "a5", "meanwhile"]
    with pytest.raises(SessionConflict):
        session.compact("made of the same", through_seq=8)
    session.compact("seven", through_seq=10)
    session.edit(9, "another")
    assert "six so far" in shown(session)[0], "an edit inside what it covers makes a summary stale"
    assert first is not None


def test_17_a_window_is_a_view(sessions: SessionManager) -> None:
    """Trimming and summing up delete nothing."""
    session = sessions.get_or_create("k")
    session.append(*[user(f"m{n}") for n in range(50)])
    session.compact("forty", through_seq=40)
    assert len(shown(session, max_messages=5)) <= 5
    assert texts(session) == [f"m{n}" for n in range(50)]
    assert [hit.snippet for hit in sessions.search("m7")] == ["m7"]


@pytest.mark.parametrize(
    ("summary", "stop_reason"),
    [
        ("", None),
        ("  \n", None),
        ("They talked about a, b and", "length"),
        (assistant("They talked about a, b and"), "max_tokens"),
        (assistant("Let me look.", ToolCall(name="read", call_id="s1")), None),
        (call("read", "s1"), "tool_calls"),
        ("I cannot help with that.", "content_filter"),
    ],
)
def test_18_what_is_no_summary_changes_nothing(
    sessions: SessionManager, summary: str | palaver.Message, stop_reason: str | None
) -> None:
    """An empty, cut-short or tool-calling answer is refused; the one before still stands, and is told to the next."""
    session = sessions.get_or_create("k")
    session.append(user("a"), assistant("b"), user("c"), assistant("d"), user("e"), assistant("f"))
    session.compact("they said a", through_seq=2)
    before = shown(session)
    with pytest.raises(InvalidMessage):
        session.compact(summary, through_seq=4, stop_reason=stop_reason)
    assert shown(session) == before
    due = session.compaction_due(palaver.CompactionPolicy(max_messages=1, keep_last=1, keep="turns"))
    assert due is not None
    assert due.previous is not None
    assert due.previous.text == "they said a"


def test_19_a_window_has_what_the_user_said(sessions: SessionManager) -> None:
    """Also where the turn since then is longer than the budget."""
    session = sessions.get_or_create("k")
    steps = [message for n in range(30) for message in (call("f", f"c{n}"), tool(f"c{n}", "r"))]
    session.append(user("the question"), *steps)
    window = session.history(max_messages=7)
    assert [m.text for m in window.messages if m.role == "user"] == ["the question"]
    assert len(window.messages) <= 7


def test_20_what_palaver_adds_is_not_learned(url: str) -> None:
    """Marks stand on messages of the user, are stripped where a model repeats them, and commands are not replayed."""
    options = palaver.WindowOptions(timestamps=True, senders=True)
    with palaver.open(url, window_options=options) as sessions:
        session = sessions.get_or_create("k")
        ada = palaver.Sender(id="7", name="Ada")
        session.append(user("hi", sender=ada), assistant("[from Ada] hello"), user("/help", flags=("command",)))
        said = shown(session)
        assert said[0].endswith("hi")
        assert "[from Ada]" in said[0]
        assert said[1:] == ["hello"]
        assert texts(session)[1] == "[from Ada] hello", "what is stored is what was said"


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": '[{"type": "text", "text": "pasted"}]'},
        {"role": "user", "content": [{"type": "text", "text": "a list"}]},
        {"role": "assistant", "content": None, "reasoning_content": "why", "tool_calls": []},
        {"role": "assistant", "content": "", "reasoning_details": [{"x": 1}]},
        {"role": "assistant"},
    ],
)
def test_21_content_is_what_it_was(sessions: SessionManager, message: dict[str, Any]) -> None:
    """JSON that a person typed is text, lists are lists, null is not empty, unknown fields survive."""
    session = sessions.get_or_create("k")
    session.append(*parse("openai_chat", [message]))
    assert render("openai_chat", session.messages(), repair=False).messages == [message]


def test_22_the_beginning_of_a_payload_stays(url: str) -> None:
    """From turn to turn most payloads begin with all of the one before, and the context says the same."""
    with palaver.open(url) as sessions:
        origin = Origin("discord", chat_type="channel", chat_id="9", thread_id="t", user_id="1", user_name="Ada")
        payloads: list[list[Any]] = []
        contexts: set[str] = set()
        for n in range(120):
            person = msgspec.structs.replace(origin, user_id=str(n % 2), user_name=f"p{n % 2}")
            with sessions.begin_turn(person, user(f"u{n}"), max_messages=50) as turn:
                payloads.append(turn.window.render("openai_chat").messages)
                contexts.add(turn.context)
                turn.finish(assistant(f"a{n}"))
    assert len(contexts) == 1
    kept = sum(later[: len(earlier)] == earlier for earlier, later in pairwise(payloads))
    assert kept >= 0.8 * (len(payloads) - 1)


def test_23_a_message_that_comes_twice_is_stored_once(sessions: SessionManager) -> None:
    """By its id, in a turn and outside, also across a reset; the same id for something else is an error."""
    with sessions.begin_turn("k", user("hi", id="m-1")) as turn:
        turn.finish(assistant("hello"))
    with sessions.begin_turn("k", user("hi", id="m-1")) as turn:
        assert turn.replayed
    sessions.reset("k")
    with sessions.begin_turn("k", user("hi", id="m-1")) as turn:
        assert turn.replayed
    session = sessions.resolve("k")
    session.append(user("a", id="m-2"))
    assert session.append(user("a", id="m-2")).fresh is False
    with pytest.raises(SessionConflict):
        session.append(user("other", id="m-2"))
    assert sum(len(texts(sessions.get(info.id))) for info in sessions.list()) == 3


def test_24_the_question_is_stored_before_the_model_is_called(url: str) -> None:
    """A process that ends in between leaves the question and an interrupted turn, and the next one goes on."""
    with palaver.open(url) as sessions:
        sessions.begin_turn("k", user("what?", id="m-1"))
    with palaver.open(url) as sessions:
        assert texts(sessions.resolve("k")) == ["what?"]
        [left] = sessions.open_turns()
        assert left.alive is False
        with sessions.begin_turn("k", user("what?", id="m-1")) as turn:
            assert turn.taken_over
            turn.finish(assistant("this"))
        assert sessions.open_turns() == []
        assert texts(sessions.resolve("k")) == ["what?", "this"]


def test_25_order_is_by_position_and_not_by_clock(url: str) -> None:
    """A clock that goes back, and messages that bring any time, change no order."""
    now = [datetime(2026, 1, 2, tzinfo=UTC)]
    with palaver.open(url, clock=lambda: now[0]) as sessions:
        session = sessions.get_or_create("k")
        for n, step in enumerate((0, -3600, 10, -86_400)):
            now[0] += timedelta(seconds=step)
            session.append(user(str(n)), user(f"{n}'", created_at=datetime(2030 - n, 1, 1, tzinfo=UTC)))
        assert texts(session) == ["0", "0'", "1", "1'", "2", "2'", "3", "3'"]
        assert [m.seq for m in session.messages()] == list(range(1, 9))

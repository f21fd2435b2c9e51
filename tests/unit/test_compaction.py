"""When a summary is due and where it may end, how it is drafted, and what is none: tables of cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import palaver
from palaver import Budget, CompactionDue, CompactionPolicy, Message, Summary, Tail, assistant, system, tool, user
from palaver.compaction import compaction_due, draft_end, drafted, summary_text, transcript_text
from palaver.errors import InvalidMessage, SessionConflict
from palaver.info import Page
from palaver.model import ImagePart, Sender, TextPart, ThinkingPart, ToolCall, ToolResult


def call(number: int) -> Message:
    """A message that calls a tool."""
    return assistant(None, ToolCall(name="f", call_id=f"c{number}", arguments='{"a":1}'))


def spelled(text: str) -> list[Message]:
    """Messages from a word: u(ser), a(ssistant), c(all), r(esult), d(elivery), s(ystem), h(idden), x (command)."""
    out: list[Message] = []
    calls = 0
    for letter in text:
        if letter == "c":
            calls += 1
        out.append(
            {
                "u": user("hi"),
                "a": assistant("well"),
                "c": call(calls),
                "r": tool(f"c{calls}", "42"),
                "d": assistant("news").replace(flags=("delivery",)),
                "s": system("be kind"),
                "h": user("psst").replace(flags=("hidden",)),
                "x": user("/help").replace(flags=("command",)),
            }[letter]
        )
    return out


def end(word: str, keep_last: int, **fields: Any) -> int | None:
    """Where a summary of such a transcript ends, with one message too many."""
    policy = CompactionPolicy(max_tokens=1, keep_last=keep_last, **fields)
    due = compaction_due(policy, Tail.of(spelled(word)))
    return due.through_seq if due is not None else None


@pytest.mark.parametrize(
    ("word", "keep_last", "expected"),
    [
        ("uaua", 1, 2),
        ("uaua", 2, 2),
        ("uaua", 3, None),
        ("uauaua", 3, 2),
        ("ua", 1, None),
        ("uaaaa", 1, None),
        ("uacra", 1, None),
        ("ucraucra", 1, 4),
        ("uaucra", 4, 2),
        ("uaucra", 5, None),
        ("uauua", 1, 2),  # users in a row are answered together
        ("uauda", 1, 2),
        ("uadu", 1, 2),  # the person may be answering the delivery
        ("uaddu", 1, 3),
        ("uauaduau", 1, 7),
        ("suaua", 1, 3),
        ("uahua", 1, 2),
        ("uaxua", 2, 2),
        ("uahha", 1, None),
        ("aaaa", 1, 3),  # nobody ever wrote: any exchange may begin the rest
        ("acra", 1, 3),
        ("acra", 2, 1),
        ("", 1, None),
        ("h", 1, None),
    ],
)
def test_it_ends_before_a_turn(word: str, keep_last: int, expected: int | None) -> None:
    """Never inside an exchange, never at the newest message of the user, and with enough left."""
    assert end(word, keep_last) == expected


@pytest.mark.parametrize(
    ("keep", "keep_last", "expected"),
    [("turns", 1, 10), ("turns", 2, 6), ("turns", 3, 2), ("turns", 4, None), ("exchanges", 2, 10), ("exchanges", 3, 6)],
)
def test_the_floor_counts_in_what_it_says(keep: Any, keep_last: int, expected: int | None) -> None:
    """Three turns behind the first: of four messages, of four, and of two; a call and its result are one exchange."""
    assert end("uaucraucraua", keep_last, keep=keep) == expected


def test_a_late_result_keeps_everything_between_together() -> None:
    """A result that came after the next question: no summary ends between its call and it."""
    word = [user("1"), call(1), user("2"), tool("c1", "42"), assistant("a"), user("3"), assistant("b")]
    due = compaction_due(CompactionPolicy(max_tokens=1, keep_last=1), Tail.of(word))
    assert due is not None
    assert due.through_seq == 5


def test_the_running_turn_is_left_alone() -> None:
    """It is not summarised, wherever a user spoke in it; a turn that was taken over begins where it began."""
    tail = Tail(messages=Tail.of(spelled("uauaua")).messages, running_from=3)
    policy = CompactionPolicy(max_tokens=1, keep_last=1)
    assert getattr(compaction_due(policy, tail), "through_seq", None) == 2
    assert compaction_due(policy, tail, before=1) is None


def test_what_was_not_read_is_not_torn() -> None:
    """A result whose call was not read: no summary ends before it."""
    messages = Tail.of([*spelled("uacua"), *spelled("uaua")]).messages
    late = tuple(tool("gone", "x").replace(seq=3) if m.tool_calls else m for m in messages)
    part = Tail(messages=late, complete=False)
    through = [compaction_due(CompactionPolicy(max_tokens=1, keep_last=n), part) for n in (1, 3, 5)]
    assert [due.through_seq if due else None for due in through] == [7, 5, None]
    whole = compaction_due(CompactionPolicy(max_tokens=1, keep_last=5), Tail(messages=late))
    assert whole is not None
    assert whole.through_seq == 2


@pytest.mark.parametrize(
    ("policy", "budget", "expected"),
    [
        ({}, {"max_messages": 1}, None),
        ({"max_messages": 9}, {}, "messages"),
        ({"max_messages": 10}, {}, None),
        ({"max_tokens": 1}, {}, "tokens"),
        ({"max_tokens": 10_000}, {}, None),
        ({"max_tokens": 10_000}, {"max_messages": 9}, "budget"),
        ({"max_tokens": 10_000}, {"max_messages": 10}, None),
        ({"budget_share": 0.5}, {"max_messages": 19}, "budget"),
        ({"budget_share": 0.5}, {"max_messages": 20}, None),
        ({"budget_share": 0.5}, {"max_turns": 9}, "budget"),
        ({"budget_share": 1}, {"max_turns": 5}, None),
        ({"budget_share": 0.5}, {"max_tokens": 60}, "budget"),
        ({"budget_share": 0.5}, {"max_tokens": 60_000}, None),
    ],
)
def test_reasons(policy: dict[str, Any], budget: dict[str, Any], expected: str | None) -> None:
    """Ten messages in five turns: too many, too large, too much of the budget, or not at all."""
    tail = Tail.of(spelled("ua" * 5))
    due = compaction_due(CompactionPolicy(keep_last=2, **policy), tail, Budget(**budget))
    assert (due.reason if due else None) == expected


@pytest.mark.parametrize(
    ("word", "fields", "silent", "expected"),
    [
        ("ua" * 5, {}, 60, "idle"),
        ("ua" * 5, {}, 59, None),
        ("ua" * 5, {"max_messages": 9}, 60, "messages"),
        ("ua", {}, 60, None),  # what is kept is all there is
        ("ua" * 2 + "h", {}, 60, "idle"),
    ],
)
def test_a_summary_is_due_after_silence(word: str, fields: dict[str, Any], silent: int, expected: str | None) -> None:
    """However few messages there are, if enough stay; not while a turn runs, and not for who does not know the time."""
    began = datetime(2026, 3, 5, 12, tzinfo=UTC)
    tail = Tail.of([m.replace(created_at=began + timedelta(seconds=n)) for n, m in enumerate(spelled(word))])
    now = began + timedelta(seconds=len(word) - 1, minutes=silent)
    policy = CompactionPolicy(after_idle=timedelta(hours=1), keep_last=2, **fields)
    due = compaction_due(policy, tail, now=now)
    assert (due.reason if due else None) == expected
    if expected == "idle":
        assert compaction_due(policy, tail) is None
        assert compaction_due(policy, tail, now=now, before=99) is None


def test_what_is_named() -> None:
    """The range, its size, what stays, and the summary that it continues; hidden messages count nothing."""
    messages = tuple(m.replace(seq=m.seq + 5) for m in Tail.of(spelled("hua" + "ua" * 3)).messages)
    before = Summary(id=3, text="they met", from_seq=1, through_seq=5)
    due = compaction_due(CompactionPolicy(max_messages=4, keep_last=3), Tail(messages=messages, summary=before))
    assert due is not None
    assert (due.from_seq, due.through_seq, due.messages, due.kept) == (6, 10, 4, 4)
    assert (due.previous, due.expected) == (before, 3)
    assert due.tokens > 0


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"max_messages": 0}, "max_messages is at least 1"),
        ({"max_tokens": -1}, "max_tokens is at least 1"),
        ({"keep_last": 0}, "keep_last is at least 1"),
        ({"budget_share": 0}, "share such as"),
        ({"budget_share": 1.5}, "share such as"),
        ({"keep": "words"}, "'exchanges'"),
        ({"max_messages": 8}, "keep fewer"),
        ({"after_idle": timedelta(0)}, "a length of time"),
    ],
)
def test_policies_that_cannot_be(fields: dict[str, Any], told: str) -> None:
    """Each names what is wrong and what to give."""
    with pytest.raises(ValueError, match=told):
        CompactionPolicy(**fields)


def test_a_manager_takes_policies_only() -> None:
    """Another value is a TypeError that shows one."""
    with pytest.raises(TypeError, match="CompactionPolicy"):
        palaver.open("memory://", compaction_policy={"max_messages": 9})


# -- drafts


def test_a_piece_ends_before_a_turn_if_one_fits() -> None:
    """Else where an exchange ends; the first exchange is in, however long it is."""
    messages = Tail.of(spelled("uacraua")).messages
    sizes = [0]
    for message in messages:
        sizes.append(sizes[-1] + palaver.tokens.tokens_of([message]))
    assert draft_end(messages, sizes[7]) == 5
    assert draft_end(messages, sizes[5]) == 5
    assert draft_end(messages, sizes[4]) == 4
    assert draft_end(messages, sizes[3]) == 2
    assert draft_end(messages, 1) == 1
    assert draft_end((), 1) == 0


def test_a_draft_shows_what_a_model_may_see() -> None:
    """Without hidden messages and lost results, with an answer to every call, and a line for an image."""
    image = user(ImagePart(blob="0" * 64 + "-20000", media_type="image/png"))
    messages = Tail.of([*spelled("hu"), tool("lost", "x"), call(1), image, assistant("nice")]).messages
    due = CompactionDue(from_seq=1, through_seq=6, reason="messages", messages=6, tokens=9, kept=2)
    draft = drafted(messages, due, from_seq=1, max_tokens=10_000, whole=True, rev=4, corrupt=(3, 9))
    assert draft is not None
    assert [m.role for m in draft.messages] == ["user", "assistant", "tool", "user", "assistant"]
    assert (draft.ends, draft.may_commit, draft.rev, draft.corrupt) == (True, True, 4, (3,))
    text = draft.transcript()
    assert "[image not shown: image/png, 20 KiB]" in text
    assert "Interrupted" in text


def test_a_transcript_is_text() -> None:
    """Who says what, with calls and results; a long result keeps its beginning and its end."""
    messages = [
        user("What is it?", sender=Sender(id="7", name="Ada")),
        Message(role="assistant", parts=(ThinkingPart(text="hm"), TextPart(text="I look."))),
        call(1),
        Message(
            role="tool", parts=(ToolResult(call_id="c1", parts=(TextPart(text="0123456789" * 2),), is_error=True),)
        ),
        user(ImagePart(url="https://x.test/a.png")),
        Message(role="assistant", parts=(ThinkingPart(text="only this"),)),
    ]
    assert transcript_text(messages, result_chars=8) == (
        "user (Ada): What is it?\n\n"
        "assistant: I look.\n\n"
        'assistant: [calls f with {"a":1}]\n\n'
        "tool: [error: 012345[… 12 characters left out …]89]\n\n"
        "user: [an image]"
    )
    with pytest.raises(ValueError, match="result_chars"):
        transcript_text(messages, result_chars=0)


def test_a_long_range_is_read_in_pieces() -> None:
    """Pages end where they will: every message is in one piece, and in one only; what is cut is in none."""
    with palaver.open("memory://", compaction_policy=CompactionPolicy(max_messages=50)) as sessions:
        session = sessions.create()
        for number in range(450):
            session.append(user(f"question {number}"), assistant(f"answer {number}"))
        session.delete_message(11)
        due = session.compaction_due()
        assert due is not None
        seen: list[int] = []
        after = None
        while True:
            draft = session.compaction_draft(due, after=after, max_tokens=500)
            assert draft.tokens <= 500
            assert draft.may_commit
            seen += [m.seq for m in draft.messages]
            if draft.ends:
                break
            after = draft.through_seq
        assert seen == [seq for seq in range(1, due.through_seq + 1) if seq != 11]
        with pytest.raises(ValueError, match="max_tokens"):
            session.compaction_draft(due, max_tokens=0)


def test_the_turn_says_what_is_due() -> None:
    """While it runs nothing of its own; after it what the session says too; without a policy nothing."""
    policy = CompactionPolicy(max_messages=4, keep_last=2)
    with palaver.open("memory://", compaction_policy=policy) as sessions:
        for number in range(2):
            with sessions.begin_turn("key", user(f"q{number}")) as turn:
                assert turn.compaction_due is None
                turn.finish(assistant(f"a{number}"))
        with sessions.begin_turn("key", user("q2")) as turn:
            running = turn.compaction_due
            assert running is not None
            assert running.through_seq == 2
            assert running == sessions.resolve("key").compaction_due()
            turn.append(*spelled("crcrcr"))
            assert turn.compaction_due is not None
            assert turn.compaction_due.through_seq == 4
            turn.finish(assistant("a2"))
        assert turn.compaction_due == sessions.resolve("key").compaction_due()
        replayed = sessions.begin_turn("key", user("x"), on_busy="store")
        assert replayed.compaction_due is not None
    with palaver.open("memory://") as sessions, sessions.begin_turn("key", user("q")) as turn:
        assert turn.compaction_due is None


def test_the_newest_turn_may_be_longer_than_a_window() -> None:
    """The session's answer looks as far back as it must, and the policy of one call counts for that."""
    with palaver.open("memory://", budget=Budget(max_messages=4)) as sessions:
        session = sessions.create()
        session.append(*spelled("ua" + "u" + "cr" * 30 + "a"))
        assert session.compaction_due() is None
        due = session.compaction_due(CompactionPolicy(budget_share=1, keep_last=1))
        assert due is not None
        assert (due.through_seq, due.reason) == (2, "budget")


def test_a_summary_can_be_taken_back() -> None:
    """The one before stands again, then the messages; whoever means another is told."""
    with palaver.open("memory://") as sessions:
        session = sessions.create()
        session.append(*spelled("uauaua"))
        first = session.compact("one", through_seq=2)
        second = session.compact("two", through_seq=4)
        with pytest.raises(SessionConflict):
            session.withdraw_summary(expected=first.id)
        back = session.withdraw_summary(expected=second.id)
        assert back is not None
        assert back.text == "one"
        assert session.withdraw_summary() is None
        assert len(session.history().messages) == 6
        with pytest.raises(SessionConflict, match="no summary"):
            session.withdraw_summary()


def test_a_refused_summary_is_paid_for() -> None:
    """Its usage is recorded, and the error says what to do."""
    with palaver.open("memory://") as sessions:
        session = sessions.create()
        session.append(*spelled("uaua"))
        with pytest.raises(InvalidMessage, match="let the model write more"):
            session.compact("They", through_seq=2, stop_reason="length", usage=palaver.Usage(output_tokens=9))
        usage = session.info().usage
        assert usage is not None
        assert usage.output_tokens == 9
        assert session.history().head_count == 0


@pytest.mark.parametrize("reason", [None, "stop", "end_turn", "STOP", "stop_sequence", "completed", "eos"])
def test_summaries(reason: str | None) -> None:
    """Text, or what an assistant says, that ended as it should."""
    assert summary_text("They met.", reason) == "They met."
    assert summary_text(assistant("They met."), reason) == "They met."


def test_an_empty_page_has_no_end() -> None:
    """Nothing is read of an empty range: the draft is empty and ends where it should."""
    due = CompactionDue(from_seq=1, through_seq=2, reason="messages", messages=0, tokens=0, kept=2)
    draft = drafted(Page(), due, from_seq=1, max_tokens=5, whole=True, rev=0)
    assert draft is not None
    assert (draft.messages, draft.through_seq, draft.ends, draft.transcript()) == ((), 2, True, "")

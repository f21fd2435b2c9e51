"""The Compactor: what it commits, and what it leaves alone when a model, another writer or a crash gets in its way."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import CompactionPolicy, Message, Session, SessionManager, Usage, assistant, user
from palaver.compactor import AsyncCompactor, Compactor, Summarised
from palaver.model import ToolCall

POLICY = CompactionPolicy(max_messages=6, keep_last=4)


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[SessionManager]:
    """A store that any number of managers can open."""
    with palaver.open(tmp_path / "chat.db", compaction_policy=POLICY) as opened:
        yield opened


@pytest.fixture
def session(sessions: SessionManager) -> Session:
    """Five turns of two messages: what is due ends at 6."""
    made = sessions.get_or_create("key")
    for number in range(5):
        made.append(user(f"q{number}"), assistant(f"a{number}"))
    return made


def texts(session: Session) -> list[str]:
    """What a model sees."""
    return [m.text for m in session.history().messages]


def quick(summarise: Any, **options: Any) -> Compactor:
    """A Compactor that does not wait."""
    return Compactor(summarise, pause=0, **options)


def summary_of(messages: tuple[Message, ...], previous: str | None) -> str:
    """A summary that shows what it was made of."""
    return f"{previous or ''}({' '.join(m.text for m in messages)})"


SUMMARY = "Summary of the conversation so far:\n"
WHOLE = "(q0 a0 q1 a1 q2 a2)"


@pytest.mark.parametrize(
    "answer",
    [
        lambda text: text,
        assistant,
        lambda text: (text, Usage(output_tokens=3)),
        lambda text: (assistant(text), None),
        lambda text: assistant(text).replace(usage=Usage(output_tokens=3)),
        lambda text: Summarised(text=text, usage=Usage(output_tokens=3), stop_reason="end_turn"),
    ],
)
def test_what_is_due_is_summarised(session: Session, answer: Callable[[str], Any]) -> None:
    """The old turns give way to the summary, the newest stay, and whatever form the answer has."""
    done = quick(lambda messages, previous: answer(summary_of(messages, previous))).run(session)
    assert (done.outcome, done.calls, done.failures) == ("compacted", 1, ())
    assert texts(session) == [SUMMARY + WHOLE, "q3", "a3", "q4", "a4"]
    assert len(session.messages()) == 10, "the originals stay"
    used = session.info().usage
    assert (used.output_tokens if used else 0) == (done.usage.output_tokens if done.usage else 0)


def test_where_nothing_is_due_no_model_is_asked(sessions: SessionManager) -> None:
    """A short session, an unknown one under a key, and a policy that is off."""
    compactor = quick(lambda *_: pytest.fail("asked"))
    session = sessions.create()
    session.append(user("q"), assistant("a"))
    assert compactor.run(session).outcome == "nothing_due"
    assert compactor.run(sessions.get_or_create("new")).outcome == "nothing_due"
    for _ in range(9):
        session.append(user("q"), assistant("a"))
    assert quick(lambda *_: pytest.fail("asked"), policy=CompactionPolicy()).run(session).outcome == "nothing_due"


def silent(url: str | Path, hours: float = 9) -> SessionManager:
    """The store as it is opened so much later."""
    return palaver.open(url, clock=lambda: datetime.now(UTC) + timedelta(hours=hours))


IDLE = CompactionPolicy(after_idle=timedelta(hours=8), keep_last=4)


def test_silent_sessions_are_summarised(session: Session, sessions: SessionManager, tmp_path: Path) -> None:
    """Each once, until there is more to say; one with a running turn, and those that have ended, are left alone."""
    other = sessions.get_or_create("other")
    other.append(*[user("q"), assistant("a")] * 4)
    sessions.get_or_create("short").append(user("q"), assistant("a"))
    ended = sessions.get_or_create("ended")
    ended.append(*[user("q"), assistant("a")] * 4)
    sessions.reset("ended")
    busy = sessions.get_or_create("busy")
    busy.append(*[user("q"), assistant("a")] * 4)
    busy.begin_turn(user("still thinking"), lease=timedelta(days=1))
    compactor = quick(summary_of, policy=IDLE)
    assert compactor.run_all(sessions) == []
    with silent(tmp_path / "chat.db") as later:
        assert compactor.run_all(later, limit=1)[0].outcome == "compacted"
        [done] = compactor.run_all(later)
        assert (done.outcome, done.calls) == ("compacted", 1)
        assert compactor.run_all(later) == []
        assert texts(later.get(session.id))[0] == SUMMARY + WHOLE
        assert len(texts(later.get(other.id))) == 5
    session.append(user("back again"), assistant("hello"))
    with silent(tmp_path / "chat.db", hours=18) as later:
        [again] = compactor.run_all(later)
        assert again.session_id == session.id


def test_the_async_one_summarises_silent_sessions(session: Session, tmp_path: Path) -> None:
    """The same with await, and as often as `limit` says."""

    async def run() -> None:
        clock = lambda: datetime.now(UTC) + timedelta(hours=9)  # noqa: E731 - short
        async with palaver.aopen(tmp_path / "chat.db", clock=clock) as later:
            made = await later.create("second")
            await made.append(*[user("q"), assistant("a")] * 4)
            compactor = AsyncCompactor(summary_of, policy=IDLE, pause=0)
            assert [each.outcome for each in await compactor.run_all(later, limit=1)] == ["compacted"]
            assert len(await compactor.run_all(later)) <= 1
            assert await compactor.run_all(later) == []

    asyncio.run(run())
    assert texts(session)[0] == SUMMARY + WHOLE


def test_the_summary_before_is_told_to_the_next(session: Session) -> None:
    """Twice: the second summary continues the first, which it was given."""
    compactor = quick(summary_of)
    compactor.run(session)
    for number in (5, 6):
        session.append(user(f"q{number}"), assistant(f"a{number}"))
    done = compactor.run(session)
    assert [s.through_seq for s in done.summaries] == [10]
    assert texts(session)[0] == f"{SUMMARY}{WHOLE}(q3 a3 q4 a4)"
    assert compactor.run(session).outcome == "nothing_due"


def test_much_is_summarised_in_pieces(session: Session) -> None:
    """Each piece is given the summary of those before; where a turn ends it is committed, and a crash keeps that."""
    done = quick(summary_of, max_tokens=1).run(session)
    assert done.outcome == "compacted"
    assert done.calls == 6
    assert [s.through_seq for s in done.summaries] == [2, 4, 6]
    assert texts(session)[0] == f"{SUMMARY}(q0)(a0)(q1)(a1)(q2)(a2)"


def test_a_crash_keeps_the_pieces_that_were_committed(session: Session) -> None:
    """Ctrl-C in the middle: the turns before are summarised, the others raw, and a run goes on from there."""

    def interrupted(messages: tuple[Message, ...], previous: str | None) -> str:
        if messages[0].text == "a1":
            raise KeyboardInterrupt
        return summary_of(messages, previous)

    with pytest.raises(KeyboardInterrupt):
        quick(interrupted, max_tokens=1).run(session)
    assert texts(session) == [SUMMARY + "(q0)(a0)", *"q1 a1 q2 a2 q3 a3 q4 a4".split()]
    assert quick(summary_of).run(session).outcome == "compacted"
    assert texts(session)[0] == SUMMARY + "(q0)(a0)(q1 a1 q2 a2)"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "empty"),
        (" \n", "empty"),
        (assistant(None, ToolCall(name="f", call_id="c", arguments="{}")), "called tools"),
        (assistant("let me see", ToolCall(name="f", call_id="c", arguments="{}")), "called tools"),
        (Summarised(text="They were", stop_reason="length"), "cut short"),
        (Summarised(text="They were", stop_reason="max_tokens"), "cut short"),
        (Summarised(text="They were", stop_reason="MAX_TOKENS"), "cut short"),
        (Summarised(text="I cannot", stop_reason="refusal"), "did not finish"),
        (Summarised(text="", stop_reason="tool_use"), "called tools"),
        (user("what?"), "role 'user'"),
        ("half \ud83d", "summary"),
    ],
)
def test_an_answer_that_is_no_summary_changes_nothing(session: Session, answer: Any, why: str) -> None:
    """It is asked again, a few times; then the run gives up and says why, and the history is as it was."""
    before = texts(session)
    done = quick(lambda *_: answer).run(session)
    assert (done.outcome, done.calls, done.summaries) == ("gave_up", 3, ())
    assert len(done.failures) == 3
    assert all(why in each for each in done.failures)
    assert texts(session) == before


def test_a_model_that_fails_is_asked_again(session: Session) -> None:
    """What it raises is told, and the next answer is taken. What refused answers used is recorded too."""
    answers: Iterator[Any] = iter(
        [TimeoutError("slow"), ("", Usage(output_tokens=2, cost=Decimal("0.5"))), ("They met.", Usage(output_tokens=5))]
    )

    def summarise(*_: object) -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    done = quick(summarise).run(session)
    assert (done.outcome, done.calls) == ("compacted", 3)
    assert done.failures[0] == "TimeoutError: slow"
    assert done.usage is not None
    assert (done.usage.output_tokens, done.usage.cost) == (7, Decimal("0.5"))
    used = session.info().usage
    assert used is not None
    assert used.output_tokens == 7


def test_a_session_on_which_it_gave_up_is_left_alone(session: Session, sessions: SessionManager) -> None:
    """For a while, that grows with each time; others are not; and an answer makes it forget."""
    now = [0.0]
    answers: list[str] = []
    compactor = quick(lambda *_: answers[-1], rest=100, clock=lambda: now[0], attempts=1)
    answers.append("")
    assert compactor.run(session).outcome == "gave_up"
    resting = compactor.run(session)
    assert (resting.outcome, resting.calls) == ("resting", 0)
    now[0] = 101
    assert compactor.run(session).outcome == "gave_up"
    now[0] = 250
    assert compactor.run(session).outcome == "resting", "twice as long"
    other = sessions.create()
    for _ in range(5):
        other.append(user("q"), assistant("a"))
    answers.append("They met.")
    assert compactor.run(other).outcome == "compacted"
    now[0] = 302
    assert compactor.run(session).outcome == "compacted"
    answers.append("")
    for _ in range(5):
        session.append(user("q"), assistant("a"))
    assert compactor.run(session).outcome == "gave_up"
    now[0] = 403
    assert compactor.run(session).outcome == "gave_up", "it begins anew"


@pytest.mark.parametrize("given", [None, 7, ("text", "usage"), ("a", None, None), b"text"])
def test_an_answer_of_another_kind_is_a_mistake(session: Session, given: Any) -> None:
    """A summariser that gives what nobody can read is told so at once, and not asked again."""
    with pytest.raises(TypeError, match="summariser"):
        quick(lambda *_: given).run(session)


def test_an_async_summariser_needs_the_async_compactor(session: Session) -> None:
    """The error says so."""

    async def summarise(messages: tuple[Message, ...], previous: str | None) -> str:
        return summary_of(messages, previous)

    with pytest.raises(TypeError, match="AsyncCompactor"):
        quick(summarise).run(session)


# -- while it thinks


def meanwhile(session: Session, deed: Callable[[], object], times: int = 1) -> Any:
    """A model that is at it when something happens."""
    left = [times]

    def summarise(messages: tuple[Message, ...], previous: str | None) -> str:
        if left[0]:
            left[0] -= 1
            deed()
        return summary_of(messages, previous)

    return quick(summarise).run(session)


def test_messages_that_come_stay_as_they_are(session: Session) -> None:
    """In a turn that runs and in one that is over: none of them is lost, whatever "the last four" are by now."""

    def deed() -> None:
        for number in (5, 6, 7):
            session.append(user(f"q{number}"), assistant(f"a{number}"))
        session.begin_turn(user("q8"))

    assert meanwhile(session, deed).outcome == "compacted"
    assert texts(session) == [SUMMARY + WHOLE, *"q3 a3 q4 a4 q5 a5 q6 a6 q7 a7 q8".split()]


def test_a_running_turn_is_left_alone(session: Session, sessions: SessionManager) -> None:
    """What it has stored stays in its window, and its end is as ever."""
    turn = sessions.begin_turn("key", user("q5"))
    turn.append(assistant("wait"))
    done = quick(summary_of, policy=CompactionPolicy(max_messages=2, keep_last=1)).run(session)
    assert [s.through_seq for s in done.summaries] == [10]
    turn.finish(assistant("a5"))
    assert texts(session)[1:] == ["q5", "wait", "a5"]


@pytest.mark.parametrize("change", ["edit", "delete", "purge", "rewind"])
def test_what_changes_is_read_again(session: Session, change: str) -> None:
    """A message that is edited, deleted or purged while a model reads it is in no summary as it was."""

    def deed() -> None:
        if change == "edit":
            session.edit(3, "another question")
        elif change == "delete":
            session.delete_message(3)
        elif change == "purge":
            session.purge(3, 3)
        else:
            session.rewind(4)

    done = meanwhile(session, deed)
    expected = {
        "edit": "(q0 a0 another question a1 q2 a2)",
        "delete": "(q0 a0 a1 q2 a2)",
        "purge": "(q0 a0 a1 q2 a2)",
    }.get(change)
    if expected is None:
        assert done.outcome == "nothing_due"
        assert texts(session) == ["q0", "a0"]
    else:
        assert (done.outcome, done.calls) == ("compacted", 2)
        assert texts(session)[0] == SUMMARY + expected
    assert len(done.failures) == 1


def test_what_changes_all_the_time_is_left_alone(session: Session) -> None:
    """After three tries it says so, and nothing was committed."""
    done = meanwhile(session, lambda: session.edit(1, "again"), times=99)
    assert (done.outcome, done.calls, done.summaries) == ("changed", 3, ())
    assert not texts(session)[0].startswith(SUMMARY)


def test_a_change_below_a_summary_is_no_rival(session: Session) -> None:
    """An edit under the summary before makes that stale: the run begins again, from what holds."""
    quick(summary_of).run(session)
    for number in (5, 6, 7):
        session.append(user(f"q{number}"), assistant(f"a{number}"))
    done = meanwhile(session, lambda: session.edit(1, "Q0"))
    assert (done.outcome, done.calls) == ("compacted", 2)
    assert texts(session)[0] == SUMMARY + "(Q0 a0 q1 a1 q2 a2 q3 a3 q4 a4 q5 a5)"


@pytest.mark.parametrize("ending", ["reset", "delete", "purge"])
def test_a_session_that_is_over_is_left_alone(session: Session, ending: str) -> None:
    """It was reset, deleted or purged meanwhile: the summary is dropped."""
    deeds: dict[str, Callable[[], object]] = {
        "reset": session.reset,
        "delete": session.delete,
        "purge": session.purge,
    }
    done = meanwhile(session, deeds[ending])
    assert (done.outcome, done.summaries) == ("gone", ())
    assert done.failures


def test_of_two_one_wins(session: Session, sessions: SessionManager, tmp_path: Path) -> None:
    """Both have read the same when both commit: one summary stands, the other is dropped and told so."""
    with palaver.open(tmp_path / "chat.db", compaction_policy=POLICY) as elsewhere:
        both = threading.Barrier(2)
        done: dict[str, Any] = {}

        def run(name: str, mine: Session) -> None:
            def summarise(messages: tuple[Message, ...], previous: str | None) -> str:
                both.wait(60)
                return f"{name} {summary_of(messages, previous)}"

            done[name] = quick(summarise).run(mine)

        threads = [
            threading.Thread(target=run, args=("one", session)),
            threading.Thread(target=run, args=("two", elsewhere.get(session.id))),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(d.outcome for d in done.values()) == ["compacted", "superseded"]
    winner = next(name for name, d in done.items() if d.outcome == "compacted")
    loser = done["two" if winner == "one" else "one"]
    assert "compacted meanwhile" in loser.failures[0]
    assert texts(session) == [f"{SUMMARY}{winner} {WHOLE}", "q3", "a3", "q4", "a4"]


# -- with await


async def _async_run(path: Path, summarise: Any) -> tuple[Any, list[str]]:
    async with palaver.aopen(path, compaction_policy=POLICY) as sessions:
        session = await sessions.resolve("key")
        done = await AsyncCompactor(summarise, pause=0).run(session)
        window = await session.history()
        return done, [m.text for m in window.messages]


def handed(summarise: Callable[..., Awaitable[str]], messages: tuple[Message, ...], previous: str | None) -> Any:
    """A plain function that gives something to await."""
    return summarise(messages, previous)


@pytest.mark.parametrize("kind", ["async", "sync", "awaitable"])
def test_the_async_one_takes_any_summariser(session: Session, tmp_path: Path, kind: str) -> None:
    """A coroutine function, a plain function (on another thread), and one that gives something to await."""
    loops: list[bool] = []

    def plain(messages: tuple[Message, ...], previous: str | None) -> str:
        try:
            asyncio.get_running_loop()
            loops.append(True)
        except RuntimeError:
            loops.append(False)
        return summary_of(messages, previous)

    async def waits(messages: tuple[Message, ...], previous: str | None) -> str:
        await asyncio.sleep(0)
        return summary_of(messages, previous)

    summarise = {"async": waits, "sync": plain, "awaitable": functools.partial(handed, waits)}[kind]
    done, seen = asyncio.run(_async_run(tmp_path / "chat.db", summarise))
    assert done.outcome == "compacted"
    assert seen == [SUMMARY + WHOLE, "q3", "a3", "q4", "a4"]
    assert not any(loops), "a plain function would stop the loop"


def test_cancelled_it_has_changed_nothing(session: Session, tmp_path: Path) -> None:
    """While its model thinks."""

    async def story() -> None:
        thinks = asyncio.Event()

        async def summarise(*_: object) -> str:
            thinks.set()
            await asyncio.Event().wait()
            raise AssertionError

        async with palaver.aopen(tmp_path / "chat.db", compaction_policy=POLICY) as sessions:
            run = asyncio.create_task(AsyncCompactor(summarise).run(await sessions.resolve("key")))
            await thinks.wait()
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run

    before = texts(session)
    asyncio.run(story())
    assert texts(session) == before


def test_the_async_one_has_the_same_outcomes(session: Session, tmp_path: Path) -> None:
    """A model that fails is asked again, and given up; the error stays inside."""

    async def summarise(*_: object) -> str:
        raise TimeoutError("slow")

    done, _ = asyncio.run(_async_run(tmp_path / "chat.db", summarise))
    assert (done.outcome, done.calls, done.failures) == ("gave_up", 3, ("TimeoutError: slow",) * 3)


def test_options_that_cannot_be() -> None:
    """Each names itself."""
    for wrong in ({"max_tokens": 0}, {"attempts": 0}, {"pause": -1}, {"rest": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Compactor(summary_of, **wrong)  # type: ignore[arg-type]

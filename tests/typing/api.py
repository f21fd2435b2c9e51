"""Types are public API: this file is not run, mypy and pyright read it, and a type that changes is an error here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, assert_type

import palaver
from palaver import (
    AsyncSession,
    AsyncSessionManager,
    AsyncTurn,
    CompactionDraft,
    CompactionDue,
    CompactionPolicy,
    Notice,
    Origin,
    Rendered,
    ResetPolicy,
    SearchPage,
    Session,
    SessionManager,
    Settings,
    Summary,
    SweepPolicy,
    SweepReport,
    Todo,
    Turn,
    Usage,
    Window,
)
from palaver.codec import decode, encode
from palaver.compactor import Compaction, Compactor, Summarised
from palaver.errors import Outcome, PalaverError, StoreError, TurnLost
from palaver.findings import Finding
from palaver.info import SessionInfo
from palaver.model import Message, Part, TextPart, ToolCall, ToolResult, assistant, system, tool, user
from palaver.operations import Appended
from palaver.stores.base import ChangePage, OpenTurn, Stats, UsageLine


def messages() -> None:
    """Messages are made from text, from parts, or from both, and are read without a cast."""
    assert_type(user("What is 2+2?", id="tg-1001", sender="Ada"), Message)
    assert_type(user(["text", TextPart(text="more")]), Message)
    assert_type(system("Be brief."), Message)
    assert_type(tool("call-1", "4", name="add"), Message)
    reply = assistant("Adding.", ToolCall(name="add", call_id="call-1", arguments="{}"))
    assert_type(reply.text, str)
    assert_type(reply.parts, tuple[Part, ...])
    assert_type(reply.tool_calls, tuple[ToolCall, ...])
    assert_type(reply.tool_results, tuple[ToolResult, ...])
    assert_type(reply.replace(tokens=12), Message)
    assert_type(reply.created_at, datetime | None)
    assert_type(decode(encode(reply)), Message)


def refused(message: Message, info: SessionInfo) -> None:
    """Values are frozen, roles are a closed set, and content is text or parts: the type checker says so."""
    message.seq = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    info.title = "x"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    Message(role="robot")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    user(42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def errors(lost: TurnLost, failed: StoreError) -> None:
    """An error carries typed values, not only a text."""
    assert_type(lost.unstored, tuple[Message, ...])
    assert_type(failed.outcome, Outcome)
    assert_type(PalaverError.retryable, bool)


def turns(sessions: SessionManager) -> None:
    """A turn is entered as itself, and everything that it gives has a type."""
    with sessions.begin_turn(Origin("telegram", chat_id="42"), user("Hi"), timeout=None, max_messages=50) as turn:
        assert_type(turn, Turn)
        assert_type(turn.id, str | None)
        assert_type(turn.window, Window)
        assert_type(turn.window.render("openai_chat"), Rendered)
        assert_type(turn.context, str)
        assert_type(turn.notice, Notice | None)
        assert_type(turn.append(assistant("Wait.")), tuple[Message, ...])
        assert_type(turn.inbox(), tuple[Message, ...])
        assert_type(turn.finish(assistant("Done."), usage=Usage(input_tokens=3)), Message | None)
        assert_type(turn.waiting, int)
    assert_type(sessions.turn("id"), Turn)
    assert_type(sessions.begin_turn("key"), Turn)


def managers(settings: Settings) -> None:
    """Opened with settings or their fields, the verbs of the collection give handles and values."""
    with palaver.open("memory://", settings=settings) as sessions:
        assert_type(sessions, SessionManager)
        assert_type(sessions.for_owner("ann"), SessionManager)
        assert_type(sessions.resolve("key"), Session)
        assert_type(sessions.get("id"), Session)
        assert_type(sessions.get_or_create(Origin.local()), Session)
        assert_type(sessions.create(alias="a", title="t", metadata={"n": 1}), Session)
        assert_type(sessions.reset("key"), Session)
        assert_type(sessions.resume("key", "id"), Session)
        assert_type(sessions.switch("key", "id"), Session)
        assert_type(sessions.open_turns(), list[OpenTurn])
        assert_type(sessions.events("cursor", limit=10), ChangePage)
        assert_type(sessions.search("plum", role="user", around=2), SearchPage)
        assert_type(sessions.search("plum")[0].highlights, tuple[tuple[int, int], ...])
        assert_type(sessions.usage(), list[UsageLine])
        assert_type(sessions.stats(), Stats)
        assert_type(sessions.check(), list[Finding])
        assert_type(sessions.sweep(SweepPolicy(delete_after=timedelta(days=90)), dry_run=True), SweepReport)
        assert_type(sessions.claim(sessions.due()[0], lease=timedelta(minutes=5)), Todo)
        assert_type(sessions.fail(sessions.acknowledge(sessions.due(limit=3)[0]), "no model"), Todo)
        infos: Sequence[SessionInfo] = sessions.list(limit=3)
        assert_type(infos[0].metadata, dict[str, Any])
    palaver.open("memory://", reset_policy=ResetPolicy(idle=timedelta(hours=1)), lease=timedelta(minutes=1))


def sessions_verbs(session: Session) -> None:
    """The verbs of one conversation."""
    assert_type(session.info(), SessionInfo)
    assert_type(session.append(user("Hi"), expected_seq=0), Appended)
    assert_type(session.history(max_tokens=1000), Window)
    messages: Sequence[Message] = session.messages(after=3)
    assert_type(messages[0].seq, int)
    assert_type(session.begin_turn(user("Hi")), Turn)
    assert_type(session.compact("so far", through_seq=3), Summary)
    assert_type(session.compaction_due(CompactionPolicy(max_messages=9)), CompactionDue | None)
    due = session.compaction_due()
    if due is not None:
        assert_type(session.compaction_draft(due), CompactionDraft)
    assert_type(session.withdraw_summary(expected=1), Summary | None)
    assert_type(session.purge(1, 3), int)
    assert_type(session.reset(), Session)
    session.hold("job", None)
    session.set_metadata({"a": None}, expected_rev=3)
    session.record_usage(Usage(input_tokens=3))


def compactors(session: Session, messages: tuple[Message, ...]) -> None:
    """Any callable of the right shape is a summariser."""

    def plain(messages: tuple[Message, ...], previous: str | None) -> str:
        return f"{previous} {len(messages)}"

    def paid(messages: tuple[Message, ...], previous: str | None) -> tuple[Message, Usage]:
        return assistant(plain(messages, previous)), Usage(output_tokens=1)

    assert_type(Compactor(plain).run(session), Compaction)
    Compactor(paid, max_tokens=1000)
    Compactor(lambda messages, previous: Summarised(text=f"{previous}{messages}", stop_reason="stop"))
    Compactor(lambda _: "one argument")  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType]


async def twins(sessions: AsyncSessionManager) -> None:
    """The async API gives the twins, awaited or entered."""
    async with palaver.aopen("memory://") as opened:
        assert_type(opened, AsyncSessionManager)
    assert_type(await palaver.aopen("memory://"), AsyncSessionManager)
    async with sessions.begin_turn("key", user("Hi")) as turn:
        assert_type(turn, AsyncTurn)
        assert_type(turn.window, Window)
        assert_type(await turn.append(assistant("Wait.")), tuple[Message, ...])
        assert_type(await turn.inbox(), tuple[Message, ...])
        assert_type(await turn.finish(assistant("Done.")), Message | None)
    assert_type(await sessions.begin_turn("key"), AsyncTurn)
    assert_type(await sessions.turn("id"), AsyncTurn)
    session = await sessions.get_or_create("key")
    assert_type(session, AsyncSession)
    assert_type(await session.begin_turn(user("Hi")), AsyncTurn)
    assert_type(await session.history(), Window)
    assert_type(await session.append(user("Hi")), Appended)
    assert_type(await session.reset(), AsyncSession)
    assert_type(sessions.for_owner("ann"), AsyncSessionManager)
    assert_type(await sessions.stats(), Stats)
    assert_type(await sessions.sweep(), SweepReport)
    assert_type(await sessions.due(), list[Todo])


def misused(sessions: SessionManager, session: Session) -> None:
    """Modes are a closed set, a message is no text, and a summary ends somewhere: the type checker says so."""
    sessions.begin_turn("key", user("Hi"), on_busy="queue")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sessions.begin_turn("key", "Hi")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    session.append("Hi")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    session.compact("so far")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

"""What happens to turns at the edges: closed managers, races with resets, budgets, purges, other processes' locks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import palaver
from palaver import (
    Budget,
    Deployment,
    ImagePart,
    InvalidMessage,
    KeyPolicy,
    Origin,
    ResetPolicy,
    SessionConflict,
    Settings,
    ToolCall,
    TurnLost,
    Usage,
    WindowOptions,
    assistant,
    tool,
    user,
)
from palaver.operations import AnyOperation, Take

CHAT = Origin("telegram", chat_id="42", user_id="7")


class Clock:
    """A time that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """What it is set to."""
        return self.now


def test_a_closed_manager_holds_no_session(tmp_path: Path) -> None:
    """A turn left open when its manager was closed is free at once, though the process lives on."""
    path = tmp_path / "chat.db"
    sessions = palaver.open(path)
    sessions.begin_turn("key", user("one", id="m1"))
    sessions.close()
    with palaver.open(path) as again, again.begin_turn("key", user("one", id="m1"), on_busy="raise") as turn:
        assert turn.taken_over
        turn.finish(assistant("done"))


def test_a_policy_resets_nothing_that_is_in_use_again() -> None:
    """A message that comes between the decision to reset and the reset keeps its session."""
    clock = Clock()
    sessions = palaver.open("memory://", clock=clock, reset_policy=ResetPolicy(idle=timedelta(hours=1)))
    with sessions.begin_turn(CHAT, user("old")) as turn:
        turn.finish(assistant("ok"))
    old = sessions.resolve(CHAT)
    clock.now += timedelta(hours=2)
    store = sessions._core.store
    read = store.current

    def late(owner: str, key: str, now: datetime) -> palaver.SessionInfo | None:
        found = read(owner, key, now)
        store.current = read  # type: ignore[method-assign]
        old.append(user("I am still here"))
        return found

    store.current = late  # type: ignore[method-assign]
    with sessions.begin_turn(CHAT, user("new")) as turn:
        assert turn.session_id == old.id
        turn.finish(assistant("ok"))


def test_what_is_carried_over_is_what_was_stored() -> None:
    """Copies hold the messages themselves, not the marks and breadcrumbs of a view."""
    clock = Clock()
    options = WindowOptions(timestamps=True, image_breadcrumbs=True)
    policy = ResetPolicy(idle=timedelta(hours=1), carry_over=1)
    sessions = palaver.open("memory://", clock=clock, reset_policy=policy, window_options=options)
    picture = ImagePart(media_type="image/png", data="aGk=")
    with sessions.begin_turn(CHAT, user(["look", picture])) as turn:
        turn.finish(assistant("nice"))
    clock.now += timedelta(hours=2)
    with sessions.begin_turn(CHAT, user("again")) as turn:
        turn.finish(assistant("ok"))
    first = sessions.resolve(CHAT).messages()[0]
    assert first.copied_from is not None
    assert (first.text, first.parts[1]) == ("look", picture)


def test_the_context_follows_the_key_policy() -> None:
    """Where a group shares one session the context says so, and is the same whoever writes."""
    sessions = palaver.open("memory://", key_policy=KeyPolicy(group_sessions_per_user=False))
    contexts = set()
    for name in ("Ann", "Bob"):
        origin = Origin("discord", "group", chat_id="9", user_id=name, user_name=name)
        with sessions.begin_turn(origin, user(f"I am {name}")) as turn:
            contexts.add(turn.context)
            turn.finish(assistant("hello"))
    [context] = contexts
    assert "several people" in context
    with pytest.raises(ValueError, match="key_policy"):
        Settings(key_policy=KeyPolicy.hermes(), deployment=Deployment(key_policy=KeyPolicy.nanobot()))


def test_a_purged_message_begins_no_turn() -> None:
    """A redelivery of what was purged is dealt with: there is nothing left to answer."""
    sessions = palaver.open("memory://")
    session = sessions.get_or_create("key")
    session.append(user("forget me", id="a"))
    session.purge(1, 1)
    turn = sessions.begin_turn("key", user("forget me", id="a"))
    assert turn.replayed
    assert turn.reply is None


def test_a_turn_found_by_its_id_keeps_its_budget() -> None:
    """Whoever goes on with a turn sees the window that it began with, and the next turn begins where that did."""
    sessions = palaver.open("memory://")
    shared = 0
    before: list[palaver.Message] = []
    for n in range(60):
        begun = sessions.begin_turn("key", user(f"u{n}"), max_messages=20)
        turn = sessions.turn(begun.id or "")
        assert [m.seq for m in turn.window.messages] == [m.seq for m in begun.window.messages]
        payload = list(turn.window.messages)
        shared += payload[: len(before)] == before
        before = payload
        turn.finish(assistant(f"a{n}"))
    assert shared >= 60 * 2 // 3
    one = sessions.begin_turn("key", user("last"), max_messages=20)
    assert len(sessions.turn(one.id or "", max_messages=4).window.messages) <= 4


def test_a_summary_never_tears_a_long_exchange() -> None:
    """However many calls an exchange has, a summary ends before or after it."""
    sessions = palaver.open("memory://")
    session = sessions.get_or_create("key")
    calls = [ToolCall(name="f", call_id=f"c{n}", arguments="{}") for n in range(450)]
    session.append(user("go"), assistant(None, *calls), *[tool(f"c{n}", "ok") for n in range(450)], user("next"))
    with pytest.raises(SessionConflict, match="inside an exchange"):
        session.compact("they worked", through_seq=230)
    assert session.compact("they worked", through_seq=452).through_seq == 452


def test_a_value_that_no_store_can_keep_harms_its_caller_alone(tmp_path: Path) -> None:
    """The store goes on after a reason with half a character and a lease for ever."""
    with palaver.open(tmp_path / "chat.db") as sessions:
        sessions.begin_turn("key", user("one")).fail("no file \udcff")
        with pytest.raises(InvalidMessage):
            sessions.begin_turn("key", user("two"), lease=timedelta.max)
        with sessions.begin_turn("key", user("three")) as turn:
            turn.finish(assistant("fine"), usage=Usage(input_tokens=1))
        assert sessions.check() == []


def test_a_call_that_a_crash_cut_off_is_shown_at_once(tmp_path: Path) -> None:
    """Who takes a turn over sees that a call was made and interrupted, and does not make it twice unknowingly."""
    path = tmp_path / "chat.db"
    program = (
        "import os, palaver\n"
        f"turn = palaver.open({str(path)!r}).begin_turn('key', palaver.user('pay', id='m1'))\n"
        "turn.append(palaver.assistant(None, palaver.ToolCall(name='pay', call_id='c1', arguments='{}')))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    with palaver.open(path) as sessions, sessions.begin_turn("key", user("pay", id="m1")) as turn:
        assert turn.taken_over
        shown = turn.window.render("openai_chat").messages
        assert [m["role"] for m in shown] == ["user", "assistant", "tool"]
        assert sessions.turn(turn.id or "").window.messages == turn.window.messages
        turn.append(assistant(None, ToolCall(name="look", call_id="c2", arguments="{}")))
        assert [m.role for m in turn.window.pending] == ["assistant"]
        turn.append(tool("c2", "paid already"))
        turn.finish(assistant("It was paid."))
    with pytest.raises(TurnLost):
        turn.append(assistant("more"))


def test_another_process_holding_the_lock_does_not_stop_the_loop(tmp_path: Path) -> None:
    """While another program writes, an append waits for it, and every other task of the loop goes on."""
    path = tmp_path / "chat.db"
    palaver.open(path).close()
    program = (
        "import sqlite3, sys\n"
        f"c = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
        "c.execute('BEGIN IMMEDIATE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.readline()\n"
        "c.execute('ROLLBACK')\n"
    )

    async def main(other: subprocess.Popen[str]) -> int:
        assert other.stdin is not None
        ticks = 0
        async with palaver.aopen(path) as sessions:
            session = await sessions.get_or_create("key")
            appending = asyncio.create_task(session.append(user("hi")))
            began = time.monotonic()
            while ticks < 20 and time.monotonic() - began < 20:
                await asyncio.sleep(0.001)
                ticks += 1
            assert not appending.done()
            other.stdin.write("\n")
            other.stdin.flush()
            assert (await appending).seqs == (1,)
        return ticks

    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        assert asyncio.run(main(other)) == 20


def test_every_operation_can_be_read_back() -> None:
    """A store that writes operations as lines reads each of them back as it was."""
    import msgspec

    from palaver import operations

    kinds = {
        value
        for value in vars(operations).values()
        if isinstance(value, type) and issubclass(value, operations.Operation) and value is not operations.Operation
    }
    decoder = msgspec.json.Decoder(AnyOperation)
    take = Take(at=1, session_id="s", token="t")
    assert decoder.decode(msgspec.json.encode(take)) == take
    tags = {kind.__struct_config__.tag for kind in kinds}
    described = msgspec.json.schema(AnyOperation)
    assert set(described["discriminator"]["mapping"]) == tags


def test_a_budget_has_room() -> None:
    """A budget of nothing is refused where it is given."""
    with pytest.raises(ValueError, match="max_messages"):
        Budget(max_messages=0)

"""The change feed as it happens: whoever listens gets every change once, whenever they come and come back."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

import palaver
from palaver import AsyncSessionManager, Origin, assistant, user
from palaver.apikeys import KeyFile
from palaver.server import app
from palaver.server.live import Hub
from palaver.sweeping import SweepPolicy
from tests.e2e.listening import Listening, eventually
from tests.e2e.test_http import running

NOW = datetime(2026, 5, 10, tzinfo=UTC)


@asynccontextmanager
async def serving(url: str, **more: Any) -> AsyncIterator[tuple[Any, AsyncSessionManager]]:
    """An application that runs in this event loop, and its sessions."""
    async with palaver.aopen(url) as sessions:
        application = app(sessions, **more)
        async with application.router.lifespan_context(application):
            yield application, sessions


async def talk(sessions: AsyncSessionManager, key: str, *texts: str) -> str:
    """Turns with a text each; gives the session's id."""
    for text in texts:
        turn = await sessions.begin_turn(key, user(text))
        await turn.finish(assistant("yes"))
    return (await sessions.resolve(key)).id


def cursors(changes: list[dict[str, Any]]) -> list[str]:
    """What tells changes apart."""
    return [change["cursor"] for change in changes]


def test_who_listens_hears_what_happens() -> None:
    """From now on, in order, each change with its cursor; and who comes back with it gets the rest, once."""

    async def check() -> None:
        async with serving("memory://") as (application, sessions):
            session_id = await talk(sessions, "a", "before")
            first = await Listening(application).ready()
            await talk(sessions, "a", "one", "two")
            await first.heard(4)
            assert {change["session_id"] for change in first.changes} == {session_id}
            assert [change["kind"] for change in first.changes] == ["turn_begun", "turn_finished"] * 2
            await first.leave()
            await talk(sessions, "b", "while nobody listens")
            again = await Listening(application, last_event_id=first.last).ready()
            await talk(sessions, "a", "three")
            everything = cursors([{"cursor": each.cursor} for each in await sessions.events()])
            missed = everything[everything.index(first.last) + 1 :]
            await again.heard(len(missed))
            assert cursors(again.changes) == missed
            await again.leave()

    asyncio.run(check())


def test_everything_once_however_they_come_and_go() -> None:
    """While eight write, forty come at any moment, some again and again: what each has is the feed itself."""
    chance = random.Random(7)

    async def listen(application: Any) -> list[str]:
        got: list[str] = []
        last = "0"
        for _ in range(chance.randrange(1, 4)):
            await asyncio.sleep(chance.random() / 20)
            listening = await Listening(application, last_event_id=last).ready()
            await asyncio.sleep(chance.random() / 10)
            await listening.leave()
            got += cursors(listening.changes)
            last = listening.last
        final = await Listening(application, last_event_id=last).ready()
        waiting.append(final)
        await final.until(lambda each: any(change["kind"] == "deleted" for change in each.changes))
        await final.leave()
        return [*got, *cursors(final.changes)]

    waiting: list[Listening] = []

    async def check() -> None:
        async with serving("memory://") as (application, sessions):

            async def write(number: int) -> None:
                for text in range(15):
                    await talk(sessions, f"k{number}", str(text))
                    await asyncio.sleep(chance.random() / 100)

            listeners = [asyncio.ensure_future(listen(application)) for _ in range(40)]
            await asyncio.gather(*map(write, range(8)))
            await eventually(lambda: len(waiting) == 40)
            await (await sessions.resolve("k0")).delete()
            feed = [change.cursor for change in await sessions.events()]
            for got in await asyncio.gather(*listeners):
                assert got == feed

    asyncio.run(check())


def test_an_owner_hears_only_of_its_own(tmp_path: Path) -> None:
    """By its key, of sessions old and new, deleted and purged; one session alone has a stream of its own."""
    file = KeyFile(tmp_path / "keys")
    keys = {name: f"Bearer {file.create(name, now=NOW, owner=name, may='admin')[1]}" for name in ("ana", "bo")}

    async def check() -> None:
        async with serving(f"sqlite:///{tmp_path}/chat.db", keys=file.path) as (application, sessions):
            ana, bo = sessions.for_owner("ana"), sessions.for_owner("bo")
            gone = await talk(ana, "gone", "soon")
            await (await ana.get(gone)).delete()
            hers = await talk(ana, "a", "hers")
            one = await Listening(application, authorization=keys["ana"]).ready()
            other = await Listening(application, authorization=keys["bo"]).ready()
            alone = await Listening(application, f"/v1/sessions/{hers}/events", authorization=keys["ana"]).ready()
            await talk(ana, "new", "a new one")
            await talk(bo, "b", "his")
            await talk(ana, "a", "again")
            await (await ana.get(hers)).purge()
            await (await ana.restore(gone)).purge()
            for listening, manager in ((one, ana), (other, bo)):
                started = next(event.data["cursor"] for event in listening.events if event.kind == "ready")
                expected = [change.cursor for change in await manager.events(started)]
                await listening.heard(len(expected))
                assert cursors(listening.changes) == expected
                await listening.leave()
            await alone.until(lambda each: each.changes[-1:] != [] and each.changes[-1]["kind"] == "purged")
            assert {change["session_id"] for change in alone.changes} == {hers}
            await alone.leave()
            foreign = Listening(application, f"/v1/sessions/{gone}/events", authorization=keys["bo"])
            await foreign.until(lambda each: each.done)
            assert foreign.status == 404

    asyncio.run(check())


@pytest.mark.parametrize("cursor", ["rubbish", "1"])
def test_an_expired_cursor_is_an_event(cursor: str) -> None:
    """It says that changes are gone, and where it goes on: who comes back after it does not get it again."""

    async def check() -> None:
        async with serving("memory://") as (application, sessions):
            await talk(sessions, "a", "one", "two", "three")
            await sessions.sweep(SweepPolicy(keep_changes=1))
            listening = await Listening(application, query=f"after={cursor}").ready()
            expired = listening.events[0]
            assert (expired.kind, expired.data["type"]) == ("cursor-expired", "/problems/cursor-expired")
            await talk(sessions, "a", "four")
            await listening.heard(2)
            await listening.leave()
            again = await Listening(application, last_event_id=expired.id or "").ready()
            assert [event.kind for event in again.events] == ["message", "message", "ready"]
            await again.leave()

    asyncio.run(check())


def test_who_reads_too_slowly_is_let_go() -> None:
    """A reader that stands still is cut off when too much waits for it; the others do not notice."""

    async def check() -> None:
        async with serving("memory://") as (application, sessions):
            hub = application.state.live = Hub(lambda: sessions, backlog=20)
            slow, quick = await Listening(application).ready(), await Listening(application).ready()
            slow.reads.clear()
            for number in range(30):
                await talk(sessions, "a", str(number))
                await quick.heard(2 * number + 2)
            await asyncio.wait_for(slow.task, 30)
            assert not slow.done, "the connection is cut, not ended: a client comes back"
            assert hub.listeners == 1
            await quick.leave()
            slow.reads.set()
            again = await Listening(application, last_event_id=slow.last).ready()
            assert cursors([*slow.changes, *again.changes]) == cursors(quick.changes)
            await again.leave()

    asyncio.run(check())


def test_nobody_reads_for_nobody() -> None:
    """The feed is read while somebody listens, and for all of them once."""

    async def check() -> None:
        async with serving("memory://") as (application, sessions):
            many = [await Listening(application).ready() for _ in range(5)]
            assert len([task for task in asyncio.all_tasks() if task.get_name() == "palaver-feed"]) == 1
            await talk(sessions, "a", "one")
            for each in many:
                await each.heard(2)
                await each.leave()
            await eventually(lambda: "palaver-feed" not in {task.get_name() for task in asyncio.all_tasks()})

    asyncio.run(check())


def test_a_sign_of_life(tmp_path: Path) -> None:
    """A silent stream says that it is there."""
    file = KeyFile(tmp_path / "keys")
    text = file.create("bot", now=NOW)[1]

    async def check() -> None:
        async with serving("memory://", keys=file.path) as (application, sessions):
            application.state.live = Hub(lambda: sessions, heartbeat=0.01)
            listening = await Listening(application, authorization=f"Bearer {text}").ready()
            await listening.until(lambda each: b"\n\n:\n\n" in each.body)
            await listening.leave()

    asyncio.run(check())


def test_a_stream_ends_with_its_key(tmp_path: Path) -> None:
    """Well before its next sign of life: its key is revoked or expires, or a first key closes the server."""
    file = KeyFile(tmp_path / "keys")
    now = [NOW]

    async def ended(listening: Listening) -> None:
        await listening.until(lambda each: each.done)
        assert listening.events[-1][1:] == ("end", {"reason": "unauthorized"})

    async def check() -> None:
        async with serving("memory://", keys=file.path) as (application, sessions):
            application.state.live = Hub(lambda: sessions, heartbeat=3600)
            application.state.keys._clock = lambda: now[0]
            open_one = await Listening(application).ready()
            kept, short, revoked = (
                f"Bearer {file.create(name, now=NOW, expires_at=until)[1]}"
                for name, until in (("kept", None), ("short", NOW + timedelta(hours=1)), ("bot", None))
            )
            await ended(open_one)
            others = [await Listening(application, authorization=each).ready() for each in (kept, short, revoked)]
            file.revoke("bot", now=NOW)
            await ended(others[2])
            assert not others[1].done
            now[0] += timedelta(hours=1)
            await ended(others[1])
            await talk(sessions, "a", "one")
            await others[0].heard(2)
            await others[0].leave()
            assert application.state.live.listeners == 0

    asyncio.run(check())


def test_a_key_that_is_revoked_hears_no_more_of_the_past(tmp_path: Path) -> None:
    """Who reads slowly, and is told of what was before it came, is told no more of it."""
    file = KeyFile(tmp_path / "keys")
    text = file.create("bot", now=NOW)[1]

    async def check() -> None:
        async with serving("memory://", keys=file.path) as (application, sessions):
            for number in range(3):
                await talk(sessions, "a", str(number))
            start = (await sessions.events(limit=1)).cursor
            slow = Listening(application, query=f"after={start}", authorization=f"Bearer {text}")
            slow.reads.clear()
            await eventually(lambda: slow.waits)
            file.revoke("bot", now=NOW)
            await eventually(lambda: application.state.keys.find(text) is None)
            slow.reads.set()
            await slow.until(lambda each: each.done)
            assert [event[1:] for event in slow.events] == [("end", {"reason": "unauthorized"})]

    asyncio.run(check())


def test_pages_of_one_session() -> None:
    """Without asking for a stream it is pages, as `/v1/events` has them."""

    async def check() -> None:
        async with serving("memory://") as (application, sessions):
            await talk(sessions, "a", "one")
            other = await talk(sessions, "b", "two")
            transport = httpx2.ASGITransport(application)
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
                page = (await client.get(f"/v1/sessions/{other}/events", params={"limit": 2})).json()
                rest = (await client.get(f"/v1/sessions/{other}/events", params={"after": page["cursor"]})).json()
                head = await client.head("/v1/events", headers={"Accept": "text/event-stream"})
            assert [each["kind"] for each in page["events"] + rest["events"]] == [
                "created",
                "turn_begun",
                "turn_finished",
            ]
            assert head.headers["content-type"].startswith("text/event-stream")

    asyncio.run(check())


def test_a_real_server_streams_and_ends(tmp_path: Path) -> None:
    """What another process writes arrives too; SIGTERM ends the stream at once, and says so."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with (
        running(url) as server,
        server.client.stream("GET", "/v1/events", headers={"Accept": "text/event-stream"}) as s,
    ):
        assert s.headers["cache-control"] == "no-store"
        lines = s.iter_lines()
        assert next(line for line in lines if line.startswith("event: ")) == "event: ready"
        with palaver.open(url) as sessions, sessions.begin_turn(Origin("elsewhere", chat_id="1"), user("Hi")) as turn:
            turn.finish(assistant("Hello"))
        told = [next(line for line in lines if line.startswith("data: {") and "kind" in line) for _ in range(3)]
        assert "turn_finished" in told[-1]
        with ThreadPoolExecutor(1) as pool:
            ending = pool.submit(lambda: [line for line in lines if line.startswith("event: ")])
            server.process.send_signal(signal.SIGTERM)
            assert ending.result(30) == ["event: end"]
    assert server.process.returncode == 0

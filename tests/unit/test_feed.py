"""Reading the feed: cursors of quiet readers, waiting, following, and long feeds."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import palaver
from palaver import assistant, user
from palaver.cli import main
from palaver.errors import StoreClosed
from palaver.rows import ChangeKind
from palaver.stores.sqlite import feed
from tests.faults import kit

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sqlite", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of each kind."""
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'a.db'}"


def test_waiting_ends_when_another_thread_writes(url: str) -> None:
    """What is written while somebody waits is given to them, and an hour's wait ends with it."""
    with palaver.open(url) as sessions:
        session = sessions.create("k")
        cursor = sessions.events().cursor
        wakes = sessions._core.store.wakes
        got: list[palaver.Change] = []
        reader = threading.Thread(target=lambda: got.extend(sessions.events(cursor, wait=3600)))
        reader.start()
        kit.until(lambda: bool(wakes._waiting), "the reader waits")
        session.append(user("hello"))
        reader.join(kit.PATIENCE)
        assert [change.kind for change in got] == ["appended"]


def test_waiting_for_one_session_passes_over_others(url: str) -> None:
    """Changes of others wake the reader and do not end its wait."""
    with palaver.open(url) as sessions:
        quiet, loud = sessions.create("quiet"), sessions.create("loud")
        cursor = sessions.events().cursor
        wakes = sessions._core.store.wakes
        got: list[palaver.Change] = []
        reader = threading.Thread(target=lambda: got.extend(sessions.events(cursor, session_id=quiet.id, wait=3600)))
        reader.start()
        for n in range(20):
            kit.until(lambda: bool(wakes._waiting), "the reader waits")
            loud.append(user(f"{n}"))
        quiet.append(user("at last"))
        reader.join(kit.PATIENCE)
        assert [change.session_id for change in got] == [quiet.id]


def test_waiting_in_vain(url: str) -> None:
    """After the time there is an empty page, with the cursor to go on from; a wait that cannot be is refused."""
    with palaver.open(url) as sessions:
        sessions.create("k")
        cursor = sessions.events().cursor
        page = sessions.events(cursor, wait=0.01)
        assert (page, page.cursor) == ([], cursor)
        assert sessions.events(wait=3600) == sessions.events()
        for wait in (-1, float("nan")):
            with pytest.raises(ValueError, match="wait is"):
                sessions.events(cursor, wait=wait)


def test_closing_ends_a_wait(url: str) -> None:
    """Whoever waits learns that the store was closed."""
    sessions = palaver.open(url)
    cursor = sessions.events().cursor
    errors: list[BaseException] = []

    def read() -> None:
        try:
            sessions.events(cursor, wait=3600)
        except StoreClosed as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    kit.until(lambda: bool(sessions._core.store.wakes._waiting), "the reader waits")
    sessions.close()
    reader.join(kit.PATIENCE)
    assert len(errors) == 1


def test_waiting_with_await(url: str) -> None:
    """Many tasks wait at once and all are woken; one that is cancelled leaves nothing behind."""

    async def run() -> None:
        async with palaver.aopen(url) as sessions:
            session = await sessions.create("k")
            cursor = (await sessions.events()).cursor
            wakes = sessions._core.store.wakes
            readers = [asyncio.ensure_future(sessions.events(cursor, wait=3600)) for _ in range(20)]
            given_up = asyncio.ensure_future(sessions.events(cursor, wait=3600))
            while len(wakes._waiting) < 21:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.wait([given_up])
            assert given_up.cancelled()
            await session.append(user("hello"))
            for page in await asyncio.gather(*readers):
                assert [change.kind for change in page] == ["appended"]
            assert wakes._waiting == []

    asyncio.run(run())


def test_another_process_is_noticed(tmp_path: Path) -> None:
    """A wait ends with what another process committed."""
    path = tmp_path / "a.db"
    with palaver.open(path) as sessions:
        sessions.create("k")
        cursor = sessions.events().cursor
        code = f"import palaver\nwith palaver.open({str(path)!r}) as s: s.resolve('k').append(palaver.user('hi'))"
        writer = subprocess.Popen([sys.executable, "-c", code], env={"PYTHONPATH": str(kit.SOURCE)})
        try:
            page = sessions.events(cursor, wait=kit.PATIENCE)
            assert writer.wait(kit.PATIENCE) == 0
        finally:
            writer.kill()
            writer.wait()
        assert [change.kind for change in page] == ["appended"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_a_feed_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Pieces of any size give the same pages, also over the gap that a restored store has in its positions."""
    path = tmp_path / "a.db"
    with palaver.open(path) as sessions:
        one, other = sessions.create("one"), sessions.create("other")
        for n in range(10):
            (one if n % 5 == 0 else other).append(user(f"{n}"))
        sessions.backup(tmp_path / "b.db")
    palaver.restore(tmp_path / "b.db", path, force=True)
    with palaver.open(path) as sessions:
        sessions.get(one.id).append(user("after"))
        whole = sessions.events()
        mine = [change for change in whole if change.session_id == one.id]
        monkeypatch.setattr(feed, "_PIECE", size)
        assert sessions.events() == whole
        assert sessions.events(session_id=one.id) == mine
        assert sessions.events(session_id=one.id).cursor == whole.cursor == whole[-1].cursor
        assert sessions.events(limit=5) == whole[:5]
        assert sessions.events(session_id=one.id, limit=2) == mine[:2]


def test_the_page_names_every_kind() -> None:
    """docs/events.md says what each kind means."""
    table = [line for line in (ROOT / "docs" / "events.md").read_text().splitlines() if line.startswith("| `")]
    named = {word.strip("` ") for line in table for word in line.split("|")[1].split(",")}
    assert named == {kind.name.lower() for kind in ChangeKind}


def test_events_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each change, with its cursor; narrowed by session, number and cursor; JSON on demand."""
    store = ["--store", str(tmp_path / "a.db")]
    with palaver.open(tmp_path / "a.db") as sessions:
        sessions.create("one").append(user("a"), assistant("b"))
        sessions.create("two").append(user("c"))
    assert main(["events", *store]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines] == ["created", "appended", "created", "appended"]
    assert lines[1].endswith("#1-2")
    assert main(["events", "--after", lines[1].split()[0], "--limit", "1", *store]) == 0
    assert capsys.readouterr().out.splitlines() == lines[2:3]
    assert main(["events", "--session", "two", "--json", *store]) == 0
    assert [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()] == ["created", "appended"]
    assert main(["events", "--follow", "--limit", "3", *store]) == 0
    assert capsys.readouterr().out.splitlines() == lines[:3]
    assert main(["events", "--after", "rubbish", *store]) != 0


def test_following_on_the_command_line(tmp_path: Path) -> None:
    """What is written while it follows is shown before it is interrupted."""
    path = tmp_path / "a.db"
    with palaver.open(path) as sessions:
        session = sessions.create("one")
        command = [sys.executable, "-m", "palaver", "events", "--follow", "--store", str(path)]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(kit.SOURCE)})
        try:
            assert "created" in kit.pipe(running.stdout).readline()
            session.append(user("hello"))
            assert "appended" in kit.pipe(running.stdout).readline()
        finally:
            kit.kill(running)
            kit.pipe(running.stdout).close()

"""Many writers at once, on one session and from many processes: each message once, and in its writer's order."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

import palaver
from palaver import SessionConflict, user
from tests.faults import kit
from tests.postgres.load import Load
from tests.servers.bouncer import Bouncer
from tests.servers.postgres import QUICK, Server

WRITERS = 100


def test_a_hundred_writers_expect_to_be_the_next(postgres_url: str) -> None:
    """Each says what the newest message is that it has seen, and reads anew when it was not the first."""
    with ExitStack() as stack:
        managers = [stack.enter_context(palaver.open(postgres_url)) for _ in range(4)]
        managers[0].create("crowd")
        failed: list[BaseException] = []
        refused = 0

        def write(number: int) -> None:
            nonlocal refused
            session = managers[number % len(managers)].resolve("crowd")
            seen = 0  # all have looked before the first of them writes
            try:
                while True:
                    try:
                        session.append(user(str(number), id=str(number)), expected_seq=seen)
                    except SessionConflict:
                        refused += 1
                        seen = session.info().last_seq
                    else:
                        return
            except BaseException as error:  # noqa: BLE001 - told to the test
                failed.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
        assert failed == []
        assert refused > 0
        found = kit.texts(managers[0], "crowd")
        assert sorted(found, key=int) == [str(number) for number in range(WRITERS)]
        assert managers[0].resolve("crowd").info().last_seq == WRITERS


def test_eight_processes(postgres_url: str) -> None:
    """Each writes to a session of its own and to one that all share; nothing is refused, lost or mixed up."""
    each = 100
    with palaver.open(postgres_url) as sessions:
        sessions.create("shared")
    with ExitStack() as stack:
        running = [stack.enter_context(kit.process("process_writer.py", postgres_url, name, each)) for name in range(8)]
        for process in running:
            assert kit.pipe(process.stdout).readline() == "ready\n"
        for process in running:
            kit.say(process, "go")
        for process in running:
            assert kit.pipe(process.stdout).read() == "errors: 0\n"
    with palaver.open(postgres_url) as sessions:
        shared = kit.texts(sessions, "shared")
        assert len(shared) == 8 * each
        for name in range(8):
            expected = [f"{name}.{n}" for n in range(each)]
            assert kit.texts(sessions, f"own:{name}") == expected
            assert [text for text in shared if text.startswith(f"{name}.")] == expected
        assert sessions.check() == []


@pytest.mark.pgbouncer
def test_behind_a_pooler_that_gives_any_connection() -> None:
    """PgBouncer in its transaction mode, with four connections for all that four managers do: as without it."""
    server = Server(settings=QUICK).make().start()
    bouncer = Bouncer(server)
    through = server.url(port=bouncer.port, pooled="1", listen="")
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(through, writers=3, name=f"m{number}")) for number in range(4)]
        for load in loads:
            load.goes_on(15)
        for load in loads:
            load.end()
            assert load.errors == []
    with palaver.open(through) as sessions:
        assert len(sessions.search("m0")) > 0
        assert len(sessions.events(limit=10)) == 10
    bouncer.stop()
    server.stop()

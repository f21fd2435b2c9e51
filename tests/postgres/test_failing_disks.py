"""A server whose disk fails to sync: it ends and recovers, and nobody is told that something is safe that is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from palaver import StoreUnavailable
from tests.disks import failing_sync
from tests.postgres.load import Load
from tests.servers import keeping
from tests.servers.postgres import DEFAULT_VERSION, Server, run_as
from tests.waiting import until


@pytest.fixture
def fault() -> Path:
    """Syncs fail while this file is there; the server's user may remove it."""
    return keeping.free_folder("fault", run_as()) / "fault"


@pytest.fixture
def server(request: pytest.FixtureRequest, fault: Path) -> Iterator[Server]:
    """A server on a disk that can be made to fail."""
    made = Server(getattr(request, "param", DEFAULT_VERSION)).make()
    folder = keeping.free_folder("library")
    folder.chmod(0o755)
    made.environment = {"LD_PRELOAD": str(failing_sync(folder)), "PALAVER_FAULT": str(fault)}
    yield made
    if made.process.ended() is None:
        made.kill()


def panics(server: Server) -> int:
    """How often a process of the server found that it could not go on."""
    return server.log.read_text().count("PANIC:")


def told_unknown(load: Load) -> bool:
    """Whether a writer was told that it is not known whether its message is there."""
    return any(isinstance(error, StoreUnavailable) and error.outcome == "unknown" for error in load.errors)


@pytest.mark.parametrize(("server", "files"), [(16, "/pg_wal/"), (18, "/pg_wal/"), (18, "/base/")], indirect=["server"])
def test_one_sync_fails(server: Server, fault: Path, files: str) -> None:
    """Of its log, or of a table at a checkpoint: what was under way is unknown, and the writers go on by themselves."""
    server.environment |= {"PALAVER_FAULT_FILES": files, "PALAVER_FAULT_ONCE": "1"}
    server.start()
    with Load(server.url()) as load:
        load.goes_on(100)
        if files == "/base/":
            fault.touch()
            with pytest.raises(psycopg.OperationalError):
                server.query("checkpoint")
            until(lambda: not fault.exists() and panics(server) > 0, "the failed sync")
        while files == "/pg_wal/" and not told_unknown(
            load
        ):  # it may hit the server's own while no commit is under way
            before = panics(server)
            fault.touch()
            until(lambda: not fault.exists() and panics(server) > before, "the failed sync")  # noqa: B023 - at once
            load.goes_on(100)
        load.goes_on(100)
        load.end()


def test_every_sync_fails(server: Server, fault: Path) -> None:
    """Nothing is acknowledged while the log cannot be synced; with another disk, and started again, all goes on."""
    server.environment |= {"PALAVER_FAULT_FILES": "/pg_wal/"}
    server.start()
    with Load(server.url()) as load:
        load.goes_on(100)
        fault.touch()
        until(lambda: panics(server) > 1, "the server to fail, and to fail again as it recovers")
        acknowledged = len(load.moments)
        until(lambda: panics(server) > 2 or server.process.ended() is not None, "one more time, or its end")
        assert len(load.moments) == acknowledged
        fault.unlink()
        if server.process.ended() is not None:
            server.start()
        load.goes_on(100)
        load.end()

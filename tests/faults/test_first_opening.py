"""A new file: several processes make it at the same moment, and its log gets room."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import palaver
from tests.faults import kit

FILES = 20
PROCESSES = 4


def test_processes_that_make_a_file_together_all_get_it(tmp_path: Path) -> None:
    """None takes the schema that another is just making for another program's, and every message is there."""
    start = time.time() + 2
    with ThreadPoolExecutor(PROCESSES) as threads:
        ends = [
            threads.submit(kit.finished, "open_many.py", tmp_path, FILES, start, patience=120) for _ in range(PROCESSES)
        ]
        assert [end.result() for end in ends] == [["all open"]] * PROCESSES
    for number in range(FILES):
        with palaver.open(tmp_path / f"{number}.db") as sessions:
            assert kit.texts(sessions, "shared") == ["hello"] * PROCESSES


def test_a_commit_changes_the_log_and_not_its_length(tmp_path: Path) -> None:
    """A file that grows costs each sync a second write; who stores one message does not make room for many."""
    path = tmp_path / "chat.db"
    with palaver.open(path) as sessions:
        session = sessions.get_or_create("one")
        session.append(palaver.user("hello"))
        assert kit.wal_bytes(path) < 400_000
        sizes: list[int] = []
        for number in range(200):
            session.append(palaver.user(f"{number}"))
            sizes.append(kit.wal_bytes(path))
        assert len(set(sizes[20:])) <= 6
        assert kit.texts(sessions, "one") == ["hello", *map(str, range(200))]
    assert not path.with_name("chat.db-wal").exists()

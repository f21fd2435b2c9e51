"""What several processes do to one store at once that one does usually: adopting, importing, purging beside others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import palaver
from palaver import user
from palaver.importers import adopt
from tests.faults import kit
from tests.faults.kit import PATIENCE, SOURCE, pipe, until

FILES = 40


def started(*arguments: object) -> subprocess.Popen[str]:
    """A command of ours in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "palaver", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


def together(*commands: tuple[object, ...]) -> None:
    """Run commands at once, and assert that each has ended well."""
    running = [started(*command) for command in commands]
    try:
        said = [each.communicate(timeout=PATIENCE) for each in running]
    finally:
        for each in running:
            each.kill()
            each.communicate()
    for each, (printed, complaints) in zip(running, said, strict=True):
        # The last lines tell what was wrong: before them is a line for each session.
        assert each.returncode == 0, (printed + complaints)[-2000:]


def of_nanobot(root: Path) -> Path:
    """A directory of nanobot's with many sessions."""
    folder = root / "sessions"
    folder.mkdir(parents=True)
    for number in range(FILES):
        head = {"_type": "metadata", "key": f"cli:{number}", "created_at": "2026-03-01T09:00:00", "metadata": {}}
        said = {"role": "user", "content": f"{number} asks", "timestamp": "2026-03-01T09:00:01"}
        (folder / f"cli_{number}.jsonl").write_text(f"{json.dumps(head)}\n{json.dumps(said)}\n")
    return root


def imported_once(url: str) -> None:
    """Assert that every session of nanobot's is there, with its message, once."""
    with palaver.open(url) as sessions:
        for number in range(FILES):
            assert kit.texts(sessions, f"cli:{number}") == [f"{number} asks"]
        assert len(sessions.list(limit=500)) == FILES
        assert sessions.check() == []


def test_two_adoptions(tmp_path: Path) -> None:
    """Both end well; every conversation is there once, and the copies are whole."""
    root = of_nanobot(tmp_path / "w")
    before = {path.name: path.read_bytes() for path in (root / "sessions").iterdir()}
    together(*[("adopt", root)] * 3)
    imported_once(f"jsonl:///{root}")
    assert {path.name: path.read_bytes() for path in (root / "adopted-from-nanobot").rglob("*.jsonl")} == before
    assert adopt(root).sessions == []


@pytest.mark.parametrize("store", ["{}/chat.db", "jsonl:///{}/lines"], ids=["sqlite", "jsonl"])
def test_two_imports_of_one_source(tmp_path: Path, store: str) -> None:
    """Both end well; every message is there once."""
    source, url = of_nanobot(tmp_path / "w"), store.format(tmp_path)
    together(*[("import", source, "--store", url)] * 3)
    imported_once(url)


@pytest.mark.parametrize("kinds", [("sqlite", "jsonl"), ("jsonl", "sqlite")])
def test_purging_beside_a_copy_that_follows(tmp_path: Path, kinds: tuple[str, str]) -> None:
    """What is purged from the source while it is copied goes from the target, also what was copied before."""
    urls = {"sqlite": f"sqlite:///{tmp_path}/chat.db", "jsonl": f"jsonl:///{tmp_path}/lines"}
    source, target = (urls[kind] for kind in kinds)
    with palaver.open(source) as sessions:
        for number in range(FILES):
            sessions.get_or_create(f"k{number}").append(*(user(f"{number} secret {n}") for n in range(5)))

        def purge(first: int) -> None:
            for number in range(first, FILES, 4):
                sessions.resolve(f"k{number}").purge()
                sessions.resolve(f"k{number + 1}").purge(2, 3)

        running = started("copy", "--json", "--follow", source, target)
        try:
            purge(0)  # while it copies
            pipe(running.stdout).readline()
            purge(2)  # while it follows
            sessions.get_or_create("end").append(user("end"))

            def arrived() -> bool:
                with palaver.open(target) as copied:
                    return any("end" in info.keys for info in copied.list(limit=500))

            until(arrived, "what was stored after all purges")
        finally:
            running.kill()
            running.communicate()
    with palaver.open(target) as copied:
        assert len(copied.list(limit=500)) == FILES // 2 + 1
        for number in range(1, FILES, 2):
            assert kit.texts(copied, f"k{number}") == [f"{number} secret {n}" for n in (0, 3, 4)]
        assert copied.check() == []


@pytest.mark.parametrize("store", ["{}/chat.db", "jsonl:///{}/lines"], ids=["sqlite", "jsonl"])
def test_purging_while_another_process_searches(tmp_path: Path, store: str) -> None:
    """A search finds what is there, and never fails; in the end it finds nothing that was purged."""
    url = store.format(tmp_path)
    with palaver.open(url) as sessions:
        for number in range(FILES):
            sessions.get_or_create(f"k{number}").append(*(user(f"quixotic {number} {n}") for n in range(10)))
        with kit.process("searcher.py", url, "quixotic") as searcher:
            assert int(pipe(searcher.stdout).readline()) > 0
            for number in range(FILES):
                session = sessions.resolve(f"k{number}")
                session.purge(1, 5)
                session.append(user(f"quixotic {number} more"))
                session.purge()
            pipe(searcher.stdin).close()
            *_, last = pipe(searcher.stdout).read().split()
            assert searcher.wait(PATIENCE) == 0
        assert last == "0"
        assert list(sessions.search("quixotic")) == []
        assert sessions.check() == []

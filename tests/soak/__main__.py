"""`python -m tests.soak --store sqlite|jsonl|postgresql|URL`: everything at once, with faults, beside a model.

Several processes write, edit, take back and race; they are killed, and on PostgreSQL their connections are ended and,
where it is a server of the soak's own, that is killed too. Then every promise is held against what was acknowledged:
it is there, once, in order; the feed is complete, and said the same to who followed it; `check` finds nothing.
Exits with 1, and keeps the files, where one is broken.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO

import palaver
from palaver import StoreError
from palaver.stores.base import Change
from tests.servers import keeping
from tests.servers.postgres import Databases, Server
from tests.soak.model import Log, read

ROOT = Path(__file__).resolve().parents[2]
PAUSE = (0.3, 2.5)
"""Seconds between two faults."""
PATIENCE = 120.0
RESTARTS = 12
"""One fault of so many kills the server, where it is ours."""


class Process:
    """One place for a process: who is killed there is followed by another."""

    def __init__(self, number: int, url: str, folder: Path) -> None:
        self.number, self.url, self.folder = number, url, folder
        self.lives = 0
        self.logs: list[Path] = []
        self.running: subprocess.Popen[bytes] | None = None
        self.files: list[IO[bytes]] = []

    def start(self) -> None:
        """Begin a life, with a log of its own."""
        self.lives += 1
        name = f"p{self.number}l{self.lives}"
        log = self.folder / f"{name}.log"
        self.logs.append(log)
        self.files = [log.open("ab"), (self.folder / f"{name}.err").open("ab")]
        command = [sys.executable, "-m", "tests.soak.worker", self.url, name]
        out, err = self.files
        self.running = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=out, stderr=err)

    def end(self, *, kill: bool) -> str | None:
        """End it; what is wrong with how it ended."""
        running = self.running
        assert running is not None
        failed = running.poll() is not None  # before anybody asked
        if kill:
            running.kill()
        assert running.stdin is not None
        running.stdin.close()
        try:
            code = running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            return f"{self.logs[-1].stem} hangs"
        finally:
            for file in self.files:
                file.close()
        if failed or (code and not kill):
            said = self.logs[-1].with_suffix(".err").read_text(errors="replace")
            return f"{self.logs[-1].stem} ended with {code}:\n{said[-2000:]}"
        return None


class Follower(threading.Thread):
    """Reads the feed while it grows, as an index or a page does."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.told: list[Change] = []
        self.errors = 0
        self.ending = threading.Event()

    def run(self) -> None:
        """Page by page, also where the store does not answer for a while."""
        cursor: str | None = None
        with palaver.open(self.url) as sessions:
            while True:
                last = self.ending.is_set()
                try:
                    page = sessions.events(cursor, wait=0.2)
                except StoreError:
                    self.errors += 1
                    time.sleep(0.1)
                    continue
                self.told += page
                cursor = page.cursor
                if last and not page:
                    return


class Faults:
    """What is done to them."""

    def __init__(self, url: str, processes: list[Process], server: Server | None) -> None:
        self.processes = processes
        self.chance = random.Random("soak")
        self.server = server
        self.url = url
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []

    def one(self) -> None:
        """Some fault."""
        kinds: list[Callable[[], None]] = [self.kill]
        if self.url.startswith("postgres"):
            kinds.append(self.terminate)
        if self.server is not None and self.chance.randrange(RESTARTS) == 0:
            kinds = [self.crash]
        self.chance.choice(kinds)()

    def kill(self) -> None:
        """Kill -9, and another one in its place."""
        process = self.chance.choice(self.processes)
        self.wrong += filter(None, [process.end(kill=True)])
        process.start()
        self.done["processes killed"] += 1

    def terminate(self) -> None:
        """End connections in the middle of what they do."""
        import psycopg

        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with psycopg.connect(self.url, autocommit=True) as connection:
            there = [row[0] for row in connection.execute(query)]
            for pid in self.chance.sample(there, min(len(there), 3)):
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
                self.done["connections ended"] += 1

    def crash(self) -> None:
        """The server dies, and comes again."""
        assert self.server is not None
        self.server.kill()
        self.server.start()
        self.done["servers killed"] += 1


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--store", default="sqlite", help="sqlite, jsonl, postgresql, or the URL of an empty store")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--processes", type=int, default=4)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="palaver-soak-"))
    server: Server | None = None
    url = options.store
    if url in {"sqlite", "jsonl"}:
        url = f"{url}:///{folder}/store"
    elif url == "postgresql":
        server = Server().make().start()
        url = Databases(server.url()).new()
    logging.getLogger("palaver.stores.postgres").setLevel(logging.ERROR)  # that it is away, and back, is meant here
    try:
        wrong = soak(url, folder, server, options.minutes * 60, options.processes)
    finally:
        keeping.shut_down()
    for each in wrong:
        say(f"WRONG: {each}")
    if wrong:
        say(f"the files are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def say(line: str) -> None:
    """Tell who runs it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def soak(url: str, folder: Path, server: Server | None, seconds: float, count: int) -> list[str]:
    """Everything; what is wrong in the end."""
    palaver.open(url).close()  # the schema is there before they race
    processes = [Process(number, url, folder) for number in range(count)]
    faults = Faults(url, processes, server)
    follower = Follower(url)
    follower.start()
    for process in processes:
        process.start()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not faults.wrong:
        time.sleep(faults.chance.uniform(*PAUSE))
        faults.one()
    wrong = faults.wrong + [said for process in processes if (said := process.end(kill=False)) is not None]
    follower.ending.set()
    follower.join(PATIENCE)
    if follower.is_alive():
        return [*wrong, "who follows the feed hangs"]
    logs = [read(log) for process in processes for log in process.logs]
    with palaver.open(url) as sessions:
        wrong += examine(sessions, logs, follower.told)
    operations, unknown = sum(log.operations for log in logs), sum(log.unknown for log in logs)
    say(f"{operations:,} operations acknowledged, {len(follower.told):,} changes told, {unknown:,} unknown outcomes")
    say(", ".join(f"{number:,} {what}" for what, number in faults.done.items()) or "no faults")
    return wrong


def examine(sessions: palaver.SessionManager, logs: list[Log], told: list[Change]) -> list[str]:
    """What does not hold."""
    wrong = [each for log in logs for each in log.wrong]
    for log in logs:
        for key, right in log.states.items():
            found = texts(sessions, key)
            if found not in right:
                wrong.append(f"{key} says {found[-5:]} and should end as one of {[each[-5:] for each in right]}")
    for name in ("shared", "raced"):
        found = texts(sessions, name)
        if len(set(found)) != len(found):
            wrong.append(f"{name}: {len(found) - len(set(found))} messages are there twice")
        there = set(found)
        for log in logs:
            for key, acknowledged in log.shared.items():
                if not key.startswith(f"{name} "):
                    continue
                lost = [text for text in acknowledged if text not in there]
                known = set(acknowledged)
                if lost:
                    wrong.append(f"{key}: acknowledged and lost: {lost[:5]} ({len(lost)} in all)")
                elif [text for text in found if text in known] != acknowledged:
                    wrong.append(f"{key}: in another order than it was acknowledged")
    wrong += feed(sessions, told)
    wrong += [f"check: {each}" for each in sessions.check()[:20]]
    return wrong


def feed(sessions: palaver.SessionManager, told: list[Change]) -> list[str]:
    """Whether the feed tells every change once, in each session's order, and told the same while it grew."""
    whole: list[Change] = []
    cursor: str | None = None
    while page := sessions.events(cursor):
        whole += page
        cursor = page.cursor
    wrong = [] if whole == told else [f"who followed was told {len(told):,} changes; there are {len(whole):,}"]
    revisions: dict[str, list[int]] = {}
    reached: dict[str, int] = {}
    for change in whole:
        revisions.setdefault(change.session_id, []).append(change.rev)
        before = reached.get(change.session_id, 0)
        if change.from_seq > before + 1:
            wrong.append(f"the feed leaps from {before} to {change.from_seq} in {change.session_id}")
        reached[change.session_id] = max(before, change.through_seq)
    for session_id, found in revisions.items():
        if any(later < earlier for earlier, later in itertools.pairwise(found)):
            wrong.append(f"the feed goes back in {session_id}")
    for info in every(sessions):
        last = info.last_seq
        if reached.get(info.id, 0) != last:
            wrong.append(f"the feed ends at {reached.get(info.id, 0)} in {info.id}, which ends at {last}")
    return wrong


def every(sessions: palaver.SessionManager) -> list[palaver.SessionInfo]:
    """All sessions."""
    found: list[palaver.SessionInfo] = []
    while page := sessions.list(limit=200, after=found[-1].id if found else None):
        found += page
    return found


def texts(sessions: palaver.SessionManager, key: str) -> list[str]:
    """What a session says."""
    found: list[str] = []
    seen = 0
    while page := sessions.get_or_create(key).messages(after=seen, limit=500):
        found += [message.text for message in page]
        seen = page[-1].seq or 0
    return found


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(ROOT / "src"))
    sys.exit(main())

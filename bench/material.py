"""What the workloads write, and what they write it beside: messages, the disk's own speed, places for stores."""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from pathlib import Path
from typing import Any

import apsw
import msgspec

import palaver
from bench import databases
from palaver.model import Message

__all__ = ["Place", "Reference", "SyncCounter", "payloads", "scheme_of", "spoken"]

_TEXT = (
    "the agent reads one file and answers with a plan that waits for review before any ticket is closed again while "
    "customers ask about orders invoices weather trains and builds which failed since somebody merged too early"
)


def payloads(count: int, seed: int = 11) -> list[dict[str, Any]]:
    """Chat messages of about 400 bytes of JSON, as a caller has them: of five, one calls a tool, one is its result."""
    chance = random.Random(seed)
    words = _TEXT.split()
    made: list[dict[str, Any]] = []
    for number in range(count):
        text = " ".join(chance.choices(words, k=90))
        place = number % 5
        if place == 3:
            arguments = json.dumps({"query": text[:150], "limit": 10})
            function = {"name": "search_files", "arguments": arguments}
            calls = [{"id": f"call_{number}", "type": "function", "function": function}]
            made.append({"role": "assistant", "content": text[150:230], "tool_calls": calls})
        elif place == 4:
            made.append({"role": "tool", "tool_call_id": f"call_{number - 1}", "content": text[:330]})
        else:
            made.append({"role": "assistant" if place == 1 else "user", "content": text[:370]})
    return made


def spoken(count: int, seed: int = 11) -> list[Message]:
    """The same as Palaver's messages."""
    return [palaver.parse("openai_chat", [payload])[0] for payload in payloads(count, seed)]


class Reference:
    """The disk's own speed: the same bytes appended to a file and synced, one message at a time."""

    def __init__(self, directory: Path) -> None:
        self._bodies = [msgspec.json.encode(payload) for payload in payloads(100)]
        self._file = os.open(directory / "reference", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync
        self.seconds: list[float] = []

    def sample(self, count: int) -> None:
        """Append and sync that many messages."""
        for number in range(count):
            begun = time.perf_counter()
            os.write(self._file, self._bodies[number % 100])
            self._sync(self._file)
            self.seconds.append(time.perf_counter() - begun)

    @property
    def rate(self) -> float:
        """Synced appends per second."""
        return len(self.seconds) / sum(self.seconds)

    @property
    def median(self) -> float:
        """Seconds of one."""
        return statistics.median(self.seconds)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def scheme_of(kind: str) -> str:
    """What the URL of a store of that kind begins with."""
    return kind.partition("://")[0]


class Place(msgspec.Struct, frozen=True):
    """Where a workload keeps its stores, and of which kind they are."""

    kind: str
    """`sqlite`, `memory`, the scheme of another store with files, or the URL of a server that databases are made on."""
    directory: Path

    @property
    def shared(self) -> bool:
        """Whether several processes see one store."""
        return self.kind != "memory"

    def within(self, name: str) -> Place:
        """A place of its own, beneath this one."""
        directory = self.directory / name
        directory.mkdir(parents=True, exist_ok=True)
        return Place(self.kind, directory)

    @property
    def url(self) -> str:
        """What `palaver.open` takes."""
        if "://" in self.kind:
            return databases.made(self.kind, self.directory)
        if self.kind == "memory":
            return "memory://"
        return f"{self.kind}:///{self.directory.resolve() / 'store'}"

    @property
    def file(self) -> Path:
        """The file or directory of a store with files."""
        return self.directory / "store"

    @property
    def size(self) -> int:
        """Bytes of the store, its side files included."""
        return sum(path.stat().st_size for path in self.directory.rglob("*") if path.is_file())


class SyncCounter(apsw.VFS):
    """A file layer for SQLite that counts syncs. `commits` are those of the WAL that belong to no checkpoint."""

    def __init__(self, name: str = "bench-syncs") -> None:
        self.wal = 0
        self.database = 0
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name
        """Open a file that reports its syncs here."""
        return _Counted(self, name, flags)

    @property
    def commits(self) -> int:
        """A checkpoint syncs the WAL once and the database once; every other sync is a commit's."""
        return self.wal - self.database


class _Counted(apsw.VFSFile):
    def __init__(self, counter: SyncCounter, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._counter = counter
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._wal = path.endswith("-wal")

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        if self._wal:
            self._counter.wal += 1
        else:
            self._counter.database += 1
        super().xSync(flags)

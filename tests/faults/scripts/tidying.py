"""Write until the log is copied into the database, which lasts; then wait to be killed, or fork.

usage: tidying.py PATH wait|fork
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import Any

import apsw

import palaver
from palaver.stores.sqlite import SqliteStore, checkpoints

copying = threading.Event()
let_go = threading.Event()
said: list[str] = []
ENOUGH = 16
"""From so many texts on the copying lasts."""


def say(text: str) -> None:
    """Acknowledge. One write, whoever writes."""
    said.append(text)
    os.write(1, f"{text}\n".encode())


class SlowDisk(apsw.VFS):
    """Its database file is written to slowly, once the process is under way."""

    def __init__(self) -> None:
        super().__init__("slow", "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        """Open the real file."""
        return SlowFile(name, flags)


class SlowFile(apsw.VFSFile):
    """A file of it."""

    def __init__(self, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._slow = bool(path) and path.endswith(".db")
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        """Write; the database itself not before it may."""
        if self._slow and len(said) >= ENOUGH and threading.current_thread() is not threading.main_thread():
            if not copying.is_set():
                say("copying")
            copying.set()
            let_go.wait()
        super().xWrite(data, offset)


async def write(store: SqliteStore) -> None:
    """Several tasks at a time, each text printed when it is safe, until the log is being copied."""
    async with palaver.aopen(store) as sessions:
        session = await sessions.create("key")

        async def work(task: int) -> None:
            number = 0
            while not copying.is_set():
                text = f"task {task} {number} " + "x" * 2_000
                await session.append(palaver.user(text))
                say(text)
                number += 1

        await asyncio.gather(*(work(task) for task in range(8)))
        let_go.set()


def fork(store: SqliteStore) -> None:
    """Fork while a thread copies the log."""
    with palaver.open(store) as sessions:
        session = sessions.create("key")
        for number in range(20):
            session.append(palaver.user(f"before {number}"))
            say(f"before {number}")
        copier = threading.Thread(target=store.tidy, kwargs={"beside": True})
        copier.start()
        copying.wait()
        threading.Timer(0.2, let_go.set).start()
        child = os.fork()
        let_go.set()
        who = "parent" if child else "child"
        for number in range(5):
            session.append(palaver.user(f"{who} {number}"))
            say(f"{who} {number}")
        if not child:
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0


disk = SlowDisk()
checkpoints.CHECKPOINT_PAGES_BESIDE = 20
store = SqliteStore(sys.argv[1], vfs="slow")
if sys.argv[2] == "fork":
    fork(store)
else:
    asyncio.run(write(store))

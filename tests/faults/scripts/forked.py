"""Fork with an open store, in one of several states, and let both processes write.

Arguments: the database, the state of the parent at the fork:
`idle`; `closing`, which closes its store while the child still writes; `writing`, with threads that write.
Prints the texts that were acknowledged, one a line.
"""

from __future__ import annotations

import os
import sys
import threading

import palaver
from palaver import user

EACH = 20
THREADS = 3


def say(text: str) -> None:
    """Acknowledge. One write, whoever writes."""
    os.write(1, f"{text}\n".encode())


def write(sessions: palaver.SessionManager, name: str, low: int = 0, high: int = EACH) -> None:
    """Append to this writer's own session."""
    session = sessions.get_or_create(name)
    for n in range(low, high):
        session.append(user(f"{name} {n}"))
        say(f"{name} {n}")


def main() -> None:  # noqa: C901 - the order in which two processes do things is the point
    """Fork, write, wait for the child."""
    path, state = sys.argv[1:]
    url = path if "://" in path else f"sqlite:///{path}"
    sessions = palaver.open(f"{url}?timeout=20")
    write(sessions, "before")
    stop = threading.Event()

    def write_on(name: str) -> None:
        n = 0
        while not stop.is_set():
            write(sessions, name, n, n + 1)
            n += 1

    threads = [threading.Thread(target=write_on, args=(f"thread{n}",)) for n in range(THREADS)]
    if state == "writing":
        for thread in threads:
            thread.start()
    half_way, go_on = os.pipe(), os.pipe()
    children = []
    for number in range(4 if state == "writing" else 1):
        child = os.fork()
        if child == 0:
            try:
                write(sessions, f"child{number}", 0, EACH // 2)
                if state == "closing":
                    os.write(half_way[1], b".")
                    os.read(go_on[0], 1)
                write(sessions, f"child{number}", EACH // 2, EACH)
                os._exit(0)
            except palaver.PalaverError as error:
                say(f"child failed: {type(error).__name__}: {error}")
                os._exit(1)
        children.append(child)
    if state == "closing":
        os.read(half_way[0], 1)
        sessions.close()
        os.write(go_on[1], b".")
    elif state == "idle":
        write(sessions, "after")
    statuses = [os.waitpid(child, 0)[1] for child in children]
    stop.set()
    if state == "writing":
        for thread in threads:
            thread.join()
    sessions.close()
    sys.exit(1 if any(statuses) else 0)


main()

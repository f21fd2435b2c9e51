"""Append messages to a session of one's own and to one that all share; begin at a sign, as all others do.

Arguments: the database, this writer's name, how many messages, and "on" for one that says "written" then and goes on
until it is given another sign. Prints what raised, if anything did; who went on, how many messages there are at last.
"""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys
import threading

import palaver
from palaver import user

path, name, count, goes_on = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:] == ["on"]
ending = threading.Event()


def wait_for_the_end() -> None:
    """The test says something, or closes the pipe."""
    sys.stdin.readline()
    ending.set()


with palaver.open(path) as sessions:
    own = sessions.get_or_create(f"own:{name}")
    shared = sessions.get_or_create("shared")
    print("ready", flush=True)
    sys.stdin.readline()
    if goes_on:
        threading.Thread(target=wait_for_the_end, daemon=True).start()
    errors = n = 0
    while n < count or (goes_on and not ending.is_set()):
        for session in (own, shared):
            try:
                session.append(user(f"{name}.{n}", id=f"{name}.{n}"))
            except palaver.PalaverError as error:
                errors += 1
                print(f"{type(error).__name__}: {error}", flush=True)
        n += 1
        if goes_on and n == count:
            print("written", flush=True)
    print(f"errors: {errors}", flush=True)
    if goes_on:
        print(n, flush=True)

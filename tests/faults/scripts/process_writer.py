"""Append messages to a session of one's own and to one that all share; begin at a sign, as all others do.

Arguments: the database, this writer's name, how many messages. Prints what raised, if anything did.
"""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys

import palaver
from palaver import user

path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with palaver.open(path) as sessions:
    own = sessions.get_or_create(f"own:{name}")
    shared = sessions.get_or_create("shared")
    print("ready", flush=True)
    sys.stdin.readline()
    errors = 0
    for n in range(count):
        for session in (own, shared):
            try:
                session.append(user(f"{name}.{n}", id=f"{name}.{n}"))
            except palaver.PalaverError as error:
                errors += 1
                print(f"{type(error).__name__}: {error}", flush=True)
    print(f"errors: {errors}", flush=True)

"""Write until the disk fails to sync, and tell what happened. Run with `failing_sync.c` preloaded.

Arguments: the database, the file whose existence makes syncs fail. Prints what was acknowledged, then the errors.
"""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys
from pathlib import Path

import palaver
from palaver import user

path, fault = sys.argv[1], Path(sys.argv[2])
sessions = palaver.open(path)
session = sessions.create("key")
for n in range(5):
    session.append(user(f"before {n}", id=f"before {n}"))
    print(f"acknowledged before {n}")
fault.touch()
for n in range(3):
    if n == 1:
        fault.unlink()
    try:
        session.append(user(f"broken {n}", id=f"broken {n}"))
        print(f"acknowledged broken {n}")
    except palaver.StoreError as error:
        print(f"error {type(error).__name__} {error.outcome} {type(error.__cause__).__name__}")
print(f"read {len(session.messages())}")
sessions.close()
with palaver.open(path) as again:
    for n in range(3):
        again.resolve("key").append(user(f"broken {n}", id=f"broken {n}"))
        print(f"acknowledged broken {n}")

"""Opens stores that do not exist yet, each at a moment that several processes were told: DIRECTORY COUNT START."""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys
import time

import palaver

directory, count, start = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
failed = []
for number in range(count):
    time.sleep(max(0.0, start + number * 0.05 - time.time()))
    try:
        with palaver.open(f"sqlite:///{directory}/{number}.db") as sessions:
            sessions.get_or_create("shared").append(palaver.user("hello"))
    except palaver.PalaverError as error:
        failed.append(f"failed: {error}")
print("\n".join(failed) or "all open")

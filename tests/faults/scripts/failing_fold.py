"""Append to a session of a JSONL store, and close it when the disk fails to sync. `failing_sync.c` is preloaded."""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys
from pathlib import Path

import palaver
from palaver import user

url, fault = sys.argv[1], Path(sys.argv[2])
sessions = palaver.open(url)
sessions.resolve("key").append(user("acknowledged", id="acknowledged"))
fault.touch()
try:
    sessions.close()
except palaver.StoreError as error:
    print(f"error {error.outcome}")
fault.unlink()

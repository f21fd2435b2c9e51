"""Open a store as a user who may do nothing, and tell what came of it.

Arguments: what to do (`open`, `ro` for `?mode=ro`), the path, or the URL of a
directory of lines. Started as root.
"""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import palaver
from palaver import user

NOBODY = 65534

what, path = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    for any_store in (Path(folder) / "any.db", f"jsonl:///{folder}/lines"):
        with palaver.open(any_store) as warm:
            warm.check()  # loads what this user may read and nobody may not
os.setgroups([])
os.setgid(NOBODY)
os.setuid(NOBODY)
try:
    url = path if path.startswith("jsonl:") else f"sqlite:///{path}"
    with palaver.open(f"{url}?mode=ro" if what == "ro" else url) as sessions:
        print(f"read {[m.text for m in sessions.resolve('key').messages()]}")
        sessions.resolve("key").append(user("written"))
        print("written")
except palaver.StoreError as error:
    print(f"{type(error).__name__} {error.outcome}: {error}")

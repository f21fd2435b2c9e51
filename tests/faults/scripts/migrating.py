"""Open a PostgreSQL store as a later version of Palaver would, which has one migration more.

Arguments: the store, a file with that migration. Prints `ready`, waits for a sign, opens, and prints `open`.
"""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys
from pathlib import Path

from palaver.stores import open_store
from palaver.stores.postgres import queries, schema

url, path = sys.argv[1:]
more = Path(path).read_text("utf-8")


def migrations(name: str = "palaver") -> tuple[str, ...]:
    """As that version has them."""
    return queries.require_fences([*queries.migrations(name), more], name)


vars(schema)["migrations"] = migrations
print("ready", flush=True)
sys.stdin.readline()
open_store(url).close()
print("open", flush=True)

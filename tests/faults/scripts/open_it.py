"""Open a store and tell what came of it. Argument: its URL."""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys

import palaver

try:
    palaver.open(sys.argv[1]).close()
    print("opened")
except palaver.StoreError as error:
    print(f"{type(error).__name__} {error.outcome}: {error}")

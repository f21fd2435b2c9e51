"""Open a store, say so, and keep it open until killed. Argument: its URL."""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys

import palaver

with palaver.open(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.readline()

"""Backs a store up, or restores one, and stops half-way until told to go on: backup STORE DEST | restore FILE DEST."""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys

import palaver
from palaver.stores.sqlite import backup


def half(done: int, total: int) -> None:
    """Stop where half of the pages are copied."""
    if done * 2 >= total > done:
        print("half", flush=True)
        sys.stdin.readline()


def main() -> None:
    """Do what the command line says."""
    what, one, other = sys.argv[1:4]
    backup._PAGES = 20  # small steps, so that there is a half
    if what == "backup":
        with palaver.open(one) as sessions:
            print(sessions.backup(other, progress=half).path, flush=True)
        return
    print(palaver.restore(one, other, force=True, progress=half).path, flush=True)


main()

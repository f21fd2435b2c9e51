"""Search a store again and again until the input ends, and once more then. Prints how much was found each time.

Arguments: the store's URL, the word to search for.
"""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys
import threading

import palaver

url, word = sys.argv[1:]
ending = threading.Event()


def listen() -> None:
    """Until the other process has done all."""
    sys.stdin.read()
    ending.set()


threading.Thread(target=listen, daemon=True).start()
with palaver.open(url) as sessions:
    last = False
    while not last:
        last = ending.is_set()
        found = sessions.search(word, limit=100)
        assert all(word in hit.snippet for hit in found)
        print(len(found), flush=True)

"""Hold turns in a session of one's own until told to end, and write down what was acknowledged, a line each.

Arguments: the store, this writer's name, the file to write to. Prints what raised, if anything did, and ends then.
"""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys
import threading
from pathlib import Path

import palaver
from palaver import assistant, user

url, name, path = sys.argv[1:]
ending = threading.Event()


def wait_for_the_end() -> None:
    """The test closes the pipe, or says something."""
    sys.stdin.readline()
    ending.set()


threading.Thread(target=wait_for_the_end, daemon=True).start()
with Path(path).open("a", encoding="utf-8") as told, palaver.open(url) as sessions:

    def acknowledged(*texts: str) -> None:
        """Write down."""
        told.writelines(f"{text}\n" for text in texts)
        told.flush()

    number = 0
    try:
        while not ending.is_set():
            texts = [f"{name}.{number}.{step}" for step in "abcd"]
            with sessions.begin_turn(name, user(texts[0], id=texts[0])) as turn:
                acknowledged(texts[0])
                turn.append(assistant(texts[1]))
                acknowledged(texts[1])
                turn.append(assistant(texts[2], id=texts[2]))
                acknowledged(texts[2])
                turn.finish(assistant(texts[3]))
                acknowledged(texts[3])
            number += 1
    except palaver.PalaverError as error:
        print(f"{type(error).__name__} {getattr(error, 'outcome', '')}", flush=True)

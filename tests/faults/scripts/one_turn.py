"""Begin a turn, store a step of it, say so, and wait to be killed. Argument: the database."""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys

import palaver
from palaver import assistant, user

with palaver.open(sys.argv[1]) as sessions:
    turn = sessions.begin_turn("key", user("question", id="m1"))
    turn.append(assistant("first step"))
    print("stored", flush=True)
    sys.stdin.read()

"""Take turns in one session that several processes want, in one of the three ways that `on_busy` names.

Arguments: the database, this process's name, how many messages, the mode. Prints a line for each message: its text
and what became of it. In a turn it stores a step before the reply, so that two turns at once would show.
"""

# ruff: noqa: T201 - the test reads what is printed
from __future__ import annotations

import sys
from typing import Literal, cast

import palaver
from palaver import SessionBusy, assistant, user

path, name, count, mode = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
on_busy = cast("Literal['wait', 'raise', 'store']", mode)
with palaver.open(path) as sessions:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(count):
        text = f"{name}.{n}"
        while True:
            try:
                turn = sessions.begin_turn("shared", user(text, id=text), on_busy=on_busy)
            except SessionBusy:
                continue
            break
        if turn.queued:
            print(f"{text} queued", flush=True)
            continue
        turn.append(assistant(f"{text} step"))
        turn.finish(assistant(f"{text} reply"))
        print(f"{text} answered", flush=True)

"""What a session must say after what was done to it: the log of a worker, one JSON value a line, played again.

A line stands before each operation, and one after it when it was acknowledged. Of one that was not, because its process
was killed or an error left it unknown, either state is right: of a turn also those between, which are commits too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

__all__ = ["Line", "Log", "after", "read"]

Verb: TypeAlias = Literal["add", "turn", "edit", "drop", "cut", "redo", "shared", "raced"]
State: TypeAlias = list[str]


class Line(msgspec.Struct, omit_defaults=True):
    """One line: `begun`, then `done`; or `seen`, what an operation of unknown outcome was found to have left."""

    key: str
    what: Literal["begun", "done", "seen"]
    verb: Verb = "add"
    texts: list[str] = []
    keep: int = 0


class Log(msgspec.Struct):
    """What one process did."""

    states: dict[str, list[State]] = {}
    """For each session of its own, the states that are right."""
    shared: dict[str, list[str]] = {}
    """What was acknowledged in sessions of all, in order, by session and writer."""
    operations: int = 0
    unknown: int = 0
    wrong: list[str] = []


_decode = msgspec.json.Decoder(Line).decode


def after(state: State, line: Line) -> list[State]:
    """The states that an operation can have left, the last of them when it was done."""
    texts = line.texts
    if line.verb == "turn":
        return [state + texts[:count] for count in range(len(texts) + 1)]
    if line.verb in ("add", "redo"):
        return [state, state + texts]
    if line.verb == "cut":
        return [state, state[: line.keep]]
    if line.verb == "drop":
        return [state, [text for text in state if text != texts[0]]]
    return [state, [texts[1] if text == texts[0] else text for text in state]]


def read(path: Path) -> Log:
    """Play a log again. A last line without an end was torn by the kill, and says nothing."""
    log = Log()
    pending: dict[str, Line] = {}
    for text in path.read_bytes().split(b"\n")[:-1]:
        line = _decode(text)
        if line.what == "begun":
            pending[line.key] = line
            continue
        begun = pending.pop(line.key)
        log.operations += 1
        if begun.verb in ("shared", "raced"):
            log.shared.setdefault(begun.key, []).extend(begun.texts)
            continue
        [state] = log.states.get(line.key, [[]])
        right = after(state, begun)
        if line.what == "seen":
            log.unknown += 1
            if line.texts not in right:
                log.wrong.append(f"{line.key}: after {begun.verb} of unknown outcome it said {line.texts[-4:]}")
            right = [line.texts]
        log.states[line.key] = right[-1:]
    for key, begun in pending.items():
        if begun.verb not in ("shared", "raced"):
            [state] = log.states.get(key, [[]])
            log.states[key] = after(state, begun)
    return log

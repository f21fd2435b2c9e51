"""Hold a conversation as an agent would, turn by turn, with a line for every step that was stored.

Arguments: the database, a file with the conversation as openai_chat messages, and the step after which to wait to be
killed (`-`: none, to the end). Started again, it says everything once more from the beginning, under the same ids.
A step is named by the message that it stores; one that ends a turn without a reply is `end of` the turn's message.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import palaver
from palaver import Message, Turn

KEY = "conversation"


class Plan(NamedTuple):
    """A conversation, ready to be held."""

    head: list[Message]
    """Instructions, stored before the first turn."""
    turns: list[list[Message]]
    """Each begins with a user message."""


def plan(history: Any) -> Plan:
    """Split a payload: each user message begins a turn, and what comes before the first one is the head."""
    head: list[Message] = []
    turns: list[list[Message]] = []
    for index, message in enumerate(palaver.parse("openai_chat", history)):
        if message.role == "user":
            turns.append([])
        (turns[-1] if turns else head).append(message.replace(id=f"m{index}"))
    return Plan(head, turns)


def steps_and_reply(turn: list[Message]) -> tuple[list[Message], list[Message]]:
    """What a turn appends after its first message, and what it finishes with: its last words, if it has any."""
    rest = turn[1:]
    if rest and rest[-1].role == "assistant" and not rest[-1].tool_calls:
        return rest[:-1], rest[-1:]
    return rest, []


def last_step(turn: list[Message]) -> str:
    """Name of the step that ends a turn."""
    _, reply = steps_and_reply(turn)
    return str(reply[0].id) if reply else f"end of {turn[0].id}"


def steps(conversation: Plan) -> list[str]:
    """Names of all steps in order."""
    names = [str(message.id) for message in conversation.head]
    for turn in conversation.turns:
        names += [str(message.id) for message in turn]
        if last_step(turn) != names[-1]:
            names.append(last_step(turn))
    return names


def hold(sessions: palaver.SessionManager, conversation: Plan, tell: Callable[[str, Turn | None], None]) -> None:
    """The whole conversation; `tell` is called after each step, with the turn where one runs."""
    session = sessions.get_or_create(KEY)
    for message in conversation.head:
        session.append(message)
        tell(str(message.id), None)
    for each in conversation.turns:
        turn = sessions.begin_turn(KEY, each[0], on_busy="raise")  # no waiting: a dead process holds nothing
        tell(str(each[0].id), turn)
        if turn.replayed:
            continue
        steps, reply = steps_and_reply(each)
        for message in steps:
            turn.append(message)
            tell(str(message.id), turn)
        turn.finish(*reply)
        tell(last_step(each), None)


def main() -> None:
    """Hold it, and stop where it was told."""
    path, file, stop = sys.argv[1:]

    def tell(step: str, turn: Turn | None) -> None:
        said: dict[str, Any] = {"step": step}
        if turn is not None:
            said["taken_over"] = turn.taken_over
            said["replayed"] = turn.replayed
            said["had"] = [message.id for message in turn.messages]
        if turn is not None and not turn.ended:
            window = turn.window
            said["payload"] = window.render("openai_chat").messages
            said["pending"] = len(window.pending)
            said["interrupted"] = len(window.repairs)
        os.write(1, f"{json.dumps(said)}\n".encode())
        if step == stop:
            sys.stdin.read()  # until it is killed
            sys.exit("nobody killed it")

    with palaver.open(path) as sessions:
        hold(sessions, plan(json.loads(Path(file).read_text(encoding="utf-8"))), tell)


if __name__ == "__main__":
    main()

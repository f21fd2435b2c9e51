"""Compacts a session with a model that says when it is asked, and waits for a line before it answers."""

from __future__ import annotations

import sys

import palaver
from palaver import CompactionPolicy, Message
from palaver.compactor import Compactor

path, name = sys.argv[1:]


def say(line: str) -> None:
    """Tell the test."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def summarise(messages: tuple[Message, ...], previous: str | None) -> str:
    """Ask the test, which answers when it likes."""
    say(f"asked {messages[0].text}")
    return f"{previous or ''}[{name} {sys.stdin.readline().strip()}: {len(messages)}]"


with palaver.open(path, compaction_policy=CompactionPolicy(max_messages=4, keep_last=2)) as sessions:
    done = Compactor(summarise, max_tokens=1, pause=0).run(sessions.resolve("key"))
    say(f"{done.outcome} {len(done.summaries)}")

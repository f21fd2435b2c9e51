"""Compactors that are killed, that race, and that think while others write."""

from __future__ import annotations

from pathlib import Path

import palaver
from palaver import CompactionPolicy, SessionManager, assistant, user
from palaver.compactor import Compactor
from tests.faults import kit

SUMMARY = "Summary of the conversation so far:\n"
POLICY = CompactionPolicy(max_messages=4, keep_last=2)


def fill(path: Path, turns: int = 4) -> None:
    """A session of so many turns."""
    with palaver.open(path) as sessions:
        for number in range(turns):
            with sessions.begin_turn("key", user(f"q{number}")) as turn:
                turn.finish(assistant(f"a{number}"))


def seen(sessions: SessionManager) -> list[str]:
    """What a model sees."""
    return [m.text for m in sessions.resolve("key").history().messages]


def test_a_killed_compactor_leaves_whole_pieces(tmp_path: Path) -> None:
    """kill -9 in its second turn: the first is summarised, all others are raw; the next run goes on from there."""
    path = tmp_path / "chat.db"
    fill(path)
    with kit.process("compactor.py", path, "one") as running:
        out = kit.pipe(running.stdout)
        for asked in ("q0", "a0", "q1"):
            assert out.readline() == f"asked {asked}\n"
            if asked != "q1":
                kit.say(running, "ok")
        kit.say(running, "ok")
        assert out.readline() == "asked a1\n"
        kit.kill(running)
    with palaver.open(path, compaction_policy=POLICY) as sessions:
        assert sessions.check() == []
        assert seen(sessions) == [SUMMARY + "[one ok: 1][one ok: 1]", *"q1 a1 q2 a2 q3 a3".split()]
        done = Compactor(lambda messages, before: f"{before}[{len(messages)}]").run(sessions.resolve("key"))
        assert done.outcome == "compacted"
        assert seen(sessions) == [SUMMARY + "[one ok: 1][one ok: 1][4]", "q3", "a3"]
        assert len(sessions.resolve("key").messages()) == 8


def test_two_processes_compact_one_session(tmp_path: Path) -> None:
    """Both read the same; who commits first wins, and the other is told, without an error."""
    path = tmp_path / "chat.db"
    fill(path)
    with kit.process("compactor.py", path, "one") as one, kit.process("compactor.py", path, "two") as two:
        for running in (one, two):
            assert kit.pipe(running.stdout).readline() == "asked q0\n"
        for running, steps in ((one, 6), (two, 2)):
            out = kit.pipe(running.stdout)
            for step in range(steps):
                kit.say(running, "ok")
                last = out.readline()
                assert last.startswith("asked") == (step < steps - 1)
            assert last == ("compacted 3\n" if running is one else "superseded 0\n")
    with palaver.open(path) as sessions:
        assert sessions.check() == []
        assert seen(sessions) == [SUMMARY + "[one ok: 1]" * 6, "q3", "a3"]


def test_others_write_while_it_thinks(tmp_path: Path) -> None:
    """Turns of another process, one of them running: they stay as they are, and the summary is taken."""
    path = tmp_path / "chat.db"
    fill(path)
    with kit.process("compactor.py", path, "one") as running, palaver.open(path) as sessions:
        out = kit.pipe(running.stdout)
        assert out.readline() == "asked q0\n"
        for number in (4, 5):
            with sessions.begin_turn("key", user(f"q{number}")) as turn:
                turn.finish(assistant(f"a{number}"))
        with sessions.begin_turn("key", user("q6")) as turn:
            for _ in range(6):
                kit.say(running, "ok")
                last = out.readline()
            assert last == "compacted 3\n"
            assert seen(sessions) == [SUMMARY + "[one ok: 1]" * 6, *"q3 a3 q4 a4 q5 a5 q6".split()]
            turn.finish(assistant("a6"))
        assert seen(sessions)[-1] == "a6"
